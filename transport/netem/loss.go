package netem

import (
	"fmt"
	"math"
	"time"
)

// Loss says how packets are lost: each for itself, or in bursts by the model of
// Gilbert, which is that of Elliott with nothing lost in the good state and
// everything in the bad one.
type Loss struct {
	// Rate is the probability that a packet is lost.
	Rate float64

	// MeanBurst is how long the bad state lasts on average, at least 10 ms; 60 ms
	// is a burst of three packets of 20 ms. 0 means that each packet is lost or
	// not without regard to others.
	//
	// The state belongs to the time, in units of 10 ms since the first packet, and
	// not to the packet: what is lost does not depend on how often packets are
	// sent. Two packets within one unit share its fate.
	MeanBurst time.Duration
}

// unit is the time for which the state of a bursty path lasts at least.
const unit = 10 * time.Millisecond

// leave returns the probabilities, in each unit, to go from bad to good and from
// good to bad.
func (l Loss) leave() (bad, good float64) {
	bad = float64(unit) / float64(l.MeanBurst)
	return bad, l.Rate * bad / (1 - l.Rate)
}

func (l Loss) check() error {
	if l.MeanBurst == 0 || l.Rate == 0 || l.Rate == 1 {
		return nil
	}
	if l.MeanBurst < unit {
		return fmt.Errorf("%w: mean burst %v is shorter than %v", ErrConfig, l.MeanBurst, unit)
	}
	if _, good := l.leave(); good > 1 {
		return fmt.Errorf("%w: a loss rate of %v needs bursts of %v or more", ErrConfig, l.Rate,
			time.Duration(l.Rate/(1-l.Rate)*float64(unit)))
	}
	return nil
}

// burstLoss is the state of a bursty path. Rather than a number for each unit it
// draws how many units a state lasts, which is the same channel for less work.
type burstLoss struct {
	bad   bool
	until int64 // the first unit of the next state
}

// forgotten is the number of units after which the state is drawn anew instead
// of being followed.
const forgotten = int64(time.Hour / unit)

func (b *burstLoss) lost(l Loss, r *random, since time.Duration) bool {
	if l.Rate == 1 {
		return true
	}
	now := int64(since / unit)
	leaveBad, leaveGood := l.leave()
	if b.until == 0 || now-b.until > forgotten {
		b.bad = r.chance(l.Rate)
		b.until = now + run(r, leaveBad, leaveGood, b.bad)
	}
	for now >= b.until {
		b.bad = !b.bad
		b.until += run(r, leaveBad, leaveGood, b.bad)
	}
	return b.bad
}

// run returns how many units a state lasts: a geometric distribution.
func run(r *random, leaveBad, leaveGood float64, bad bool) int64 {
	p := leaveGood
	if bad {
		p = leaveBad
	}
	return 1 + int64(min(math.Log(r.float())/math.Log1p(-p), 1e12))
}
