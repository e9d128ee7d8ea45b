package rtcpctl

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// In the scripts a dot is a packet that was played, x one that was lost and d one
// that was discarded; a packet takes 10 ms.
func TestBursts(t *testing.T) {
	dots := func(n int) string { return strings.Repeat(".", n) }
	for _, c := range []struct {
		name, script            string
		loss, discard           uint8
		burstDensity            uint8
		gapDensity              uint8
		burstDuration, gapDuran uint16
	}{
		{"nothing", "", 0, 0, 0, 0, 0, 0},
		{"no loss", dots(100), 0, 0, 0, 0, 0, 1000},
		// One in 101: 256/101 = 2. It is isolated, so all is one gap.
		{"isolated loss", dots(50) + "x" + dots(50), 2, 0, 0, 2, 0, 1010},
		{"isolated discard", dots(50) + "d" + dots(50), 0, 2, 0, 2, 0, 1010},
		// Two with 15 good ones between are a burst of 17 packets: 2*256/17 = 30. The
		// gaps have 30 and 33 packets, 315 ms on average; 2*256/80 = 6.
		{"burst of two", dots(30) + "x" + dots(15) + "x" + dots(33), 6, 0, 30, 0, 170, 315},
		// With 16 between, both are isolated: 2*256/80 = 6.
		{"not a burst", dots(30) + "x" + dots(16) + "x" + dots(32), 6, 0, 0, 6, 0, 800},
		// Bursts of 3 (all bad) and of 5 (3 bad): 6 of 8, 192, and 40 ms on average.
		// Gaps of 20, 21 with one isolated, 20 is one stretch of 20+1+20; and 11 at
		// the end: 20, 41, 11 packets, 240 ms; 256/72 = 3. In all 6+1 of 80, of
		// which 3 were discarded: 4*256/80 = 12, 3*256/80 = 9.
		{
			"both, and an isolated one between", dots(20) + "xxx" + dots(20) + "d" + dots(20) + "d..xd" + dots(11),
			12, 9, 192, 3, 40, 240,
		},
		{"burst at once", "xx" + dots(18), 25, 0, 255, 0, 20, 180},
		{"loss at once", "x" + dots(19), 12, 0, 0, 12, 0, 200},
		{"burst not over", dots(20) + "xx...", 20, 0, 255, 0, 20, 115},
		{"all lost", "xxxx", 255, 0, 255, 0, 40, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b Bursts
			for _, o := range c.script {
				b.Add(map[rune]Outcome{'.': Played, 'x': Lost, 'd': Discarded}[o])
			}
			var m VoIPMetrics
			b.Fill(&m, 10*time.Millisecond)
			want := VoIPMetrics{
				LossRate: c.loss, DiscardRate: c.discard, BurstDensity: c.burstDensity, GapDensity: c.gapDensity,
				BurstDuration: c.burstDuration, GapDuration: c.gapDuran, Gmin: 16,
			}
			if m != want {
				t.Errorf("got  %+v\nwant %+v", m, want)
			}
		})
	}
}

func TestBurstConditions(t *testing.T) {
	for _, c := range []struct {
		script      string
		loss, ratio float64
	}{
		{"", 0, 1},
		{"......", 0, 1},
		{"xx........d.........", 0.15, 1.275}, // runs of 1.5, where 1/0.85 is random
		{"x.x.x.x.", 0.5, 1},                  // more regular than random
		{"xxxx", 1, 1},
		{strings.Repeat(".", 40) + "xx" + strings.Repeat(".", 38), 0.025, 1.95},
	} {
		var b Bursts
		for _, o := range c.script {
			b.Add(map[rune]Outcome{'.': Played, 'x': Lost, 'd': Discarded}[o])
		}
		got := b.Conditions(time.Second)
		if want := (Conditions{time.Second, c.loss, c.ratio}); got != want {
			t.Errorf("%q: %+v, want %+v", c.script, got, want)
		}
	}
}

// The counts agree with the transitions of RFC 3611, appendix A.2, once the last
// burst is over.
func TestBurstsAgainstAppendix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Bursts
		// c[i][j] counts steps from state i to j: 1 received in a gap, 2 received in a
		// burst, 3 lost in a burst, 4 lost in a gap.
		var c11, c13, c14, c22, c23, c33, good, run int64
		good = Gmin // a call begins in a gap
		step := func(bad bool) {
			if !bad {
				b.Add(Played)
				good++
				return
			}
			b.Add(Lost)
			if good >= Gmin {
				if run == 1 {
					c14++
				} else if run > 1 {
					c13++
				}
				run = 1
				c11 += good
			} else {
				run++
				if good == 0 {
					c33++
				} else {
					c23++
					c22 += good - 1
				}
			}
			good = 0
		}
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 25), 0, 200).Draw(t, "runs") {
			for range n {
				step(false)
			}
			step(true)
		}
		for range Gmin {
			step(false)
		}
		step(true) // ends the run before, and is the only one of its own
		inBursts, inGaps, bursts, _, _ := b.settled()
		if bursts != c13 || inBursts.good != c22+c23 || inBursts.bad != c13+c23+c33 || inGaps.bad != c14+1 || inGaps.good != c11-Gmin {
			t.Fatalf("bursts %d %+v, gaps %+v; c11 %d c13 %d c14 %d c22 %d c23 %d c33 %d", bursts, inBursts, inGaps, c11, c13, c14, c22, c23, c33)
		}
	})
}

func BenchmarkBurstsAdd(b *testing.B) {
	var s Bursts
	for b.Loop() {
		s.Add(Played)
	}
}
