package quality

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/metric"
)

func TestRepeat(t *testing.T) {
	// 10 samples a packet of 10 ms; the fade takes 60.
	heard := make([]int16, 120)
	for i := range 10 {
		heard[i] = int16(600 * (i + 1))
	}
	repeat(heard, metric.Gap{Heard: 10, Sent: 10, N: 80}, 10, 1000)
	if heard[10] != 600 || heard[19] != 6000*51/60 || heard[20] != 600*50/60 || heard[69] != 6000/60 || heard[70] != 0 || heard[89] != 0 {
		t.Errorf("%v", heard[:90])
	}
	// Nothing was heard before the gap.
	heard = []int16{1, 2, 3, 4}
	repeat(heard, metric.Gap{N: 2}, 10, 1000)
	if !slices.Equal(heard, []int16{0, 0, 3, 4}) {
		t.Error(heard)
	}
}

// All methods have the same losses, and only what was lost may sound otherwise,
// but for the joins.
func TestConceal(t *testing.T) {
	c := Config{Codec: pcmu, Speech: Speech(8000), Duration: 20 * time.Second}
	byName := make(map[string]*Concealment)
	var order []string
	err := Conceal(t.Context(), c, 5, func(r *Concealment) error {
		byName[r.Channel+" "+r.Method] = r
		order = append(order, r.Channel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(byName) != len(channels)*4 {
		t.Fatalf("%d results", len(byName))
	}
	for _, channel := range channels {
		silence := byName[channel.name+" silence"]
		if silence.SegSNR != 0 || silence.LostPct < 0.5*100*channel.Rate || silence.LostPct > 1.7*100*channel.Rate {
			t.Errorf("%s: %+v", channel.name, silence.Sound)
		}
		for _, m := range methods[:4] {
			r := byName[channel.name+" "+m.name]
			if r.Gaps != silence.Gaps || r.LostPct != silence.LostPct || len(r.Heard) != len(r.Sent) {
				t.Errorf("%s, %s: %d gaps, want %d", channel.name, m.name, r.Gaps, silence.Gaps)
			}
			same := 0
			for i := range r.Sent {
				if r.Heard[i] == r.Sent[i] {
					same++
				}
			}
			// A fixed playout of 80 ms has not played the last of it.
			if share := 100 * float64(len(r.Sent)-same) / float64(len(r.Sent)); share > 2*r.LostPct+1 {
				t.Errorf("%s, %s: %.1f %% of the samples differ, and %.1f %% of the packets are lost", channel.name, m.name, share, r.LostPct)
			}
		}
	}
	if !slices.IsSortedFunc(order, func(a, b string) int {
		index := func(name string) int {
			for i, c := range channels {
				if c.name == name {
					return i
				}
			}
			return -1
		}
		return index(a) - index(b)
	}) {
		t.Errorf("in the order %v", order)
	}
}

func TestConcealEnds(t *testing.T) {
	c := Config{Codec: pcmu, Speech: Speech(8000), Duration: time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := Conceal(ctx, c, 1, func(*Concealment) error {
		n++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%v after %d results", err, n)
	}
	full := errors.New("the disk is full")
	if err := Conceal(t.Context(), c, 1, func(*Concealment) error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
}
