package stream

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
)

// The very first packets of a source are all heard, in whichever order the first
// three of them come, as long as two that follow each other are among them soon.
func TestFirstPacketsInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}, {0, 2, 1}, {2, 1, 0}, {1, 2, 0}} {
		r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
		if err != nil {
			t.Fatal(err)
		}
		var q PacketQueue
		r.TakeCoded(&q)
		for i, n := range append(order, 3, 4) {
			p := rtp.Packet{Header: rtp.Header{SSRC: 1, SequenceNumber: uint16(65535 + n), Timestamp: uint32(160 * n)}, Payload: []byte{byte(n)}}
			r.Push(videoBegin.Add(time.Duration(i)*10*ms), &p)
		}
		heard := map[byte]int64{}
		var p Packet
		for q.Pop(&p) {
			if _, again := heard[p.Payload[0]]; again {
				t.Errorf("%v: packet %d twice", order, p.Payload[0])
			}
			heard[p.Payload[0]] = p.Seq - int64(p.Payload[0])
		}
		for n := range byte(5) {
			if at, ok := heard[n]; !ok || at != heard[4] {
				t.Errorf("%v: packet %d: %v, number %d from its place", order, n, ok, at-heard[4])
			}
		}
	}
}
