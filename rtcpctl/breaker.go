package rtcpctl

import (
	"fmt"
	"math"
	"time"
)

// A Trip is why a circuit breaker (RFC 8083) has tripped: why it is no use, or
// harm, to go on sending.
type Trip uint8

const (
	// NotTripped: all is well, or not known to be bad.
	NotTripped Trip = iota

	// NeverReported: for three intervals packets were sent, and there has never
	// been a report on them. Many telephones send no RTCP at all, so that this
	// alone says little of the path.
	NeverReported

	// ReportsStopped: there were reports on our packets, and then none for three
	// intervals.
	ReportsStopped

	// MediaTimeout: five reports in a row, or more if the round trip is longer than
	// the interval between them, tell that no packet of ours has arrived.
	MediaTimeout

	// Congestion: for as many reports as CB_INTERVAL says we have sent more than
	// ten times what TCP would have.
	Congestion
)

// String returns the name of the trip in lower case.
func (t Trip) String() string {
	switch t {
	case NotTripped:
		return "not tripped"
	case NeverReported:
		return "never reported"
	case ReportsStopped:
		return "reports stopped"
	case MediaTimeout:
		return "media timeout"
	case Congestion:
		return "congestion"
	}
	return fmt.Sprintf("Trip(%d)", uint8(t))
}

const (
	reportTimeout = 3  // intervals without a report on us (RFC 8083, section 4.1)
	stalledLimit  = 5  // k of MEDIA_TIMEOUT
	maxCBInterval = 32 // the window of reports is no longer than this
)

// A breaker has what RFC 8083 needs to know.
type breaker struct {
	trip     Trip
	fraction uint8 // lost, in 1/256, by the last report on us that was whole
	at       time.Time

	since    time.Time // when sending began, or was taken up again after a pause
	reported time.Time // arrival of the last whole report on us
	spacing  time.Duration
	highest  uint32
	lost     int32
	stalled  int   // reports in a row in which highest has not grown
	packets  int64 // sent since the last report

	window  []sample // a ring, once it is full
	samples int      // as many as there have been since the beginning
}

// A sample is what one report tells of the time since the one before.
type sample struct {
	lost    uint8 // in 1/256
	packets int64 // sent
	span    time.Duration
}

// Tripped returns why the circuit breaker has tripped, and when. It stays so
// until ResetBreaker; sending goes on if nobody stops it. The breaker is looked
// at whenever a report arrives and in AppendReport, for which Next also tells the
// time at which reports will have been missing for too long.
func (s *Session) Tripped() (Trip, time.Time) { return s.breaker.trip, s.breaker.at }

// ResetBreaker makes the circuit breaker begin anew, as when sending is taken up
// again or the far end has moved.
func (s *Session) ResetBreaker(now time.Time) {
	s.breaker = breaker{}
	if !s.lastSent.IsZero() {
		s.breaker.since = now
	}
}

// sentOne counts a packet that leaves.
func (b *breaker) sentOne(now, before time.Time, pause time.Duration) {
	b.packets++
	if b.since.IsZero() || now.Sub(before) > pause {
		b.since = now
		b.stalled = 0
	}
}

// breakerDeadline returns when reports will have been missing for too long if
// none comes; zero if that does not matter, because nothing is sent.
func (s *Session) breakerDeadline() time.Time {
	b := &s.breaker
	if b.trip != NotTripped || b.since.IsZero() {
		return time.Time{}
	}
	// As for members, the time is counted in intervals with the usual minimum: the
	// far end need not have chosen the shorter one that we have.
	td := s.interval(false, defaultMinimum)
	base := b.since
	if b.reported.After(base) {
		base = b.reported
	}
	deadline := base.Add(reportTimeout * td)
	if s.lastSent.Before(deadline.Add(-td)) {
		return time.Time{}
	}
	return deadline
}

// checkBreaker trips the breaker if reports have been missing for too long.
func (s *Session) checkBreaker(now time.Time) {
	deadline := s.breakerDeadline()
	if deadline.IsZero() || now.Before(deadline) {
		return
	}
	if s.breaker.reported.IsZero() {
		s.breaker.tripped(NeverReported, now)
	} else {
		s.breaker.tripped(ReportsStopped, now)
	}
}

func (b *breaker) tripped(t Trip, now time.Time) { b.trip, b.at = t, now }

// gathered is the least time over which the loss of our packets is told and judged.
// Browsers report with each request for packets, on a bad network every 20 ms: such a
// report is about a packet or two, or about none.
const gathered = 500 * time.Millisecond

// gather makes the loss in block that since the last whole report, and returns true if
// this is one too. If it is not, the loss is what that one told.
func (s *Session) gather(now time.Time, ssrc uint32, block *ReportBlock) bool {
	b, last := &s.breaker, &s.remote
	if last.SSRC != ssrc || b.reported.IsZero() {
		return true
	}
	if now.Sub(b.reported) < gathered {
		block.FractionLost = b.fraction
		return false
	}
	if expected := int64(int32(block.Highest - b.highest)); expected > 0 && !last.At.Equal(b.reported) {
		lost := max(0, int64(block.Lost)-int64(b.lost))
		block.FractionLost = uint8(min(lost*256/expected, 255))
	}
	return true
}

// keep keeps what the next whole report is compared with.
func (b *breaker) keep(now time.Time, block ReportBlock) {
	b.reported, b.highest, b.lost, b.fraction = now, block.Highest, block.Lost, block.FractionLost
}

// judge takes a whole report on us that arrived at now.
func (s *Session) judge(now time.Time, block ReportBlock) {
	b := &s.breaker
	if b.trip != NotTripped || b.since.IsZero() {
		b.keep(now, block)
		return
	}
	td := s.interval(false, defaultMinimum)
	first := b.reported.IsZero()
	span := now.Sub(b.reported)
	grown := first || int32(block.Highest-b.highest) > 0
	packets := b.packets
	b.packets = 0
	b.keep(now, block)
	if first || packets == 0 || span <= 0 {
		b.stalled = 0
		return
	}
	if b.spacing == 0 {
		b.spacing = td
	}
	b.spacing += (span - b.spacing) / 4

	if grown {
		b.stalled = 0
	} else {
		b.stalled++
	}
	tr, tdr := s.remote.RTT.Seconds(), b.spacing.Seconds()
	if b.stalled >= int(math.Ceil(stalledLimit*max(tr, tdr)/tdr)) {
		b.tripped(MediaTimeout, now)
		return
	}
	next := sample{block.FractionLost, packets, span}
	if len(b.window) < maxCBInterval {
		b.window = append(b.window, next)
	} else {
		b.window[b.samples%maxCBInterval] = next
	}
	b.samples++
	if n := cbInterval(tr, tdr, td.Seconds()); b.samples >= n && b.congested(n, tr) {
		b.tripped(Congestion, now)
	}
}

// cbInterval returns over how many reports congestion is judged (RFC 8083,
// section 4.3). Times are in seconds: round trip, interval of the far end's
// reports, and our own. A group of frames, as audio has none, is taken for short.
func cbInterval(tr, tdr, td float64) int {
	n := math.Ceil(3 * min(max(10*tr, 3*tdr), max(15, 3*td)) / (3 * tdr))
	return int(max(1, min(maxCBInterval, n)))
}

// A voice call that loses 10 % on average, so some more at times, is left alone
// however long its round trip is: the equation below would stop it from a third
// of a second on. This is an exception of ours.
const (
	voiceRate = 100. // packets per second
	voiceLoss = 0.15
)

// congested reports whether the last n samples say that more than ten times the
// rate of TCP was sent. The rates are in packets: their size is on both sides.
func (b *breaker) congested(n int, tr float64) bool {
	var lost, packets, span float64
	for i := b.samples - n; i < b.samples; i++ {
		w := &b.window[i%maxCBInterval]
		lost += float64(w.lost) / 256 * w.span.Seconds()
		packets += float64(w.packets)
		span += w.span.Seconds()
	}
	p, rate := lost/span, packets/span
	if p <= 0 || tr <= 0 || p <= voiceLoss && rate <= voiceRate {
		return false
	}
	return rate > 10*tcpRate(p, tr)
}

// tcpRate returns what TCP would send, in packets per second, with a loss of p
// and a round trip of tr seconds: the throughput equation of RFC 5348, section
// 3.1, which RFC 8083, section 4.3, allows beside its simplified form. The latter
// ignores TCP's timeouts, and would hardly ever stop a voice call.
func tcpRate(p, tr float64) float64 {
	return 1 / (tr * (math.Sqrt(2*p/3) + 12*math.Sqrt(3*p/8)*p*(1+32*p*p)))
}
