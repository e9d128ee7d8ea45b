package netem

import (
	"fmt"
	"math"
	"time"
)

// A Shape is a distribution of delays around or above [Config.Delay].
type Shape uint8

const (
	Uniform     Shape = iota // from -Spread to +Spread
	Normal                   // with Spread as standard deviation
	Exponential              // added, with Spread as mean
	Pareto                   // added, with Spread as mean and a long tail: one in a thousand is above 18 times Spread
)

var shapes = [...]string{"uniform", "normal", "exponential", "pareto"}

// String returns the name of the shape in lower case.
func (s Shape) String() string {
	if int(s) < len(shapes) {
		return shapes[s]
	}
	return fmt.Sprintf("Shape(%d)", uint8(s))
}

// UnmarshalText sets s by its name, or returns an error that wraps [ErrConfig].
func (s *Shape) UnmarshalText(text []byte) error {
	for i, name := range shapes {
		if name == string(text) {
			*s = Shape(i)
			return nil
		}
	}
	return fmt.Errorf("%w: %q is no distribution of %v", ErrConfig, text, shapes)
}

// Jitter makes the delay of packets vary.
type Jitter struct {
	Shape  Shape
	Spread time.Duration

	// Correlation of the delays of packets that are sent 20 ms apart, from 0 to
	// below 1. It is less for packets further apart, and more for closer ones.
	// Whatever it is, the distribution stays that of Shape.
	Correlation float64

	// Overtake lets a packet with a shorter delay overtake others. Without it such
	// a packet waits for those before it, which makes long delays more frequent
	// than Shape says when Spread is more than the time between packets.
	Overtake bool
}

const correlated = 20 * time.Millisecond

// noise is the state of correlated jitter: a normal variable with a memory,
// which becomes the distribution that is wanted by way of its quantiles.
type noise struct {
	z     float64
	last  time.Duration
	begun bool
}

func (n *noise) next(j Jitter, r *random, since time.Duration) time.Duration {
	z := -math.Sqrt2 * math.Erfcinv(2*r.float())
	if j.Correlation > 0 && n.begun {
		rho := math.Pow(j.Correlation, float64(since-n.last)/float64(correlated))
		z = rho*n.z + math.Sqrt(1-rho*rho)*z
	}
	n.z, n.last, n.begun = z, since, true
	return j.quantile(z)
}

// quantile returns the delay that is as rare in j as z is in the standard normal
// distribution, up to an hour.
func (j Jitter) quantile(z float64) time.Duration {
	above := math.Erfc(z/math.Sqrt2) / 2
	var x float64
	switch j.Shape {
	case Uniform:
		x = 1 - 2*above
	case Normal:
		x = z
	case Exponential:
		x = -math.Log(above)
	case Pareto: // of the second kind, with exponent 3
		x = 2 * (1/math.Cbrt(above) - 1)
	}
	x *= float64(j.Spread)
	return time.Duration(min(max(x, -float64(longest)), float64(longest)))
}
