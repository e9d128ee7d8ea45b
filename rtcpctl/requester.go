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
// before the deadline. While the round trip is unknown, answers are expected to
// take as long as those before. It is bounded and does not allocate once it is
// made. It is not safe for concurrent use.
//
// What comes when the source has gone on by 100 packets is a stray to a
// [Reception], so each packet is looked up first.
//
//	if n, ok := r.Asked(seq); ok {
//		reception.Expect(n)
//	} else if r.Past(now, seq) && !reception.Fits(seq) {
//		return // a copy, or too late
//	}
//	switch reception.Update(seq, timestamp, now) {
//	case rtcpctl.Gap:
//		n := reception.Skipped()
//		r.Missing(now, session.RTT(), rtcpctl.Hole{First: reception.Seq() - int64(n), Count: n, Deadline: ...})
//	case rtcpctl.Reordered:
//		r.Arrived(now, reception.Seq())
//	case rtcpctl.Restarted:
//		r.Reset(now)
//	}
type Requester struct {
	config  RequesterConfig
	pending []request     // ascending
	next    time.Time     // no request is due before
	answer  time.Duration // from the first request to the packet, smoothed; 0: none yet
	past    []past        // a ring of those that were asked for and are not pending any more
	oldest  int           // in past, once it is full
	stats   RequesterStats
}

type request struct {
	seq      int64
	due      time.Time
	deadline time.Time
	asked    time.Time // first
	tries    int
}

type past struct {
	seq uint16    // on the wire
	at  time.Time // when it came, or was given up
}

// remembered is for how long a copy of a packet that was asked for may still come.
const remembered = maxAge

// RequesterStats are counted since a requester was made.
type RequesterStats struct {
	Requests  int64 // packets asked for, repetitions included
	Recovered int64 // that came after they were asked for
	GivenUp   int64 // that did not come in time, or for which there was no room
}

const (
	defaultWait = 10 * time.Millisecond
	minRetry    = 20 * time.Millisecond
	blindRetry  = 40 * time.Millisecond // at the least, while the round trip is unknown
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
	return &Requester{config: c, pending: make([]request, 0, c.MaxPending), past: make([]past, 0, c.MaxPending)}
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
		for _, q := range r.pending[:over] {
			r.remember(now, q)
		}
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

// remember notes that a packet is not missing any more, or given up.
func (r *Requester) remember(now time.Time, q request) {
	switch {
	case q.tries == 0:
	case len(r.past) < cap(r.past):
		r.past = append(r.past, past{uint16(q.seq), now})
	default:
		r.past[r.oldest] = past{uint16(q.seq), now}
		r.oldest = (r.oldest + 1) % len(r.past)
	}
}

// Arrived notes that a packet came after all.
func (r *Requester) Arrived(now time.Time, seq int64) {
	i, ok := r.find(seq)
	if !ok {
		return
	}
	if q := r.pending[i]; q.tries > 0 {
		r.stats.Recovered++
		r.remember(now, q)
		// Which of several requests was answered nobody knows; the first one is assumed.
		if took := now.Sub(q.asked); r.answer == 0 {
			r.answer = took
		} else {
			r.answer += (took - r.answer) / 8
		}
	}
	r.pending = slices.Delete(r.pending, i, i+1)
	if len(r.pending) == 0 {
		r.next = time.Time{}
	}
}

// Asked returns the extended number of a packet by the one on the wire, if it is
// missing and was asked for: [Reception.Expect] wants to know it.
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

// Past reports whether a packet, by its number on the wire, was asked for and has come,
// or was given up, less than two seconds ago. What has that number is a copy or too
// late. If it does not fit, it is best not given to a [Reception], to which several of
// them look like a new sequence.
func (r *Requester) Past(now time.Time, seq uint16) bool {
	return slices.ContainsFunc(r.past, func(p past) bool { return p.seq == seq && now.Sub(p.at) < remembered })
}

func (r *Requester) find(seq int64) (int, bool) {
	return slices.BinarySearchFunc(r.pending, seq, func(q request, seq int64) int { return cmp.Compare(q.seq, seq) })
}

// Reset forgets all that is missing, as when the source restarts. What was asked for
// before may still come.
func (r *Requester) Reset(now time.Time) {
	for _, q := range r.pending {
		r.remember(now, q)
	}
	r.stats.GivenUp += int64(len(r.pending))
	r.pending = r.pending[:0]
	r.next = time.Time{}
	r.answer = 0
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
		retry = max(r.answer*3/2, blindRetry)
	}
	r.next = time.Time{}
	kept := r.pending[:0]
	for _, q := range r.pending {
		if !now.Before(q.due) {
			// After the last request there is one more wait for its answer.
			if now.Add(rtt).After(q.deadline) && q.tries == 0 || !now.Before(q.deadline) || q.tries >= r.config.MaxTries {
				r.stats.GivenUp++
				r.remember(now, q)
				continue
			}
			if now.Add(rtt).After(q.deadline) {
				q.due = q.deadline
			} else {
				q.due = now.Add(retry)
				if q.tries++; q.tries == 1 {
					q.asked = now
				}
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
