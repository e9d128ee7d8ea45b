package dtmf_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/dtmf"
)

func newReceiver(t testing.TB, c dtmf.ReceiverConfig) *dtmf.Receiver {
	t.Helper()
	r, err := dtmf.NewReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pull returns the reports as "+1 -1(100ms)".
func pull(r *dtmf.Receiver, now time.Time) string {
	var all []string
	for x, ok := r.Pull(now); ok; x, ok = r.Pull(now) {
		s := "+" + x.Digit.String()
		if x.End {
			s = fmt.Sprintf("-%v(%v)", x.Digit, x.Duration)
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

// heard is a packet as it arrives.
type heard struct {
	at        time.Duration // in milliseconds
	seq       uint16
	timestamp uint32
	event     dtmf.Event
	want      string // reports at that time
}

const end = true

func key(code uint8, duration uint16, over ...bool) dtmf.Event {
	return dtmf.Event{Code: code, Duration: duration, Volume: 10, End: len(over) > 0}
}

func TestReceiverStories(t *testing.T) {
	const top = 1<<32 - 100
	for _, c := range []struct {
		name    string
		packets []heard
		after   string // reports until a second later
	}{
		{"all arrives", []heard{
			{0, 1, 500, key(1, 160), "+1"},
			{20, 2, 500, key(1, 320), ""},
			{40, 3, 500, key(1, 400, end), "-1(50ms)"},
			{60, 4, 500, key(1, 400, end), ""},
			{80, 5, 500, key(1, 400, end), ""},
			{150, 6, 2000, key(1, 160), "+1"},
			{170, 7, 2000, key(1, 400, end), "-1(50ms)"},
		}, ""},
		{"no end", []heard{
			{0, 1, 500, key(2, 160), "+2"},
			{20, 2, 500, key(2, 320), ""},
			{219, 2, 500, key(2, 320), ""}, // a copy is a sign of life
			{418, 2, 500, key(2, 320), ""},
		}, "-2(40ms)"},
		{"no end before the next", []heard{
			{0, 1, 500, key(2, 160), "+2"},
			{100, 9, 1500, key(2, 160), "-2(20ms) +2"},
			{120, 10, 1500, key(2, 320, end), "-2(40ms)"},
			{130, 4, 500, key(2, 400, end), ""},
		}, ""},
		{"timeout, then the end", []heard{
			{0, 1, 500, key(3, 160), "+3"},
			{250, 5, 500, key(3, 2000, end), "-3(20ms)"},
		}, ""},
		{"only an end", []heard{
			{0, 9, 500, key(15, 800, end), "+D -D(100ms)"},
			{20, 10, 500, key(15, 800, end), ""},
		}, ""},
		{"first with duration 0", []heard{
			{0, 9, 0, key(10, 0), "+*"},
			{20, 10, 0, key(10, 160), ""},
			{40, 11, 0, key(10, 320, end), "-*(40ms)"},
		}, ""},
		{"one sequence number for all ends", []heard{
			{0, 1, 500, key(1, 320), "+1"},
			{20, 2, 500, key(1, 640, end), "-1(80ms)"},
			{40, 2, 500, key(1, 640, end), ""},
			{60, 2, 500, key(1, 640, end), ""},
		}, ""},
		{"reordered", []heard{
			{0, 2, 500, key(1, 320), "+1"},
			{1, 1, 500, key(1, 160), ""},
			{2, 4, 500, key(1, 640, end), "-1(80ms)"},
			{3, 3, 500, key(1, 480), ""},
		}, ""},
		{"late copies", []heard{
			{0, 1, 500, key(1, 160), "+1"},
			{20, 2, 500, key(1, 320, end), "-1(40ms)"},
			{150, 5, 2000, key(2, 160), "+2"},
			{151, 1, 500, key(1, 160), ""},
			{152, 4, 500, key(1, 320, end), ""},
			{170, 6, 2000, key(2, 320, end), "-2(40ms)"},
			{171, 1, 500, key(1, 160), ""},
			{172, 2, 500, key(1, 320, end), ""},
		}, ""},
		{"all of a digit comes within the next", []heard{
			{0, 5, 2000, key(2, 160), "+2"},
			{1, 3, 500, key(1, 320, end), "+1 -1(40ms)"},
			{2, 4, 500, key(1, 320, end), ""},
			{20, 6, 2000, key(2, 320, end), "-2(40ms)"},
		}, ""},
		{"long, and the clock wraps", []heard{
			{0, 1, top, key(1, 160), "+1"},
			{20, 2, top, key(1, 65535), ""},
			{40, 3, top, key(1, 65535), ""},
			{80, 5, (top + 65535) & 0xffffffff, key(1, 160), ""},
			{81, 4, top, key(1, 65535), ""},
			{100, 6, (top + 2*65535) & 0xffffffff, key(1, 80), ""},
			{120, 7, (top + 2*65535) & 0xffffffff, key(1, 130, end), "-1(16.4s)"},
			{130, 8, (top + 65535) & 0xffffffff, key(1, 65535), ""},
		}, ""},
		{"long, first segment late", []heard{
			{0, 5, 66035, key(1, 160), "+1"},
			{20, 4, 500, key(1, 65535), ""},
			{40, 6, 66035, key(1, 320, end), "-1(40ms)"},
		}, ""},
		{"long, goes on after the timeout", []heard{
			{0, 1, 500, key(1, 65000), "+1"},
			{300, 20, 66035, key(1, 400), "-1(8.125s)"},
			{5200, 21, 66035, key(1, 480), ""},
			{10000, 22, 66035, key(1, 560, end), ""},
		}, ""},
		{"a timestamp for each packet", []heard{
			{0, 1, 500, key(1, 160), "+1"},
			{20, 2, 660, key(1, 320), ""},
			{40, 3, 820, key(1, 480), ""},
			{60, 4, 980, key(1, 640, end), "-1(80ms)"},
			{60, 5, 1140, key(1, 640, end), ""},
		}, ""},
		{"the clock stands still", []heard{
			{0, 1, 0, key(1, 160), "+1"},
			{0, 2, 0, key(1, 1280, end), "-1(160ms)"},
			{0, 3, 0, key(1, 1280, end), ""},
			{500, 4, 0, key(1, 160), "+1"},
			{500, 5, 0, key(1, 1280, end), "-1(160ms)"},
			{500, 6, 0, key(1, 1280, end), ""},
			{900, 7, 0, key(2, 160), "+2"},
			{900, 8, 0, key(2, 1280, end), "-2(160ms)"},
		}, ""},
		{"not digits", []heard{
			{0, 1, 0, key(32, 160), ""},
			{0, 2, 0, key(16, 160, end), "+! -!(20ms)"},
			{0, 3, 0, key(255, 160, end), ""},
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReceiver(t, dtmf.ReceiverConfig{})
			now := epoch
			for i, p := range c.packets {
				now = epoch.Add(p.at * ms)
				if err := r.Push(now, p.seq, p.timestamp, p.event.AppendTo(nil)); err != nil {
					t.Fatal(err)
				}
				if got := pull(r, now); got != p.want {
					t.Errorf("packet %d: got %q, want %q", i, got, p.want)
				}
			}
			if got := pull(r, now.Add(time.Second)); got != c.after {
				t.Errorf("after: got %q, want %q", got, c.after)
			}
			if !r.Next().IsZero() {
				t.Error("something is left")
			}
		})
	}
}

func TestReceiverTimesOut(t *testing.T) {
	r := newReceiver(t, dtmf.ReceiverConfig{ClockRate: 48000, Timeout: 150 * ms})
	if err := r.Push(epoch, 1, 77, key(1, 960).AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	want := dtmf.Report{Digit: '1', Timestamp: 77, Duration: 20 * ms, Time: epoch}
	if got, ok := r.Pull(epoch); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
	deadline := epoch.Add(150 * ms)
	if r.Next() != deadline {
		t.Errorf("next at %v", r.Next())
	}
	if _, ok := r.Pull(deadline.Add(-1)); ok {
		t.Error("ended before its time")
	}
	want.End, want.Time = true, deadline
	if got, ok := r.Pull(deadline.Add(ms)); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
}

func TestReceiverSeveralEventsInAPacket(t *testing.T) {
	r := newReceiver(t, dtmf.ReceiverConfig{})
	payload := key(3, 160).AppendTo(nil)
	payload = key(40, 80).AppendTo(payload)
	payload = key(4, 80).AppendTo(payload)
	if err := r.Push(epoch, 1, 1000, payload); err != nil {
		t.Fatal(err)
	}
	if got, want := pull(r, epoch), "+3 -3(20ms) +4"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := r.Push(epoch, 2, 1240, key(4, 160, end).AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	if got, want := pull(r, epoch), "-4(20ms)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := r.Push(epoch, 3, 9000, append(key(5, 80, end).AppendTo(nil), 1)); !errors.Is(err, dtmf.ErrEvent) {
		t.Errorf("got %v", err)
	}
	if got, want := pull(r, epoch), "+5 -5(10ms)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReceiverRefuses(t *testing.T) {
	r := newReceiver(t, dtmf.ReceiverConfig{})
	for _, payload := range [][]byte{nil, {1}, {1, 2, 3}} {
		if err := r.Push(epoch, 1, 0, payload); !errors.Is(err, dtmf.ErrEvent) {
			t.Errorf("% x: %v", payload, err)
		}
	}
	full := false
	for i := range uint32(100) {
		err := r.Push(epoch, uint16(i), i*1000, key(uint8(i%10), 80, end).AppendTo(nil))
		full = full || errors.Is(err, dtmf.ErrFull)
	}
	if !full {
		t.Error("never full")
	}
	for _, c := range []dtmf.ReceiverConfig{{ClockRate: -8000}, {ClockRate: 1 << 30}, {Timeout: -1}} {
		if _, err := dtmf.NewReceiver(c); !errors.Is(err, dtmf.ErrOptions) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestReceiverDoesNotAllocate(t *testing.T) {
	r := newReceiver(t, dtmf.ReceiverConfig{})
	payloads := [][]byte{key(1, 160).AppendTo(nil), key(1, 320, end).AppendTo(nil), key(1, 320, end).AppendTo(nil)}
	now, timestamp := epoch, uint32(0)
	n := testing.AllocsPerRun(100, func() {
		timestamp += 1000
		for _, p := range payloads {
			now = now.Add(20 * ms)
			if err := r.Push(now, 0, timestamp, p); err != nil {
				t.Fatal(err)
			}
			for _, ok := r.Pull(now); ok; _, ok = r.Pull(now) {
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
