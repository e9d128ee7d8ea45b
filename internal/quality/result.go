package quality

import (
	"math"
	"time"

	"github.com/parley-media/parley/internal/metric"
)

// A Result says how one trace was heard. Times are milliseconds.
type Result struct {
	Trace      string  `json:"trace"`
	Packets    int     `json:"packets"`
	LostPct    float64 `json:"lost_pct"`      // of the packets: never arrived
	DelayMean  float64 `json:"delay_mean_ms"` // added delay: playout, less media time, less the least transit time
	DelayP95   float64 `json:"delay_p95_ms"`
	DelayP99   float64 `json:"delay_p99_ms"`
	DelayMax   float64 `json:"delay_max_ms"`
	Concealed  float64 `json:"concealed_pct"` // of the output: was not sent, whatever the receiver calls it
	Events     int     `json:"events"`        // runs of that
	Over60     int     `json:"runs_over_60ms"`
	Over150    int     `json:"runs_over_150ms"` // of 150 ms and more
	LongestRun float64 `json:"longest_run_ms"`
	LatePct    float64 `json:"late_pct"`       // of the packets: arrived, and were not played
	Stretched  float64 `json:"stretched_pct"`  // of the output: time that was added to the media, by stretching or repeating
	Compressed float64 `json:"compressed_pct"` // of the output: time of the media that was taken away, by compressing or dropping
	metric.Sound
	CatchUp *float64 `json:"catch_up_ms,omitempty"` // after the longest outage: until the delay stays below 100 ms
	Outage  float64  `json:"outage_ms,omitempty"`

	Begin time.Duration `json:"-"` // when the first frame is played, on the clock of the trace

	// Points are for plots.
	Points []Point `json:"-"`

	// Heard is what a listener hears, from the first frame on.
	Heard []int16 `json:"-"`
	Rate  int     `json:"-"`
}

// A Point is one frame of output.
type Point struct {
	At        time.Duration // since the first frame of output
	Delay     time.Duration // added delay; negative if unknown
	Target    time.Duration // what the receiver wants it to be
	Concealed time.Duration // how much of it was not sent
}

const (
	caughtUp    = 100 * time.Millisecond // delay at which an outage is overcome
	leastOutage = 200 * time.Millisecond // shorter ones are jitter
)

func (s *simulation) result() *Result {
	r := &Result{Begin: s.ticks[0].at, Trace: s.trace.Name, Packets: len(s.packets), Heard: s.heard, Rate: s.format.Rate}
	delays, known := s.delays()
	sorted := sortedCopy(delays, known)
	var sum time.Duration
	for _, d := range sorted {
		sum += d
	}
	if n := len(sorted); n > 0 {
		r.DelayMean = round(float64(sum)/float64(n)/1e6, 2)
		r.DelayP95 = milliseconds(percentile(sorted, 0.95))
		r.DelayP99 = milliseconds(percentile(sorted, 0.99))
		r.DelayMax = milliseconds(sorted[n-1])
	}
	s.countRuns(r)
	arrived := make([]bool, len(s.packets))
	for _, a := range s.arrivals {
		arrived[a.Seq] = true
	}
	lost := 0
	for _, ok := range arrived {
		if !ok {
			lost++
		}
	}
	r.LostPct = percent(lost, len(s.packets))
	r.LatePct = percent(int(s.stats.Late+s.stats.Discarded), len(s.packets))
	s.countStretches(r)
	s.catchUp(r, delays, known)
	r.Sound = metric.Compare(s.sent, s.heard, s.format.Rate, s.gaps())
	for i, t := range s.ticks {
		p := Point{At: t.at - s.ticks[0].at, Delay: -1, Target: t.target, Concealed: t.length - t.media}
		if known[i] {
			p.Delay = delays[i]
		}
		r.Points = append(r.Points, p)
	}
	return r
}

// countRuns fills in how much of the output was not sent. A frame that is whole
// ends a run.
func (s *simulation) countRuns(r *Result) {
	var total, concealed, run, longest time.Duration
	end := func() {
		if run == 0 {
			return
		}
		r.Events++
		if run > 60*time.Millisecond {
			r.Over60++
		}
		if run >= 150*time.Millisecond {
			r.Over150++
		}
		longest, run = max(longest, run), 0
	}
	for _, t := range s.ticks {
		total += t.length
		if t.media == t.length {
			end()
			continue
		}
		run += t.length - t.media
		concealed += t.length - t.media
	}
	end()
	r.LongestRun = milliseconds(longest)
	r.Concealed = percent(int(concealed), int(total))
}

// countStretches fills in by how much the media heard between two places that
// were recognised is longer or shorter than the time that it took. What is made
// up in between says nothing about it.
func (s *simulation) countStretches(r *Result) {
	var stretched, compressed, total time.Duration
	var last *tick
	for i := range s.ticks {
		t := &s.ticks[i]
		total += t.length
		switch {
		case t.media != t.length:
			last = nil
		case t.found:
			if last != nil {
				took, media := t.at+t.offset-last.at-last.offset, t.place-last.place
				stretched += max(0, took-media)
				compressed += max(0, media-took)
			}
			last = t
		}
	}
	r.Stretched = percent(int(stretched), int(total))
	r.Compressed = percent(int(compressed), int(total))
}

// catchUp fills in how long it took, after the longest outage, until the delay
// stayed low: to the next outage or to the end. An outage is a time in which
// nothing arrives that was sent, and not one in which what was sent is lost.
func (s *simulation) catchUp(r *Result, delays []time.Duration, known []bool) {
	var from, to, longest time.Duration
	floor := s.trace.leastTransit()
	for i := 1; i < len(s.arrivals); i++ {
		a := s.arrivals[i]
		gap := a.At - s.arrivals[i-1].At
		late := a.At - s.trace.sent(time.Duration(a.Seq)*s.config.PTime) - floor
		switch {
		case gap < leastOutage || late < gap*3/4:
		case gap > longest:
			longest, from, to = gap, a.At, math.MaxInt64
		case to == math.MaxInt64:
			to = s.arrivals[i-1].At
		}
	}
	if longest == 0 {
		return
	}
	r.Outage = milliseconds(longest)
	last := from
	for i, t := range s.ticks {
		if t.at >= from && t.at < to && known[i] && delays[i] >= caughtUp {
			last = t.at + t.length
		}
	}
	ms := math.Round(milliseconds(last - from))
	r.CatchUp = &ms
}

func milliseconds(d time.Duration) float64 { return round(float64(d)/1e6, 2) }

func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return round(100*float64(n)/float64(of), 3)
}

func round(x float64, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(x*p) / p
}
