package rtcpctl

import (
	"cmp"
	"slices"
	"time"
)

// RequesterConfig describes a [Requester]. The zero value is fit for audio.
type RequesterConfig struct {
	MaxGap     int // of the packets of one hole, how many of the newest are asked for; 0: 64
	MaxPending int // packets asked for at a time; 0: 256
	MaxTries   int // requests for one packet; 0: 4
}

// A Hole is a run of packets that have not come.
type Hole struct {
	First int64 // extended number of the first one, as from [Reception.Seq]
	Count int

	// Wait is how long the packets may still be only reordered. 0 means 10 ms.
	// Twice the jitter, but at least half the spacing of packets, is good.
	Wait time.Duration

	// Deadline is when the first packet will be of no use any more, and Spacing by
	// how much later each next one will: 0 for the packets of one video frame.
	Deadline time.Time
	Spacing  time.Duration
}

// A Requester decides which lost packets to ask for again, and when (RFC 4585):
// first when they can no longer be only reordered, then each time an answer is
// overdue by half a round trip, and not at all when an answer could not come
// before the deadline. It is bounded and does not allocate once it is made. It
// is not safe for concurrent use.
//
// What comes when the source has gone on by 100 packets is a stray to a
// [Reception]. Either deadlines see to it that nothing is asked for so late, or
// each packet is looked up with [Requester.Asked] first.
//
//	switch reception.Update(seq, timestamp, now) {
//	case rtcpctl.Gap:
//		n := reception.Skipped()
//		r.Missing(now, session.RTT(), rtcpctl.Hole{First: reception.Seq() - int64(n), Count: n, Deadline: ...})
//	case rtcpctl.Reordered:
//		r.Arrived(reception.Seq())
//	case rtcpctl.Restarted:
//		r.Reset()
//	}
type Requester struct {
	config  RequesterConfig
	pending []request // ascending
	next    time.Time // no request is due before
	stats   RequesterStats
}

type request struct {
	seq      int64
	due      time.Time
	deadline time.Time
	tries    int
}

// RequesterStats are counted since a requester was made.
type RequesterStats struct {
	Requests  int64 // packets asked for, repetitions included
	Recovered int64 // that came after they were asked for
	GivenUp   int64 // that did not come in time, or for which there was no room
}

const (
	defaultWait = 10 * time.Millisecond
	minRetry    = 20 * time.Millisecond
	blindRetry  = 40 * time.Millisecond // while the round trip is unknown
)

// NewRequester returns a requester for one source.
func NewRequester(c RequesterConfig) *Requester {
	positive := func(n *int, otherwise int) {
		if *n <= 0 {
			*n = otherwise
		}
	}
	positive(&c.MaxGap, 64)
	positive(&c.MaxPending, 256)
	positive(&c.MaxTries, 4)
	return &Requester{config: c, pending: make([]request, 0, c.MaxPending)}
}

// Missing notes a hole. Holes have to come in ascending order; what is not above
// the packets that are missing already is ignored. The round trip, 0 if it is
// unknown, makes requests go out before the wait is over if their answers would
// be too late otherwise.
func (r *Requester) Missing(now time.Time, rtt time.Duration, g Hole) {
	if g.Wait <= 0 {
		g.Wait = defaultWait
	}
	if over := g.Count - min(r.config.MaxGap, r.config.MaxPending); over > 0 {
		r.stats.GivenUp += int64(over)
		g.First += int64(over)
		g.Deadline = g.Deadline.Add(time.Duration(over) * g.Spacing)
		g.Count -= over
	}
	if n := len(r.pending); n > 0 && g.Count > 0 {
		if over := min(int64(g.Count), r.pending[n-1].seq+1-g.First); over > 0 {
			g.First += over
			g.Deadline = g.Deadline.Add(time.Duration(over) * g.Spacing)
			g.Count -= int(over)
		}
	}
	if g.Count <= 0 {
		return
	}
	if over := len(r.pending) + g.Count - r.config.MaxPending; over > 0 {
		r.stats.GivenUp += int64(over)
		r.pending = slices.Delete(r.pending, 0, over)
	}
	for range g.Count {
		due := now.Add(g.Wait)
		if latest := g.Deadline.Add(-rtt); latest.Before(due) {
			due = latest
		}
		if due.Before(now) {
			due = now
		}
		r.pending = append(r.pending, request{seq: g.First, due: due, deadline: g.Deadline})
		r.next = earlier(r.next, due)
		g.First++
		g.Deadline = g.Deadline.Add(g.Spacing)
	}
}

// Arrived notes that a packet came after all.
func (r *Requester) Arrived(seq int64) {
	i, ok := r.find(seq)
	if !ok {
		return
	}
	if r.pending[i].tries > 0 {
		r.stats.Recovered++
	}
	r.pending = slices.Delete(r.pending, i, i+1)
	if len(r.pending) == 0 {
		r.next = time.Time{}
	}
}

// Asked returns the extended number of a packet by the one on the wire, if it is
// missing and was asked for. So a packet that comes again when the source has
// long gone on is told from the beginning of a new sequence, which two such
// packets look like to a [Reception]: it is best not given to that at all.
func (r *Requester) Asked(seq uint16) (int64, bool) {
	if len(r.pending) == 0 {
		return 0, false
	}
	last := r.pending[len(r.pending)-1].seq
	n := last + int64(int16(seq-uint16(last)))
	i, ok := r.find(n)
	if !ok || r.pending[i].tries == 0 {
		return 0, false
	}
	return n, true
}

func (r *Requester) find(seq int64) (int, bool) {
	return slices.BinarySearchFunc(r.pending, seq, func(q request, seq int64) int { return cmp.Compare(q.seq, seq) })
}

// Reset forgets all that is missing, as when the source restarts.
func (r *Requester) Reset() {
	r.stats.GivenUp += int64(len(r.pending))
	r.pending = r.pending[:0]
	r.next = time.Time{}
}

// Next returns when Append has something to do, at the earliest; zero if nothing
// is missing.
func (r *Requester) Next() time.Time { return r.next }

// Append appends to dst the sequence numbers to ask for at now, ascending, and
// takes them to be asked for. It gives up what cannot come in time any more. The
// round trip is 0 if it is unknown.
func (r *Requester) Append(dst []uint16, now time.Time, rtt time.Duration) []uint16 {
	if r.next.IsZero() || now.Before(r.next) {
		return dst
	}
	retry := max(rtt*3/2, minRetry)
	if rtt <= 0 {
		retry = blindRetry
	}
	r.next = time.Time{}
	kept := r.pending[:0]
	for _, q := range r.pending {
		if !now.Before(q.due) {
			// After the last request there is one more wait for its answer.
			if now.Add(rtt).After(q.deadline) && q.tries == 0 || !now.Before(q.deadline) || q.tries >= r.config.MaxTries {
				r.stats.GivenUp++
				continue
			}
			if now.Add(rtt).After(q.deadline) {
				q.due = q.deadline
			} else {
				q.due = now.Add(retry)
				q.tries++
				r.stats.Requests++
				dst = append(dst, uint16(q.seq))
			}
		}
		r.next = earlier(r.next, q.due)
		kept = append(kept, q)
	}
	r.pending = kept
	return dst
}

// Stats returns what was counted.
func (r *Requester) Stats() RequesterStats { return r.stats }

// earlier returns the earlier of two times, of which the first may be zero for
// none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
