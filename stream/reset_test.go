package stream

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// What was used and is reset is as good as new.
func TestReset(t *testing.T) {
	pcmu := codec.Params{Name: "PCMU", ClockRate: 8000}
	now := time.Unix(1000, 0)
	in := ReceiverConfig{Codecs: []codec.Params{pcmu}}
	r, err := NewAudioReceiver(in)
	if err != nil {
		t.Fatal(err)
	}
	out := SenderConfig{Codec: pcmu, SSRC: 7, Sequence: 100, Timestamp: 5}
	s, err := NewAudioSender(out)
	if err != nil {
		t.Fatal(err)
	}
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	var heard audio.Frame
	for range 10 {
		if err := s.Write(now, &f); err != nil {
			t.Fatal(err)
		}
		b, _ := s.AppendPacket(nil, now)
		var p rtp.Packet
		if err := p.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
		r.Push(now, &p)
		now = now.Add(20 * time.Millisecond)
		r.Pull(now, &heard)
	}
	if len(heard.Samples) == 0 {
		t.Fatal("nothing was heard")
	}

	if err := r.Reset(in); err != nil {
		t.Fatal(err)
	}
	if err := s.Reset(out); err != nil {
		t.Fatal(err)
	}
	r2, _ := NewAudioReceiver(in)
	s2, _ := NewAudioSender(out)
	if !reflect.DeepEqual(r, r2) {
		t.Errorf("receiver %+v, new %+v", r, r2)
	}
	if got, want := fmt.Sprintf("%+v", s), fmt.Sprintf("%+v", s2); got != want { // functions are not equal
		t.Errorf("sender %s, new %s", got, want)
	}
	if err := r.Reset(ReceiverConfig{PTime: -1}); err == nil {
		t.Error("a receiver of no ptime")
	}
	if err := s.Reset(SenderConfig{}); err == nil {
		t.Error("a sender of no codec")
	}
}
