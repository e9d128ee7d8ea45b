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

// A telephone that loops a second of sound is heard in each turn. Pictures that come
// again, by which a path is probed while the camera is off, are copies.
func TestSourcesThatRepeat(t *testing.T) {
	sound, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
	if err != nil {
		t.Fatal(err)
	}
	camera, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{{Name: "VP8", PayloadType: 0, ClockRate: 8000}}})
	if err != nil {
		t.Fatal(err)
	}
	heard, seen := 0, 0
	for i := range 200 {
		n := i % 50
		p := rtp.Packet{Header: rtp.Header{SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(160 * n)}, Payload: []byte{0x10, 1, 2, 3}}
		at := videoBegin.Add(time.Duration(i) * 20 * ms)
		if sound.Push(at, &p) == Accepted {
			heard++
		}
		if camera.Push(at, &p) == Accepted {
			seen++
		}
	}
	// Of each turn one packet is held and accepted with the next; in two it takes 7 more to be sure.
	if heard != 200-4-2*7 || seen != 49 {
		t.Errorf("%d packets heard, %d seen", heard, seen)
	}
}
