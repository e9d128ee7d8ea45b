package rtcpctl

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Kind says what an [Event] is about.
type Kind uint8

const (
	// Goodbye: a source has left, for Event.Text, which may be empty.
	Goodbye Kind = iota

	// Named: the CNAME of a source became known, or changed, to Event.Text.
	Named

	// SenderReported: Event.Sender is the sender report of a source.
	SenderReported

	// Reported: Event.Block is how a source receives us.
	Reported

	// Other: Event.Member is a packet that the session does not interpret.
	Other

	// Nacked: a source asks for packets of ours again, for which see
	// [Member.Lost] of Event.Member.
	Nacked

	// RoundTrip: Event.RTT is the round trip to a source, by the answer to a
	// reference time of ours. Those by reports come with Reported.
	RoundTrip

	// ReferenceTime: a receiver tells its wall clock, in Event.Sender.NTP. It is
	// answered in our next report.
	ReferenceTime

	// VoIPReported: Event.VoIP is how well our voice is heard.
	VoIPReported

	// Impersonated: a report or a description came in the name of our own source,
	// and was left out. [Session.Collided] says what to do. A receiver's report on
	// that source is none, see [Session.Receive], and an extended report neither.
	Impersonated

	// KeyFrameWanted: a source needs a key frame of ours, by a picture loss
	// indication or a full intra request that is no repetition.
	KeyFrameWanted

	// BandwidthEstimated: a source can take Event.Bitrate in all (REMB).
	BandwidthEstimated

	// TransportReported: of packets with transport-wide numbers Event.Arrived have
	// arrived at a source and Event.Missing have not; [Member.Arrivals] of
	// Event.Member tells which, and when.
	TransportReported
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Goodbye:
		return "goodbye"
	case Named:
		return "named"
	case SenderReported:
		return "sender reported"
	case Reported:
		return "reported"
	case Other:
		return "other"
	case Nacked:
		return "nacked"
	case RoundTrip:
		return "round trip"
	case ReferenceTime:
		return "reference time"
	case VoIPReported:
		return "voip reported"
	case Impersonated:
		return "impersonated"
	case KeyFrameWanted:
		return "key frame wanted"
	case BandwidthEstimated:
		return "bandwidth estimated"
	case TransportReported:
		return "transport reported"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is something that a received compound tells.
type Event struct {
	Kind   Kind
	SSRC   uint32        // the source that speaks, or is spoken for
	Text   string        // of Goodbye and Named
	Sender SenderInfo    // of SenderReported and ReferenceTime
	Block  ReportBlock   // of Reported
	RTT    time.Duration // of Reported and RoundTrip; 0 if it is unknown
	VoIP   VoIPMetrics   // of VoIPReported
	Member Member        // of Other, Nacked and TransportReported; borrowed until the function returns

	Bitrate int64 // of BandwidthEstimated, in bits per second

	Arrived, Missing int // of TransportReported, packets
}

// Receive takes an RTCP datagram that arrived at now. It calls fn, which may be
// nil, for each event in it. Neither the datagram nor fn is kept.
//
// What is malformed, or speaks in the name of our own source, is counted in
// [Stats] and left out; the rest is heeded. So are receiver's reports and feedback in
// the name of our source that are about it: some receivers put the source that they
// speak of for their own, as libdatachannel does. Whether the datagram comes from
// where it should is for the caller to judge. Nothing is allocated but for new
// members, new names and goodbyes with a reason.
func (s *Session) Receive(now time.Time, compound []byte, fn func(Event)) {
	if fn == nil {
		fn = func(Event) {}
	}
	good, bye := 0, false
	for m, err := range Members(compound) {
		if err != nil {
			s.stats.Malformed++
			continue
		}
		if good == 0 && m.Type != TypeSR && m.Type != TypeRR {
			s.stats.Bare++
		}
		good++
		switch m.Type {
		case TypeSR, TypeRR:
			err = s.report(now, m, fn)
		case TypeSDES:
			err = s.describe(now, m, fn)
		case TypeBYE:
			bye = true
			err = s.goodbye(now, m, fn)
		case TypeXR:
			err = s.extended(now, m, fn)
		case TypeRTPFB:
			err = s.transport(now, m, fn)
		case TypePSFB:
			err = s.picture(now, m, fn)
		default:
			s.other(now, m, fn)
		}
		if err != nil {
			s.stats.Malformed++
		}
	}
	if good == 0 {
		return
	}
	s.stats.Compounds++
	if bye && s.leaving {
		s.byes++
	}
	if bye || !s.leaving {
		s.measured(len(compound))
	}
}

// report reads an SR or RR. What follows the blocks is an extension of some
// profile (RFC 3550, section 6.4.3).
func (s *Session) report(now time.Time, m Member, fn func(Event)) error {
	blocks := m.Body
	head := 4
	if m.Type == TypeSR {
		head += senderInfoSize
	}
	if len(blocks) < head+blockSize*int(m.Count) {
		return errBlocks
	}
	ssrc := binary.BigEndian.Uint32(m.Body)
	blocks = blocks[head : head+blockSize*int(m.Count)]
	if s.ours(ssrc) {
		if m.Type == TypeSR || !s.concerned(blocks) {
			fn(Event{Kind: Impersonated, SSRC: ssrc})
			return nil
		}
	} else if entry := s.touch(ssrc, s.since(now)); entry != nil {
		if entry.reports < 2 {
			entry.reports++
		}
		if m.Type == TypeSR {
			entry.sent = entry.heard
		}
		if entry.reports == 2 {
			s.validate(entry)
		}
	}
	if m.Type == TypeSR {
		s.senderReport(now, ssrc, m.Body[4:], fn)
	}
	for ; len(blocks) > 0; blocks = blocks[blockSize:] {
		if b := parseBlock(blocks); b.SSRC == s.config.SSRC {
			s.received(now, ssrc, b, fn)
		}
	}
	return nil
}

// concerned reports whether one of the blocks is about our own source.
func (s *Session) concerned(blocks []byte) bool {
	for ; len(blocks) > 0; blocks = blocks[blockSize:] {
		if parseBlock(blocks).SSRC == s.config.SSRC {
			return true
		}
	}
	return false
}

// ours reports whether a packet speaks in the name of our own source: a loop, a
// collision, or a forgery.
func (s *Session) ours(ssrc uint32) bool {
	if ssrc != s.config.SSRC {
		return false
	}
	s.stats.Suspicious++
	return true
}

// impersonated is ours for packets that only their source sends. Others may say
// goodbye, or send feedback or an extended report, in our name by mistake or malice,
// but whoever describes itself so has our number.
func (s *Session) impersonated(ssrc uint32, fn func(Event)) bool {
	if !s.ours(ssrc) {
		return false
	}
	fn(Event{Kind: Impersonated, SSRC: ssrc})
	return true
}

func (s *Session) senderReport(now time.Time, ssrc uint32, b []byte, fn func(Event)) {
	info := SenderInfo{
		NTP:       binary.BigEndian.Uint64(b),
		Timestamp: binary.BigEndian.Uint32(b[8:]),
		Packets:   binary.BigEndian.Uint32(b[12:]),
		Octets:    binary.BigEndian.Uint32(b[16:]),
	}
	known := false
	for _, r := range s.sources() {
		if r.ssrc == ssrc {
			r.SenderReport(now, info.NTP, info.Timestamp)
			known = true
		}
	}
	clear(s.scratch)
	if !known {
		if s.early == nil {
			s.early = new(earlyReport)
		}
		*s.early = earlyReport{ssrc, now, info}
	}
	fn(Event{Kind: SenderReported, SSRC: ssrc, Sender: info})
}

// An earlyReport is the last one of a source that was not among [Config.Sources].
type earlyReport struct {
	ssrc uint32
	at   time.Time
	info SenderInfo
}

// maxEarly is how long before its packets a source may report on them.
const maxEarly = 5 * time.Second

// Heard tells that a source has joined [Config.Sources]. If it has reported shortly
// before, as some do before their first packet and then for seconds not again, its
// timestamps are mapped by that. Such a report is not answered in ours.
func (s *Session) Heard(now time.Time, r *Reception) {
	e := s.early
	if e == nil || e.ssrc != r.ssrc || now.Sub(e.at) > maxEarly {
		return
	}
	s.early = nil
	r.SenderReport(now, e.info.NTP, e.info.Timestamp)
	r.lastReport.ntp = 0
}

// received takes a block about us.
func (s *Session) received(now time.Time, ssrc uint32, b ReportBlock, fn func(Event)) {
	rtt := s.roundTrip(now, b)
	whole := s.gather(now, ssrc, &b)
	s.remote.SSRC, s.remote.At, s.remote.Block = ssrc, now, b
	if rtt > 0 {
		s.remote.RTT = rtt
	}
	if whole {
		s.judge(now, b)
	}
	fn(Event{Kind: Reported, SSRC: ssrc, Block: b, RTT: rtt})
}

// roundTrip returns the round-trip time that a block tells, or 0 if it tells
// none: it has to name one of our last sender reports.
func (s *Session) roundTrip(now time.Time, b ReportBlock) time.Duration {
	return echoed(now, &s.sentSRs, b.LastSR, b.Delay)
}

// echoed returns the round-trip time, at least 1/65536 s, of one of the times
// that were sent, which came back after a delay there; 0 if it is none of them.
// All is modulo 2^32 (RFC 3550, section 6.4.1).
func echoed(now time.Time, sent *[8]uint32, last, delay uint32) time.Duration {
	if last == 0 || !slices.Contains(sent[:], last) {
		return 0
	}
	units := int32(middle(NTP(now)) - last - delay)
	if units < -rounding {
		return 0
	}
	return fromShortUnits(uint32(max(1, units)))
}

// rounding is by how much of 1/65536 s a round trip may be negative and still
// be taken for a very short one: some ends round their delay to milliseconds.
const rounding = 66

// describe reads an SDES. Items before a fault are heeded.
func (s *Session) describe(now time.Time, m Member, fn func(Event)) error {
	b := m.Body
	for ; m.Count > 0; m.Count-- {
		if len(b) < 4 {
			return errSources
		}
		ssrc := binary.BigEndian.Uint32(b)
		ours := s.impersonated(ssrc, fn)
		n := 4
		for {
			if n == len(b) {
				return errTerminal
			}
			if b[n] == 0 {
				break
			}
			if n+2 > len(b) || n+2+int(b[n+1]) > len(b) {
				return errItem
			}
			text := b[n+2 : n+2+int(b[n+1])]
			if b[n] == itemCNAME && !ours {
				s.name(now, ssrc, text, fn)
			}
			n += 2 + len(text)
		}
		b = b[min(len(b), n/4*4+4):]
	}
	return nil
}

func (s *Session) name(now time.Time, ssrc uint32, text []byte, fn func(Event)) {
	m := s.touch(ssrc, s.since(now))
	if m == nil || len(text) == 0 {
		return
	}
	s.validate(m)
	if m.cname != string(text) {
		m.cname = string(text)
		fn(Event{Kind: Named, SSRC: ssrc, Text: m.cname})
	}
}

// goodbye reads a BYE. A reason that is cut off does not undo it.
func (s *Session) goodbye(now time.Time, m Member, fn func(Event)) error {
	sources := 4 * int(m.Count)
	if len(m.Body) < sources {
		return errSources
	}
	reason, err := "", error(nil)
	if rest := m.Body[sources:]; len(rest) > 0 {
		if n := int(rest[0]); n+1 > len(rest) {
			err = errReason
		} else {
			reason = strings.ToValidUTF8(string(rest[1:n+1]), "\uFFFD")
		}
	}
	for b := m.Body[:sources]; len(b) > 0; b = b[4:] {
		ssrc := binary.BigEndian.Uint32(b)
		if s.ours(ssrc) {
			continue
		}
		if s.remove(now, ssrc) {
			fn(Event{Kind: Goodbye, SSRC: ssrc, Text: reason})
		} else {
			s.stats.UnknownByes++
		}
	}
	return err
}

// other passes on a packet of which only the first word is known: the source
// that sends it.
func (s *Session) other(now time.Time, m Member, fn func(Event)) {
	e := Event{Kind: Other, Member: m}
	if len(m.Body) >= 4 {
		e.SSRC = binary.BigEndian.Uint32(m.Body)
		if s.ours(e.SSRC) {
			return
		}
		s.touchKnown(now, e.SSRC)
	}
	fn(e)
}

// touchKnown notes that a source was heard, if it is a member already.
func (s *Session) touchKnown(now time.Time, ssrc uint32) {
	if s.member(ssrc) != nil {
		s.touch(ssrc, s.since(now))
	}
}
