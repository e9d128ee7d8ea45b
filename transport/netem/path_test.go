package netem

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const ms = time.Millisecond

// An arrival is the number of a packet, and when it came through.
type arrival struct {
	number int
	at     time.Duration
}

// pass sends n packets of 100 bytes at even intervals, and returns what arrives.
func pass(t *testing.T, c Config, n int, every time.Duration) ([]arrival, Stats) {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	var all []arrival
	collect := func(until time.Time) {
		for at := p.Next(); !at.IsZero() && !at.After(until); at = p.Next() {
			if _, ok := p.Pull(at.Add(-1), nil); ok {
				t.Fatal("a packet came before its time")
			}
			b, ok := p.Pull(at, nil)
			if !ok || len(b) != 100 {
				t.Fatalf("%d bytes, %v when Next said so", len(b), ok)
			}
			all = append(all, arrival{int(binary.BigEndian.Uint32(b)), at.Sub(epoch)})
		}
	}
	packet := make([]byte, 100)
	for i := range n {
		now := epoch.Add(time.Duration(i) * every)
		collect(now.Add(-1))
		binary.BigEndian.PutUint32(packet, uint32(i))
		p.Push(now, packet)
	}
	collect(epoch.Add(1000 * time.Hour))
	return all, p.Stats()
}

func TestExactTimes(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		every  time.Duration
		want   []arrival
		stats  Stats
	}{
		{"perfect", Config{}, 20 * ms, []arrival{{0, 0}, {1, 20 * ms}, {2, 40 * ms}, {3, 60 * ms}}, Stats{In: 4, Out: 4}},
		{"delay", Config{Delay: 50 * ms}, 20 * ms, []arrival{{0, 50 * ms}, {1, 70 * ms}, {2, 90 * ms}, {3, 110 * ms}}, Stats{In: 4, Out: 4}},
		{"slow clock", Config{Drift: 1000}, 1000 * ms, []arrival{{0, 0}, {1, 1001 * ms}, {2, 2002 * ms}, {3, 3003 * ms}}, Stats{In: 4, Out: 4}},
		{"fast clock", Config{Delay: 2 * ms, Drift: -1000}, 1000 * ms, []arrival{{0, 2 * ms}, {1, 1001 * ms}, {2, 2000 * ms}, {3, 3000 * ms}}, Stats{In: 4, Out: 4}},
		{"all lost", Config{Loss: Loss{Rate: 1}}, 20 * ms, nil, Stats{In: 4, Lost: 4}},
		{"twice", Config{Duplicate: 1}, 30 * ms, []arrival{{0, 0}, {0, 0}, {1, 30 * ms}, {1, 30 * ms}, {2, 60 * ms}, {2, 60 * ms}, {3, 90 * ms}, {3, 90 * ms}}, Stats{In: 4, Out: 8, Duplicated: 4}},
		// 100 bytes take 10 ms.
		{"rate", Config{Rate: 80000}, 0, []arrival{{0, 10 * ms}, {1, 20 * ms}, {2, 30 * ms}, {3, 40 * ms}}, Stats{In: 4, Out: 4}},
		{"full queue", Config{Rate: 80000, Queue: 10 * ms}, 0, []arrival{{0, 10 * ms}, {1, 20 * ms}}, Stats{In: 4, Out: 2, Dropped: 2}},
		{"limit of packets", Config{Delay: ms, Limits: Limits{Packets: 3}}, 0, []arrival{{0, ms}, {1, ms}, {2, ms}}, Stats{In: 4, Out: 3, Dropped: 1}},
		{"limit of bytes", Config{Delay: ms, Limits: Limits{Bytes: 299}}, 0, []arrival{{0, ms}, {1, ms}}, Stats{In: 4, Out: 2, Dropped: 2}},
		{
			"trace",
			Config{Trace: &Trace{Arrivals: []Arrival{{Delay: 30 * ms}, {Lost: true}, {Delay: 5 * ms}}}},
			20 * ms,
			[]arrival{{0, 30 * ms}, {2, 45 * ms}, {3, 90 * ms}},
			Stats{In: 4, Out: 3, Lost: 1},
		},
		{
			"trace that reorders",
			Config{Trace: &Trace{Arrivals: []Arrival{{Delay: 30 * ms}, {Delay: 5 * ms}}}},
			20 * ms,
			[]arrival{{1, 25 * ms}, {0, 30 * ms}, {3, 65 * ms}, {2, 70 * ms}},
			Stats{In: 4, Out: 4, Reordered: 2},
		},
	} {
		got, stats := pass(t, c.config, 4, c.every)
		if !slices.Equal(got, c.want) || stats != c.stats {
			t.Errorf("%s: %v, %+v; want %v, %+v", c.name, got, stats, c.want, c.stats)
		}
	}
}

func TestReorder(t *testing.T) {
	got, stats := pass(t, Config{Seed: 1, Reorder: Reorder{Rate: 0.1}}, 1000, 20*ms)
	held := 0
	for _, a := range got {
		switch a.at - time.Duration(a.number)*20*ms {
		case 0:
		case 30 * ms:
			held++
		default:
			t.Fatalf("packet %d at %v", a.number, a.at)
		}
	}
	if held < 70 || held > 130 || stats.Reordered == 0 || int(stats.Reordered) > held {
		t.Errorf("%d of 1000 held back, %d out of order", held, stats.Reordered)
	}
	_, twice := pass(t, Config{Seed: 1, Reorder: Reorder{Rate: 0.1}, Duplicate: 1}, 1000, 20*ms)
	if twice.Reordered != stats.Reordered {
		t.Errorf("%d out of order with copies, %d without", twice.Reordered, stats.Reordered)
	}
	for _, overtake := range []bool{false, true} {
		_, stats := pass(t, Config{Delay: 100 * ms, Jitter: Jitter{Spread: 50 * ms, Overtake: overtake}}, 1000, 20*ms)
		if (stats.Reordered > 0) != overtake {
			t.Errorf("overtake %v: %d out of order", overtake, stats.Reordered)
		}
	}
}

// Within 10 % of theory, at any ptime.
func TestLoss(t *testing.T) {
	for _, burst := range []time.Duration{0, 60 * ms, 200 * ms} {
		for _, every := range []time.Duration{10 * ms, 20 * ms} {
			const n = 400_000
			got, _ := pass(t, Config{Seed: 7, Loss: Loss{Rate: 0.05, MeanBurst: burst}}, n, every)
			bursts, next := 0, 0
			for _, a := range got {
				if a.number != next {
					bursts++
				}
				next = a.number + 1
			}
			lost := float64(n - len(got))
			if rate := lost / n; math.Abs(rate-0.05) > 0.005 {
				t.Errorf("burst %v, ptime %v: lost %.4f", burst, every, rate)
			}
			// A packet each second unit sees a two-step chain.
			want := 1 / 0.95
			if burst > 0 {
				bad, good := Loss{Rate: 0.05, MeanBurst: burst}.leave()
				k := float64(every / unit)
				want = 1 / (0.95 * (1 - math.Pow(1-bad-good, k)))
			}
			if mean := lost / float64(bursts); math.Abs(mean/want-1) > 0.1 {
				t.Errorf("burst %v, ptime %v: mean burst %.3f packets, want %.3f", burst, every, mean, want)
			}
		}
	}
}

func TestJitter(t *testing.T) {
	const n, spread = 200_000, 10 * ms
	for shape, want := range map[Shape]struct{ mean, deviation float64 }{ // in spreads
		Uniform: {0, 1 / math.Sqrt(3)}, Normal: {0, 1}, Exponential: {1, 1}, Pareto: {1, math.Sqrt(3)},
	} {
		for _, rho := range []float64{0, 0.8} {
			c := Config{Seed: 3, Delay: time.Second, Jitter: Jitter{Shape: shape, Spread: spread, Correlation: rho, Overtake: true}}
			got, _ := pass(t, c, n, 20*ms)
			x := make([]float64, n)
			var mean, variance, product float64
			for _, a := range got {
				x[a.number] = float64(a.at-time.Second-time.Duration(a.number)*20*ms) / float64(spread)
				mean += x[a.number] / n
			}
			for i := range x {
				variance += (x[i] - mean) * (x[i] - mean) / n
				if i > 0 {
					product += (x[i] - mean) * (x[i-1] - mean) / n
				}
			}
			tolerance := 0.05
			if shape == Pareto { // its variance hangs on few values
				tolerance = 0.4
			}
			if math.Abs(mean-want.mean) > 0.03 || math.Abs(math.Sqrt(variance)-want.deviation) > tolerance {
				t.Errorf("%v, correlation %v: mean %.3f, deviation %.3f, want %+v", shape, rho, mean, math.Sqrt(variance), want)
			}
			if r := product / variance; math.Abs(r-rho) > 0.15 || shape == Normal && math.Abs(r-rho) > 0.02 {
				t.Errorf("%v: correlation %.3f, want %v", shape, r, rho)
			}
		}
	}
}

func everything(seed uint64) Config {
	return Config{
		Seed: seed, Delay: 40 * ms, Jitter: Jitter{Shape: Pareto, Spread: 10 * ms, Correlation: 0.5}, Drift: 50,
		Loss: Loss{Rate: 0.1, MeanBurst: 50 * ms}, Reorder: Reorder{Rate: 0.1}, Duplicate: 0.1, Rate: 64000,
	}
}

func TestSeed(t *testing.T) {
	a, _ := pass(t, everything(1), 500, 20*ms)
	b, _ := pass(t, everything(1), 500, 20*ms)
	c, _ := pass(t, everything(2), 500, 20*ms)
	if !slices.Equal(a, b) {
		t.Error("the same seed gave something else")
	}
	if slices.Equal(a, c) {
		t.Error("another seed gave the same")
	}
}

func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := everything(rapid.Uint64().Draw(t, "seed"))
		c.Jitter.Overtake = rapid.Bool().Draw(t, "overtake")
		c.Limits = Limits{Packets: rapid.IntRange(1, 20).Draw(t, "packets"), Bytes: 20000}
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		now, pushed, out := epoch, uint32(0), map[uint32]int{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-5, 60).Draw(t, "step")) * ms)
			if rapid.Bool().Draw(t, "push") {
				b := make([]byte, rapid.IntRange(4, 3000).Draw(t, "size"))
				binary.BigEndian.PutUint32(b, pushed)
				p.Push(now, b)
				pushed++
			} else if b, ok := p.Pull(now, nil); ok {
				number := binary.BigEndian.Uint32(b)
				if out[number]++; number >= pushed || out[number] > 2 {
					t.Fatalf("packet %d of %d came %d times", number, pushed, out[number])
				}
			}
			s := p.Stats()
			if s.In != int64(pushed) || s.In+s.Duplicated != s.Out+s.Lost+s.Dropped+s.Inside {
				t.Fatalf("does not add up: %+v", s)
			}
			if s.Inside > int64(c.Limits.Packets) || p.held.bytes > c.Limits.Bytes {
				t.Fatalf("%d packets, %d bytes inside", s.Inside, p.held.bytes)
			}
		}
	})
}

func TestCheck(t *testing.T) {
	for _, c := range []Config{
		{Loss: Loss{Rate: math.NaN()}},
		{Loss: Loss{Rate: 1.1}},
		{Duplicate: -1},
		{Delay: -1},
		{Delay: 2 * time.Hour},
		{Loss: Loss{Rate: 0.1, MeanBurst: ms}},
		{Loss: Loss{Rate: 0.9, MeanBurst: 20 * ms}},
		{Jitter: Jitter{Shape: 9}},
		{Jitter: Jitter{Correlation: 1}},
		{Drift: 1e6},
		{Rate: -1},
		{Limits: Limits{Bytes: -1}},
		{Trace: &Trace{}},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestFarTimes(t *testing.T) {
	p, err := New(Config{Trace: &Trace{Arrivals: make([]Arrival, 1009)}, Delay: time.Hour, Loss: Loss{Rate: 0.5, MeanBurst: 50 * ms}})
	if err != nil {
		t.Fatal(err)
	}
	p.Push(epoch, nil)
	p.Push(epoch.AddDate(5000, 0, 0), nil)
	p.Push(time.Time{}, nil)
	if s := p.Stats(); s.In != 3 || s.Inside+s.Lost != 3 {
		t.Errorf("%+v", s)
	}
}

func TestAllocs(t *testing.T) {
	p, err := New(everything(1))
	if err != nil {
		t.Fatal(err)
	}
	now, packet, buf := epoch, make([]byte, 172), make([]byte, 0, 2048)
	step := func() { // of many packets, as AllocsPerRun rounds down
		for range 50 {
			now = now.Add(20 * ms)
			p.Push(now, packet)
			for _, ok := p.Pull(now, buf); ok; _, ok = p.Pull(now, buf) {
			}
		}
	}
	for range 1000 { // until it has held as many as it is going to
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
