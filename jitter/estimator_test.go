package jitter

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = time.Millisecond

var begin = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// feed pushes packets of 20 ms with the given delays, from number first on.
func feed(e *Estimator, first, count int, delay func(n int) time.Duration) {
	for n := first; n < first+count; n++ {
		media := time.Duration(n) * 20 * ms
		e.Push(begin.Add(media+delay(n)), int64(n), media)
	}
}

func TestTarget(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name     string
		delay    func(n int) time.Duration
		min, max time.Duration
	}{
		{"even", func(int) time.Duration { return 30 * ms }, 20 * ms, 20 * ms},
		{"up to 47 ms", func(n int) time.Duration { return time.Duration(n%5) * 47 * ms / 4 }, 50 * ms, 50 * ms},
		{"drift of 0.5 %", func(n int) time.Duration { return time.Duration(n) * 100 * time.Microsecond }, 20 * ms, 20 * ms},
		{"one in 200 late", func(n int) time.Duration { return time.Duration(1-min(1, n%200)) * 70 * ms }, 75 * ms, 75 * ms},
		{"one in 200 very late", func(n int) time.Duration { return time.Duration(1-min(1, n%200)) * 100 * ms }, 80 * ms, 80 * ms},
		{"one in 100 very late", func(n int) time.Duration { return time.Duration(1-min(1, n%100)) * 100 * ms }, 105 * ms, 105 * ms},
		{"one in 20 000 late", func(n int) time.Duration { return time.Duration(1-min(1, (n+500)%20000)) * 400 * ms }, 20 * ms, 20 * ms},
		{"more than the maximum", func(n int) time.Duration { return time.Duration(random.IntN(900)) * ms }, 500 * ms, 500 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := NewEstimator(EstimatorConfig{})
			feed(&e, 0, 5000, tt.delay)
			if got := e.Target(); got < tt.min || got > tt.max {
				t.Errorf("target %v, want %v to %v", got, tt.min, tt.max)
			}
		})
	}
}

// Before half a second is known the target does not go below the start.
func TestStart(t *testing.T) {
	for _, c := range []struct {
		config      EstimatorConfig
		first, then time.Duration
	}{
		{EstimatorConfig{}, 40 * ms, 20 * ms},
		{EstimatorConfig{Start: 100 * ms}, 100 * ms, 20 * ms},
		{EstimatorConfig{Min: 60 * ms}, 60 * ms, 60 * ms},
		{EstimatorConfig{Min: 10 * ms, Max: 30 * ms}, 30 * ms, 10 * ms},
		{EstimatorConfig{Min: 60 * ms, Max: 30 * ms}, 60 * ms, 60 * ms},
		{EstimatorConfig{Loss: -3}, 40 * ms, 20 * ms},
		{EstimatorConfig{Loss: 7}, 40 * ms, 20 * ms},
		{EstimatorConfig{Loss: math.NaN()}, 40 * ms, 20 * ms},
	} {
		e := NewEstimator(c.config)
		before := e.Target()
		feed(&e, 0, 20, func(int) time.Duration { return 0 })
		if soon := e.Target(); before != c.first || soon != c.first {
			t.Errorf("%+v: target %v, then %v, want %v", c.config, before, soon, c.first)
		}
		feed(&e, 20, 20, func(int) time.Duration { return 0 })
		if got := e.Target(); got != c.then {
			t.Errorf("%+v: target %v in the end, want %v", c.config, got, c.then)
		}
	}
}

// A sender that stands still for a while, and goes on as if it had not, is no reason to
// wait for the next time for longer than one outage is: its packets come as evenly as
// before.
func TestStandstill(t *testing.T) {
	for _, length := range []time.Duration{100 * ms, 150 * ms, 250 * ms, 400 * ms, 700 * ms, 2 * time.Second} {
		e := NewEstimator(EstimatorConfig{})
		feed(&e, 0, 1000, func(int) time.Duration { return 0 })
		feed(&e, 1000, 60, func(int) time.Duration { return length })
		if got := e.Target(); got > far {
			t.Errorf("%v: target %v, 1.2 s later", length, got)
		}
		feed(&e, 1060, 400, func(int) time.Duration { return length })
		if got := e.Target(); got != 20*ms || e.Base() != length {
			t.Errorf("%v: target %v after %v, 9 s later", length, got, e.Base())
		}
	}
}

// One time in which nothing comes is no reason to wait for another; after a third one in
// ten seconds nothing of the fourth will be missing but its first interval.
func TestOutagesThatComeBack(t *testing.T) {
	const length, first, every = 400 * ms, 1000, 250 // packets
	e := NewEstimator(EstimatorConfig{})
	feed(&e, 0, first, func(int) time.Duration { return 0 })
	for i, most := range []time.Duration{20 * ms, far, 305 * ms} {
		begins := first + i*every
		feed(&e, begins, every, func(n int) time.Duration { return max(0, length-time.Duration(n-begins)*20*ms) })
		if got := e.Target(); got != most {
			t.Errorf("after %d outages of %v: target %v, want %v", 1+i, length, got, most)
		}
	}
}

// A queue that comes and goes is to be prepared against, however long it stays.
func TestQueueThatComesBack(t *testing.T) {
	e := NewEstimator(EstimatorConfig{})
	feed(&e, 0, 1160, func(n int) time.Duration { return time.Duration(min(max(n-1000, 0), 1)) * 300 * ms })
	feed(&e, 1160, 100, func(int) time.Duration { return 0 })
	feed(&e, 1260, 100, func(int) time.Duration { return 300 * ms })
	if got := e.Target(); got < 300*ms {
		t.Errorf("target %v after the second queue", got)
	}
}

// Packets that are overtaken are worth some delay, if there are many of them.
func TestReorderingCosts(t *testing.T) {
	for every, want := range map[int]time.Duration{20: 50 * ms, 2000: 20 * ms} {
		e := NewEstimator(EstimatorConfig{})
		for n := range 5000 {
			media := time.Duration(n) * 20 * ms
			if n%every != 0 {
				e.Push(begin.Add(media), int64(n), media)
			}
			if n%every == 2 && n > 2 {
				media -= 40 * ms
				e.Push(begin.Add(media+45*ms), int64(n-2), media)
			}
		}
		if got := e.Target(); got != want {
			t.Errorf("one of %d overtaken: target %v, want %v", every, got, want)
		}
	}
}

// Depth is what playout can be at that is enough, and a tick more for reordered
// packets only if it saves enough of them.
func TestDepth(t *testing.T) {
	inOrder, few, many := NewEstimator(EstimatorConfig{}), NewEstimator(EstimatorConfig{}), NewEstimator(EstimatorConfig{})
	feed(&inOrder, 0, 5000, func(n int) time.Duration { return time.Duration(n%5) * 47 * ms / 4 })
	for every, e := range map[int]*Estimator{300: &few, 50: &many} {
		late := func(n int) time.Duration {
			switch {
			case n%every == 7:
				return 62 * ms
			case n%50 == 17:
				return 57 * ms
			}
			return 0
		}
		numbers := make([]int, 5000)
		for n := range numbers {
			numbers[n] = n
		}
		arrival := func(n int) time.Duration { return time.Duration(n)*20*ms + late(n) }
		slices.SortFunc(numbers, func(a, b int) int { return int(arrival(a) - arrival(b)) })
		for _, n := range numbers {
			e.Push(begin.Add(arrival(n)), int64(n), time.Duration(n)*20*ms)
		}
	}
	if inOrder.Target() != 50*ms || few.Target() != 65*ms || many.Target() != 65*ms {
		t.Fatalf("targets %v, %v, %v", inOrder.Target(), few.Target(), many.Target())
	}
	tests := []struct {
		name        string
		e           *Estimator
		phase, tick time.Duration
		want        time.Duration
	}{
		{"on the target", &inOrder, 10 * ms, 20 * ms, 50 * ms},
		{"above it", &inOrder, 117 * ms, 20 * ms, 57 * ms},
		{"a little below it", &inOrder, 8 * ms, 20 * ms, 48 * ms},
		{"too far below it", &inOrder, -53 * ms, 20 * ms, 67 * ms},
		{"shorter ticks", &inOrder, 7 * ms, 10 * ms, 57 * ms},
		{"few reordered, near", &few, 4 * ms, 20 * ms, 64 * ms},
		{"few reordered, a tick away", &few, 0, 20 * ms, 60 * ms},
		{"many reordered, a tick away", &many, 0, 20 * ms, 80 * ms},
	}
	for _, tt := range tests {
		if got := tt.e.Depth(tt.phase, tt.tick); got != tt.want {
			t.Errorf("%s: depth %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A delay that grows is followed within a second, one that shrinks more slowly.
func TestFastUpSlowDown(t *testing.T) {
	e := NewEstimator(EstimatorConfig{})
	even := func(int) time.Duration { return 0 }
	jittery := func(n int) time.Duration { return time.Duration(n%5) * 30 * ms }
	feed(&e, 0, 1000, even)
	feed(&e, 1000, 50, jittery)
	if got := e.Target(); got < 120*ms {
		t.Errorf("target %v a second after jitter of 120 ms began", got)
	}
	feed(&e, 1050, 450, jittery)
	feed(&e, 1500, 250, even)
	if got := e.Target(); got < 100*ms {
		t.Errorf("target %v already, 5 s after", got)
	}
	feed(&e, 1750, 3000, even)
	if got := e.Target(); got != 20*ms {
		t.Errorf("target %v still, a minute after", got)
	}
}

func TestPreference(t *testing.T) {
	var targets []time.Duration
	for _, loss := range []float64{0.01, 0.5, 1} {
		random := rand.New(rand.NewPCG(1, 2))
		e := NewEstimator(EstimatorConfig{Loss: loss})
		feed(&e, 0, 10000, func(int) time.Duration { return time.Duration(random.ExpFloat64() * float64(8*ms)) })
		targets = append(targets, e.Target())
	}
	if targets[0] >= targets[1] || targets[1] >= targets[2] {
		t.Errorf("targets %v do not grow with the weight of loss", targets)
	}
}

// The least transit time of the last second, against a list of all packets.
func TestBaseIsTheLeastOfASecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := NewEstimator(EstimatorConfig{})
		type packet struct{ at, transit time.Duration }
		var all []packet
		at := time.Duration(0)
		for n := range rapid.IntRange(1, 200).Draw(t, "packets") {
			if n > 0 {
				at += time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * ms
			}
			media := at - time.Duration(rapid.IntRange(0, 200).Draw(t, "transit"))*ms
			if n == 0 {
				media = 0
			}
			all = append(all, packet{at, at - media})
			if delay := e.Push(begin.Add(at), int64(n), media); delay < 0 {
				t.Fatalf("delay %v", delay)
			}
			least := at - media
			for _, p := range all {
				if p.at/spanLength > at/spanLength-spans {
					least = min(least, p.transit)
				}
			}
			if e.Base() != least {
				t.Fatalf("base %v, want %v", e.Base(), least)
			}
			if got := e.Target(); got < 20*ms || got > 500*ms {
				t.Fatalf("target %v", got)
			}
		}
	})
}

func TestDecide(t *testing.T) {
	tests := []struct {
		delay, spare, target time.Duration
		want                 Action
		by                   time.Duration
	}{
		{40 * ms, 0, 40 * ms, Play, 0},
		{38 * ms, 0, 40 * ms, Play, 0},
		{37 * ms, 0, 40 * ms, Stretch, 20 * ms},
		{57 * ms, 17 * ms, 40 * ms, Compress, 17 * ms}, // of no use: the next packet is not needed later
		{61 * ms, 0, 40 * ms, Compress, 20 * ms},
		{57 * ms, 0, 40 * ms, Play, 0}, // a tick less would not do
		{141 * ms, 0, 40 * ms, Hurry, 100 * ms},
		{541 * ms, 0, 40 * ms, Jump, 250 * ms},
	}
	for _, tt := range tests {
		action, by := Decide(tt.delay, tt.spare, tt.target, 20*ms)
		if action != tt.want || by != tt.by {
			t.Errorf("%v, %v to spare, target %v: %v by %v, want %v by %v", tt.delay, tt.spare, tt.target, action, by, tt.want, tt.by)
		}
	}
}

func TestEstimatorDoesNotAllocate(t *testing.T) {
	e := NewEstimator(EstimatorConfig{})
	n := 0
	if a := testing.AllocsPerRun(1000, func() { feed(&e, n, 1, func(int) time.Duration { return 0 }); n++ }); a != 0 {
		t.Errorf("%v allocations per packet, want 0", a)
	}
}

func BenchmarkEstimator(b *testing.B) {
	e := NewEstimator(EstimatorConfig{})
	n := 0
	for b.Loop() {
		feed(&e, n, 1, func(n int) time.Duration { return time.Duration(n%7) * ms })
		n++
	}
}

func ExampleEstimator() {
	e := NewEstimator(EstimatorConfig{})
	at := time.Now()
	for n := range 500 {
		media := time.Duration(n) * 20 * time.Millisecond
		late := time.Duration(n%5) * 10 * time.Millisecond // up to 40 ms
		e.Push(at.Add(media+late), int64(n), media)
	}
	fmt.Println("play", e.Target(), "behind the fastest packets")
	// Output:
	// play 45ms behind the fastest packets
}

// A network that was bad for long and has become good is trusted again once nothing
// was late for as long as something may be.
func TestTrustedAgain(t *testing.T) {
	for _, tt := range []struct {
		loss  float64
		after time.Duration
	}{{0.01, 7 * time.Second}, {0.5, 10 * time.Second}, {1, 27 * time.Second}} {
		e := NewEstimator(EstimatorConfig{Loss: tt.loss})
		feed(&e, 0, 1000, func(n int) time.Duration { return time.Duration(n%4) * 20 * ms }) // 20 s, every fourth packet 60 ms late
		bad := e.Target()
		most := int(tt.after / (20 * ms))
		feed(&e, 1000, most/2, func(int) time.Duration { return 0 })
		half := e.Target()
		feed(&e, 1000+most/2, most-most/2, func(int) time.Duration { return 0 })
		if good := e.Target(); bad != 65*ms || half != bad || good != 20*ms {
			t.Errorf("loss %v: target %v, %v half the time after it became good, then %v", tt.loss, bad, half, good)
		}
	}
}
