package dtmf_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-media/parley/dtmf"
)

const ms = time.Millisecond

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is a media clock that begins at epoch.
type clock struct {
	rate  int
	start uint32
}

func (c clock) at(t time.Time) uint32 {
	return c.start + uint32(int64(t.Sub(epoch))*int64(c.rate)/int64(time.Second))
}

// sent is a packet with the time when it left.
type sent struct {
	at time.Duration
	dtmf.Packet
}

func (p sent) String() string {
	s := fmt.Sprintf("%v %d code %d for %d", p.at, p.Timestamp, p.Event.Code, p.Event.Duration)
	if p.Marker {
		s += " marker"
	}
	if p.Event.End {
		s += " end"
	}
	return s
}

// drain pulls all packets, each when it is due.
func drain(t *testing.T, s *dtmf.Sender, c clock, now time.Time) []sent {
	t.Helper()
	var all []sent
	for n := 0; !s.Next().IsZero(); n++ {
		if n > 100000 {
			t.Fatal("no end")
		}
		if s.Next().After(now) {
			now = s.Next()
		}
		for p, ok := s.Pull(now, c.at(now)); ok; p, ok = s.Pull(now, c.at(now)) {
			all = append(all, sent{now.Sub(epoch), p})
		}
	}
	return all
}

func newSender(t *testing.T, c dtmf.SenderConfig) *dtmf.Sender {
	t.Helper()
	s, err := dtmf.NewSender(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func check(t *testing.T, got []sent, want string) {
	t.Helper()
	var lines []string
	for _, p := range got {
		lines = append(lines, p.String())
	}
	if g, w := strings.Join(lines, "\n"), strings.TrimSpace(want); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

func TestSenderTellsADigitInRealTime(t *testing.T) {
	s := newSender(t, dtmf.SenderConfig{})
	if s.Active(epoch) || !s.Next().IsZero() {
		t.Error("active without digits")
	}
	now := epoch.Add(5 * ms)
	if err := s.Queue(now, "1#", &dtmf.Options{Duration: 70 * ms, Volume: 8}); err != nil {
		t.Fatal(err)
	}
	if !s.Active(now) || s.Pending() != 2 {
		t.Errorf("active %v, %d pending", s.Active(now), s.Pending())
	}
	check(t, drain(t, s, clock{8000, 1000}, epoch), `
25ms 1040 code 1 for 160 marker
45ms 1040 code 1 for 320
65ms 1040 code 1 for 480
75ms 1040 code 1 for 560 end
95ms 1040 code 1 for 560 end
115ms 1040 code 1 for 560 end
165ms 2160 code 11 for 160 marker
185ms 2160 code 11 for 320
205ms 2160 code 11 for 480
215ms 2160 code 11 for 560 end
235ms 2160 code 11 for 560 end
255ms 2160 code 11 for 560 end`)
	if s.Active(epoch.Add(255*ms)) || s.Pending() != 0 {
		t.Error("still active")
	}
	// The gap also holds for what is queued when all has been sent.
	now = epoch.Add(256 * ms)
	if err := s.Queue(now, "2", nil); err != nil {
		t.Fatal(err)
	}
	if want := epoch.Add(285 * ms); s.Next() != want || s.Active(now) || !s.Active(want) {
		t.Errorf("next at %v, active %v", s.Next().Sub(epoch), s.Active(now))
	}
}

func TestSenderClockRates(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		s := newSender(t, dtmf.SenderConfig{ClockRate: rate})
		if err := s.Queue(epoch, "5", &dtmf.Options{Duration: 50 * ms}); err != nil {
			t.Fatal(err)
		}
		k := rate / 1000
		start := uint32(1<<32 - 10) // wraps
		check(t, drain(t, s, clock{rate, start}, epoch), fmt.Sprintf(`
20ms %[1]d code 5 for %[2]d marker
40ms %[1]d code 5 for %[3]d
50ms %[1]d code 5 for %[4]d end
70ms %[1]d code 5 for %[4]d end
90ms %[1]d code 5 for %[4]d end`, start, 20*k, 40*k, 50*k))
	}
}

func TestSenderCutsLongEvents(t *testing.T) {
	s := newSender(t, dtmf.SenderConfig{ClockRate: 48000, PTime: 50 * ms})
	if err := s.Queue(epoch, "0", &dtmf.Options{Duration: 1500 * ms}); err != nil {
		t.Fatal(err)
	}
	got := drain(t, s, clock{48000, 7}, epoch)
	check(t, got[26:], `
1.35s 7 code 0 for 64800
1.4s 7 code 0 for 65535
1.45s 7 code 0 for 65535
1.5s 7 code 0 for 65535
1.55s 65542 code 0 for 6465 end
1.6s 65542 code 0 for 6465 end
1.65s 65542 code 0 for 6465 end`)
	// What fits exactly is not cut.
	s = newSender(t, dtmf.SenderConfig{ClockRate: 65535, PTime: 500 * ms})
	if err := s.Queue(epoch, "0", &dtmf.Options{Duration: time.Second}); err != nil {
		t.Fatal(err)
	}
	check(t, drain(t, s, clock{65535, 0}, epoch), `
500ms 0 code 0 for 32768 marker
1s 0 code 0 for 65535 end
1.5s 0 code 0 for 65535 end
2s 0 code 0 for 65535 end`)
}

func TestSenderAfterStall(t *testing.T) {
	s := newSender(t, dtmf.SenderConfig{})
	c := clock{8000, 0}
	if err := s.Queue(epoch, "12", &dtmf.Options{Duration: 200 * ms}); err != nil {
		t.Fatal(err)
	}
	var got []sent
	for _, at := range []time.Duration{0, 20, 40, 107, 119, 120, 700, 701, 720, 740, 1000, 1020, 1040} {
		now := epoch.Add(at * ms)
		for p, ok := s.Pull(now, c.at(now)); ok; p, ok = s.Pull(now, c.at(now)) {
			got = append(got, sent{now.Sub(epoch), p})
		}
	}
	check(t, got, `
20ms 0 code 1 for 160 marker
40ms 0 code 1 for 320
107ms 0 code 1 for 800
120ms 0 code 1 for 960
700ms 0 code 1 for 1600 end
720ms 0 code 1 for 1600 end
740ms 0 code 1 for 1600 end
1s 5920 code 2 for 1600 marker end
1.02s 5920 code 2 for 1600 end
1.04s 5920 code 2 for 1600 end`)

	// A digit that should have begun long ago begins now.
	if err := s.Queue(epoch, "3", &dtmf.Options{Duration: 30 * ms}); err != nil {
		t.Fatal(err)
	}
	check(t, drain(t, s, c, epoch.Add(2*time.Second)), `
2.02s 16000 code 3 for 160 marker
2.03s 16000 code 3 for 240 end
2.05s 16000 code 3 for 240 end
2.07s 16000 code 3 for 240 end`)
}

func TestSenderRefuses(t *testing.T) {
	s := newSender(t, dtmf.SenderConfig{})
	if err := s.Queue(epoch, "12x4", nil); !errors.Is(err, dtmf.ErrDigit) || !strings.Contains(err.Error(), "'x' at 2") {
		t.Errorf("got %v", err)
	}
	for _, o := range []dtmf.Options{
		{Duration: -1}, {Duration: 1}, {Duration: 2 * time.Hour}, {Gap: -1}, {Gap: time.Hour}, {Volume: -1}, {Volume: 64},
	} {
		if err := s.Queue(epoch, "1", &o); !errors.Is(err, dtmf.ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if err := s.Queue(epoch, strings.Repeat("1", dtmf.MaxQueue+1), nil); !errors.Is(err, dtmf.ErrFull) || s.Pending() != 0 {
		t.Errorf("got %v, %d pending", err, s.Pending())
	}
	if err := s.Queue(epoch, strings.Repeat("1", dtmf.MaxQueue), nil); err != nil {
		t.Error(err)
	}
	if n := s.Clear(); n != dtmf.MaxQueue || !s.Next().IsZero() {
		t.Errorf("cleared %d", n)
	}
	if err := s.Queue(epoch, "", nil); err != nil || !s.Next().IsZero() {
		t.Errorf("no digits: %v, next %v", err, s.Next())
	}
	for _, c := range []dtmf.SenderConfig{{ClockRate: -1}, {ClockRate: 999}, {PTime: -1}, {PTime: time.Hour}} {
		if _, err := dtmf.NewSender(c); !errors.Is(err, dtmf.ErrOptions) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSenderClearLetsTheDigitEnd(t *testing.T) {
	s := newSender(t, dtmf.SenderConfig{})
	if err := s.Queue(epoch, "123", nil); err != nil {
		t.Fatal(err)
	}
	s.Pull(epoch, 0)
	if n := s.Clear(); n != 2 {
		t.Errorf("cleared %d", n)
	}
	if got := drain(t, s, clock{8000, 0}, epoch); len(got) != 7 || !got[6].Event.End {
		t.Errorf("got %v", got)
	}
}

// However late the sender is looked after, its packets tell the digits that were
// queued, and obey RFC 4733.
func TestSenderModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := dtmf.SenderConfig{
			ClockRate: rapid.SampledFrom([]int{8000, 16000, 48000}).Draw(t, "rate"),
			PTime:     rapid.SampledFrom([]time.Duration{10 * ms, 20 * ms, 50 * ms}).Draw(t, "ptime"),
		}
		s, err := dtmf.NewSender(config)
		if err != nil {
			t.Fatal(err)
		}
		r, err := dtmf.NewReceiver(dtmf.ReceiverConfig{ClockRate: config.ClockRate, Timeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		c := clock{config.ClockRate, rapid.Uint32().Draw(t, "start")}
		digits := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789*#ABCD!")), 1, 8, -1).Draw(t, "digits")
		duration := time.Duration(rapid.IntRange(1, 4000).Draw(t, "duration")) * ms
		gap := time.Duration(rapid.IntRange(0, 100).Draw(t, "gap")) * ms
		if err := s.Queue(epoch, digits, &dtmf.Options{Duration: duration, Gap: gap}); err != nil {
			t.Fatal(err)
		}
		var heard []byte
		ends, seq := 0, uint16(0)
		now, last := epoch, epoch
		for !s.Next().IsZero() {
			if s.Next().After(now) {
				now = s.Next()
			}
			if rapid.IntRange(0, 9).Draw(t, "luck") == 0 {
				now = now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "late")) * ms)
			}
			p, ok := s.Pull(now, c.at(now))
			if !ok {
				continue
			}
			if _, again := s.Pull(now, c.at(now)); again {
				t.Fatal("a burst")
			}
			if p.Event.Duration == 0 {
				t.Fatal("no duration")
			}
			if now.Before(last) {
				t.Fatal("time goes back")
			}
			last = now
			if err := r.Push(now, seq, p.Timestamp, p.Event.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
			seq++
			for x, ok := r.Pull(now); ok; x, ok = r.Pull(now) {
				if !x.End {
					if !p.Marker {
						t.Fatal("a digit begins without marker")
					}
					heard = append(heard, byte(x.Digit))
				} else {
					ends++
					if d := x.Duration - duration; d < -ms || d > ms {
						t.Fatalf("digit of %v lasted %v", duration, x.Duration)
					}
				}
			}
		}
		if string(heard) != digits || ends != len(digits) {
			t.Fatalf("sent %s, heard %s and %d ends", digits, heard, ends)
		}
	})
}

func TestSenderDoesNotAllocate(t *testing.T) {
	s := newSender(t, dtmf.SenderConfig{})
	c := clock{8000, 0}
	now := epoch
	payload := make([]byte, 0, dtmf.EventSize)
	run := func() {
		if err := s.Queue(now, "0123456789", nil); err != nil {
			t.Fatal(err)
		}
		for !s.Next().IsZero() {
			now = s.Next()
			if p, ok := s.Pull(now, c.at(now)); ok {
				payload = p.Event.AppendTo(payload[:0])
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
