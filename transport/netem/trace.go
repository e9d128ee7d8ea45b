package netem

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ErrTrace is returned, wrapped with the line and what was wrong, for text that
// is not a trace.
var ErrTrace = errors.New("netem: bad trace")

// A Trace is what happened to a stream of packets that were sent at even
// intervals. The path repeats it, from its start again when it has ended:
// a packet meets what the packet of the trace met that was sent nearest in time,
// counted from the first packet of each. The order of arrival in the trace is
// kept.
type Trace struct {
	Interval time.Duration // between packets as sent; 0 means 20 ms
	Arrivals []Arrival     // at least one
}

// An Arrival is what happened to one packet of a trace.
type Arrival struct {
	Delay time.Duration // 0 to an hour
	Lost  bool
}

const (
	defaultInterval = 20 * time.Millisecond
	maxArrivals     = 1 << 20
	maxArrivalMS    = 1e9
	maxLine         = 256
	traceHeader     = "seq,arrival_ms"
)

func (t *Trace) interval() time.Duration {
	if t.Interval == 0 {
		return defaultInterval
	}
	return t.Interval
}

func (t *Trace) at(since time.Duration) Arrival {
	i := t.interval()
	return t.Arrivals[(since+i/2)/i%time.Duration(len(t.Arrivals))]
}

func (t *Trace) check() error {
	if len(t.Arrivals) == 0 {
		return fmt.Errorf("%w: the trace is empty", ErrConfig)
	}
	if t.Interval < 0 || t.Interval > longest {
		return fmt.Errorf("%w: interval %v of the trace is outside 0..%v", ErrConfig, t.Interval, longest)
	}
	for n, a := range t.Arrivals {
		if a.Delay < 0 || a.Delay > longest {
			return fmt.Errorf("%w: delay %v of packet %d of the trace is outside 0..%v", ErrConfig, a.Delay, n, longest)
		}
	}
	return nil
}

// ParseTrace reads a trace as comma-separated values. Each line
// has the number of a packet and the time of its arrival in milliseconds, with
// any fraction; before them may be a line that says so:
//
//	seq,arrival_ms
//	0,33.01
//	1,51.92
//	2,
//	3,103.2
//
// The first packet was sent at 0 ms, and the others at the given interval, which
// is 20 ms when it is 0. Numbers rise. A packet with an empty time, or a number
// that is left out, was lost. If a packet comes before it was sent, because the
// times have another origin, all delays are raised so that the shortest is 0.
//
// A trace has at most 1048576 packets. Errors wrap [ErrTrace], or are those of
// r.
func ParseTrace(r io.Reader, interval time.Duration) (*Trace, error) {
	if interval < 0 || interval > longest {
		return nil, fmt.Errorf("%w: interval %v is outside 0..%v", ErrTrace, interval, longest)
	}
	t := &Trace{Interval: interval}
	var first int64 // number of the first packet
	shortest := time.Duration(0)
	line := 0
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line++
		text := strings.TrimSpace(lines.Text())
		switch {
		case line == 1 && text == traceHeader, text == "":
			continue
		}
		seq, arrival, lost, err := parseRow(text)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrTrace, line, err)
		}
		if len(t.Arrivals) == 0 {
			first = seq
		}
		n := seq - first // cannot overflow: numbers are not negative
		switch {
		case n < int64(len(t.Arrivals)):
			return nil, fmt.Errorf("%w: line %d: packet %d does not come after the one before", ErrTrace, line, seq)
		case n >= maxArrivals:
			return nil, fmt.Errorf("%w: line %d: more than %d packets", ErrTrace, line, maxArrivals)
		}
		for int64(len(t.Arrivals)) < n {
			t.Arrivals = append(t.Arrivals, Arrival{Lost: true})
		}
		a := Arrival{Lost: lost}
		if !lost {
			a.Delay = arrival - time.Duration(n)*t.interval()
			shortest = min(shortest, a.Delay)
		}
		t.Arrivals = append(t.Arrivals, a)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("%w: line %d is longer than %d bytes", ErrTrace, line+1, maxLine)
	} else if err != nil {
		return nil, err
	}
	if len(t.Arrivals) == 0 {
		return nil, fmt.Errorf("%w: it has no packets", ErrTrace)
	}
	for n := range t.Arrivals {
		a := &t.Arrivals[n]
		if !a.Lost {
			a.Delay -= shortest
		}
		if a.Delay > longest {
			return nil, fmt.Errorf("%w: packet %d is delayed by %v", ErrTrace, first+int64(n), a.Delay)
		}
	}
	return t, nil
}

func parseRow(text string) (seq int64, arrival time.Duration, lost bool, err error) {
	number, ms, ok := strings.Cut(text, ",")
	if !ok {
		return 0, 0, false, fmt.Errorf("%q is not two values", text)
	}
	if seq, err = strconv.ParseInt(number, 10, 64); err != nil || seq < 0 {
		return 0, 0, false, fmt.Errorf("%q is not a packet number", number)
	}
	if ms == "" {
		return seq, 0, true, nil
	}
	v, err := strconv.ParseFloat(ms, 64)
	if err != nil || !(v >= 0 && v <= maxArrivalMS) {
		return 0, 0, false, fmt.Errorf("%q is not a time in milliseconds", ms)
	}
	return seq, time.Duration(v*1e6 + 0.5), false, nil
}
