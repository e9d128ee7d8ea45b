package tone

import (
	"math"
	"strings"
	"time"
)

// A Plan is the call progress tones of a country's network. None of them ends by
// itself.
type Plan struct {
	Dial        Signal // digits may be dialled
	Ringback    Signal // the called telephone rings
	Busy        Signal // the called telephone is in use
	Congestion  Signal // the network is (reorder tone)
	Information Signal // the call cannot be completed, with or without an announcement
	Waiting     Signal // to a busy telephone: another call
}

// Countries returns the codes that [National] knows, in alphabetical order.
func Countries() []string {
	return []string{"AU", "BR", "CA", "CN", "DE", "ES", "FR", "GB", "IN", "IT", "JP", "US"}
}

// level is the total power of each tone (ITU-T E.180: -10 dBm0, give or take 5).
const level = -10

// National returns the tones of a country by its ISO 3166-1 code of two letters,
// in either case, and false if they are not in here. Frequencies and cadences
// are those of the Supplement to ITU-T E.180 (tones used in national networks);
// the level of each tone is -10 dBm0.
func National(country string) (Plan, bool) {
	plan := Plan{Information: information(330*time.Millisecond, 0)}
	switch strings.ToUpper(country) {
	case "US", "CA":
		busy := sines(480, 620)
		plan.Dial = continuous(sines(350, 440))
		plan.Ringback = cadence(sines(440, 480), 2000, 4000)
		plan.Busy = cadence(busy, 500, 500)
		plan.Congestion = cadence(busy, 250, 250)
		plan.Waiting = cadence(sines(440), 300, 10000)
	case "GB":
		plan.Dial = continuous(sines(350, 440))
		plan.Ringback = cadence(sines(400, 450), 400, 200, 400, 2000)
		plan.Busy = cadence(sines(400), 375, 375)
		plan.Congestion = cadence(sines(400), 400, 350, 225, 525)
		plan.Waiting = cadence(sines(400), 100, 3000)
	case "DE":
		tone := sines(425)
		plan.Dial = continuous(tone)
		plan.Ringback = cadence(tone, 1000, 4000)
		plan.Busy = cadence(tone, 480, 480)
		plan.Congestion = cadence(tone, 240, 240)
		plan.Waiting = cadence(tone, 200, 200, 200, 5000)
	case "FR":
		tone := sines(440)
		plan.Dial = continuous(tone)
		plan.Ringback = cadence(tone, 1500, 3500)
		plan.Busy = cadence(tone, 500, 500)
		plan.Congestion = cadence(tone, 250, 250)
		plan.Information = information(300*time.Millisecond, 30*time.Millisecond)
		plan.Waiting = cadence(tone, 300, 10000)
	case "IT":
		tone := sines(425)
		plan.Dial = cadence(tone, 200, 200, 600, 1000)
		plan.Ringback = cadence(tone, 1000, 4000)
		plan.Busy = cadence(tone, 500, 500)
		plan.Congestion = cadence(tone, 200, 200)
		plan.Waiting = cadence(tone, 400, 100, 250, 100, 150, 14000)
	case "ES":
		tone := sines(425)
		plan.Dial = continuous(tone)
		plan.Ringback = cadence(tone, 1500, 3000)
		plan.Busy = cadence(tone, 200, 200)
		plan.Congestion = cadence(tone, 200, 200, 200, 200, 200, 600)
		plan.Waiting = cadence(tone, 175, 175, 175, 3500)
	case "JP":
		tone := sines(400)
		plan.Dial = continuous(tone)
		plan.Ringback = cadence(modulated(400, 16), 1000, 2000)
		plan.Busy = cadence(tone, 500, 500)
		plan.Congestion = plan.Busy // one tone for both
		plan.Waiting = cadence(tone, 50, 450, 50, 3450)
	case "AU":
		tone, dial := sines(425), sines(413, 438)
		plan.Dial = continuous(dial)
		plan.Ringback = cadence(dial, 400, 200, 400, 2000)
		plan.Busy = cadence(tone, 375, 375)
		// Every other burst is 10 dB weaker.
		plan.Congestion = cadence(tone, 375, 375, 375, 375)
		plan.Congestion.Segments[2].Sines = []Sine{{425, level - 10}}
		plan.Information = cadence(tone, 2500, 500)
		plan.Waiting = cadence(tone, 200, 200, 200, 4400)
	case "IN":
		tone, dial := sines(400), modulated(400, 25)
		plan.Dial = continuous(dial)
		plan.Ringback = cadence(dial, 400, 200, 400, 2000)
		plan.Busy = cadence(tone, 750, 750)
		plan.Congestion = cadence(tone, 250, 250)
		plan.Information = cadence(tone, 2500, 500)
		plan.Waiting = cadence(tone, 200, 100, 200, 7500)
	case "BR":
		tone := sines(425)
		plan.Dial = continuous(tone)
		plan.Ringback = cadence(tone, 1000, 4000)
		plan.Busy = cadence(tone, 250, 250)
		plan.Congestion = plan.Busy // one tone for both
		plan.Information = cadence(tone, 250, 250, 750, 250)
		plan.Waiting = cadence(tone, 50, 1000)
	case "CN":
		tone := sines(450)
		plan.Dial = continuous(tone)
		plan.Ringback = cadence(tone, 1000, 4000)
		plan.Busy = cadence(tone, 350, 350)
		plan.Congestion = cadence(tone, 700, 700)
		plan.Information = cadence(tone, 100, 100, 100, 100, 100, 100, 400, 400)
		plan.Waiting = cadence(tone, 400, 4000)
	default:
		return Plan{}, false
	}
	return plan, true
}

// sines returns sines of equal level that have the level of a tone together.
func sines(frequencies ...float64) []Sine {
	var s []Sine
	for _, f := range frequencies {
		s = append(s, Sine{f, level - 10*math.Log10(float64(len(frequencies)))})
	}
	return s
}

// modulated returns a carrier whose amplitude is modulated to 85 %: it has a
// sine of 0.425 times its height on either side.
func modulated(carrier, by float64) []Sine {
	const side = 0.85 / 2
	l := level - 10*math.Log10(1+2*side*side)
	below := l + 20*math.Log10(side)
	return []Sine{{carrier - by, below}, {carrier, l}, {carrier + by, below}}
}

func continuous(s []Sine) Signal { return Signal{Segments: []Segment{{Sines: s}}} }

// cadence turns s on and off in turn, for so many milliseconds.
func cadence(s []Sine, times ...int) Signal {
	var c Signal
	for i, ms := range times {
		g := Segment{Duration: time.Duration(ms) * time.Millisecond}
		if i%2 == 0 {
			g.Sines = s
		}
		c.Segments = append(c.Segments, g)
	}
	return c
}

// information returns the special information tone of ITU-T E.180:
// three tones, rising, and a pause of a second.
func information(each, between time.Duration) Signal {
	var s Signal
	for _, f := range []float64{950, 1400, 1800} {
		s.Segments = append(s.Segments, Segment{sines(f), each})
		if between > 0 {
			s.Segments = append(s.Segments, Segment{nil, between})
		}
	}
	if between > 0 {
		s.Segments = s.Segments[:len(s.Segments)-1]
	}
	s.Segments = append(s.Segments, Segment{nil, time.Second})
	return s
}
