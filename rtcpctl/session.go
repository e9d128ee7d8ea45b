package rtcpctl

import (
	crand "crypto/rand"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"time"
)

// Config describes a [Session]. The zero value of each field but SSRC and
// ClockRate is fit for a telephone call.
type Config struct {
	// SSRC is the source that this end sends with, and reports as.
	SSRC uint32

	// CNAME names this participant, the same for all its streams that play
	// together. Empty means a random name (RFC 7022, section 4.2). What is over
	// 255 bytes is cut.
	CNAME string

	// ClockRate is that of the RTP timestamps that are sent, in Hz.
	ClockRate int

	// Bandwidth is that of the session in bits per second, of which RTCP takes
	// 5 % on average. 0 means 80000, which is PCMU in packets of 20 ms with
	// their UDP and IP headers.
	Bandwidth int

	// MinInterval is the shortest average time between reports. 0 means 5 s; a
	// negative value means the reduced minimum of RFC 3550, section 6.2: 360 s
	// divided by the bandwidth in kb/s.
	MinInterval time.Duration

	// Sources appends to dst the receptions that reports shall be about: those
	// of all sources that are listened to. It is called from within methods of
	// the session, and what it returns is not kept. Nil means that nothing is
	// received.
	Sources func(dst []*Reception) []*Reception

	// XR makes extended reports (RFC 3611) be sent: a reference time when we do not
	// send, so that the answer tells the round trip, and what VoIP returns. Both
	// ends have to have agreed on them (section 5). They are always understood, and
	// reference times always answered: who sends one knows them.
	XR bool

	// VoIP returns the VoIP metrics to report, or false for none. It is called once
	// for each report, from within methods of the session. Nil means none.
	VoIP func(now time.Time) (VoIPMetrics, bool)

	// ReducedSize lets feedback be sent alone, not within a compound (RFC 5506).
	// Both ends have to have agreed on that. It is always understood.
	ReducedSize bool

	// Rand returns random numbers in [0, 1). Nil means math/rand/v2.
	Rand func() float64
}

const (
	defaultBandwidth = 80000
	defaultMinimum   = 5 * time.Second

	// MaxCompound is the largest number of bytes in a compound that a session
	// writes.
	MaxCompound = 1200
)

// A Session is the RTCP of one RTP session with one source of our own: it tells
// when to report, writes the reports, and reads those of the others. It is not
// safe for concurrent use.
type Session struct {
	config  Config
	cname   string
	reduced bool // the minimum interval follows the bandwidth
	started bool
	epoch   time.Time // times in the member table are relative to this

	// What was sent.
	packets   uint32
	octets    uint32
	lastSent  time.Time
	reference time.Time // when the packet with the newest timestamp was sent
	timestamp uint32    // that timestamp
	rerated   bool      // these two are of no packet, but of a change of the clock rate
	sentSRs   [8]uint32 // middle bits of the last sender reports
	reports   int64
	cursor    int // the first of the sources to report on next, if there are too many
	scratch   []*Reception
	spoken    bool // something but reports was sent with this SSRC
	breaker   breaker

	timer   timer
	members []member // sorted by SSRC
	present int      // members that count, without ourselves
	senders int      // of those, the ones that have sent lately
	byes    int      // goodbyes of others heard while ours waits
	leaving bool     // a goodbye waits for its time
	left    bool     // goodbye said

	// What follows is needed for RTCP only, not for each packet of media.
	remote Remote
	stats  Stats

	early         *earlyReport // nil: none yet
	reportsBefore int64        // reports that were sent with another SSRC
	conflicts     []conflict
	renamed       time.Time // when the SSRC was changed last because of a collision

	sentReferences [8]uint32 // middle bits of the last reference times
	references     int64
	questions      [maxQuestions]question
	asking         int // of these, to answer in the next compound
	voip           VoIPMetrics
}

// NewSession returns a session for c. It is silent until it is started.
func NewSession(c Config) *Session {
	s := new(Session)
	s.Reset(c)
	return s
}

// Reset makes s what [NewSession] returns.
func (s *Session) Reset(c Config) {
	reduced := c.MinInterval < 0
	if c.MinInterval == 0 {
		c.MinInterval = defaultMinimum
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.CNAME == "" {
		c.CNAME = randomCNAME()
	}
	*s = Session{config: c, cname: truncate(c.CNAME), reduced: reduced}
	s.setBandwidth(c.Bandwidth)
	s.timer.average = float64(overhead + headerSize + 4 + blockSize + sdesSize(s.cname))
}

// randomCNAME returns 96 random bits in base 64 (RFC 7022, section 5).
func randomCNAME() string {
	var b [12]byte
	crand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

// SSRC returns the source of this end.
func (s *Session) SSRC() uint32 { return s.config.SSRC }

// CNAME returns the name of this end.
func (s *Session) CNAME() string { return s.cname }

// SetClockRate tells the clock rate of the timestamps of the packets that are
// sent from now on, in Hz, and the timestamp of now at that rate, by which sender
// reports go until the next packet.
func (s *Session) SetClockRate(now time.Time, clockRate int, timestamp uint32) {
	if clockRate == s.config.ClockRate {
		return
	}
	s.config.ClockRate = clockRate
	if !s.reference.IsZero() {
		s.reference, s.timestamp, s.rerated = now, timestamp, true
	}
}

// Start begins the session. The first report is due after half the minimum
// interval on average.
func (s *Session) Start(now time.Time) {
	if s.started {
		return
	}
	s.started = true
	s.since(now)
	s.timer.start(now)
	s.timer.next = now.Add(s.draw())
}

// Next returns when AppendReport, or AppendBye if the session is leaving, is to
// be called next; AppendReport also to look at the circuit breaker. It is zero
// before the session has started and after it has said goodbye.
func (s *Session) Next() time.Time {
	if !s.started || s.left {
		return time.Time{}
	}
	if deadline := s.breakerDeadline(); !s.leaving && !deadline.IsZero() {
		return earlier(deadline, s.timer.next)
	}
	return s.timer.next
}

// Sent counts an RTP packet that leaves at now, with its RTP timestamp and the
// number of bytes of its payload.
func (s *Session) Sent(now time.Time, timestamp uint32, payload int) {
	s.packets++
	s.octets += uint32(payload)
	s.breaker.sentOne(now, s.lastSent, defaultMinimum)
	s.lastSent = now
	// The first packet of a timestamp is the one that leaves at its instant. An
	// older timestamp is a retransmission, unless it is much older.
	step := int64(int32(timestamp - s.timestamp))
	if s.reference.IsZero() || s.rerated || step > 0 || step < -5*int64(s.config.ClockRate) {
		s.reference, s.timestamp, s.rerated = now, timestamp, false
	}
}

// sending reports whether we count as a sender: whether a packet was sent since
// the report before the last (RFC 3550, section 6.4).
func (s *Session) sending() bool {
	return !s.lastSent.IsZero() && !s.lastSent.Before(s.timer.sentBefore)
}

// AppendReport appends to dst the compound that is due at now: a report, SR if
// we have sent lately and RR otherwise, with a block on each source that was
// heard since the report before, our CNAME and, if there is something for it, an
// extended report. If there are more sources than fit into a compound they take
// turns. The compound has at most [MaxCompound] bytes and is taken to be sent.
//
// It reports false, and appends nothing, if it is not yet time, or if the
// session has grown so that the time is put off (RFC 3550, section 6.3.6); Next
// has changed then.
func (s *Session) AppendReport(dst []byte, now time.Time) ([]byte, bool) {
	if !s.started || s.left || s.leaving {
		return dst, false
	}
	s.checkBreaker(now)
	if now.Before(s.timer.next) {
		return dst, false
	}
	s.census(now)
	if !s.due(now) {
		return dst, false
	}
	start := len(dst)
	dst = s.appendCompound(dst, now, 0)
	s.measured(len(dst) - start)
	s.timer.sent(now)
	s.timer.next = now.Add(s.draw())
	s.reports++
	return dst, true
}

// AppendBye appends to dst a compound that ends with a goodbye, with a reason
// for humans, which may be empty and is cut at 255 bytes. After that the session
// is silent.
//
// It reports false, and appends nothing, if the session has said goodbye, or has
// never sent anything and so must not (RFC 3550, section 6.3.7), or if it has
// more than 50 members: goodbyes are then spread over time, and AppendBye is to
// be called again at Next, or the session be left without.
func (s *Session) AppendBye(dst []byte, reason string, now time.Time) ([]byte, bool) {
	if s.left || s.silent() {
		return dst, false
	}
	if !s.leaving && s.present+1 > maxHastyLeave {
		s.leave(now, byeSize(truncate(reason)))
		return dst, false
	}
	if s.leaving {
		if now.Before(s.timer.next) || !s.due(now) {
			return dst, false
		}
	}
	dst = s.appendCompound(dst, now, byeSize(truncate(reason)))
	dst = AppendBYE(dst, s.config.SSRC, reason)
	s.left = true
	return dst, true
}

// maxHastyLeave is the number of members up to which a goodbye needs not wait.
const maxHastyLeave = 50

// leave makes the goodbyes of a large session share its bandwidth as if they
// were those who join (RFC 3550, section 6.3.7).
func (s *Session) leave(now time.Time, bye int) {
	s.leaving = true
	s.timer.start(now)
	s.timer.average = float64(overhead + headerSize + 4 + sdesSize(s.cname) + bye)
	s.timer.next = now.Add(s.draw())
}

// appendCompound appends a report, a source description and, if there is
// something for it, an extended report, and leaves room for so many bytes more.
func (s *Session) appendCompound(dst []byte, now time.Time, reserve int) []byte {
	head := headerSize + 4
	sending := s.sending()
	if sending {
		head += senderInfoSize
	}
	var voip *VoIPMetrics
	if s.config.XR && s.config.VoIP != nil {
		if v, ok := s.config.VoIP(now); ok {
			s.voip = v
			voip = &s.voip
		}
	}
	extended := s.xrSize(sending, voip != nil)
	room := (MaxCompound - head - sdesSize(s.cname) - extended - reserve) / blockSize
	sources := s.choose(min(MaxBlocks, room))
	if sending {
		info := s.senderInfo(now)
		s.sentSRs[s.reports%int64(len(s.sentSRs))] = middle(info.NTP)
		dst = appendSRHead(dst, s.config.SSRC, info, len(sources))
	} else {
		dst = appendRRHead(dst, s.config.SSRC, len(sources))
	}
	for _, r := range sources {
		dst = r.Report(now).AppendTo(dst)
	}
	clear(s.scratch)
	dst = AppendSDES(dst, s.config.SSRC, s.cname)
	return s.appendXR(dst, now, extended, sending, voip)
}

// choose returns the sources to report on, at most n. They are in s.scratch.
func (s *Session) choose(n int) []*Reception {
	all := s.sources()
	if len(all) == 0 {
		return nil
	}
	first := s.cursor % len(all)
	// A rotation in place lets the chosen ones be moved to the front.
	rotate(all, first)
	chosen, looked := all[:0], 0
	for _, r := range all {
		if len(chosen) == n {
			break
		}
		looked++
		if r.unreported() {
			chosen = append(chosen, r)
		}
	}
	s.cursor = (first + looked) % len(all)
	return chosen
}

func rotate(a []*Reception, n int) {
	slices.Reverse(a[:n])
	slices.Reverse(a[n:])
	slices.Reverse(a)
}

// sources returns the receptions of all sources, in s.scratch.
func (s *Session) sources() []*Reception {
	if s.config.Sources == nil {
		return nil
	}
	s.scratch = s.config.Sources(s.scratch[:0])
	return s.scratch
}

// senderInfo returns our side of a sender report at now. The timestamp is that
// of now, not that of the last packet (RFC 3550, section 6.4.1).
func (s *Session) senderInfo(now time.Time) SenderInfo {
	timestamp := s.timestamp
	if !s.reference.IsZero() {
		timestamp += uint32(toUnits(now.Sub(s.reference), s.config.ClockRate))
	}
	return SenderInfo{NTP: NTP(now), Timestamp: timestamp, Packets: s.packets, Octets: s.octets}
}
