package rtcpctl

import (
	"encoding/binary"
	"time"
)

// Block types of extended reports (RFC 3611, section 4) that a session knows.
const (
	xrReference = 4 // receiver reference time, RRTR
	xrDelay     = 5 // delay since the last RRTR, DLRR
	xrVoIP      = 7 // VoIP metrics

	xrHeaderSize    = 4
	xrReferenceSize = xrHeaderSize + 8
	xrAnswerSize    = 12
	xrVoIPSize      = xrHeaderSize + 32
)

// Unknown is what the levels, the R factors and the scores of [VoIPMetrics] say
// if they are not measured.
const Unknown = 127

// VoIPMetrics says how well the voice of one source is received (RFC 3611,
// section 4.7). [UnknownVoIPMetrics] returns one to fill in.
type VoIPMetrics struct {
	SSRC uint32 // the source that is reported on

	// In 1/256, since the beginning. Packets that came too late or too early for
	// the playout are discarded, not lost. The densities are of both together.
	LossRate, DiscardRate, BurstDensity, GapDensity uint8

	// Mean lengths in milliseconds, and the shortest run of good packets that
	// ends a burst.
	BurstDuration, GapDuration uint16
	Gmin                       uint8

	// In milliseconds. In what a session sends a RoundTrip of 0 is replaced by the
	// one that it knows. EndSystem is the delay within this end: playout, coding
	// and devices.
	RoundTrip, EndSystem uint16

	SignalLevel, NoiseLevel int8  // dBm0; Unknown
	EchoLoss                uint8 // residual echo return loss in dB; Unknown

	RFactor, ExternalR uint8 // 0 to 100; Unknown
	MOSLQ, MOSCQ       uint8 // listening and conversational, in tenths: 10 to 50; Unknown

	RXConfig uint8 // concealment and playout; see RFC 3611, section 4.7.6

	// Delays of the playout in milliseconds: nominal, the largest of now, and the
	// largest it may ever get to.
	JitterNominal, JitterMaximum, JitterAbsolute uint16
}

// UnknownVoIPMetrics returns metrics of a source of which nothing is known.
func UnknownVoIPMetrics(ssrc uint32) VoIPMetrics {
	return VoIPMetrics{
		SSRC: ssrc, Gmin: Gmin,
		SignalLevel: Unknown, NoiseLevel: Unknown, EchoLoss: Unknown,
		RFactor: Unknown, ExternalR: Unknown, MOSLQ: Unknown, MOSCQ: Unknown,
	}
}

// AppendTo appends the block of 36 bytes to dst.
func (m VoIPMetrics) AppendTo(dst []byte) []byte {
	dst = appendBlockHeader(dst, xrVoIP, xrVoIPSize)
	dst = binary.BigEndian.AppendUint32(dst, m.SSRC)
	dst = append(dst, m.LossRate, m.DiscardRate, m.BurstDensity, m.GapDensity)
	for _, v := range [...]uint16{m.BurstDuration, m.GapDuration, m.RoundTrip, m.EndSystem} {
		dst = binary.BigEndian.AppendUint16(dst, v)
	}
	dst = append(dst, byte(m.SignalLevel), byte(m.NoiseLevel), m.EchoLoss, m.Gmin)
	dst = append(dst, m.RFactor, m.ExternalR, m.MOSLQ, m.MOSCQ, m.RXConfig, 0)
	for _, v := range [...]uint16{m.JitterNominal, m.JitterMaximum, m.JitterAbsolute} {
		dst = binary.BigEndian.AppendUint16(dst, v)
	}
	return dst
}

// parseVoIP reads what follows the header of a block, 32 bytes.
func parseVoIP(b []byte) VoIPMetrics {
	half := func(i int) uint16 { return binary.BigEndian.Uint16(b[i:]) }
	return VoIPMetrics{
		SSRC:     binary.BigEndian.Uint32(b),
		LossRate: b[4], DiscardRate: b[5], BurstDensity: b[6], GapDensity: b[7],
		BurstDuration: half(8), GapDuration: half(10), RoundTrip: half(12), EndSystem: half(14),
		SignalLevel: int8(b[16]), NoiseLevel: int8(b[17]), EchoLoss: b[18], Gmin: b[19],
		RFactor: b[20], ExternalR: b[21], MOSLQ: b[22], MOSCQ: b[23], RXConfig: b[24],
		JitterNominal: half(26), JitterMaximum: half(28), JitterAbsolute: half(30),
	}
}

// appendBlockHeader appends the header of a block of so many bytes.
func appendBlockHeader(dst []byte, kind byte, size int) []byte {
	return append(dst, kind, 0, 0, byte((size-xrHeaderSize)/4))
}

// A question is the reference time of a receiver that wants to learn its round
// trip.
type question struct {
	ssrc   uint32
	middle uint32 // of its NTP timestamp
	at     time.Time
}

// maxQuestions is how many receivers are answered in one compound.
const maxQuestions = 4

// asked notes a question. The newest of a source counts; if there are too many,
// the oldest is not answered.
func (s *Session) asked(q question) {
	oldest := 0
	for i := range s.questions[:s.asking] {
		if s.questions[i].ssrc == q.ssrc {
			s.questions[i] = q
			return
		}
		if s.questions[i].at.Before(s.questions[oldest].at) {
			oldest = i
		}
	}
	if s.asking < maxQuestions {
		oldest = s.asking
		s.asking++
	}
	s.questions[oldest] = q
}

// xrSize returns the size of the extended report that appendXR would append.
func (s *Session) xrSize(sending, voip bool) int {
	size := 0
	if s.config.XR && !sending {
		size += xrReferenceSize
	}
	if s.asking > 0 {
		size += xrHeaderSize + s.asking*xrAnswerSize
	}
	if voip {
		size += xrVoIPSize
	}
	if size > 0 {
		size += headerSize + 4
	}
	return size
}

// appendXR appends an extended report of xrSize bytes, if there is something to
// say.
func (s *Session) appendXR(dst []byte, now time.Time, size int, sending bool, voip *VoIPMetrics) []byte {
	if size == 0 {
		return dst
	}
	dst = appendHeader(dst, TypeXR, 0, size-headerSize)
	dst = binary.BigEndian.AppendUint32(dst, s.config.SSRC)
	if s.config.XR && !sending {
		ntp := NTP(now)
		s.sentReferences[s.references%int64(len(s.sentReferences))] = middle(ntp)
		s.references++
		dst = appendBlockHeader(dst, xrReference, xrReferenceSize)
		dst = binary.BigEndian.AppendUint64(dst, ntp)
	}
	if s.asking > 0 {
		dst = appendBlockHeader(dst, xrDelay, xrHeaderSize+s.asking*xrAnswerSize)
		for _, q := range s.questions[:s.asking] {
			dst = binary.BigEndian.AppendUint32(dst, q.ssrc)
			dst = binary.BigEndian.AppendUint32(dst, q.middle)
			dst = binary.BigEndian.AppendUint32(dst, shortUnits(now.Sub(q.at)))
		}
		s.asking = 0
	}
	if voip != nil {
		if voip.RoundTrip == 0 {
			voip.RoundTrip = uint16(min(s.remote.RTT.Milliseconds(), 1<<16-1))
		}
		dst = voip.AppendTo(dst)
	}
	return dst
}

// extended reads an extended report. Blocks of a wrong size and of unknown types
// are passed over; a length that goes past the end ends the walk.
func (s *Session) extended(now time.Time, m Member, fn func(Event)) error {
	if len(m.Body) < 4 {
		return errSource
	}
	ssrc := binary.BigEndian.Uint32(m.Body)
	if s.ours(ssrc) {
		return nil // no collision: str0m asks in the name of the source that it hears
	}
	s.touchKnown(now, ssrc)
	var fault error
	for b := m.Body[4:]; len(b) > 0; {
		if len(b) < xrHeaderSize {
			return errXRBlock
		}
		size := xrHeaderSize + 4*int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b) {
			return errXRBlock
		}
		block := b[xrHeaderSize:size]
		switch b[0] {
		case xrReference:
			if size != xrReferenceSize {
				fault = errXRSize
				break
			}
			ntp := binary.BigEndian.Uint64(block)
			if middle(ntp) != 0 {
				s.asked(question{ssrc, middle(ntp), now})
			}
			fn(Event{Kind: ReferenceTime, SSRC: ssrc, Sender: SenderInfo{NTP: ntp}})
		case xrDelay:
			if len(block)%xrAnswerSize != 0 {
				fault = errXRSize
				break
			}
			for ; len(block) > 0; block = block[xrAnswerSize:] {
				s.answered(now, ssrc, block, fn)
			}
		case xrVoIP:
			if size != xrVoIPSize {
				fault = errXRSize
				break
			}
			if v := parseVoIP(block); v.SSRC == s.config.SSRC {
				fn(Event{Kind: VoIPReported, SSRC: ssrc, VoIP: v})
			}
		}
		b = b[size:]
	}
	return fault
}

// answered takes the answer to a reference time that was sent, if it is for us.
func (s *Session) answered(now time.Time, ssrc uint32, b []byte, fn func(Event)) {
	if binary.BigEndian.Uint32(b) != s.config.SSRC {
		return
	}
	rtt := echoed(now, &s.sentReferences, binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]))
	if rtt > 0 {
		s.remote.RTT = rtt
		fn(Event{Kind: RoundTrip, SSRC: ssrc, RTT: rtt})
	}
}
