package stream

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
)

// What is counted goes on when another source is heard, and when the one before comes
// back; what comes from one that is not heard is only discarded.
func TestCountsAcrossSources(t *testing.T) {
	sound, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
	if err != nil {
		t.Fatal(err)
	}
	camera, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{{Name: "VP8", PayloadType: 0, ClockRate: 8000}}})
	if err != nil {
		t.Fatal(err)
	}
	want := counts{}
	for i, step := range []struct {
		ssrc uint32
		seqs []uint16
		then counts // what these add, strays being all that is discarded
	}{
		{1, []uint16{10, 11, 14, 13, 13, 9000}, counts{received: 5, duplicated: 1, reordered: 1, strays: 1}},
		{2, []uint16{50, 51, 53, 53}, counts{received: 4, duplicated: 1}},
		{1, []uint16{15, 16, 19}, counts{strays: 3}},
		{1, nil, counts{}}, // is silent, as source 2 is
		{1, []uint16{22, 24, 23}, counts{received: 3, reordered: 1}},
		{2, []uint16{54, 55}, counts{strays: 2}},
		{3, []uint16{7, 8, 10}, counts{received: 3, lost: 1}},
	} {
		for n, seq := range step.seqs {
			p := rtp.Packet{Header: rtp.Header{SSRC: step.ssrc, SequenceNumber: seq, Timestamp: 160 * uint32(seq)}, Payload: []byte{0x10, 1, 2, 3}}
			at := videoBegin.Add(time.Duration(i)*100*ms + time.Duration(n)*ms)
			if i > 3 {
				at = at.Add(switchBack)
			}
			sound.Push(at, &p)
			camera.Push(at, &p)
		}
		want.received += step.then.received
		want.lost += step.then.lost
		want.duplicated += step.then.duplicated
		want.reordered += step.then.reordered
		want.strays += step.then.strays
		var a ReceiverStats
		var v VideoReceiverStats
		sound.Stats(&a)
		camera.Stats(&v)
		if got := (counts{a.Received, a.Lost, a.Duplicated, a.Reordered, a.Discarded}); got != want {
			t.Errorf("step %d: %+v of audio, want %+v", i, got, want)
		}
		if got := (counts{v.Received, v.Lost, v.Duplicated, v.Reordered, v.Discarded}); got != want {
			t.Errorf("step %d: %+v of video, want %+v", i, got, want)
		}
	}
}
