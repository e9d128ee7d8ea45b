package rtcpctl

import (
	"cmp"
	"time"
)

const (
	minKeyFrameRetry = 100 * time.Millisecond
	maxKeyFrameRetry = time.Second
	blindKeyFrame    = 200 * time.Millisecond // to the first repetition, while the round trip is unknown
)

// A KeyFrameRequester decides when to ask for a key frame: at once, and again
// until one comes, after a round trip and a half first and then after twice as
// long each time, up to a second. The zero value wants nothing. It is not safe
// for concurrent use.
type KeyFrameRequester struct {
	wanted bool
	due    time.Time
	wait   time.Duration
	asked  int64
}

// Want notes that decoding cannot go on without a key frame.
func (r *KeyFrameRequester) Want(now time.Time) {
	if !r.wanted {
		r.wanted, r.due, r.wait = true, now, 0
	}
}

// Wanted reports whether a key frame is wanted.
func (r *KeyFrameRequester) Wanted() bool { return r.wanted }

// Arrived notes that a key frame has come.
func (r *KeyFrameRequester) Arrived() { r.wanted = false }

// Next returns when the next request is due; the zero Time if none is wanted.
func (r *KeyFrameRequester) Next() time.Time {
	if !r.wanted {
		return time.Time{}
	}
	return r.due
}

// Asked notes that a request has left. The round-trip time may be 0, if it is
// unknown.
func (r *KeyFrameRequester) Asked(now time.Time, rtt time.Duration) {
	r.asked++
	if r.wait == 0 {
		r.wait = blindKeyFrame
		if rtt > 0 {
			r.wait = max(rtt*3/2, minKeyFrameRetry)
		}
	} else {
		r.wait *= 2
	}
	r.wait = min(r.wait, maxKeyFrameRetry)
	r.due = now.Add(r.wait)
}

// Requests returns how many requests have left.
func (r *KeyFrameRequester) Requests() int64 { return r.asked }

// A KeyFrameLimiter decides which requests for key frames reach an encoder: one
// in each Interval. The one that has to wait is not forgotten, so that whoever
// asks is served, and a storm costs no more than a patient receiver. The zero
// value is ready to use. It is not safe for concurrent use.
type KeyFrameLimiter struct {
	Interval time.Duration // 0: 300 ms

	next    time.Time // no request reaches the encoder before
	pending bool
	limited int64
}

// Ask takes a request.
func (l *KeyFrameLimiter) Ask() {
	if l.pending {
		l.limited++
	}
	l.pending = true
}

// Next returns when Take has a request for the encoder; the zero Time if there
// is none.
func (l *KeyFrameLimiter) Next(now time.Time) time.Time {
	switch {
	case !l.pending:
		return time.Time{}
	case l.next.Before(now):
		return now
	}
	return l.next
}

// Take reports whether the encoder has to make a key frame now.
func (l *KeyFrameLimiter) Take(now time.Time) bool {
	if !l.pending || now.Before(l.next) {
		return false
	}
	l.pending = false
	l.next = now.Add(l.interval())
	return true
}

// Sent notes that a key frame has left, for whatever reason: it answers what was
// asked before.
func (l *KeyFrameLimiter) Sent(now time.Time) {
	if l.pending {
		l.limited++
	}
	l.pending = false
	l.next = now.Add(l.interval())
}

// Limited returns how many requests were answered together with others.
func (l *KeyFrameLimiter) Limited() int64 { return l.limited }

func (l *KeyFrameLimiter) interval() time.Duration { return cmp.Or(l.Interval, 300*time.Millisecond) }
