package conference

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// Who is on hold shows nothing, even if pictures still come, and does when they are
// heard again, of whatever source.
func TestWhoFilms(t *testing.T) {
	vp8 := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
	c, err := parley.New(parley.Config{Video: &parley.VideoConfig{Leg: nowhere{}, Send: vp8, Receive: []codec.Params{vp8}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := &member{video: c.Video()}
	r := &Room{members: []*member{m}}
	h := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: true}, Payload: []byte{0x10, 1, 2, 3}}
	begin, at := time.Now(), time.Duration(0)
	for _, step := range []struct {
		direction parley.Direction
		ssrc      uint32
		films     bool
	}{{parley.SendRecv, 7, true}, {parley.SendOnly, 7, false}, {parley.SendRecv, 7, true}, {parley.SendRecv, 8, true}, {parley.SendOnly, 9, false}} {
		if err := c.Video().Update(&parley.VideoUpdate{Direction: step.direction}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for range 30 {
				at += time.Second / 30
				h.SSRC = step.ssrc
				h.SequenceNumber++
				h.Timestamp += 3000
				b, err := h.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				c.Video().DeliverRTP(begin.Add(at), netip.AddrPort{}, b)
			}
			r.lookLocked(at)
		}
		if m.films != step.films {
			t.Errorf("direction %v, source %d: films %v", step.direction, step.ssrc, m.films)
		}
	}
}
