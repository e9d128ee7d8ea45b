package rtcpctl

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func ms(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }

const msec = time.Millisecond

// asks runs r until nothing is due any more and returns what it asks for, by
// milliseconds.
func asks(t *testing.T, r *Requester, rtt time.Duration) map[int][]uint16 {
	t.Helper()
	got := map[int][]uint16{}
	for range 1000 {
		now := r.Next()
		if now.IsZero() {
			return got
		}
		if seqs := r.Append(nil, now, rtt); len(seqs) > 0 {
			got[int(now.Sub(epoch)/msec)] = seqs
		}
	}
	t.Fatal("never done")
	return nil
}

func TestRequester(t *testing.T) {
	for _, c := range []struct {
		name string
		rtt  time.Duration
		hole Hole
		want map[int][]uint16
	}{
		{
			"every round trip and a half until it is too late",
			40 * msec,
			Hole{First: 1<<16 + 65535, Count: 2, Deadline: ms(200)},
			map[int][]uint16{10: {65535, 0}, 70: {65535, 0}, 130: {65535, 0}},
		},
		{
			"not faster than 20 ms",
			2 * msec,
			Hole{First: 7, Count: 1, Deadline: ms(60)},
			map[int][]uint16{10: {7}, 30: {7}, 50: {7}},
		},
		{
			"round trip unknown",
			0,
			Hole{First: 7, Count: 1, Deadline: ms(100)},
			map[int][]uint16{10: {7}, 50: {7}, 90: {7}},
		},
		{
			"four tries",
			0,
			Hole{First: 7, Count: 1, Deadline: ms(5000)},
			map[int][]uint16{10: {7}, 50: {7}, 90: {7}, 130: {7}},
		},
		{
			"the wait is cut short",
			50 * msec,
			Hole{First: 7, Count: 1, Wait: 30 * msec, Deadline: ms(60)},
			map[int][]uint16{10: {7}},
		},
		{
			"it would be too late",
			100 * msec,
			Hole{First: 7, Count: 1, Deadline: ms(60)},
			map[int][]uint16{},
		},
		{
			"the later ones of a gap are of use for longer",
			50 * msec,
			Hole{First: 7, Count: 3, Deadline: ms(40), Spacing: 20 * msec},
			map[int][]uint16{10: {8, 9}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewRequester(RequesterConfig{})
			r.Missing(epoch, c.rtt, c.hole)
			got := asks(t, r, c.rtt)
			if len(got) != len(c.want) {
				t.Fatalf("asked %v, want %v", got, c.want)
			}
			for at, want := range c.want {
				if !slices.Equal(got[at], want) {
					t.Fatalf("asked %v, want %v", got, c.want)
				}
			}
			if st := r.Stats(); st.GivenUp != int64(c.hole.Count) || len(r.pending) != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestRequesterReordering(t *testing.T) {
	r := NewRequester(RequesterConfig{})
	r.Missing(epoch, 0, Hole{First: 5, Count: 2, Deadline: ms(500)})
	r.Arrived(ms(5), 5)
	r.Arrived(ms(5), 99)
	if got := r.Append(nil, ms(9), 0); got != nil {
		t.Errorf("asked for %v too early", got)
	}
	if got := r.Append(nil, ms(10), 0); !slices.Equal(got, []uint16{6}) {
		t.Errorf("asked for %v", got)
	}
	r.Arrived(ms(30), 6)
	if !r.Next().IsZero() || r.Stats() != (RequesterStats{Requests: 1, Recovered: 1}) {
		t.Errorf("next %v, %+v", r.Next(), r.Stats())
	}
}

func TestRequesterBounds(t *testing.T) {
	r := NewRequester(RequesterConfig{})
	r.Missing(epoch, 0, Hole{First: 1000, Count: 2998, Deadline: ms(500)})
	if got := r.Append(nil, ms(10), 0); len(got) != 64 || got[0] != 1000+2998-64 {
		t.Errorf("asked for %d", len(got))
	}
	for i := range 20 {
		r.Missing(ms(11+i), 0, Hole{First: int64(5000 + 100*i), Count: 90, Deadline: ms(500)})
		if len(r.pending) > 256 {
			t.Fatalf("%d pending", len(r.pending))
		}
	}
	if r.pending[255].seq != 5000+1900+89 {
		t.Errorf("the newest is %d", r.pending[255].seq)
	}
	r.Reset(ms(399))
	if got := r.Append(nil, ms(400), 0); got != nil || !r.Next().IsZero() {
		t.Errorf("asked for %v after a reset", got)
	}
	r.Missing(ms(500), 0, Hole{First: 1, Count: 1, Deadline: ms(900)})
	r.Missing(ms(500), 0, Hole{First: 1, Count: 3, Deadline: ms(900)})
	if got := r.Append(nil, ms(510), 0); !slices.Equal(got, []uint16{1, 2, 3}) {
		t.Errorf("asked for %v", got)
	}
}

// Whatever happens: ascending, bounded, never after the deadline, no packet more
// often than allowed, nothing that has arrived, and Next never passes a request by.
func TestRequesterProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := NewRequester(RequesterConfig{MaxGap: 8, MaxPending: 12, MaxTries: 3})
		now, seq := epoch, int64(65500)
		deadlines, tries, last := map[uint16]time.Time{}, map[uint16]int{}, map[uint16]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "pass")) * msec)
			rtt := time.Duration(rapid.IntRange(0, 100).Draw(t, "rtt")) * msec
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0:
				n := rapid.IntRange(1, 12).Draw(t, "gap")
				d := now.Add(time.Duration(rapid.IntRange(-20, 400).Draw(t, "deadline")) * msec)
				r.Missing(now, rtt, Hole{First: seq, Count: n, Deadline: d})
				for i := range n {
					deadlines[uint16(seq+int64(i))] = d
				}
				seq += int64(n) + 1
			case 1:
				q := seq - int64(rapid.IntRange(1, 20).Draw(t, "back"))
				r.Arrived(now, q)
				delete(deadlines, uint16(q))
			default:
				due := !r.Next().IsZero() && !now.Before(r.Next())
				got := r.Append(nil, now, rtt)
				if len(got) > 0 && !due {
					t.Fatalf("asked although Next said %v", r.Next())
				}
				for i, q := range got {
					d, ok := deadlines[q]
					if tries[q]++; !ok || now.Add(rtt).After(d) || tries[q] > 3 || !last[q].IsZero() && now.Sub(last[q]) < minRetry {
						t.Fatalf("asked for %d at %v, deadline %v, try %d", q, now, d, tries[q])
					}
					last[q] = now
					if i > 0 && int16(q-got[i-1]) <= 0 {
						t.Fatalf("%v does not ascend", got)
					}
				}
				if !r.Next().IsZero() && !r.Next().After(now) {
					t.Fatal("Next does not go on")
				}
			}
			if len(r.pending) > 12 || len(r.pending) > 0 == r.Next().IsZero() {
				t.Fatalf("%d pending, next %v", len(r.pending), r.Next())
			}
		}
	})
}

// What a reception finds missing is what is asked for.
func TestRequesterFollowsReception(t *testing.T) {
	for _, c := range []struct {
		seqs, want []uint16
	}{
		{[]uint16{5, 6, 7}, nil},
		{[]uint16{5, 6, 8}, []uint16{7}},
		{[]uint16{5, 6, 9, 7}, []uint16{8}},
		{[]uint16{65533, 65534, 2}, []uint16{65535, 0, 1}},
		{[]uint16{5, 6, 30000}, nil},
		{[]uint16{5, 6, 2906, 2907, 2908}, run(2906-64, 64)},
		{[]uint16{5, 6, 9, 30000, 30001}, nil}, // of the old run nothing is wanted any more
	} {
		var reception Reception
		reception.Init(1, 8000)
		r := NewRequester(RequesterConfig{})
		for i, seq := range c.seqs {
			switch reception.Update(seq, uint32(160*i), ms(i)) {
			case Gap:
				n := reception.Skipped()
				r.Missing(ms(i), 0, Hole{First: reception.Seq() - int64(n), Count: n, Deadline: ms(500)})
			case Reordered:
				r.Arrived(ms(i), reception.Seq())
			case Restarted:
				r.Reset(ms(i))
			}
		}
		if got := r.Append(nil, ms(100), 0); !slices.Equal(got, c.want) {
			t.Errorf("%v: asked for %v, want %v", c.seqs, got, c.want)
		}
	}
}

func TestRequesterAsked(t *testing.T) {
	r := NewRequester(RequesterConfig{})
	if _, ok := r.Asked(0); ok {
		t.Error("a packet of nothing")
	}
	r.Missing(epoch, 0, Hole{First: 1<<17 - 2, Count: 4, Deadline: ms(500)})
	if _, ok := r.Asked(65534); ok {
		t.Error("a packet that was not asked for yet")
	}
	r.Append(nil, ms(10), 0)
	for seq, want := range map[uint16]int64{65534: 1<<17 - 2, 65535: 1<<17 - 1, 0: 1 << 17, 1: 1<<17 + 1, 2: 0, 65533: 0, 40000: 0} {
		if n, ok := r.Asked(seq); n != want || ok != (want != 0) {
			t.Errorf("%d: %d, %v", seq, n, ok)
		}
	}
	r.Arrived(ms(20), 1<<17)
	if _, ok := r.Asked(0); ok {
		t.Error("a packet that has arrived")
	}
}

// A copy is told from a new sequence for two seconds, whether the packet has come or
// was given up.
func TestRequesterPast(t *testing.T) {
	r := NewRequester(RequesterConfig{MaxPending: 4})
	r.Missing(epoch, 0, Hole{First: 1<<16 - 1, Count: 3, Deadline: ms(100)})
	r.Append(nil, ms(10), 0)
	r.Arrived(ms(60), 1<<16)
	asks(t, r, 0)
	for _, c := range []struct {
		at  int
		seq uint16
		ok  bool
	}{{60, 0, true}, {2059, 0, true}, {2060, 0, false}, {2060, 65535, true}, {2060, 1, true}, {2124, 1, true}, {2125, 1, false}, {100, 2, false}} {
		if ok := r.Past(ms(c.at), c.seq); ok != c.ok {
			t.Errorf("packet %d at %d ms: %v", c.seq, c.at, ok)
		}
	}
	r.Missing(ms(3000), 0, Hole{First: 70000, Count: 4, Deadline: ms(4000)})
	r.Append(nil, ms(3010), 0)
	r.Reset(ms(3020))
	r.Missing(ms(3030), 0, Hole{First: 80000, Count: 1, Deadline: ms(4000)})
	r.Append(nil, ms(3040), 0)
	r.Arrived(ms(3050), 80000)
	for seq, want := range map[int64]bool{70000: false, 70001: true, 70003: true, 80000: true} { // there is room for four
		if ok := r.Past(ms(3050), uint16(seq)); ok != want {
			t.Errorf("packet %d: %v", seq, ok)
		}
	}
}

// While nobody knows the round trip, the answers tell it.
func TestRequesterLearns(t *testing.T) {
	r := NewRequester(RequesterConfig{})
	r.Missing(epoch, 0, Hole{First: 7, Count: 1, Deadline: ms(1000)})
	r.Append(nil, ms(10), 0)
	r.Append(nil, ms(50), 0)
	r.Arrived(ms(90), 7)
	r.Missing(ms(100), 0, Hole{First: 9, Count: 1, Deadline: ms(300)})
	if got := asks(t, r, 0); len(got) != 2 || len(got[110]) != 1 || len(got[230]) != 1 {
		t.Errorf("asked %v, want at 110 and 230", got)
	}
}
