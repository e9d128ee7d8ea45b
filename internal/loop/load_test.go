package loop

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestGauge(t *testing.T) {
	const term = time.Duration(1 << termBits)
	var g gauge
	if l := g.load(0); l != (Load{}) || l.Share() != 0 {
		t.Errorf("at the begin %+v", l)
	}
	g.rest(int64(term/4), int64(term/2))
	for _, step := range []struct {
		at         time.Duration
		runs, late int64 // counted at that time
		want       Load  // then
	}{
		{term / 4, 0, 0, Load{}},
		{term / 2, 10, 0, Load{Runs: 10}},
		{term - 1, 10, 5, Load{Runs: 20, Late: 5}},
		{term, 10, 10, Load{Runs: 30, Late: 15}},
		{7 * term, 100, 0, Load{Runs: 130, Late: 15}},
		{8*term - 1, 0, 0, Load{Runs: 130, Late: 15}},
		{8 * term, 0, 0, Load{Runs: 110, Late: 10}}, // the first has gone by
		{9 * term, 1, 1, Load{Runs: 101, Late: 1}},
		{14 * term, 0, 0, Load{Runs: 101, Late: 1}},
		{15 * term, 0, 0, Load{Runs: 1, Late: 1}},
		{17 * term, 0, 0, Load{}},
		{1000 * term, 7, 3, Load{Runs: 7, Late: 3}},
	} {
		if step.runs > 0 {
			g.ran(int64(step.at), step.runs, step.late)
		}
		step.want.Lateness = max(0, step.at-term/2)
		if l := g.load(int64(step.at)); l != step.want {
			t.Errorf("after %v %+v, want %+v", step.at, l, step.want)
		}
	}
	if s := g.load(int64(1000 * term)).Share(); s != 3./7 {
		t.Errorf("a share of %v, want 3/7", s)
	}
	// What was asked for long after its time has waited only since the loop rested.
	g.rest(int64(2000*term), int64(2001*term))
	g.begin(int64(5 * term))
	if l := g.load(int64(2000*term) + 5); l.Lateness != 5 {
		t.Errorf("%v late, want 5ns", l.Lateness)
	}
	g.begin(int64(2000*term) + 3)
	if l := g.load(int64(2000*term) + 5); l.Lateness != 2 {
		t.Errorf("%v late, want 2ns", l.Lateness)
	}
}

func TestGaugeDoesNotAllocate(t *testing.T) {
	var g gauge
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += int64(time.Millisecond)
		g.begin(now)
		g.ran(now, 3, 1)
		g.rest(now, now+1)
		g.load(now)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Loops that keep up say so, one that is held up is found out while it is, and what
// was is forgotten within little more than a second.
func TestLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if l := CurrentLoad(); l != (Load{}) {
			t.Errorf("without tasks %+v", l)
		}
		const period = 20 * time.Millisecond
		var takes atomic.Int64 // how long a run takes
		next := time.Now()
		task := Add(runner(func(now time.Time) time.Time {
			time.Sleep(time.Duration(takes.Load()))
			for !next.After(now) {
				next = next.Add(period)
			}
			return next
		}))
		task.Wake(next)
		look := func(d time.Duration) Load {
			time.Sleep(d)
			synctest.Wait()
			return CurrentLoad()
		}
		if l := look(3*time.Second + 10*time.Millisecond); l.Runs < 45 || l.Runs > 55 || l.Late != 0 || l.Lateness != 0 {
			t.Errorf("a loop that keeps up: %+v", l)
		}
		takes.Store(int64(50 * time.Millisecond)) // more than there is time for
		if l := look(5 * time.Second); l.Share() != 1 || l.Runs < 18 || l.Runs > 23 || l.Lateness > 80*time.Millisecond {
			t.Errorf("a loop that does not: %+v, share %v", l, l.Share())
		}
		takes.Store(0)
		if l := look(2 * time.Second); l.Late != 0 || l.Lateness != 0 || l.Runs < 45 {
			t.Errorf("two seconds later: %+v", l)
		}
		takes.Store(int64(3 * time.Second)) // stands still
		if l := look(2 * time.Second); l.Lateness < 1900*time.Millisecond || l.Lateness > 2*time.Second {
			t.Errorf("a loop that has stood still for two seconds: %+v", l)
		}
		takes.Store(0)
		if l := look(3 * time.Second); l.Late != 0 || l.Lateness != 0 {
			t.Errorf("in the end: %+v", l)
		}
		task.Stop()
		synctest.Wait()
		if l := CurrentLoad(); l != (Load{}) {
			t.Errorf("after the last task %+v", l)
		}
	})
}
