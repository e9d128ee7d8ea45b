package quality

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/parley-media/parley/internal/metric"
	"github.com/parley-media/parley/stream"
)

// A Concealment says how one way of filling gaps sounds behind one channel.
type Concealment struct {
	Channel string  `json:"channel"`
	Method  string  `json:"method"`
	LostPct float64 `json:"lost_pct"` // of the packets
	metric.Sound

	Rate  int     `json:"-"`
	Heard []int16 `json:"-"` // as long as what was sent, and in step with it
	Sent  []int16 `json:"-"`
}

// channels are what the ways of filling gaps are compared on.
var channels = []struct {
	name string
	Loss
}{
	{"random-5", Loss{Rate: 0.05}},
	{"random-10", Loss{Rate: 0.10}},
	{"bursty-5", Loss{Rate: 0.05, Burst: 3}},
	{"bursty-10", Loss{Rate: 0.10, Burst: 3}},
}

// methods are the ways of filling gaps. Two are what anybody would do first, as
// a measure. The others are the receiver: what it can do depends on whether the
// packet after the gap is there when the gap has to be filled, so that it is
// given the depth for that or not. The last of them is for Opus, whose packets
// may have a coarse copy of the one before.
var methods = []struct {
	name  string
	fill  func(heard []int16, gap metric.Gap, packet, rate int)
	depth time.Duration
	fec   bool // with copies in the packets, if the codec has them
}{
	{name: "silence", fill: func(heard []int16, g metric.Gap, _, _ int) { clear(heard[g.Heard:][:g.N]) }},
	{name: "repetition", fill: repeat},
	{name: "one-sided", depth: interval - time.Millisecond},
	{name: "two-sided", depth: 4 * interval},
	{name: "fec", depth: 4 * interval, fec: true},
}

// fade is how long a packet is repeated until it has faded out.
const fade = 60 * time.Millisecond

// repeat fills a gap with the packet before it, fainter and fainter.
func repeat(heard []int16, g metric.Gap, packet, rate int) {
	length := int(fade * time.Duration(rate) / time.Second)
	for i := range g.N {
		var v int16
		if from := g.Heard - packet + i%packet; from >= 0 && i < length {
			v = int16(int(heard[from]) * (length - i) / length)
		}
		heard[g.Heard+i] = v
	}
}

// Conceal compares ways of filling gaps, with the same losses for all of them,
// and reports each as soon as it is known. The playout and the delays of c do
// not matter. It returns the error of ctx when that ends before.
func Conceal(ctx context.Context, c Config, seed uint64, report func(*Concealment) error) error {
	length := Length
	if c.Duration > 0 {
		length = c.Duration
	}
	for _, channel := range channels {
		trace := Lossy(channel.name, seed, channel.Loss, length)
		for _, m := range methods {
			if m.fec && !strings.EqualFold(c.Codec.Name, "opus") {
				continue
			}
			s := &simulation{config: c, trace: trace, began: began}
			s.config.PTime = interval
			if m.fec {
				s.config.Codec.FMTP += ";useinbandfec=1"
				s.config.ExpectedLoss = int(100*channel.Rate + 0.5)
			}
			if err := s.send(); err != nil {
				return fmt.Errorf("quality: %s: %w", trace.Name, err)
			}
			packet := s.format.Samples(interval)
			gaps := s.lost(packet)
			heard := append([]int16(nil), s.sent...)
			for _, g := range gaps {
				if m.fill != nil {
					m.fill(heard, g, packet, s.format.Rate)
				}
			}
			if m.fill == nil {
				s.config.Playout, s.config.MinDelay = stream.Fixed, m.depth
				if err := s.receive(ctx); err != nil {
					return err
				}
				heard = s.inStep()
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			err := report(&Concealment{
				Channel: channel.name,
				Method:  m.name,
				LostPct: percent(len(s.packets)-len(s.arrivals), len(s.packets)),
				Sound:   metric.Compare(s.sent, heard, s.format.Rate, gaps),
				Rate:    s.format.Rate,
				Heard:   heard,
				Sent:    s.sent,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// lost returns the runs of lost packets between two that arrived.
func (s *simulation) lost(packet int) []metric.Gap {
	var all []metric.Gap
	for i := 1; i < len(s.arrivals); i++ {
		first, end := s.arrivals[i-1].Seq+1, s.arrivals[i].Seq
		if first < end {
			all = append(all, metric.Gap{Heard: first * packet, Sent: first * packet, N: (end - first) * packet})
		}
	}
	return all
}

// inStep returns what was heard, moved to where it was sent. A fixed playout
// keeps step throughout.
func (s *simulation) inStep() []int16 {
	heard := make([]int16, len(s.sent))
	for i, t := range s.ticks {
		if t.found {
			frame := s.format.Samples(s.config.PTime)
			shift := s.format.Samples(t.place) - s.format.Samples(t.offset) - i*frame
			copy(heard[max(0, shift):], s.heard[max(0, -shift):])
			break
		}
	}
	return heard
}

const concealColumns = "%-11s %-11s %8s %6s %12s %10s %8s"

// ConcealHeader returns the names of the columns of [Concealment.String].
func ConcealHeader() string {
	return fmt.Sprintf(concealColumns, "loss", "gaps are", "lost", "gaps", "segSNR, dB", "LSD, dB", "clicks")
}

// String returns the concealment as a line of a table.
func (c *Concealment) String() string {
	return fmt.Sprintf(concealColumns, c.Channel, c.Method, fmt.Sprintf("%.1f %%", c.LostPct), fmt.Sprint(c.Gaps),
		fmt.Sprintf("%.2f", c.SegSNR), fmt.Sprintf("%.2f", c.LSD), fmt.Sprintf("%.1f %%", c.Clicks))
}
