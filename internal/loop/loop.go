// Package loop runs the timed work of calls: one goroutine per core, each with
// a timing wheel of 1 ms slots and an inbox.
//
// Deadlines are absolute, so a task that asks for t, t+20ms, t+40ms … keeps
// that clock for ever, however late single runs are. A task is in the inbox of
// its loop at most once however often it is woken, which bounds the inbox by
// the number of tasks. Loops start with the first task of the process and end
// with the last one.
package loop

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Runner is what a [Task] runs.
type Runner interface {
	// Run does what is due at now and returns when it wants to run next; the
	// zero Time means not before the next Wake. It runs on the loop's
	// goroutine, so it must not block. scratch is memory for use until Run
	// returns, at least [ScratchSize] long.
	Run(now time.Time, scratch []byte) (next time.Time)
}

// ScratchSize is the length of the scratch memory that Run gets: room for one
// packet of any size, or for many that leave together.
const ScratchSize = 1 << 16

// A Task is a Runner's place on a loop. Its methods may be called from any
// goroutine, also with locks held that Run takes.
type Task struct {
	loop   *Loop
	runner Runner

	// wake is the earliest time asked for that has not been seen by the loop,
	// in nanoseconds since loop.epoch.
	wake    atomic.Int64
	inInbox atomic.Bool
	stopped atomic.Bool

	// For the loop's goroutine only.
	prev, next *Task
	at         int64 // deadline in nanoseconds since loop.epoch; idle if not in the wheel
	slot       int32 // index of the slot that holds the task, or -1
}

const never = math.MaxInt64

const (
	slotWidth = time.Millisecond
	slots     = 1024 // a task due later than this stays in its slot for more than one turn
)

// A Loop is one goroutine with its wheel. Use [Add] to get a task onto one.
type Loop struct {
	epoch time.Time // start of slot 0; carries a monotonic reading
	tasks atomic.Int32

	mu     sync.Mutex
	inbox  []*Task
	closed bool
	signal chan struct{} // capacity 1: the inbox is no longer empty

	late  atomic.Int64 // runs that began more than 20 ms after their deadline
	gauge gauge

	// For the loop's goroutine only.
	wheel   [slots]*Task
	count   int
	current int64 // index since epoch of the first slot that has not been run
	spare   []*Task
	scratch []byte
}

var group struct {
	sync.Mutex
	loops []*Loop
	tasks int
	turn  int
}

// Add gives r a task on one of the process's loops, without scheduling it.
// [Task.Stop] must be called in the end.
func Add(r Runner) *Task {
	group.Lock()
	defer group.Unlock()
	if group.tasks == 0 {
		group.loops = make([]*Loop, runtime.GOMAXPROCS(0))
		for i := range group.loops {
			group.loops[i] = start()
		}
	}
	group.tasks++
	group.turn++
	l := group.loops[group.turn%len(group.loops)]
	l.tasks.Add(1)
	t := &Task{loop: l, runner: r, slot: -1}
	t.wake.Store(never)
	return t
}

// Late returns how many runs of all loops began more than 20 ms after their
// deadline since the first of the present tasks was added.
func Late() int64 {
	group.Lock()
	defer group.Unlock()
	var n int64
	for _, l := range group.loops {
		n += l.late.Load()
	}
	return n
}

func start() *Loop {
	l := &Loop{
		epoch:   time.Now(),
		signal:  make(chan struct{}, 1),
		scratch: make([]byte, ScratchSize),
	}
	go l.run()
	return l
}

// Wake asks for a run at the given time, or at once if that has passed. A run
// that was asked for earlier than that stays as it is.
func (t *Task) Wake(at time.Time) {
	due := int64(at.Sub(t.loop.epoch))
	for {
		old := t.wake.Load()
		if old <= due {
			break
		}
		if t.wake.CompareAndSwap(old, due) {
			break
		}
	}
	if t.inInbox.Swap(true) {
		return
	}
	t.loop.post(t)
}

func (l *Loop) post(t *Task) {
	l.mu.Lock()
	if !l.closed {
		l.inbox = append(l.inbox, t)
	}
	l.mu.Unlock()
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// Stop takes the task off its loop. A run that has begun may still be under way
// when Stop returns, but none begins afterwards. The loops end with the last
// task of the process.
func (t *Task) Stop() {
	if t.stopped.Swap(true) {
		return
	}
	t.Wake(time.Time{}) // lets go of the reference in the wheel
	t.loop.tasks.Add(-1)

	group.Lock()
	group.tasks--
	var ended []*Loop
	if group.tasks == 0 {
		ended, group.loops = group.loops, nil
	}
	group.Unlock()
	for _, l := range ended {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		select {
		case l.signal <- struct{}{}:
		default:
		}
	}
}

// run is the loop's goroutine. A Runner that leaves it (runtime.Goexit), as FailNow of
// a test does, costs no other one its loop.
func (l *Loop) run() {
	ended := false
	defer func() {
		if !ended {
			go l.run()
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if !l.takeInbox() {
			ended = true
			return
		}
		now := time.Now()
		l.expire(now)
		if l.pending() {
			continue
		}
		now = time.Now()
		d := l.sleep(now)
		elapsed := int64(now.Sub(l.epoch))
		l.gauge.rest(elapsed, elapsed+int64(d))
		timer.Reset(d)
		select {
		case <-l.signal:
		case <-timer.C:
		}
	}
}

func (l *Loop) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) > 0 || l.closed
}

// takeInbox moves the woken tasks to the slots they asked for. It reports false
// when the loop is to end.
func (l *Loop) takeInbox() bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	woken := l.inbox
	l.inbox, l.spare = l.spare[:0], woken
	l.mu.Unlock()
	for i, t := range woken {
		woken[i] = nil
		t.inInbox.Store(false)
		due := t.wake.Swap(never)
		if t.stopped.Load() {
			l.remove(t)
			continue
		}
		if t.slot < 0 || due < t.at {
			l.remove(t)
			l.insert(t, due)
		}
	}
	return true
}

// insert puts t into the slot for due. A slot is run when its end has come, so
// a task never runs early.
func (l *Loop) insert(t *Task, due int64) {
	t.at = due
	index := max((due+int64(slotWidth)-1)/int64(slotWidth), l.current)
	slot := int32(index & (slots - 1))
	t.slot, t.prev, t.next = slot, nil, l.wheel[slot]
	if t.next != nil {
		t.next.prev = t
	}
	l.wheel[slot] = t
	l.count++
}

func (l *Loop) remove(t *Task) {
	if t.slot < 0 {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.wheel[t.slot] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.slot = nil, nil, -1
	l.count--
}

// expire runs all tasks of the slots up to now.
func (l *Loop) expire(now time.Time) {
	elapsed := int64(now.Sub(l.epoch))
	last := elapsed / int64(slotWidth)
	if last-l.current >= slots {
		l.current = last - slots + 1 // each slot once, after a long stop
	}
	for ; l.current <= last; l.current++ {
		slot := l.current & (slots - 1)
		runs, late := int64(0), l.late.Load()
		for t := l.wheel[slot]; t != nil; {
			next := t.next
			if t.at <= elapsed {
				if runs == 0 {
					l.gauge.begin(t.at)
				}
				runs++
				l.remove(t)
				l.runTask(t, now, elapsed)
			}
			t = next
		}
		if runs > 0 {
			l.gauge.ran(elapsed, runs, l.late.Load()-late)
		}
	}
}

func (l *Loop) runTask(t *Task, now time.Time, elapsed int64) {
	if t.stopped.Load() {
		return
	}
	if t.at > 0 && elapsed-t.at > int64(Tardy) {
		l.late.Add(1)
	}
	if next := t.runner.Run(now, l.scratch); !next.IsZero() && !t.stopped.Load() {
		l.insertAfterRun(t, next)
	}
}

// insertAfterRun schedules t, never into the slot that is being run, so that a
// task which always wants to run at once cannot keep the others waiting.
func (l *Loop) insertAfterRun(t *Task, next time.Time) {
	due := int64(next.Sub(l.epoch))
	l.insert(t, max(due, l.current*int64(slotWidth)+1))
}

// sleep returns how long the loop may sleep at now: until the first slot that
// has a task that is due in this turn of the wheel.
func (l *Loop) sleep(now time.Time) time.Duration {
	elapsed := int64(now.Sub(l.epoch))
	if l.count > 0 {
		for i := range int64(slots) {
			index := l.current + i
			end := (index + 1) * int64(slotWidth)
			for t := l.wheel[index&(slots-1)]; t != nil; t = t.next {
				if t.at <= end {
					return max(0, time.Duration(index*int64(slotWidth)-elapsed))
				}
			}
		}
		return max(0, time.Duration((l.current+slots)*int64(slotWidth)-elapsed))
	}
	return time.Hour
}
