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
		then counts // what these add
	}{
		{1, []uint16{10, 11, 14, 13, 13, 9000}, counts{received: 5, duplicated: 1, reordered: 1, discarded: 1}},
		{2, []uint16{50, 51, 53, 53}, counts{received: 4, duplicated: 1}},
		{1, []uint16{15, 16, 19}, counts{discarded: 3}},
		{1, nil, counts{}}, // is silent, as source 2 is
		{1, []uint16{22, 24, 23}, counts{received: 3, reordered: 1}},
		{2, []uint16{54, 55}, counts{discarded: 2}},
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
		want.discarded += step.then.discarded
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

// Packets of sources that never prove themselves are discarded, but for those that
// the next packet may still prove right.
func TestCountsOfUnprovenSources(t *testing.T) {
	sound, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
	if err != nil {
		t.Fatal(err)
	}
	push := func(ssrc uint32, seq uint16) {
		sound.Push(videoBegin, &rtp.Packet{Header: rtp.Header{SSRC: ssrc, SequenceNumber: seq}, Payload: []byte{1}})
	}
	discarded := func(want int64) {
		t.Helper()
		var s ReceiverStats
		if sound.Stats(&s); s.Discarded != want || s.Received != 2 {
			t.Errorf("%d received, want 2, and %d discarded, want %d", s.Received, s.Discarded, want)
		}
	}
	push(1, 10)
	push(1, 11)
	discarded(0)
	for ssrc := range uint32(1000) {
		push(100+ssrc, 7)
	}
	const others = maxSources - 1
	discarded(1000 - others)
	for n := range uint16(100) {
		push(1099, 500*n)
	}
	discarded(1100 - others)
	push(1099, 99*500+1) // now it is heard, and the packet before it was held for that
	var s ReceiverStats
	if sound.Stats(&s); s.Received != 4 || s.Discarded != 1100-others {
		t.Errorf("%d received and %d discarded in the end", s.Received, s.Discarded)
	}
}
