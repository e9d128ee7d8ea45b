package jitter

import (
	"cmp"
	"math"
	"time"
)

// EstimatorConfig describes the delays that an [Estimator] may ask for.
type EstimatorConfig struct {
	Min, Max time.Duration // of the target; 0: 20 ms, 500 ms
	Start    time.Duration // target before there is anything to go by; 0: 40 ms

	// Loss says what late packets weigh against delay: 0.5 is the balance for a
	// conversation, values towards 0 give less delay, values towards 1 fewer
	// late packets. 0 means 0.5.
	Loss float64
}

const (
	fineWidth   = 5 * time.Millisecond
	coarseWidth = 20 * time.Millisecond
	fineBuckets = 100 // up to 500 ms
	buckets     = fineBuckets + 75

	// interval is how long the largest delay is looked for that makes one entry
	// of the histogram: a burst of late packets counts once.
	interval = 100 * time.Millisecond

	// keep is what an entry still weighs after one interval more. It is halved in
	// ten seconds.
	keep = 0.9931

	// keepReordered is the same for a single packet.
	keepReordered = 0.9993

	// spans of spanLength make up the time over which the least transit is known:
	// a second. What lasts longer is a longer way, which playout follows, and no
	// jitter, against which it has to be prepared. In half a second a queue that
	// is stuck for as long already looks like one.
	spans      = 10
	spanLength = 100 * time.Millisecond

	// recent is how many entries are of the time over which the least transit is known,
	// and of what the second of them may be about.
	recent = spans + 2

	// never is a base that none is below by far.
	never = math.MinInt64 + time.Hour

	// far is the depth beyond which late packets weigh less: with the 20 ms of a
	// packet it makes the 100 ms from which on delay disturbs a conversation
	// (ITU-T G.107, 7.4). lateWhenFar is how much more of them there may be.
	far         = 80 * time.Millisecond
	lateWhenFar = 1.75

	// usual is how many entries are behind what is known for good: the weight of
	// about as many is kept.
	usual = 100

	// A packet that has not come when overdueShare of the delay has passed since
	// it could have come, and overdueLeast, is a sign that the ones after it will
	// be late too. While overdueRest of the delay is left there is time to wait
	// for it: stretching can make twice as much of that.
	overdueShare = 0.45
	overdueLeast = 20 * time.Millisecond
	overdueRest  = 120 * time.Millisecond

	// often is the share of intervals that reach the delay which is usual: where
	// packets come in bunches, as over Wi-Fi that saves power, nearly all do.
	often = 0.8

	// seconds are as many as lateShare can stand for, and the present one.
	seconds = 26
)

// An Estimator learns how much later than the fastest of the last second
// packets arrive, and from that how far playout has to be behind the network. A
// delay is a packet's transit time, which is its arrival less its media time,
// less the least transit time of that second; so neither the difference of the
// clocks nor their drift matters.
//
// An Estimator needs memory for the delays that it has seen, 3 KiB at most, but its
// cost per packet does not depend on them. It is not to be copied after its first
// Push, and is not safe for concurrent use.
type Estimator struct {
	config EstimatorConfig
	begun  bool
	origin time.Time // arrival of the first packet; transit times are relative to it

	least  [spans]time.Duration // transit times, by span modulo spans; none if math.MaxInt64
	span   int32                // the present one
	second int32                // of largest
	base   time.Duration
	newest int64 // highest number so far

	risen   time.Duration // base when it rose by far last; never, if it has fallen since
	trusted time.Duration // from when on, from origin, base is taken to rise for good

	most      time.Duration  // of the present interval
	until     time.Duration  // end of the present interval, from origin
	late      histogram      // of the largest delay of each interval
	largest   [seconds]uint8 // buckets of delays, by second modulo seconds
	recent    [recent]uint8  // buckets of the last entries of late, by their count modulo recent
	reordered histogram      // of each packet, those in order as 0
	enough    time.Duration  // target for packets in order
	target    time.Duration
}

// NewEstimator returns an estimator.
func NewEstimator(c EstimatorConfig) Estimator {
	c.Min = cmp.Or(c.Min, 20*time.Millisecond)
	c.Max = max(cmp.Or(c.Max, 500*time.Millisecond), c.Min)
	c.Start = cmp.Or(c.Start, 40*time.Millisecond)
	if c.Loss == 0 || math.IsNaN(c.Loss) {
		c.Loss = 0.5
	}
	c.Loss = min(max(c.Loss, 0.01), 1)
	start := min(max(c.Start, c.Min), c.Max)
	return Estimator{config: c, enough: start, target: start}
}

// Base returns the least transit time of the last second, relative to the arrival
// of the first packet.
func (e *Estimator) Base() time.Duration { return e.base }

// Origin returns the arrival of the first packet.
func (e *Estimator) Origin() time.Time { return e.origin }

// Target returns how long after the least transit time audio should be played if
// it can be played at any time; see [Estimator.Depth].
func (e *Estimator) Target() time.Duration { return e.target }

// Overdue reports whether the next packet is so late that playout, of the given delay,
// should slow down before it runs out of audio. Late is the time since it could have come;
// what nearly every tenth of a second has is no sign of anything.
func (e *Estimator) Overdue(late, delay time.Duration) bool {
	return late > overdueLeast && late > delay-overdueRest && float64(late) > overdueShare*float64(delay) &&
		late > e.late.rarest(often*e.late.total)
}

// Push takes a packet into account and returns its delay.
func (e *Estimator) Push(arrival time.Time, seq int64, media time.Duration) time.Duration {
	if !e.begun {
		e.begun = true
		e.origin, e.until = arrival, interval
		e.newest = seq - 1
		e.risen = never
		for i := range e.least {
			e.least[i] = math.MaxInt64
		}
	}
	now := arrival.Sub(e.origin)
	transit := now - media
	e.observe(now, transit)
	delay := transit - e.base
	e.note(now, delay)
	if now >= e.until {
		e.close(now, delay)
	}
	if seq <= e.newest {
		e.reordered.add(delay, keepReordered)
	} else {
		e.newest = seq
		e.reordered.add(0, keepReordered)
		e.most = max(e.most, delay)
	}
	return delay
}

// observe keeps the least transit time of each span. Now is from origin.
func (e *Estimator) observe(now, transit time.Duration) {
	span := int32(now / spanLength)
	if span > e.span {
		for n := min(span-e.span, spans); n > 0; n-- {
			e.least[(span-n+1)%spans] = math.MaxInt64
		}
		base := transit
		for _, t := range e.least {
			base = min(base, t)
		}
		if rise := base - e.base; rise > far && span == e.span+1 {
			if now >= e.trusted {
				e.forgive(rise)
			}
			e.risen = base
		}
		e.span, e.base = span, base
	}
	if transit < e.risen-far/2 { // it was a queue, and may be one again
		e.risen, e.trusted = never, now+time.Minute
	}
	slot := &e.least[e.span%spans]
	*slot = min(*slot, transit)
	e.base = min(e.base, transit)
}

// forgive takes back what a way that has become longer at once, by rise, was taken for
// until it lasted a second: jitter. So it is when a sender has stood still, and goes on
// with its timestamps as if it had not; unless such a way has become short again of late.
func (e *Estimator) forgive(rise time.Duration) {
	weight := e.late.unit
	for n := int32(1); n <= min(e.late.count, recent); n++ {
		from := &e.recent[(e.late.count-n)%recent]
		if most := upper(int(*from)) - 1; most >= rise {
			to := bucket(most - rise)
			e.late.weight[*from] -= weight
			e.late.weight[to] += weight
			*from = uint8(to)
		}
		weight *= keep
	}
	if e.most >= rise {
		e.most -= rise
	}
}

// count makes an entry.
func (e *Estimator) count(d time.Duration) {
	e.recent[e.late.count%recent] = uint8(bucket(d))
	e.late.add(d, keep)
}

// note keeps the largest delay of each second.
func (e *Estimator) note(now, delay time.Duration) {
	second := int32(now / time.Second)
	for n := min(second-e.second, seconds); n > 0; n-- {
		e.largest[(second-n+1)%seconds] = 0
	}
	e.second = max(e.second, second)
	slot := &e.largest[e.second%seconds]
	*slot = max(*slot, uint8(bucket(delay)))
}

// needed returns the largest delay of the time in which one may be late. With more
// than that nothing would have been heard better, whatever was before: a network
// that has become good is trusted after eight seconds, at the balance, which takes
// the histogram a minute. One whose delays are far apart is not: they come back.
func (e *Estimator) needed() time.Duration {
	count := min(int32(math.Ceil(interval.Seconds()/e.lateShare())), seconds-1)
	most := uint8(0)
	for s := max(e.second-count, 0); s <= e.second; s++ {
		most = max(most, e.largest[s%seconds])
	}
	return upper(int(most))
}

// close ends an interval and computes the target anew. If a packet ends a time in
// which nothing came, the interval before it counts as well, but no more: one
// outage, however long, is no reason to go far after it, a second one is.
func (e *Estimator) close(now, delay time.Duration) {
	e.count(e.most)
	e.most = 0
	e.until += interval
	if e.until < now {
		if delay > interval {
			e.count(delay - interval)
		}
		e.until = now + interval
	}
	target, needed := e.late.quantile(1-e.lateShare()), e.needed()
	if target > far {
		known := max(e.late.total, usual*e.late.unit) // one outage is no more reason at the beginning than later
		target = max(far, e.late.rarest(e.lateShare()*lateWhenFar*known))
	} else {
		target = min(target, needed)
	}
	if e.late.count < 5 { // what is known of a short time is not enough to go below the start
		target = max(target, e.config.Start)
	}
	e.enough = min(max(target, e.config.Min), e.config.Max)
	e.target = min(max(e.enough, min(needed, e.reordered.cheapest(e.enough, e.lossCost()))), e.config.Max)
}

// Depth returns the best of the depths that lie whole ticks from phase: enough
// for packets in order, and more only if what that saves of reordered ones is
// worth a tick.
func (e *Estimator) Depth(phase, tick time.Duration) time.Duration {
	depth := e.target - tolerance
	if over := (depth - phase) % tick; over > 0 {
		depth += tick - over
	} else {
		depth -= over
	}
	if least := depth - tick; least >= e.enough-tolerance && e.reordered.price(least, e.lossCost()) <= e.reordered.price(depth, e.lossCost()) {
		return least
	}
	return depth
}

// lateShare returns the share of intervals in which something may be late: at the
// balance one in eight seconds.
func (e *Estimator) lateShare() float64 { return 0.022 - 0.018*e.config.Loss }

// lossCost returns the delay that is worth one packet in a hundred: 30 ms at the
// balance.
func (e *Estimator) lossCost() time.Duration {
	return time.Duration(60 * e.config.Loss * float64(time.Millisecond))
}

// A histogram counts delays, and forgets.
type histogram struct {
	weight []float64 // by bucket, as far as there is any
	total  float64
	unit   float64 // weight of the next entry: that of earlier ones sinks against it
	count  int32
	top    int32 // no bucket above it has any weight to speak of
}

// add counts a delay. What was counted before then weighs keep times as much.
func (h *histogram) add(d time.Duration, keep float64) {
	if h.unit == 0 {
		h.unit = 1
	}
	h.unit /= keep
	i := bucket(d)
	if i >= len(h.weight) {
		grown := make([]float64, min(max(8, 2*len(h.weight), i+1), buckets))
		copy(grown, h.weight)
		h.weight = grown
	}
	h.weight[i] += h.unit
	h.top = max(h.top, int32(i))
	h.total += h.unit
	h.count++
	if h.unit > 1e100 {
		for i := range h.weight {
			h.weight[i] /= h.unit
		}
		h.total /= h.unit
		h.unit = 1
	}
}

func bucket(d time.Duration) int {
	d = max(d, 0)
	if i := int(d / fineWidth); i < fineBuckets {
		return i
	}
	return min(fineBuckets+int((d-fineBuckets*fineWidth)/coarseWidth), buckets-1)
}

// upper returns the end of a bucket.
func upper(i int) time.Duration {
	if i < fineBuckets {
		return time.Duration(i+1) * fineWidth
	}
	return fineBuckets*fineWidth + time.Duration(i-fineBuckets+1)*coarseWidth
}

// quantile returns a delay that the share q of the entries does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	for h.top > 0 && h.weight[h.top] < 1e-9*h.total {
		h.top--
	}
	return h.rarest(h.total * (1 - q))
}

// rarest returns a delay that entries of no more than the given weight exceed.
func (h *histogram) rarest(rest float64) time.Duration {
	for i := int(h.top); i > 0; i-- {
		if rest -= h.weight[i]; rest < 0 {
			return upper(i)
		}
	}
	return upper(0)
}

// price returns the sum of a delay and of cost for each hundredth of the entries
// that may be later.
func (h *histogram) price(d, cost time.Duration) time.Duration {
	later := 0.0
	for i := bucket(d); i <= int(h.top); i++ {
		later += h.weight[i]
	}
	return d + time.Duration(float64(cost)*100*later/max(h.total, 1))
}

// cheapest returns the delay for which the sum of delay above free, and of cost
// for each hundredth of the entries that are later, is least.
func (h *histogram) cheapest(free, cost time.Duration) time.Duration {
	if h.total == 0 {
		return 0
	}
	best, least := time.Duration(0), math.Inf(1)
	later := h.total
	for i := range buckets {
		if i < len(h.weight) {
			later -= h.weight[i]
		}
		d := upper(i)
		price := float64(max(0, d-free)) + float64(cost)*100*max(later, 0)/h.total
		if price < least {
			best, least = d, price
		}
		if later <= 1e-9*h.total {
			break
		}
	}
	return best
}
