package dtmf

import (
	"math"
	"math/cmplx"
)

// keypad are the digits row by row (ITU-T Q.23).
const keypad = "123A456B789C*0#D"

// frequencies in Hz, of the rows and of the columns (ITU-T Q.23).
var frequencies = [8]float64{697, 770, 852, 941, 1209, 1336, 1477, 1633}

const (
	maxOffset   = 0.0245 // of the frequency: between 1.5 % and 3.5 %
	maxTwist    = 3.981  // 6 dB: power of the column to that of the row
	minTwist    = 0.1    // -10 dB
	minPurity   = 0.80   // share of the two tones in all power
	nearby      = 150.0  // Hz; a harmonic this close to the other tone cannot be told from it
	maxHarmonic = 0.0316 // -15 dB: of a second harmonic to its tone
)

// A bank of Goertzel filters analyses windows that are a hop apart.
type bank struct {
	rate   float64
	hop    int
	window []float64 // Hann
	scaled []float64 // the samples in it
	bins   [8]bin
	last   [8]complex128 // of the window before
}

// bin is a filter at one frequency.
type bin struct {
	cos2     float64 // 2 cos(turn)
	back     complex128
	harmonic float64    // cos2 of twice the frequency
	advance  complex128 // undoes what the phase gains in a hop
}

func newBank(rate int) *bank {
	b := &bank{rate: float64(rate), hop: rate / hopsPerSecond}
	n := windowHops * b.hop
	b.window = make([]float64, n)
	b.scaled = make([]float64, n)
	for i := range b.window {
		b.window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n))
	}
	for i, f := range frequencies {
		w := 2 * math.Pi * f / b.rate
		b.bins[i] = bin{
			cos2:     2 * math.Cos(w),
			back:     cmplx.Rect(1, -w),
			harmonic: 2 * math.Cos(2*w),
			advance:  cmplx.Rect(1, -w*float64(b.hop)),
		}
	}
	return b
}

func (b *bank) reset() { b.last = [8]complex128{} }

// goertzel returns the last two states of the filter.
func goertzel(x []float64, cos2 float64) (s1, s2 float64) {
	for _, v := range x {
		s1, s2 = v+cos2*s1-s2, s1
	}
	return s1, s2
}

// analyse returns the digit whose tones x consists of, or 0.
func (b *bank) analyse(x []float64) Digit {
	n := float64(len(x))
	mean := 0.0
	for _, v := range x {
		mean += v
	}
	mean /= n
	energy := 0.0
	for i, v := range x {
		v = (v - mean) * b.window[i]
		b.scaled[i] = v
		energy += v * v
	}
	// A sine of power p has the energy p*n*3/8 in a Hann window, and its bin the
	// squared magnitude p*n*n/8.
	power := energy / n * (8.0 / 3)
	last := b.last
	if power < minPower {
		b.reset()
		return 0
	}
	var p [8]float64
	for i := range b.bins {
		s1, s2 := goertzel(b.scaled, b.bins[i].cos2)
		v := complex(s1, 0) - b.bins[i].back*complex(s2, 0)
		b.last[i] = v
		p[i] = (real(v)*real(v) + imag(v)*imag(v)) * 8 / (n * n)
	}
	row, column := 0, 4
	for i := range 4 {
		if p[i] > p[row] {
			row = i
		}
		if p[4+i] > p[column] {
			column = 4 + i
		}
	}
	low, ok1 := b.tone(row, p[row], last[row])
	high, ok2 := b.tone(column, p[column], last[column])
	switch {
	case !ok1 || !ok2 || low < minPower || high < minPower:
		return 0
	case high > maxTwist*low || high < minTwist*low:
		return 0
	case low+high < minPurity*power:
		return 0
	case b.harmonic(column) > maxHarmonic*high:
		return 0
	case math.Abs(2*frequencies[row]-frequencies[column]) > nearby && b.harmonic(row) > maxHarmonic*low:
		return 0
	}
	return Digit(keypad[row*4+column-4])
}

// tone returns the power of the tone at a bin, given that of the bin and its last
// value, and whether its frequency is right.
func (b *bank) tone(i int, power float64, last complex128) (float64, bool) {
	turn := cmplx.Phase(b.last[i] * b.bins[i].advance * cmplx.Conj(last))
	offset := turn / (2 * math.Pi * float64(b.hop)) * b.rate // Hz
	if math.Abs(offset) > maxOffset*frequencies[i] {
		return 0, false
	}
	// What the window takes from a tone beside the bin.
	x := offset * float64(len(b.window)) / b.rate
	response := 1.0
	if math.Abs(x) > 1e-3 {
		response = math.Sin(math.Pi*x) / (math.Pi * x * (1 - x*x))
	}
	return power / (response * response), true
}

// harmonic returns the power at twice the frequency of a bin.
func (b *bank) harmonic(i int) float64 {
	c := b.bins[i].harmonic
	s1, s2 := goertzel(b.scaled, c)
	n := float64(len(b.scaled))
	return (s1*s1 + s2*s2 - c*s1*s2) * 8 / (n * n)
}
