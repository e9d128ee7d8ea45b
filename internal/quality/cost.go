package quality

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
)

// A Cost is what one kind of frame takes: pushing its packets, if there are any,
// decoding and pulling it.
type Cost struct {
	Frame  string  `json:"frame"`
	Frames int     `json:"frames"` // that were measured
	Median float64 `json:"median_ns"`
	P95    float64 `json:"p95_ns"`
	Goal   float64 `json:"goal_ns"` // for PCMU and 20 ms
	Allocs float64 `json:"allocs_per_frame"`
}

// costs are the kinds of frames, with the most that each should take.
var costs = []Cost{
	{Frame: "ordinary", Goal: 300},
	{Frame: "stretched", Goal: 10_000},
	{Frame: "concealed", Goal: 30_000},
}

const (
	ordinary = iota
	stretched
	concealed
)

// settle is how many frames pass before the first one that counts: until then
// buffers grow.
const settle = 100

// Costs measures a receiver on the way through traces, and returns what each
// kind of frame costs. It keeps one thread of the machine busy for seconds, and
// returns the error of ctx when that ends before.
func Costs(ctx context.Context, c Config, traces []*Trace) ([]Cost, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.PTime = cmp.Or(c.PTime, interval)
	var m meter
	m.overhead = m.measure(clock, func() {})
	for _, t := range traces {
		if c.Duration > 0 {
			t = t.limit(c.Duration)
		}
		if len(t.Arrivals) < 2 {
			continue
		}
		s := &simulation{config: c, trace: t, began: epoch}
		if err := s.send(); err != nil {
			return nil, fmt.Errorf("quality: %s: %w", t.Name, err)
		}
		times, err := m.quietest(ctx, s)
		if err != nil {
			return nil, err
		}
		objects, err := m.run(ctx, s, mallocs, 0)
		if err != nil {
			return nil, err
		}
		for kind := range costs {
			m.times[kind] = append(m.times[kind], times[kind]...)
			m.mallocs[kind] = append(m.mallocs[kind], objects[kind]...)
		}
	}
	return m.costs(), nil
}

// passes is how often each frame is measured. The machine may be busy with other
// things in some of them.
const passes = 5

// quietest returns what frames cost in the fastest of their passes. Each pass is the
// same to the last sample.
func (m *meter) quietest(ctx context.Context, s *simulation) (least [3][]int64, err error) {
	for pass := range passes {
		times, err := m.run(ctx, s, clock, m.overhead)
		if err != nil {
			return least, err
		}
		if pass == 0 {
			least = times
			continue
		}
		for kind := range least {
			if len(times[kind]) != len(least[kind]) {
				return least, fmt.Errorf("quality: %s: passes differ", s.trace.Name)
			}
			for i, t := range times[kind] {
				least[kind][i] = min(least[kind][i], t)
			}
		}
	}
	return least, nil
}

// A meter gathers what frames cost, by kind.
type meter struct {
	overhead int64 // nanoseconds that reading the clock twice takes
	times    [3][]int64
	mallocs  [3][]int64

	packet  rtp.Packet // read last
	payload []byte
}

// clock returns nanoseconds since some moment.
func clock() int64 { return int64(time.Since(epoch)) }

// epoch is also when the simulations begin that are measured. It has a reading of
// the monotonic clock, as the times of a call have: arithmetic on others costs
// several times as much.
var epoch = time.Now()

// mallocs returns how many objects the program has allocated.
func mallocs() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Mallocs)
}

// measure returns by how much a gauge rises in work, at the median.
func (m *meter) measure(gauge func() int64, work func()) int64 {
	all := make([]int64, 1001)
	for i := range all {
		before := gauge()
		work()
		all[i] = gauge() - before
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// read returns a copy of a packet in the memory that all packets are read into, as
// from a socket: it is in the cache of the processor.
func (m *meter) read(p *rtp.Packet) *rtp.Packet {
	m.payload = append(m.payload[:0], p.Payload...)
	m.packet = *p
	m.packet.Payload = m.payload
	return &m.packet
}

// run returns, by kind of frame, by how much a gauge rises with each frame and the
// packets that arrived for it.
func (m *meter) run(ctx context.Context, s *simulation, gauge func() int64, overhead int64) (readings [3][]int64, err error) {
	if err := s.open(); err != nil {
		return readings, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	tracker := s.tracker()
	var frame audio.Frame
	var sum int64
	before := s.stats
	broken := false // the frame before was not all media
	for n := 0; ; {
		packet, at, ok := s.step()
		if !ok {
			return readings, nil
		}
		if ctx.Err() != nil {
			return readings, ctx.Err()
		}
		if packet != nil {
			packet = m.read(packet)
		}
		from := gauge()
		if packet != nil {
			s.receiver.Push(at, packet)
			sum += gauge() - from - overhead
			continue
		}
		ok = s.receiver.Pull(at, &frame)
		sum += gauge() - from - overhead
		if !ok {
			return readings, fmt.Errorf("quality: %s: no frame at %v, when it was due", s.trace.Name, at.Sub(s.began))
		}
		s.receiver.Stats(&s.stats)
		kind, count := concealed, s.stats.Concealed-before.Concealed >= frame.Duration()/2
		if s.stats.Media-before.Media >= frame.Duration() {
			kind, count = stretched, !broken
			if tracker.whole(frame.Samples, (s.newest+1)*s.format.Samples(s.config.PTime)) {
				kind = ordinary
			}
			broken = false
		} else {
			tracker.next += len(frame.Samples)
			broken = true
		}
		if n++; n > settle && count {
			readings[kind] = append(readings[kind], sum)
		}
		before, sum = s.stats, 0
	}
}

func (m *meter) costs() []Cost {
	all := slices.Clone(costs)
	for kind := range all {
		c, ns := &all[kind], m.times[kind]
		c.Frames = len(ns)
		if c.Frames == 0 {
			continue
		}
		slices.Sort(ns)
		c.Median, c.P95 = float64(ns[len(ns)/2]), float64(ns[len(ns)*95/100])
		var sum int64
		for _, n := range m.mallocs[kind] {
			sum += n
		}
		c.Allocs = round(float64(sum)/float64(max(len(m.mallocs[kind]), 1)), 3)
	}
	return all
}

const costColumns = "%-10s %8s %12s %12s %14s  %s"

// CostHeader returns the names of the columns of [Cost.String].
func CostHeader() string {
	return fmt.Sprintf(costColumns, "frame", "frames", "median, ns", "95 %, ns", "goal", "allocations")
}

// String returns the cost as a line of a table.
func (c Cost) String() string {
	if c.Frames == 0 {
		return fmt.Sprintf(costColumns, c.Frame, "0", "-", "-", "-", "-")
	}
	goal := fmt.Sprintf("≤ %.0f missed", c.Goal)
	if c.Median <= c.Goal {
		goal = fmt.Sprintf("≤ %.0f met", c.Goal)
	}
	return fmt.Sprintf(costColumns, c.Frame, fmt.Sprint(c.Frames), fmt.Sprintf("%.0f", c.Median), fmt.Sprintf("%.0f", c.P95), goal, fmt.Sprintf("%.3g", c.Allocs))
}
