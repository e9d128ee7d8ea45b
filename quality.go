package parley

import (
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// fates follows what becomes of each packet that is received, in order of their
// numbers, as far as a packet that comes later can still change it. It is what
// extended reports and the rating of a call are made from.
type fates struct {
	bursts rtcpctl.Bursts
	ssrc   uint32
	first  int64 // the oldest number that is undecided
	next   int64 // the number after the highest one
	ring   [64]rtcpctl.Outcome
}

// packet notes a packet of the source that is heard.
func (f *fates) packet(ssrc uint32, seq int64, v stream.Verdict) {
	outcome := rtcpctl.Played
	switch v {
	case stream.Accepted:
	case stream.TooLate, stream.WrongType, stream.Malformed:
		outcome = rtcpctl.Discarded
	default:
		return
	}
	if f.next == 0 || f.ssrc != ssrc || seq-f.next > rtcpctl.MaxDropout {
		f.resume()
		f.ssrc, f.first, f.next = ssrc, seq, seq
	}
	if seq < f.first {
		return
	}
	for f.next <= seq {
		if f.next-f.first == int64(len(f.ring)) {
			f.flush(f.first + 1)
		}
		f.ring[f.next%int64(len(f.ring))] = rtcpctl.Lost
		f.next++
	}
	f.ring[seq%int64(len(f.ring))] = outcome
}

// resume decides all packets: the next one need not follow them.
func (f *fates) resume() {
	f.flush(f.next)
	f.next = 0
}

// flush decides the packets below a number.
func (f *fates) flush(below int64) {
	for ; f.first < below; f.first++ {
		f.bursts.Add(f.ring[f.first%int64(len(f.ring))])
	}
}

// rate returns how a listener would rate what is heard, by the E-model.
func (a *Audio) rate() (r, mos float64) {
	name, ptime := a.speech()
	r = max(0, rtcpctl.CodecImpairment(name).R(a.fates.bursts.Conditions(a.mouthToEar(ptime))))
	return r, rtcpctl.MOS(r)
}

// speech returns the codec of what is heard, and how much is in a packet of it. Until
// something is decoded, that is the first one that was offered, in packets as long as
// those that are sent.
func (a *Audio) speech() (name string, ptime time.Duration) {
	if p, ptime, ok := a.receiver.Speech(); ok {
		return p.Name, ptime
	}
	if len(a.codecs) > 0 {
		name = a.codecs[0].Name
	}
	return name, a.sender.PTime()
}

// mouthToEar returns the delay of what is heard: half the round trip, the packet
// and the playout.
func (a *Audio) mouthToEar(ptime time.Duration) time.Duration {
	var s stream.ReceiverStats
	a.receiver.Stats(&s)
	return a.rtcp.RTT()/2 + ptime + s.Delay
}

// voip fills in a report on what is heard (RFC 3611, section 4.7).
func (a *Audio) voip(time.Time) (m rtcpctl.VoIPMetrics, ok bool) {
	ssrc, ok := a.receiver.Heard()
	if !ok {
		return m, false
	}
	var s stream.ReceiverStats
	a.receiver.Stats(&s)
	m = rtcpctl.UnknownVoIPMetrics(ssrc)
	name, ptime := a.speech()
	a.fates.bursts.Fill(&m, ptime)
	m.Rate(rtcpctl.CodecImpairment(name), a.fates.bursts.Conditions(a.mouthToEar(ptime)))
	m.EndSystem = uint16((ptime + s.Delay).Milliseconds())
	m.JitterNominal = uint16(s.Target.Milliseconds())
	m.JitterMaximum, m.JitterAbsolute = uint16(a.maxDelay.Milliseconds()), uint16(a.maxDelay.Milliseconds())
	return m, true
}
