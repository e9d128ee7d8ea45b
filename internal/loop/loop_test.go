package loop

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type runner func(now time.Time) time.Time

func (r runner) Run(now time.Time, _ []byte) time.Time { return r(now) }

func TestClockDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = 20 * time.Millisecond
		begin := time.Now()
		next := begin
		var runs atomic.Int64
		task := Add(runner(func(now time.Time) time.Time {
			if late := now.Sub(next); late < 0 || late > 2*time.Millisecond {
				t.Errorf("run %d at %v, due at %v", runs.Load(), now.Sub(begin), next.Sub(begin))
			}
			runs.Add(1)
			next = next.Add(period)
			return next
		}))
		task.Wake(begin)
		time.Sleep(10*time.Minute + time.Millisecond)
		task.Stop()
		synctest.Wait()
		if got, want := runs.Load(), int64(10*60*50+1); got != want {
			t.Errorf("%d runs in 10 minutes, want %d", got, want)
		}
	})
}

func TestWakeIsNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		var due time.Time
		ran := make(chan time.Time, 1)
		task := Add(runner(func(now time.Time) time.Time {
			mu.Lock()
			defer mu.Unlock()
			if now.Before(due) {
				t.Errorf("ran %v early", due.Sub(now))
			}
			ran <- now
			return time.Time{}
		}))
		for range 1000 {
			d := time.Duration(rng.Int64N(int64(3 * time.Second)))
			mu.Lock()
			due = time.Now().Add(d)
			mu.Unlock()
			task.Wake(due)
			if late := (<-ran).Sub(due); late > 2*time.Millisecond {
				t.Errorf("wake in %v ran %v late", d, late)
			}
		}
		task.Stop()
		synctest.Wait()
	})
}

func TestEarlierWakeWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ran := make(chan time.Duration, 2)
		task := Add(runner(func(now time.Time) time.Time {
			ran <- now.Sub(begin)
			return time.Time{}
		}))
		task.Wake(begin.Add(5 * time.Second))
		task.Wake(begin.Add(time.Second))
		task.Wake(begin.Add(3 * time.Second))
		if at := <-ran; at < time.Second || at > 1002*time.Millisecond {
			t.Errorf("ran after %v, want 1s", at)
		}
		time.Sleep(10 * time.Second)
		select {
		case at := <-ran:
			t.Errorf("ran again after %v: wakes are not remembered beyond the earliest", at)
		default:
		}
		task.Stop()
		synctest.Wait()
	})
}

func TestGreedyTaskLetsOthersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var greedy, modest atomic.Int64
		var tasks []*Task
		for range 8 { // so that both kinds share each loop
			g := Add(runner(func(now time.Time) time.Time { greedy.Add(1); return now }))
			m := Add(runner(func(now time.Time) time.Time { modest.Add(1); return now.Add(10 * time.Millisecond) }))
			g.Wake(time.Now())
			m.Wake(time.Now())
			tasks = append(tasks, g, m)
		}
		time.Sleep(time.Second)
		for _, task := range tasks {
			task.Stop()
		}
		synctest.Wait()
		if n := modest.Load(); n < 8*95 {
			t.Errorf("modest tasks ran %d times beside greedy ones, want about %d", n, 8*100)
		}
	})
}

// A task that leaves the goroutine of its loop costs the others nothing, and runs again
// when it is woken.
func TestExitLetsOthersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits, others atomic.Int64
		var tasks []*Task
		for range 8 { // so that both kinds share each loop
			e := Add(runner(func(time.Time) time.Time {
				exits.Add(1)
				runtime.Goexit()
				return time.Time{}
			}))
			e.Wake(time.Now())
			tasks = append(tasks, e)
			for range 2 {
				o := Add(runner(func(now time.Time) time.Time { others.Add(1); return now.Add(10 * time.Millisecond) }))
				o.Wake(time.Now())
				tasks = append(tasks, o)
			}
		}
		time.Sleep(time.Second)
		tasks[0].Wake(time.Now())
		time.Sleep(time.Second)
		for _, task := range tasks {
			task.Stop()
		}
		synctest.Wait()
		if exits.Load() != 9 || others.Load() < 16*190 {
			t.Errorf("%d runs that were left, want 9, and %d others, want about %d", exits.Load(), others.Load(), 16*200)
		}
	})
}

func TestNoRunAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped atomic.Bool
		task := Add(runner(func(now time.Time) time.Time {
			if stopped.Load() {
				t.Error("ran after Stop")
			}
			return now.Add(time.Millisecond)
		}))
		task.Wake(time.Now())
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		stopped.Store(true)
		task.Stop()
		task.Stop()
		task.Wake(time.Now())
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
	})
}

func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			done := make(chan struct{})
			n := 0
			task := Add(runner(func(now time.Time) time.Time {
				if n++; n == 5 {
					close(done)
				}
				return now.Add(time.Millisecond)
			}))
			for range 20 {
				task.Wake(time.Now())
			}
			<-done
			task.Stop()
		})
	}
	wg.Wait()
}

func TestRunDoesNotAllocate(t *testing.T) {
	l := &Loop{epoch: time.Now(), scratch: make([]byte, ScratchSize), signal: make(chan struct{}, 1)}
	tasks := make([]*Task, 100)
	for i := range tasks {
		tasks[i] = &Task{loop: l, slot: -1, runner: runner(func(now time.Time) time.Time { return now.Add(20 * time.Millisecond) })}
		tasks[i].wake.Store(never)
		tasks[i].Wake(l.epoch)
	}
	l.takeInbox()
	now := l.epoch
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		tasks[0].Wake(now)
		l.takeInbox()
		l.expire(now)
	}); n != 0 {
		t.Errorf("%v allocations per millisecond of 100 tasks, want 0", n)
	}
}

func BenchmarkTick(b *testing.B) {
	l := &Loop{epoch: time.Now(), scratch: make([]byte, ScratchSize), signal: make(chan struct{}, 1)}
	for i := range 10000 {
		t := &Task{loop: l, slot: -1, runner: runner(func(now time.Time) time.Time { return now.Add(20 * time.Millisecond) })}
		l.insert(t, int64(i%20)*int64(time.Millisecond))
	}
	now := l.epoch
	for b.Loop() { // a millisecond of 10 000 tasks with a period of 20 ms: 500 runs
		now = now.Add(time.Millisecond)
		l.expire(now)
	}
}
