//go:build interop

package quality

import (
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus/libopus"
)

// Opus is measured like the others, and its own copies count as a way to fill
// gaps.
func TestOpus(t *testing.T) {
	if err := libopus.Available(); err != nil {
		t.Fatalf("the test wants the Debian package libopus0: %v", err)
	}
	c := fixed()
	c.Codec = codec.Params{Name: "opus", PayloadType: 96, ClockRate: 48000, Channels: 2, FMTP: "maxaveragebitrate=24000"}
	c.Speech = Speech(48000)
	if r := run(t, c, path(300, nil)); r.DelayMean != 60 || r.DelayMax != 60 || r.Concealed != 0 || r.Rate != 48000 {
		t.Errorf("%+v", r)
	}
	r := run(t, c, path(300, map[int]float64{50: -1, 120: -1, 121: -1}))
	// After a loss the decoder needs some time until it is what it would have
	// been, and a vowel is like itself a period earlier.
	if r.DelayP95 != 60 || r.DelayMax > 80 || r.Events != 2 {
		t.Errorf("%+v", r)
	}
	c.Duration = 10 * time.Second
	results := 0
	err := Conceal(t.Context(), c, 1, func(r *Concealment) error {
		t.Log(r)
		results++
		return nil
	})
	if err != nil || results != len(channels)*len(methods) {
		t.Errorf("%d results, %v", results, err)
	}
}
