package quality

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/parley-media/parley/transport/netem"
)

// ErrTrace is returned, wrapped with what is wrong, for a trace of which nothing
// can be heard.
var ErrTrace = errors.New("quality: useless trace")

// interval is the time between the packets of a trace.
const interval = 20 * time.Millisecond

// A Trace says when each packet of a stream arrived.
type Trace struct {
	Name string

	// Sent is the number of packets that were sent, one each 20 ms of the
	// sender's clock.
	Sent int

	// Drift is how much longer the sender's second is than the receiver's, in
	// parts per million: with a positive drift packets come too slowly.
	Drift float64

	// Arrivals are in the order of time; packets of one time are in the order
	// of their numbers. What is not among them was lost on the way.
	Arrivals []Arrival
}

// An Arrival is one packet that came through.
type Arrival struct {
	Seq int           // 0 for the first packet that was sent
	At  time.Duration // on the receiver's clock, which may begin anywhere before
}

// ReadTrace reads a trace as [netem.ParseTrace] does: a line "seq,arrival_ms",
// and then rows of both. The error wraps [netem.ErrTrace], or [ErrTrace] if
// fewer than two packets arrive, or is that of r.
func ReadTrace(name string, r io.Reader) (*Trace, error) {
	path, err := netem.ParseTrace(r, interval)
	if err != nil {
		return nil, err
	}
	t := &Trace{Name: name, Sent: len(path.Arrivals)}
	for seq, a := range path.Arrivals {
		if !a.Lost {
			t.Arrivals = append(t.Arrivals, Arrival{seq, time.Duration(seq)*interval + a.Delay})
		}
	}
	t.sort()
	return t, t.check()
}

// check returns nil if something can be heard of the trace.
func (t *Trace) check() error {
	if len(t.Arrivals) < 2 {
		return fmt.Errorf("%w: %d of %d packets arrive, want two at least", ErrTrace, len(t.Arrivals), t.Sent)
	}
	return nil
}

func (t *Trace) sort() {
	slices.SortStableFunc(t.Arrivals, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
}

// sent returns when a packet of the given media time leaves, on the receiver's
// clock, if the first one leaves at 0.
func (t *Trace) sent(media time.Duration) time.Duration {
	return media + time.Duration(float64(media)*t.Drift/1e6)
}

// leastTransit returns the smallest time from sending to arrival, of which the
// beginning is arbitrary.
func (t *Trace) leastTransit() time.Duration {
	least := t.Arrivals[0].At - t.sent(time.Duration(t.Arrivals[0].Seq)*interval)
	for _, a := range t.Arrivals {
		least = min(least, a.At-t.sent(time.Duration(a.Seq)*interval))
	}
	return least
}

// limit returns the packets that were sent in the first d.
func (t *Trace) limit(d time.Duration) *Trace {
	n := int((d + interval - 1) / interval)
	if n >= t.Sent {
		return t
	}
	c := *t
	c.Sent, c.Arrivals = n, nil
	for _, a := range t.Arrivals {
		if a.Seq < n {
			c.Arrivals = append(c.Arrivals, a)
		}
	}
	return &c
}

// arrivals returns when the packets of a stream with another ptime would arrive.
// Each of them has the fate and the transit time of the packet of the trace
// that was sent at its time.
func (t *Trace) arrivals(ptime time.Duration) (sent int, all []Arrival) {
	if ptime == interval {
		return t.Sent, t.Arrivals
	}
	bySeq := slices.Clone(t.Arrivals)
	slices.SortStableFunc(bySeq, func(a, b Arrival) int { return a.Seq - b.Seq })
	sent = int(time.Duration(t.Sent) * interval / ptime)
	for i := range sent {
		media := time.Duration(i) * ptime
		row := int(media / interval)
		at, _ := slices.BinarySearchFunc(bySeq, row, func(a Arrival, seq int) int { return a.Seq - seq })
		for ; at < len(bySeq) && bySeq[at].Seq == row; at++ {
			transit := bySeq[at].At - t.sent(time.Duration(row)*interval)
			all = append(all, Arrival{i, t.sent(media) + transit})
		}
	}
	c := Trace{Arrivals: all}
	c.sort()
	return sent, all
}
