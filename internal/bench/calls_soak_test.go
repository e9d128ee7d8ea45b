//go:build soak && linux

package bench

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
)

// A thousand calls talk for ten minutes: no clock drifts, no call falls behind, and
// memory does not grow.
func TestSoakCalls(t *testing.T) {
	const (
		calls, minutes = 1000, 10
		observed       = 16
	)
	before := memory()
	far, err := openFarEnds(observed, minutes*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	setup := &callSetup{n: calls}
	for i := range observed {
		setup.far = append(setup.far, far.address(i))
	}
	w, err := openLoopCalls(t.Context(), setup)
	if err != nil {
		t.Fatal(err)
	}
	whole := w.(*wholeCalls)
	addresses := make([]netip.AddrPort, observed)
	for i := range addresses {
		addresses[i] = w.address(i)
	}
	if err := far.begin(addresses); err != nil {
		t.Fatal(err)
	}
	if err := w.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &callBench{calls: calls}
	if err := b.settle(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	far.measure(true) //nolint:errcheck // never fails
	var settled memories
	first, cpu, start := sentByEach(whole), processTime(), time.Now()
	for minute := 1; minute <= minutes; minute++ {
		if err := pause(t.Context(), time.Until(start.Add(time.Duration(minute)*time.Minute))); err != nil {
			t.Fatal(err)
		}
		elapsed := time.Since(start)
		used := processTime() - cpu
		due := int64(elapsed / callPeriod)
		each := sentByEach(whole)
		for i := range each {
			each[i] -= first[i] + due
		}
		now := memory()
		if minute == 1 {
			settled = now
		}
		var s parley.AudioStats
		slow, delay := time.Duration(0), time.Duration(0)
		for _, c := range whole.talkers {
			c.audio.Stats(&s)
			slow, delay = max(slow, s.Stalled+s.LeftOut), max(delay, s.Delay)
		}
		t.Logf("%2d min: %.0f %% of a core, packets more than due %d to %d, left out or stalled %v at most, delay %v at most, %.1f KiB and %.2f goroutines a call",
			minute, 100*float64(used)/float64(elapsed), slices.Min(each), slices.Max(each), slow.Round(time.Millisecond), delay.Round(time.Millisecond),
			float64(now.bytes-before.bytes)/1024/calls, float64(now.goroutines-before.goroutines)/calls)
		// What the machine had no time for is told of, and all else is sent.
		if least := -int64(slow/callPeriod) - 5; slices.Min(each) < least || slices.Max(each) > 10 {
			t.Errorf("packets more than due %d to %d", slices.Min(each), slices.Max(each))
		}
		// A machine that stands still makes buffers larger, up to those of half a second.
		if grown := now.bytes - settled.bytes; grown > calls*20<<10 {
			t.Errorf("%d KiB more than after a minute", grown>>10)
		}
	}
	far.measure(false) //nolint:errcheck // never fails
	lost := w.finish()
	far.close()
	for i := range far.watch.senders {
		late := far.watch.senders[i].late
		n := len(late) / minutes
		if n < 2000 {
			t.Fatalf("call %d sent %d packets", i, len(late))
		}
		if drift := slices.Min(late[len(late)-n:]) - slices.Min(late[:n]); drift.Abs() > 5*time.Millisecond {
			t.Errorf("the clock of call %d is off by %v", i, drift)
		}
	}
	r := far.watch.result()
	t.Logf("%d packets lost; late by %s ms", lost+r.Lost, r.Late.format())
	if total := int64(calls) * minutes * 3000; lost+r.Lost > total/10000 {
		t.Errorf("%d packets lost of %d", lost+r.Lost, total)
	}
}

func sentByEach(c *wholeCalls) []int64 {
	each := make([]int64, len(c.talkers))
	var s parley.AudioStats
	for i, t := range c.talkers {
		t.audio.Stats(&s)
		each[i] = s.PacketsSent
	}
	return each
}
