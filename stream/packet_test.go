package stream

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
)

// Padding leaves no gaps in the numbers of coded packets; losses do.
func TestCodedNumbers(t *testing.T) {
	pcmu := codec.Params{Name: "PCMU", ClockRate: 8000}
	events := codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000}
	r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu, events}})
	if err != nil {
		t.Fatal(err)
	}
	var q PacketQueue
	r.TakeCoded(&q)
	begin := time.Now()
	push := func(seq uint16, payloadType uint8, payload []byte) {
		r.Push(begin.Add(time.Duration(seq)*20*time.Millisecond), &rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: payloadType, SequenceNumber: seq, Timestamp: uint32(seq) * 160, SSRC: 7},
			Payload: payload,
		})
	}
	speech := make([]byte, 160)
	for seq := range uint16(30) {
		switch {
		case seq == 5, seq == 6, seq == 7, seq == 21: // padding
			push(seq, 0, nil)
		case seq == 10: // a digit
			push(seq, 101, []byte{1, 10, 0, 160})
		case seq == 3, seq == 15, seq == 20: // lost, and late
		default:
			push(seq, 0, speech)
		}
		if seq == 22 {
			push(20, 0, speech)
			push(3, 0, speech) // so late that another packet may have its number
		}
	}
	var got []int64
	var p Packet
	for q.Pop(&p) {
		got = append(got, p.Seq-int64(p.Timestamp/160))
	}
	// By how much the number is lower than that of the packet.
	want := slices.Concat(slices.Repeat([]int64{0}, 4), slices.Repeat([]int64{-3}, 3+4+4), []int64{-4, -3}, slices.Repeat([]int64{-4}, 7))
	first := got[0]
	for i := range got {
		got[i] -= first
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want\n%v", got, want)
	}
}
