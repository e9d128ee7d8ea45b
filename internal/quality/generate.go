package quality

import (
	"math"
	"math/rand/v2"
	"time"
)

// Length of the generated traces.
const Length = 60 * time.Second

// A recipe makes the transit times of a trace, in milliseconds, one packet each
// 20 ms. NaN is a packet that is lost.
type recipe struct {
	name    string
	drift   float64 // parts per million, as in [Trace]
	transit func(r *rand.Rand, n int) []float64
	ordered bool // packets do not overtake each other
}

// recipes of the generated set. They are shapes and not measurements: each one
// has the trouble that it is named after, and no other.
var recipes = []recipe{
	{name: "lan", ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		return wire(r, n, 0.7)
	}},
	// A shared channel: waiting for a free one costs a few milliseconds, and
	// every two seconds or so it is taken for 30 to 150 ms.
	{name: "wifi", ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		t := make([]float64, n)
		for i := range t {
			t[i] = 5 * r.ExpFloat64()
		}
		for at := 2000 * r.ExpFloat64(); at < 20*float64(n); at += 2000 * r.ExpFloat64() {
			hold(t, at, 30+120*r.Float64())
		}
		return t
	}},
	// A scheduler that serves each 10 ms, repeats one block in ten after 8 ms,
	// and a load that wanders within 60 ms over seconds.
	{name: "lte", ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		t, load := make([]float64, n), 20.0
		for i := range t {
			load += (20-load)*0.005 + 1.5*r.NormFloat64()
			load = max(0, min(load, 60))
			t[i] = load
			for r.Float64() < 0.1 {
				t[i] += 8
			}
			served := math.Ceil((20*float64(i)+t[i])/10) * 10
			t[i] = served - 20*float64(i) + 0.5*r.Float64()
		}
		return t
	}},
	// A queue that another flow fills with 150 to 300 ms within seconds, and
	// that drains faster.
	{name: "bloat", ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		t := wire(r, n, 2)
		for i := 0; i < n; {
			i += int((1 + 4*r.Float64()) * 50)
			peak, up, down := 150+150*r.Float64(), (3+4*r.Float64())*50, (0.5+r.Float64())*50
			for k := 0.0; k < up+down && i < n; k++ {
				t[i] += peak * min(k/up, (up+down-k)/down)
				i++
			}
		}
		return t
	}},
	{name: "reorder", transit: func(r *rand.Rand, n int) []float64 {
		t := wire(r, n, 1)
		for i := range t {
			if r.Float64() < 0.05 {
				t[i] += 20 + 40*r.Float64()
			}
		}
		return t
	}},
	// A longer way from a third of the time to two thirds of it.
	{name: "step", ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		t := wire(r, n, 2)
		for i := n / 3; i < 2*n/3; i++ {
			t[i] += 100
		}
		return t
	}},
	{name: "outage-250", ordered: true, transit: outage(250)},
	{name: "outage-1000", ordered: true, transit: outage(1000)},
	{name: "drift-fast", drift: -5000, ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		return wire(r, n, 2)
	}},
	{name: "drift-slow", drift: 5000, ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		return wire(r, n, 2)
	}},
	{name: "loss-random", ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		return Loss{Rate: 0.05}.strike(r, wire(r, n, 2))
	}},
	{name: "loss-bursty", ordered: true, transit: func(r *rand.Rand, n int) []float64 {
		return Loss{Rate: 0.05, Burst: 3}.strike(r, wire(r, n, 2))
	}},
}

// Generate returns the project's own traces, a minute each. They are the same
// for the same seed.
func Generate(seed uint64) []*Trace {
	var all []*Trace
	for i, recipe := range recipes {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		transit := recipe.transit(r, int(Length/interval))
		all = append(all, recipe.trace(transit))
	}
	return all
}

// base is the transit time of the fastest packet.
const base = 30 * time.Millisecond

func (c *recipe) trace(transit []float64) *Trace {
	t := &Trace{Name: c.name, Sent: len(transit), Drift: c.drift}
	var last time.Duration
	for i, ms := range transit {
		if math.IsNaN(ms) {
			continue
		}
		at := base + t.sent(time.Duration(i)*interval) + time.Duration(ms*1e3)*time.Microsecond
		if c.ordered {
			at = max(at, last+100*time.Microsecond)
			last = at
		}
		t.Arrivals = append(t.Arrivals, Arrival{i, at})
	}
	t.sort()
	return t
}

// wire is a path without trouble: n transit times that exceed the least by an
// exponential distribution of the given mean.
func wire(r *rand.Rand, n int, mean float64) []float64 {
	t := make([]float64, n)
	for i := range t {
		t[i] = mean * r.ExpFloat64()
	}
	return t
}

// hold keeps what is sent in a span of milliseconds until its end.
func hold(transit []float64, at, span float64) {
	for i := range transit {
		if sent := 20 * float64(i); sent >= at && sent < at+span {
			transit[i] = max(transit[i], at+span-sent)
		}
	}
}

// outage returns a recipe in which nothing arrives for a span of milliseconds,
// after a third of the time, and then all at once.
func outage(span float64) func(*rand.Rand, int) []float64 {
	return func(r *rand.Rand, n int) []float64 {
		t := wire(r, n, 0.7)
		hold(t, 20*float64(n/3), span)
		return t
	}
}

// A Loss is a random channel that loses a share of the packets.
type Loss struct {
	Rate  float64 // 0 to below 1
	Burst float64 // mean length of a run of losses, in packets; 0: they are independent
}

// strike marks the packets that are lost as NaN. With bursts it is the
// two-state channel of Gilbert: a good state that loses nothing and a bad one
// that loses all.
func (l Loss) strike(r *rand.Rand, transit []float64) []float64 {
	leave := 1 - l.Rate // probability of a good packet after a bad one
	if l.Burst > 0 {
		leave = 1 / l.Burst
	}
	enter := l.Rate * leave / (1 - l.Rate)
	bad := false
	for i := range transit {
		if bad {
			bad = r.Float64() >= leave
		} else {
			bad = r.Float64() < enter
		}
		if bad {
			transit[i] = math.NaN()
		}
	}
	return transit
}

// Lossy returns a trace without any other trouble than lost packets: those that
// arrive all take the same time.
func Lossy(name string, seed uint64, l Loss, length time.Duration) *Trace {
	r := rand.New(rand.NewPCG(seed, 0))
	c := recipe{name: name}
	return c.trace(l.strike(r, make([]float64, length/interval)))
}
