//go:build interop

package stream

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/opus/libopus"
)

// In silence Opus with DTX sends nearly nothing, and speech comes back with the
// marker, on the clock.
func TestOpusDTX(t *testing.T) {
	c := SenderConfig{Codec: codec.Params{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2, FMTP: "usedtx=1;useinbandfec=1"}, Queue: 5 * time.Second}
	s, err := NewAudioSender(c)
	if err != nil {
		t.Fatalf("this test needs libopus (apt install libopus0): %v", err)
	}
	s.SetLoss(0.1)
	n := &near{t: t, s: s, begin: time.Now()}
	f := audio.Frame{Format: s.Format(), Samples: make([]int16, s.Format().Samples(4*time.Second))}
	second := s.Format().Samples(time.Second)
	for i := range f.Samples {
		if i < second || i >= 3*second {
			f.Samples[i] = int16(8000 * math.Sin(float64(i)*0.05) * math.Sin(float64(i)*0.0003))
		}
	}
	if err := s.Write(n.begin, &f); err != nil {
		t.Fatal(err)
	}
	got := n.run(10 * time.Second)
	silent, last := 0, 0
	for i, p := range got {
		if want := uint32(p.at/(20*ms)) * 960; p.Timestamp != want || p.SequenceNumber != uint16(i) {
			t.Errorf("packet %d: %v, want timestamp %d", i, p, want)
		}
		if p.at > 1500*ms && p.at < 2900*ms {
			silent++
		}
		if i > 0 && (p.at-got[i-1].at > 30*ms) != p.Marker {
			t.Errorf("packet %d: %v after %v", i, p, got[i-1])
		}
		last = int(p.at / ms)
	}
	if silent > 20 || last < 3900 {
		t.Errorf("%d packets in 1.4 s of silence; the last one at %d ms", silent, last)
	}
	c.PTime = 30 * ms
	if _, err := NewAudioSender(c); !errors.Is(err, ErrConfig) {
		t.Errorf("ptime of 30 ms: %v, want ErrConfig", err)
	}
	for _, ptime := range []time.Duration{10 * ms, 40 * ms, 60 * ms, 120 * ms} {
		c.PTime = ptime
		if _, err := NewAudioSender(c); err != nil {
			t.Errorf("ptime of %v: %v", ptime, err)
		}
	}
}
