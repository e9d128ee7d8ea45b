package rtcpctl

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2035, 6, 1, 12, 0, 0, 0, time.UTC)

// feed gives packets 20 ms apart, with timestamps by position, to a fresh
// reception at 8000 Hz.
func feed(seqs ...uint16) (*Reception, []Order, []int64) {
	var r Reception
	r.Init(7, 8000)
	var orders []Order
	var extended []int64
	for i, s := range seqs {
		orders = append(orders, r.Update(s, uint32(160*i), epoch.Add(time.Duration(i)*20*time.Millisecond)))
		extended = append(extended, r.Seq())
	}
	return &r, orders, extended
}

func run(from uint16, n int) []uint16 {
	var s []uint16
	for range n {
		s = append(s, from)
		from++
	}
	return s
}

func TestSequence(t *testing.T) {
	const c = 1 << 16 // the first cycle
	for _, test := range []struct {
		name     string
		seqs     []uint16
		orders   []Order
		extended []int64
		received int64
		lost     int64
	}{
		{
			"one packet is not believed",
			[]uint16{1},
			[]Order{Probation},
			[]int64{c + 1},
			0, 0,
		},
		{
			"wrap",
			[]uint16{65534, 65535, 0, 1},
			[]Order{Probation, First, InOrder, InOrder},
			[]int64{c + 65534, c + 65535, 2 * c, 2*c + 1},
			4, 0,
		},
		{
			"loss across the wrap",
			[]uint16{65533, 65534, 2, 3},
			[]Order{Probation, First, Gap, InOrder},
			[]int64{c + 65533, c + 65534, 2*c + 2, 2*c + 3},
			4, 3,
		},
		{
			"reordered across the wrap",
			[]uint16{65533, 65534, 0, 65535, 1},
			[]Order{Probation, First, Gap, Reordered, InOrder},
			[]int64{c + 65533, c + 65534, 2 * c, c + 65535, 2*c + 1},
			5, 0,
		},
		{
			"first packet lost in probation",
			[]uint16{5, 7, 8, 9},
			[]Order{Probation, Probation, First, InOrder},
			[]int64{c + 5, c + 7, c + 8, c + 9},
			3, 0,
		},
		{
			"first two swapped",
			[]uint16{11, 10, 12, 13},
			[]Order{Probation, First, InOrder, InOrder},
			[]int64{c + 11, c + 10, c + 12, c + 13},
			4, 0,
		},
		{
			"first two swapped around zero",
			[]uint16{0, 65535, 1},
			[]Order{Probation, First, InOrder},
			[]int64{c, c - 1, c + 1},
			3, 0,
		},
		{
			"one from before the first comes late",
			[]uint16{1001, 1002, 1000, 1003},
			[]Order{Probation, First, Reordered, InOrder},
			[]int64{c + 1001, c + 1002, c + 1000, c + 1003},
			4, 0,
		},
		{
			"rogue number",
			[]uint16{100, 101, 30000, 102, 103},
			[]Order{Probation, First, Stray, InOrder, InOrder},
			[]int64{c + 100, c + 101, c + 30000, c + 102, c + 103},
			4, 0,
		},
		{
			"rogue numbers in sequence, but not one after the other",
			[]uint16{100, 101, 30000, 102, 30001, 103},
			[]Order{Probation, First, Stray, InOrder, Stray, InOrder},
			[]int64{c + 100, c + 101, c + 30000, c + 102, c + 30001, c + 103},
			4, 0,
		},
		{
			"largest step forward",
			[]uint16{100, 101, 101 + 2999},
			[]Order{Probation, First, Gap},
			[]int64{c + 100, c + 101, c + 3100},
			3, 2998,
		},
		{
			"smallest step that is not believed",
			[]uint16{100, 101, 101 + 3000},
			[]Order{Probation, First, Stray},
			[]int64{c + 100, c + 101, c + 3101},
			2, 0,
		},
		{
			"restart forward",
			[]uint16{100, 101, 20000, 20001, 20002},
			[]Order{Probation, First, Stray, Restarted, InOrder},
			[]int64{c + 100, c + 101, c + 20000, c + 20001, c + 20002},
			5, 0,
		},
		{
			"restart at zero",
			[]uint16{40000, 40001, 0, 1, 2},
			[]Order{Probation, First, Stray, Restarted, InOrder},
			[]int64{c + 40000, c + 40001, 2 * c, 2*c + 1, 2*c + 2},
			5, 0,
		},
		{
			"restart with the first two swapped",
			[]uint16{40000, 40001, 1, 0, 2},
			[]Order{Probation, First, Stray, Restarted, InOrder},
			[]int64{c + 40000, c + 40001, 2*c + 1, 2 * c, 2*c + 2},
			5, 0,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, orders, extended := feed(test.seqs...)
			if !slices.Equal(orders, test.orders) {
				t.Errorf("orders %v, want %v", orders, test.orders)
			}
			if !slices.Equal(extended, test.extended) {
				t.Errorf("numbers %v, want %v", extended, test.extended)
			}
			if r.Received() != test.received || r.Lost() != test.lost {
				t.Errorf("received %d, lost %d, want %d and %d", r.Received(), r.Lost(), test.received, test.lost)
			}
		})
	}
}

// The sender goes back, by less than what reordering may be, or more: all but
// nothing is lost, and the numbers go on upward.
func TestRestartByAnyAmount(t *testing.T) {
	for back := 1; back < 1<<16-2*MaxDropout; back++ {
		if back > 300 && back%97 != 0 {
			continue
		}
		const before = 200
		next := uint16(5000 + before - 1 - back)
		r, orders, extended := feed(append(run(5000, before), run(next, 50)...)...)
		orders, extended = orders[before-1:], extended[before-1:]
		if orders[1] != Stray || orders[2] != Restarted || orders[3] != InOrder {
			t.Fatalf("back by %d: orders %v", back, orders[:5])
		}
		for i := 1; i < len(extended); i++ {
			if extended[i] <= extended[0] || i > 1 && extended[i] != extended[i-1]+1 || uint16(extended[i]) != next+uint16(i-1) {
				t.Fatalf("back by %d: numbers %v", back, extended)
			}
		}
		if r.Received() != before+50 || r.Lost() != 0 || r.Strays() != 0 {
			t.Fatalf("back by %d: received %d, lost %d, stray %d", back, r.Received(), r.Lost(), r.Strays())
		}
		if b := r.Report(epoch); b.Highest != uint32(next)+49 || b.Lost != 0 || b.FractionLost != 0 {
			t.Fatalf("back by %d: %+v", back, b)
		}
	}
}

func TestDuplicates(t *testing.T) {
	var r Reception
	r.Init(7, 8000)
	for i := range uint16(200) {
		at := epoch.Add(time.Duration(i) * 20 * time.Millisecond)
		r.Update(i, uint32(i)*160, at)
		if got := r.Update(i, uint32(i)*160, at); got != Duplicate {
			t.Fatalf("second copy of %d is %v", i, got)
		}
		if i > 99 {
			if got := r.Update(i-99, uint32(i-99)*160, at); got != Duplicate {
				t.Fatalf("copy of %d after %d is %v", i-99, i, got)
			}
		}
	}
	if r.Duplicates() != 300 || r.Lost() != -300 || r.Received() != 500 || r.Expected() != 200 {
		t.Errorf("%d duplicates, %d lost, %d received, %d expected", r.Duplicates(), r.Lost(), r.Received(), r.Expected())
	}
	if b := r.Report(epoch); b.FractionLost != 0 || b.Lost != -300 {
		t.Errorf("block %+v", b)
	}
}

// A source that loops a recording which is shorter than what copies are told from begins
// again with each turn, if it may. Where all numbers of a turn were seen in the one before,
// it is to be sure first that nothing else comes.
func TestRepeats(t *testing.T) {
	for _, tt := range []struct{ ptime, length, sure int }{{20, 60, 8}, {30, 60, 5}, {10, 150, 15}} { // the last: more than 100 packets, less than 2 s
		var r Reception
		r.Init(7, 8000)
		r.MayRepeat()
		for i := range 5 * tt.length {
			turn, n := i/tt.length, i%tt.length
			begin := 1
			if turn%2 == 1 || turn > 0 && tt.length > maxMisorder {
				begin = tt.sure
			}
			want := InOrder
			switch {
			case n == begin && turn == 0:
				want = First
			case n == begin:
				want = Restarted
			case n == begin-1 && turn == 0:
				want = Probation
			case n == begin-1:
				want = Stray
			case n < begin && tt.length <= maxMisorder:
				want = Duplicate
			case n < begin:
				want = Stray
			}
			if got := r.Update(uint16(65500+n), uint32(n*8*tt.ptime), ms(i*tt.ptime)); got != want {
				t.Errorf("packet %d of turn %d, of %d ms: %v, want %v", n, turn, tt.ptime, got, want)
			}
		}
	}
	// Copies by a second path, 100 ms behind, that go on when the talkspurt has ended.
	var r Reception
	r.Init(7, 8000)
	r.MayRepeat()
	for i := range 105 {
		if i < 100 {
			r.Update(uint16(i), uint32(i*160), ms(20*i))
		}
		if i >= 5 {
			if got := r.Update(uint16(i-5), uint32((i-5)*160), ms(20*i)); got != Duplicate {
				t.Errorf("copy of packet %d is %v", i-5, got)
			}
		}
	}
}

// A reception agrees with a model that keeps every packet, for a path that
// loses, copies and reorders.
func TestReceptionModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16().Draw(t, "first")
		var r Reception
		r.Init(1, 8000)
		arrive := func(n int64) Order {
			return r.Update(first+uint16(n), uint32(n*160), epoch.Add(time.Duration(n)*20*time.Millisecond))
		}
		arrive(0)
		arrive(1)
		shift := int64(first) + 1<<16
		seen := map[int64]bool{0: true, 1: true}
		top, received, duplicates, reordered := int64(1), int64(2), int64(0), int64(0)
		for range rapid.IntRange(0, 300).Draw(t, "packets") {
			var n int64
			if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
				n = max(0, top-rapid.Int64Range(0, maxMisorder-1).Draw(t, "back"))
			} else {
				n = top + max(1, rapid.Int64Range(-5, 5).Draw(t, "step"))
			}
			if rapid.IntRange(0, 50).Draw(t, "burst") == 0 {
				n = top + rapid.Int64Range(1, MaxDropout-1).Draw(t, "lost")
			}
			want := InOrder
			switch {
			case seen[n]:
				want = Duplicate
				duplicates++
			case n < top:
				want = Reordered
				reordered++
			case n > top+1:
				want = Gap
			}
			skipped := int64(0)
			if want == Gap {
				skipped = n - top - 1
			}
			received++
			seen[n] = true
			top = max(top, n)
			if got := arrive(n); got != want {
				t.Fatalf("packet %d after %d is %v, want %v", n, top, got, want)
			}
			if r.Seq() != shift+n || r.Skipped() != int(skipped) {
				t.Fatalf("packet %d has number %d, %d skipped, want %d, %d", n, r.Seq(), r.Skipped(), shift+n, skipped)
			}
		}
		if r.Received() != received || r.Expected() != top+1 || r.Duplicates() != duplicates || r.Reordered() != reordered {
			t.Fatalf("received %d, expected %d, %d duplicates, %d reordered; want %d, %d, %d, %d", r.Received(), r.Expected(),
				r.Duplicates(), r.Reordered(), received, top+1, duplicates, reordered)
		}
		if b := r.Report(epoch); int64(b.Lost) != top+1-received || int64(b.Highest) != int64(first)+top {
			t.Fatalf("block %+v, want %d lost, highest %d", b, top+1-received, int64(first)+top)
		}
	})
}

// Nothing that can be sent makes a number negative or go back where it must not.
func TestReceptionHostile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Reception
		r.Init(1, rapid.SampledFrom([]int{0, 8000, 48000, 90000}).Draw(t, "rate"))
		if rapid.Bool().Draw(t, "repeats") {
			r.MayRepeat()
		}
		top := int64(-1)
		at := epoch
		for range rapid.IntRange(0, 100).Draw(t, "packets") {
			seq := rapid.SampledFrom([]uint16{0, 1, 2, 3, 50, 99, 100, 101, 3000, 3001, 32768, 65535, 65534, 65436, 65437}).Draw(t, "seq")
			at = at.Add(time.Duration(rapid.Int64Range(-1e9, 1e12).Draw(t, "passed")))
			order := r.Update(seq, rapid.Uint32().Draw(t, "timestamp"), at)
			if r.Seq() < 0 || uint16(r.Seq()) != seq {
				t.Fatalf("packet %d has number %d", seq, r.Seq())
			}
			switch order {
			case InOrder, Gap, Restarted:
				if r.Seq() <= top {
					t.Fatalf("%v packet has number %d after %d", order, r.Seq(), top)
				}
			}
			if order != Stray {
				top = max(top, r.Seq())
			}
			if r.Jitter() < 0 || r.Received() < 0 || r.Expected() < 0 {
				t.Fatalf("jitter %v, received %d, expected %d", r.Jitter(), r.Received(), r.Expected())
			}
			r.Report(at)
		}
	})
}

// What is asked for and comes when the source has gone on by 100 packets and more is
// the packet it is, and old packets that nobody waits for are no new sequence.
func TestFarBehind(t *testing.T) {
	var r Reception
	r.Init(7, 90000)
	lost := func(i int) bool { return i == 500 || i == 501 }
	for i := range 1000 { // of one millisecond
		if !lost(i) {
			r.Update(uint16(65000+i), uint32(i*90), ms(i))
		}
	}
	for i := 500; i < 502; i++ {
		seq := int64(1<<16 + 65000 + i)
		r.Expect(seq)
		if got := r.Update(uint16(seq), uint32(i*90), ms(1000)); got != Reordered || r.Seq() != seq || r.Fits(uint16(seq)) {
			t.Errorf("packet %d is %v, number %d", i, got, r.Seq())
		}
	}
	if r.Lost() != 0 || r.Reordered() != 2 || r.Received() != 1000 {
		t.Errorf("%d lost, %d reordered, %d received", r.Lost(), r.Reordered(), r.Received())
	}
	for i := 300; i < 310; i++ {
		if got := r.Update(uint16(65000+i), uint32(i*90), ms(1000)); got != Stray {
			t.Errorf("old packet %d is %v", i, got)
		}
	}
	if got := r.Update(464, 90*1000, ms(1000)); got != InOrder || r.Strays() != 10 || r.Highest() != r.Seq() {
		t.Errorf("the next packet is %v, after %d strays", got, r.Strays())
	}
	// A sender that begins anew a little further back has other timestamps.
	r.Update(65300, 1<<31, ms(1001))
	if got := r.Update(65301, 1<<31+90, ms(1002)); got != Restarted {
		t.Errorf("two packets of a new sequence: %v", got)
	}
	// What is expected may not come.
	r.Expect(r.Highest() - 200)
	if got := r.Update(uint16(r.Highest()+1), 1<<31+180, ms(1003)); got != InOrder {
		t.Errorf("another packet is %v", got)
	}
	if got := r.Update(uint16(r.Highest()-200), 1<<31+180, ms(1003)); got != Stray || r.Order() != Stray {
		t.Errorf("a packet that was expected once is %v", got)
	}
}
