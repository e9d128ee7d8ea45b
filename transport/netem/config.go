package netem

import (
	"errors"
	"fmt"
	"time"
)

// ErrConfig is returned, wrapped with what was wrong, for a [Config] or a
// [RelayConfig] that cannot be followed.
var ErrConfig = errors.New("netem: bad config")

// Config says what a path does to packets. The zero value is a perfect path.
// Probabilities are 0 to 1, and durations up to an hour.
type Config struct {
	// Seed chooses the random numbers. The same seed, packets and times give the
	// same result.
	Seed uint64

	// Delay is what each packet takes. Jitter, Drift and Trace add to it, and may
	// take away from it, but never more than there is.
	Delay  time.Duration
	Jitter Jitter

	// Drift is how much slower, in parts per million, the clock of the sender
	// appears: the delay grows by so many microseconds in each second since the
	// first packet. With a negative one it shrinks until nothing is left: a fast
	// clock of -100 ppm for a minute needs a Delay of 6 ms. -100000 to 100000.
	Drift float64

	// Trace adds the delays and losses that were seen on a real path.
	Trace *Trace

	Loss      Loss
	Reorder   Reorder
	Duplicate float64 // probability that a packet comes twice, the copy right behind it

	// Rate is what the bottleneck of the path carries, in bits per second of what
	// is pushed; add the headers of IP and UDP where they matter. 0 means no
	// bottleneck.
	Rate int64

	// Queue is the longest that a packet may wait for the bottleneck, apart from
	// its own transmission; one that would wait longer is dropped. 0 means 200 ms.
	Queue time.Duration

	Limits Limits
}

// Limits bound what a path holds; a packet beyond them is dropped. A zero field
// means the default.
type Limits struct {
	Packets int // default 4096
	Bytes   int // default 8 MiB
}

// Reorder takes packets out of their order by holding them back while others
// overtake them.
type Reorder struct {
	Rate float64       // probability of being held back
	By   time.Duration // for how long; 0 means 30 ms, so that at 20 ms one packet overtakes
}

const (
	defaultQueue   = 200 * time.Millisecond
	defaultReorder = 30 * time.Millisecond
	defaultPackets = 4096
	defaultBytes   = 8 << 20
	longest        = time.Hour
)

// Check returns nil if c can be followed, or an error that wraps [ErrConfig].
func (c *Config) Check() error {
	for _, v := range []struct {
		name string
		p    float64
	}{
		{"loss rate", c.Loss.Rate},
		{"reorder rate", c.Reorder.Rate},
		{"duplicate", c.Duplicate},
		{"jitter correlation", c.Jitter.Correlation},
	} {
		if !(v.p >= 0 && v.p <= 1) { // and not NaN
			return fmt.Errorf("%w: %s %v is outside 0..1", ErrConfig, v.name, v.p)
		}
	}
	for _, v := range []struct {
		name string
		d    time.Duration
	}{
		{"delay", c.Delay},
		{"jitter", c.Jitter.Spread},
		{"mean burst", c.Loss.MeanBurst},
		{"reordering", c.Reorder.By},
		{"queue", c.Queue},
	} {
		if v.d < 0 || v.d > longest {
			return fmt.Errorf("%w: %s %v is outside 0..%v", ErrConfig, v.name, v.d, longest)
		}
	}
	switch {
	case c.Jitter.Shape > Pareto:
		return fmt.Errorf("%w: no such distribution: %v", ErrConfig, c.Jitter.Shape)
	case c.Jitter.Correlation == 1:
		return fmt.Errorf("%w: a jitter correlation of 1 is no jitter", ErrConfig)
	case !(c.Drift >= -1e5 && c.Drift <= 1e5):
		return fmt.Errorf("%w: drift %v ppm is outside -100000..100000", ErrConfig, c.Drift)
	case c.Rate < 0:
		return fmt.Errorf("%w: rate %d is negative", ErrConfig, c.Rate)
	case c.Limits.Packets < 0 || c.Limits.Bytes < 0:
		return fmt.Errorf("%w: limits %+v are negative", ErrConfig, c.Limits)
	}
	if c.Trace != nil {
		if err := c.Trace.check(); err != nil {
			return err
		}
	}
	return c.Loss.check()
}
