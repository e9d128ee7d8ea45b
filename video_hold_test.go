package parley

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/video"
)

// What is written on hold leaves no gap in the numbers, and is not counted, then or
// later; a new format on hold goes on with the numbers too.
func TestVideoAfterAHold(t *testing.T) {
	for _, changes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			x, y := videoPair(t, VideoConfig{}, nil, nil)
			next, packets, octets := -1, int64(0), int64(0)
			x.Video().leg.(*plug).to = &spy{lineEnd: y.Video(), rtp: func(b []byte) {
				seq := int(b[2])<<8 | int(b[3])
				if next >= 0 && seq != next&0xffff {
					t.Errorf("packet %d follows %d", seq, next-1)
				}
				next = seq + 1
				packets++
				octets += int64(len(b) - 12)
			}}
			counted := func(frames, keys int64) {
				t.Helper()
				time.Sleep(100 * ms)
				synctest.Wait() // the last ones have arrived
				var s VideoStats
				if x.Video().Stats(&s); s.PacketsSent != packets || s.OctetsSent != octets || s.FramesSent != frames || s.KeyFramesSent != keys {
					t.Errorf("%d packets, %d octets, %d frames, %d keys counted; want %d, %d, %d, %d",
						s.PacketsSent, s.OctetsSent, s.FramesSent, s.KeyFramesSent, packets, octets, frames, keys)
				}
			}
			film(x, 30)
			counted(30, 1)
			if err := x.Update(nil, &VideoUpdate{Direction: RecvOnly}); err != nil {
				t.Fatal(err)
			}
			film(x, 100)
			counted(30, 1)
			u := &VideoUpdate{Direction: SendRecv}
			if changes {
				u.Send = vp8
				u.Send.FMTP = "max-fr=30"
			}
			if err := x.Update(nil, u); err != nil {
				t.Fatal(err)
			}
			film(x, 30)
			counted(60, 2)
			var f video.Frame
			y.Video().SetReadDeadline(time.Now().Add(time.Second))
			n := 0
			for y.Video().ReadFrame(&f) == nil {
				n++
			}
			var s VideoStats
			if y.Video().Stats(&s); n != 60 || s.Lost != 0 || s.Received != packets {
				t.Errorf("%d frames received, %d packets lost", n, s.Lost)
			}
		})
	}
}
