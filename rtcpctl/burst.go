package rtcpctl

import "time"

// Gmin is the number of good packets in a row that ends a burst (RFC 3611,
// section 4.7.2).
const Gmin = 16

// An Outcome is what became of a packet that was expected.
type Outcome uint8

const (
	Played    Outcome = iota // it was played
	Lost                     // it never came
	Discarded                // it came, but too late or too early to be played
)

// Bursts tells bursts of loss from isolated losses, as RFC 3611, section 4.7.2,
// defines them: a burst is a longest run of packets that begins and ends with a
// bad one, has at least two of those, and no [Gmin] good ones in a row. What is
// not in a burst is in a gap. The counts are those of the state machine of
// appendix A.2, but for the last burst, which counts here from its second bad
// packet on and there only once it is over.
//
// The zero value is ready. It is not safe for concurrent use.
type Bursts struct {
	good int64  // in a row, up to now
	run  period // a bad packet and all up to the last bad one, fewer than Gmin good ones apart

	bursts, gaps     int64
	inBursts, inGaps period
	inGap            bool // the packet before run was in a gap

	lost, discarded int64
	runs            int64 // of bad packets without a good one between
}

// period is a stretch of packets.
type period struct{ good, bad int64 }

func (p *period) add(q period) { p.good += q.good; p.bad += q.bad }

// Add takes what became of the next packet in order of sequence numbers.
func (b *Bursts) Add(o Outcome) {
	switch o {
	case Lost:
		b.lost++
	case Discarded:
		b.discarded++
	default:
		b.good++
		if b.good >= Gmin && b.run.bad > 0 {
			b.inBursts, b.inGaps, b.bursts, b.gaps, b.inGap = b.settled()
			b.run = period{}
		}
		return
	}
	if b.run.bad == 0 || b.good > 0 {
		b.runs++
	}
	if b.run.bad == 0 {
		b.gap(b.good)
		b.run = period{bad: 1}
	} else {
		b.run.add(period{b.good, 1})
	}
	b.good = 0
}

// gap counts good packets of a gap.
func (b *Bursts) gap(good int64) {
	if good == 0 {
		return
	}
	b.inGaps.good += good
	if !b.inGap {
		b.gaps++
		b.inGap = true
	}
}

// settled returns the counts as if the run were over: one bad packet alone is a
// loss in a gap.
func (b *Bursts) settled() (inBursts, inGaps period, bursts, gaps int64, inGap bool) {
	inBursts, inGaps, bursts, gaps, inGap = b.inBursts, b.inGaps, b.bursts, b.gaps, b.inGap
	switch {
	case b.run.bad > 1:
		inBursts.add(b.run)
		bursts++
		inGap = false
	case b.run.bad == 1:
		inGaps.add(b.run)
		if !inGap {
			gaps++
			inGap = true
		}
	}
	return inBursts, inGaps, bursts, gaps, inGap
}

// Fill puts rates, densities and durations into m. Packets take spacing each.
func (b *Bursts) Fill(m *VoIPMetrics, spacing time.Duration) {
	inBursts, inGaps, bursts, gaps, inGap := b.settled()
	if b.good > 0 {
		inGaps.good += b.good
		if !inGap {
			gaps++
		}
	}
	all := b.all()
	m.Gmin = Gmin
	m.LossRate, m.DiscardRate = part(b.lost, all), part(b.discarded, all)
	m.BurstDensity = part(inBursts.bad, inBursts.good+inBursts.bad)
	m.GapDensity = part(inGaps.bad, inGaps.good+inGaps.bad)
	m.BurstDuration = mean(inBursts, bursts, spacing)
	m.GapDuration = mean(inGaps, gaps, spacing)
}

// Conditions returns what the E-model needs to know: all the loss since the
// beginning, how much longer its runs are than those of random loss, and the
// given delay.
func (b *Bursts) Conditions(delay time.Duration) Conditions {
	c := Conditions{Delay: delay, BurstRatio: 1}
	if bad := float64(b.lost + b.discarded); bad > 0 {
		c.Loss = bad / float64(b.all())
		// Runs of random loss are 1/(1-p) packets long on average.
		c.BurstRatio = max(1, bad/float64(b.runs)*(1-c.Loss))
	}
	return c
}

// all returns how many packets there have been.
func (b *Bursts) all() int64 {
	return b.inBursts.good + b.inGaps.good + b.run.good + b.good + b.lost + b.discarded
}

// part returns n of all in 1/256.
func part(n, all int64) uint8 {
	if all == 0 {
		return 0
	}
	return uint8(min(n*256/all, 255))
}

// mean returns the mean duration of n periods in milliseconds.
func mean(p period, n int64, spacing time.Duration) uint16 {
	if n == 0 {
		return 0
	}
	ms := float64(p.good+p.bad) * float64(spacing) / float64(n) / float64(time.Millisecond)
	return uint16(min(ms+0.5, 1<<16-1))
}
