package payload

import (
	"cmp"
	"fmt"
	"math"

	"github.com/parley-media/parley/audio"
)

const (
	maxEstimateOrder = 10
	fullScale        = 32768.0 * 32768 // power of 0 dBov

	blocksPerSecond = 100
	smoothBlocks    = 10 // powers are averaged over 100 ms before the minimum
	windowBlocks    = 25 // the minimum is that of 7 windows of 250 ms, the last one unfinished
	windows         = 7
	meanBlocks      = 50 // level and spectrum are a mean over about 500 ms of noise

	// The power of 10 ms of noise varies, the more the narrower its band is, so
	// all below nearFloor times the floor is noise: 5 dB.
	nearFloor = 3.16

	// The floor follows a rise at 30 dB/s once the minimum has risen, and starts
	// from -90 dBov, so that a rise from digital silence takes no longer.
	floorRise = 1.0715
	minFloor  = 1.0
)

// A NoiseEstimator finds the level and the spectrum of the noise behind speech.
//
// It looks for the least power in the last 1.5 s or so, which speech does not
// fill without a gap, and describes only what is about as quiet as that. More
// noise is believed after 2 to 3 s, less noise within 0.5 s.
type NoiseEstimator struct {
	order int
	block []float64 // the last maxEstimateOrder samples of the block before, then the new ones
	fill  int

	recent  [smoothBlocks]float64
	blocks  int // how many of recent are known
	next    int // where in recent the next one goes
	minimum [windows]float64
	age     int // blocks in the unfinished window
	floor   float64
	quiet   bool // the block before was noise, so its samples may take part

	corr [maxEstimateOrder + 1]float64 // mean autocorrelation per sample
	n    int                           // blocks in corr, up to meanBlocks
}

// NewNoiseEstimator returns an estimator for mono PCM of a rate in Hz, that
// describes the spectrum with order reflection coefficients: 1..10, 0 means 8,
// and negative is none. A rate outside 8000..48000 or a larger order is an
// error that wraps [audio.ErrFormat].
func NewNoiseEstimator(rate, order int) (*NoiseEstimator, error) {
	if rate < 8000 || rate > 48000 {
		return nil, fmt.Errorf("%w: rate %d Hz is outside 8000..48000", audio.ErrFormat, rate)
	}
	if order > maxEstimateOrder {
		return nil, fmt.Errorf("%w: comfort noise of order %d, the most is %d", audio.ErrFormat, order, maxEstimateOrder)
	}
	e := &NoiseEstimator{
		order: max(cmp.Or(order, 8), 0),
		block: make([]float64, maxEstimateOrder+rate/blocksPerSecond),
		fill:  maxEstimateOrder,
	}
	for i := range e.minimum {
		e.minimum[i] = math.Inf(1)
	}
	return e, nil
}

// Write takes the next samples, of any number.
func (e *NoiseEstimator) Write(pcm []int16) {
	for _, s := range pcm {
		e.block[e.fill] = float64(s)
		if e.fill++; e.fill == len(e.block) {
			e.analyse()
			copy(e.block, e.block[len(e.block)-maxEstimateOrder:])
			e.fill = maxEstimateOrder
		}
	}
}

func (e *NoiseEstimator) analyse() {
	x := e.block[maxEstimateOrder:]
	var power float64
	for _, s := range x {
		power += s * s
	}
	power /= float64(len(x))
	e.track(power)

	near := e.floor * nearFloor
	wasQuiet := e.quiet
	e.quiet = power <= near
	if !e.quiet || !wasQuiet {
		return
	}
	if mean := max(e.corr[0], minFloor); mean > near || mean*nearFloor < e.floor {
		e.n = 0 // it is another noise
	}
	if e.n < meanBlocks {
		e.n++
	}
	for lag := range e.order + 1 {
		var r float64
		for i, s := range x {
			r += s * e.block[maxEstimateOrder+i-lag]
		}
		e.corr[lag] += (r/float64(len(x)) - e.corr[lag]) / float64(e.n)
	}
}

// track brings the floor up to date with the power of a block.
func (e *NoiseEstimator) track(power float64) {
	e.recent[e.next] = power
	e.next = (e.next + 1) % smoothBlocks
	e.blocks = min(e.blocks+1, smoothBlocks)
	var smooth float64
	for _, p := range e.recent[:e.blocks] {
		smooth += p
	}
	smooth = max(smooth/float64(e.blocks), minFloor)

	if e.age == windowBlocks {
		copy(e.minimum[1:], e.minimum[:])
		e.minimum[0] = math.Inf(1)
		e.age = 0
	}
	e.age++
	e.minimum[0] = min(e.minimum[0], smooth)
	least := e.minimum[0]
	for _, m := range e.minimum[1:] {
		least = min(least, m)
	}
	if e.floor == 0 {
		e.floor = least
	}
	e.floor = min(least, e.floor*floorRise)
}

// CN returns what the noise is like. Before 20 ms were heard, and for digital
// silence, it is white noise at the least level, 127.
func (e *NoiseEstimator) CN() CN {
	cn := CN{Level: 127}
	if e.n == 0 || e.corr[0] < fullScale*1e-12 {
		return cn
	}
	cn.Level = min(max(int(math.Round(-10*math.Log10(e.corr[0]/fullScale))), 0), 127)
	cn.Order = e.order
	reflect(cn.Reflection[:e.order], e.corr[:e.order+1])
	return cn
}

// AppendPayload appends the comfort noise payload of the noise to dst.
func (e *NoiseEstimator) AppendPayload(dst []byte) []byte { return e.CN().AppendTo(dst) }

// reflect finds the reflection coefficients k of an autocorrelation r by
// Levinson's and Durbin's recursion. What rounding or a pure tone would make
// unstable ends it, with the rest of k left 0.
func reflect(k, r []float64) {
	var a [maxEstimateOrder + 1]float64
	residual := r[0] * (1 + 1e-6)
	for m := 1; m <= len(k); m++ {
		sum := r[m]
		for i := 1; i < m; i++ {
			sum += a[i] * r[m-i]
		}
		km := -sum / residual
		if !(math.Abs(km) < 1) {
			return
		}
		k[m-1] = km
		for i, j := 1, m-1; i <= j; i, j = i+1, j-1 {
			a[i], a[j] = a[i]+km*a[j], a[j]+km*a[i]
		}
		a[m] = km
		residual *= 1 - km*km
	}
}
