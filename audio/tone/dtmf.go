package tone

import (
	"cmp"
	"strings"
	"time"
)

// dtmfDigits are the digits row by row (ITU-T Q.23).
const dtmfDigits = "123A456B789C*0#D"

// Frequencies in Hz.
var (
	dtmfRows    = [4]float64{697, 770, 852, 941}
	dtmfColumns = [4]float64{1209, 1336, 1477, 1633}
)

// DTMFOptions are how digits are dialled. The zero value is what any receiver
// takes.
type DTMFOptions struct {
	Duration time.Duration // of each digit; 0: 100 ms. Receivers need 40 ms (ITU-T Q.24)
	Gap      time.Duration // after each digit; 0: 100 ms. Receivers need 40 ms
	Level    float64       // in dBm0, of the lower tone; 0: -10. The higher one is 2 dB louder, as lines weaken it
}

// DTMF returns the signal that dials digits, which are 0 to 9, *, # and A to D
// in either case. The error wraps [ErrSignal]. A nil o is the zero options.
func DTMF(digits string, o *DTMFOptions) (Signal, error) {
	if o == nil {
		o = &DTMFOptions{}
	}
	if digits == "" {
		return Signal{}, wrong("no digits")
	}
	level := cmp.Or(o.Level, -10)
	s := Signal{Count: 1}
	for _, digit := range strings.ToUpper(digits) {
		i := strings.IndexRune(dtmfDigits, digit)
		if i < 0 {
			return Signal{}, wrong("%q is not a DTMF digit", digit)
		}
		s.Segments = append(s.Segments,
			Segment{[]Sine{{dtmfRows[i/4], level}, {dtmfColumns[i%4], level + 2}}, cmp.Or(o.Duration, 100*time.Millisecond)},
			Segment{nil, cmp.Or(o.Gap, 100*time.Millisecond)})
	}
	return s, nil
}
