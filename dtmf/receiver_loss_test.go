package dtmf_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-media/parley/dtmf"
)

// Whatever arrives of the ten packets of a digit, it is one digit.
func TestReceiverAnySubset(t *testing.T) {
	s := newSender(t, dtmf.SenderConfig{})
	if err := s.Queue(epoch, "7", &dtmf.Options{Duration: 160 * ms}); err != nil {
		t.Fatal(err)
	}
	packets := drain(t, s, clock{8000, 1<<32 - 500}, epoch)
	if len(packets) != 10 {
		t.Fatalf("%d packets", len(packets))
	}
	for subset := range 1 << 10 {
		r := newReceiver(t, dtmf.ReceiverConfig{})
		begins, ends := 0, 0
		var units uint16
		count := func(now time.Time) {
			for x, ok := r.Pull(now); ok; x, ok = r.Pull(now) {
				if !x.End {
					begins++
					continue
				}
				ends++
				if want := time.Duration(units) * time.Second / 8000; x.Duration != want {
					t.Fatalf("subset %010b: %v, want %v", subset, x.Duration, want)
				}
			}
		}
		for i, p := range packets {
			now := epoch.Add(p.at)
			if subset>>i&1 == 0 {
				continue
			}
			if i <= 7 { // the first end and what is before it
				units = p.Event.Duration
			}
			if err := r.Push(now, uint16(i), p.Timestamp, p.Event.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
			if i > 7 && ends == 0 {
				units = p.Event.Duration
			}
			count(now)
		}
		count(epoch.Add(time.Second))
		want := 0
		if subset != 0 {
			want = 1
		}
		if begins != want || ends != want {
			t.Fatalf("subset %010b: %d begins, %d ends", subset, begins, ends)
		}
	}
}

// A fifth of all packets is lost, some are doubled, some come late.
func TestReceiverBadNetwork(t *testing.T) {
	const digits = 5000
	rng := rand.New(rand.NewPCG(4, 733))
	type arrival struct {
		at time.Time
		i  int
	}
	for _, rate := range []int{8000, 48000} {
		s := newSender(t, dtmf.SenderConfig{ClockRate: rate})
		r := newReceiver(t, dtmf.ReceiverConfig{ClockRate: rate})
		c := clock{rate, rng.Uint32()}
		var sentDigits, got []byte
		var packets []sent
		now := epoch
		for range digits / 50 {
			var b []byte
			for range 50 {
				b = append(b, "0123456789*#ABCD"[rng.IntN(16)])
			}
			sentDigits = append(sentDigits, b...)
			if err := s.Queue(now, string(b), nil); err != nil {
				t.Fatal(err)
			}
			packets = append(packets, drain(t, s, c, now)...)
			now = epoch.Add(packets[len(packets)-1].at)
		}
		var arrivals []arrival
		for i, p := range packets {
			at := epoch.Add(p.at)
			for copies := 1 + rng.IntN(10)/9; copies > 0; copies-- {
				if rng.IntN(5) > 0 {
					arrivals = append(arrivals, arrival{at.Add(time.Duration(rng.IntN(30)) * ms), i})
				}
			}
		}
		slices.SortStableFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
		ends := 0
		take := func(now time.Time) {
			for x, ok := r.Pull(now); ok; x, ok = r.Pull(now) {
				if x.End {
					ends++
				} else {
					got = append(got, byte(x.Digit))
				}
			}
		}
		for _, a := range arrivals {
			p := packets[a.i]
			if err := r.Push(a.at, uint16(a.i), p.Timestamp, p.Event.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
			take(a.at)
		}
		take(now.Add(time.Second))
		// What was heard is what was sent, but for a few digits.
		missed, at := 0, 0
		for _, d := range sentDigits {
			if at < len(got) && got[at] == d {
				at++
			} else {
				missed++
			}
		}
		t.Logf("%d Hz: %d packets sent, %d arrivals, %d digits missed", rate, len(packets), len(arrivals), missed)
		if missed > digits/1000 || at != len(got) || ends != len(got) {
			t.Errorf("%d of %d digits missed, %d heard that were not sent, %d ends", missed, digits, len(got)-at, ends)
		}
	}
}

// Begins and ends are paired for any packets, and all that is kept is bounded.
func checkReceiver(fatal func(args ...any), r *dtmf.Receiver, op func() (wait time.Duration, seq uint16, timestamp uint32, payload []byte, more bool)) {
	open := map[dtmf.Digit]int{}
	now := epoch
	take := func() {
		for x, ok := r.Pull(now); ok; x, ok = r.Pull(now) {
			if x.End {
				open[x.Digit]--
			} else {
				open[x.Digit]++
			}
			if open[x.Digit] < 0 || open[x.Digit] > 2 || x.Duration < 0 || x.Time.After(now) {
				fatal("wrong report", x)
			}
		}
	}
	for {
		wait, seq, timestamp, payload, more := op()
		if !more {
			break
		}
		now = now.Add(wait)
		err := r.Push(now, seq, timestamp, payload)
		if err != nil && !errors.Is(err, dtmf.ErrEvent) && !errors.Is(err, dtmf.ErrFull) {
			fatal(err)
		}
		take()
	}
	now = now.Add(time.Minute)
	take()
	for d, n := range open {
		if n != 0 {
			fatal("digit", d, "has not ended")
		}
	}
	if !r.Next().IsZero() {
		fatal("something is left")
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add([]byte{20, 1, 0, 1, 0x0a, 0, 160, 20, 2, 0, 1, 0x8a, 1, 64, 20, 2, 0, 1, 0x8a, 1, 64})
	f.Add([]byte{20, 1, 0, 1, 0x0a, 255, 255, 20, 2, 255, 1, 0x8a, 1, 64, 250, 2, 3, 1, 0x8a, 1, 64})
	f.Fuzz(func(t *testing.T, ops []byte) {
		r := newReceiver(t, dtmf.ReceiverConfig{})
		checkReceiver(t.Fatal, r, func() (time.Duration, uint16, uint32, []byte, bool) {
			if len(ops) < 7 {
				return 0, 0, 0, nil, false
			}
			o := ops[:7]
			ops = ops[7:]
			timestamp := uint32(o[2]) * 257
			return time.Duration(o[0]) * ms, uint16(o[1]), timestamp, o[3 : 3+min(4, len(o)-3)], true
		})
	})
}

// A naive model: each timestamp of which a packet arrives is one digit, whatever
// is lost, doubled or late.
func TestReceiverModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := dtmf.NewReceiver(dtmf.ReceiverConfig{})
		if err != nil {
			t.Fatal(err)
		}
		start := rapid.Uint32().Draw(t, "start")
		want, begins, ends := map[uint32]int{}, map[uint32]int{}, map[uint32]int{}
		now := epoch
		for i := range 7 * rapid.IntRange(1, 12).Draw(t, "digits") {
			now = now.Add(20 * ms)
			step := i
			if back := rapid.IntRange(0, 40).Draw(t, "late"); back < 20 {
				step = max(0, i-back)
			}
			if rapid.IntRange(0, 3).Draw(t, "lost") > 0 {
				timestamp := start + uint32(step/7)*1400
				e := key(uint8(step/7%3), uint16(min(step%7+1, 5)*160))
				e.End = step%7 >= 4
				want[timestamp] = 1
				if err := r.Push(now, uint16(step), timestamp, e.AppendTo(nil)); err != nil {
					t.Fatal(err)
				}
			}
			if i%7 == 6 {
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "gap")) * ms)
			}
			for x, ok := r.Pull(now); ok; x, ok = r.Pull(now) {
				if x.End {
					ends[x.Timestamp]++
				} else {
					begins[x.Timestamp]++
				}
			}
		}
		if x, ok := r.Pull(now.Add(time.Second)); ok {
			ends[x.Timestamp]++
		}
		if !maps.Equal(begins, want) || !maps.Equal(ends, want) {
			t.Fatalf("sent %v, begins %v, ends %v", want, begins, ends)
		}
	})
}
