package tone_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
)

func TestDTMF(t *testing.T) {
	// ITU-T Q.23.
	rows, columns := []float64{697, 770, 852, 941}, []float64{1209, 1336, 1477, 1633}
	for r, line := range []string{"123A", "456B", "789C", "*0#D"} {
		for c, digit := range line {
			for _, rate := range []int{8000, 48000} {
				s, err := tone.DTMF(string(digit), nil)
				if err != nil {
					t.Fatal(err)
				}
				pcm := read(t, audio.Format{Rate: rate, Channels: 1}, s, time.Minute, 0)
				if len(pcm) != rate/5 {
					t.Fatalf("%c: %d samples", digit, len(pcm))
				}
				on := pcm[rate/100 : rate/10-rate/100]
				for i, f := range rows {
					checkLevel(t, digit, level(on, rate, f), i == r, -10)
				}
				for i, f := range columns {
					checkLevel(t, digit, level(on, rate, f), i == c, -8)
				}
			}
		}
	}
}

func checkLevel(t *testing.T, digit rune, got float64, present bool, want float64) {
	t.Helper()
	if present && math.Abs(got-want) > 0.2 {
		t.Errorf("%c has %.2f dBm0, want %.2f", digit, got, want)
	}
	if !present && got > want-30 {
		t.Errorf("%c has %.2f dBm0 of another digit", digit, got)
	}
}

func TestDTMFOptions(t *testing.T) {
	s, err := tone.DTMF("aB0", &tone.DTMFOptions{Duration: 50 * time.Millisecond, Gap: 45 * time.Millisecond, Level: -20})
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := s.Duration(); d != 285*time.Millisecond || !ok || len(s.Segments) != 6 {
		t.Errorf("%d segments last %v, %t", len(s.Segments), d, ok)
	}
	if got := s.Segments[0].Sines; !slices.Equal(got, []tone.Sine{{697, -20}, {1633, -18}}) {
		t.Errorf("a is %v", got)
	}
	for _, digits := range []string{"", "12 3", "E", "٣", "1\xff"} {
		if _, err := tone.DTMF(digits, nil); !errors.Is(err, tone.ErrSignal) {
			t.Errorf("%q: %v, want ErrSignal", digits, err)
		}
	}
}

// The table writes a cadence as frequencies and seconds.
func TestNational(t *testing.T) {
	for _, tt := range []struct{ country, dial, ringback, busy, congestion, information, waiting string }{
		{
			"US", "350+440", "440+480/2 0/4", "480+620/0.5 0/0.5", "480+620/0.25 0/0.25",
			"950/0.33 1400/0.33 1800/0.33 0/1", "440/0.3 0/10",
		},
		{
			"CA", "350+440", "440+480/2 0/4", "480+620/0.5 0/0.5", "480+620/0.25 0/0.25",
			"950/0.33 1400/0.33 1800/0.33 0/1", "440/0.3 0/10",
		},
		{
			"GB", "350+440", "400+450/0.4 0/0.2 400+450/0.4 0/2", "400/0.375 0/0.375", "400/0.4 0/0.35 400/0.225 0/0.525",
			"950/0.33 1400/0.33 1800/0.33 0/1", "400/0.1 0/3",
		},
		{
			"DE", "425", "425/1 0/4", "425/0.48 0/0.48", "425/0.24 0/0.24",
			"950/0.33 1400/0.33 1800/0.33 0/1", "425/0.2 0/0.2 425/0.2 0/5",
		},
		{
			"FR", "440", "440/1.5 0/3.5", "440/0.5 0/0.5", "440/0.25 0/0.25",
			"950/0.3 0/0.03 1400/0.3 0/0.03 1800/0.3 0/1", "440/0.3 0/10",
		},
		{
			"IT", "425/0.2 0/0.2 425/0.6 0/1", "425/1 0/4", "425/0.5 0/0.5", "425/0.2 0/0.2",
			"950/0.33 1400/0.33 1800/0.33 0/1", "425/0.4 0/0.1 425/0.25 0/0.1 425/0.15 0/14",
		},
		{
			"ES", "425", "425/1.5 0/3", "425/0.2 0/0.2", "425/0.2 0/0.2 425/0.2 0/0.2 425/0.2 0/0.6",
			"950/0.33 1400/0.33 1800/0.33 0/1", "425/0.175 0/0.175 425/0.175 0/3.5",
		},
		{
			"JP", "400", "384+400+416/1 0/2", "400/0.5 0/0.5", "400/0.5 0/0.5",
			"950/0.33 1400/0.33 1800/0.33 0/1", "400/0.05 0/0.45 400/0.05 0/3.45",
		},
		{
			"AU", "413+438", "413+438/0.4 0/0.2 413+438/0.4 0/2", "425/0.375 0/0.375", "425/0.375 0/0.375 425/0.375 0/0.375",
			"425/2.5 0/0.5", "425/0.2 0/0.2 425/0.2 0/4.4",
		},
		{
			"IN", "375+400+425", "375+400+425/0.4 0/0.2 375+400+425/0.4 0/2", "400/0.75 0/0.75", "400/0.25 0/0.25",
			"400/2.5 0/0.5", "400/0.2 0/0.1 400/0.2 0/7.5",
		},
		{
			"BR", "425", "425/1 0/4", "425/0.25 0/0.25", "425/0.25 0/0.25",
			"425/0.25 0/0.25 425/0.75 0/0.25", "425/0.05 0/1",
		},
		{
			"CN", "450", "450/1 0/4", "450/0.35 0/0.35", "450/0.7 0/0.7",
			"450/0.1 0/0.1 450/0.1 0/0.1 450/0.1 0/0.1 450/0.4 0/0.4", "450/0.4 0/4",
		},
	} {
		plan, ok := tone.National(strings.ToLower(tt.country))
		if !ok {
			t.Errorf("%s is unknown", tt.country)
			continue
		}
		for _, x := range []struct {
			name string
			s    tone.Signal
			want string
		}{
			{"dial", plan.Dial, tt.dial},
			{"ringback", plan.Ringback, tt.ringback},
			{"busy", plan.Busy, tt.busy},
			{"congestion", plan.Congestion, tt.congestion},
			{"information", plan.Information, tt.information},
			{"waiting", plan.Waiting, tt.waiting},
		} {
			what := tt.country + " " + x.name
			if got := describe(x.s); got != x.want {
				t.Errorf("%s is %s, want %s", what, got, x.want)
			}
			if _, ends := x.s.Duration(); ends {
				t.Errorf("%s ends", what)
			}
			heard(t, what, x.s)
		}
	}
	if n := len(tone.Countries()); n != 12 || !slices.IsSorted(tone.Countries()) {
		t.Errorf("Countries are %q", tone.Countries())
	}
	for _, c := range tone.Countries() {
		if _, ok := tone.National(c); !ok {
			t.Errorf("%s is not there", c)
		}
	}
	if _, ok := tone.National("XX"); ok {
		t.Error("XX is there")
	}
}

func describe(s tone.Signal) string {
	var b strings.Builder
	for i, g := range s.Segments {
		if i > 0 {
			b.WriteByte(' ')
		}
		for j, sine := range g.Sines {
			if j > 0 {
				b.WriteByte('+')
			}
			fmt.Fprint(&b, sine.Frequency)
		}
		if len(g.Sines) == 0 {
			b.WriteByte('0')
		}
		if g.Duration > 0 {
			fmt.Fprintf(&b, "/%g", g.Duration.Seconds())
		}
	}
	return b.String()
}

// heard checks the samples of the first cycle against the segments.
func heard(t *testing.T, what string, s tone.Signal) {
	t.Helper()
	const rate = 8000
	var total time.Duration
	for _, g := range s.Segments {
		total += max(g.Duration, 0)
	}
	if total == 0 {
		total = 2 * time.Second
	}
	pcm := read(t, mono8k, s, total, 0)
	at := 0
	for _, g := range s.Segments {
		n := mono8k.Samples(g.Duration)
		if n == 0 {
			n = len(pcm)
		}
		part := pcm[at : at+n]
		at += n
		if len(g.Sines) == 0 {
			if i := slices.IndexFunc(part, func(s int16) bool { return s != 0 }); i >= 0 {
				t.Errorf("%s: pause is not silent", what)
			}
			continue
		}
		if n < rate/10 {
			continue // too short to tell a frequency
		}
		part = part[rate/100 : n-rate/100]
		// Sines that are closer than the window resolves are checked where the
		// tone lasts.
		if len(g.Sines) == 1 || n >= rate {
			checkSines(t, what, part, rate, g.Sines)
		}
	}
}

// A caller may change a plan without changing it for others.
func TestNationalIsACopy(t *testing.T) {
	a, _ := tone.National("DE")
	a.Busy.Segments[0].Sines[0].Frequency = 1
	a.Busy.Segments[0].Duration = 1
	b, _ := tone.National("DE")
	if got := describe(b.Busy); got != "425/0.48 0/0.48" {
		t.Errorf("busy became %s", got)
	}
}
