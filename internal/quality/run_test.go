package quality

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	_ "github.com/parley-media/parley/codec/g722"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/internal/metric"
	"github.com/parley-media/parley/stream"
)

var (
	pcmu = codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	g722 = codec.Params{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1}
	l16  = codec.Params{Name: "L16", PayloadType: 96, ClockRate: 16000, Channels: 1}
)

// fixed is a playout whose delays can be worked out by hand.
func fixed() Config {
	return Config{Codec: pcmu, Playout: stream.Fixed, MinDelay: 60 * time.Millisecond, Speech: Speech(8000)}
}

// path returns a trace of n packets that take 30 ms each, but for those that are
// named: they take longer by so many milliseconds, or are lost if that is
// negative.
func path(n int, longer map[int]float64) *Trace {
	t := &Trace{Name: "path", Sent: n}
	for i := range n {
		if d := longer[i]; d >= 0 {
			t.Arrivals = append(t.Arrivals, Arrival{i, ms(20*float64(i) + 30 + d)})
		}
	}
	t.sort()
	return t
}

func run(t *testing.T, c Config, trace *Trace) *Result {
	t.Helper()
	r, err := Run(t.Context(), c, trace)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// With a fixed playout everything follows from the arrivals. The first frame is
// played 60 ms after the first packet has arrived, and the output ends 20 ms
// after the last packet would have left the fastest network: 97 frames for 100
// packets.
func TestByHand(t *testing.T) {
	for _, c := range []struct {
		name   string
		longer map[int]float64
		want   Result
	}{
		{"without trouble", nil, Result{DelayMean: 60, DelayP95: 60, DelayP99: 60, DelayMax: 60}},
		// The fastest packet is 10 ms faster than the first one, which sets the pace.
		{
			"a slow first packet",
			map[int]float64{0: 10},
			Result{DelayMean: 70, DelayP95: 70, DelayP99: 70, DelayMax: 70},
		},
		{
			"one lost",
			map[int]float64{10: -1},
			Result{
				LostPct: 1, DelayMean: 60, DelayP95: 60, DelayP99: 60, DelayMax: 60,
				Concealed: round(100*20./1940, 3), Events: 1, LongestRun: 20,
			},
		},
		{
			"eight lost in a row and, apart, two",
			map[int]float64{10: -1, 11: -1, 12: -1, 13: -1, 14: -1, 15: -1, 16: -1, 17: -1, 30: -1, 32: -1},
			Result{
				LostPct: 10, DelayMean: 60, DelayP95: 60, DelayP99: 60, DelayMax: 60,
				Concealed: round(100*200./1940, 3), Events: 3, Over60: 1, Over150: 1, LongestRun: 160,
			},
		},
		// 59 ms later than the others a packet is still heard, 61 ms are too late.
		{
			"in time and late",
			map[int]float64{20: 59, 40: 61},
			Result{
				DelayMean: 60, DelayP95: 60, DelayP99: 60, DelayMax: 60,
				Concealed: round(100*20./1940, 3), Events: 1, LongestRun: 20, LatePct: 1,
			},
		},
	} {
		got := run(t, fixed(), path(100, c.longer))
		if len(got.Heard) != 97*160 || len(got.Points) != 97 || got.Rate != 8000 {
			t.Errorf("%s: %d samples, %d points", c.name, len(got.Heard), len(got.Points))
		}
		if got.Begin < 90*time.Millisecond || got.Begin > 100*time.Millisecond {
			t.Errorf("%s: it begins at %v", c.name, got.Begin)
		}
		got.Heard, got.Points, got.Rate, got.Begin, got.Sound = nil, nil, 0, 0, metric.Sound{}
		c.want.Trace, c.want.Packets = "path", 100
		if diff := cmp.Diff(&c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// The same with every codec and ptime: no trouble means a constant delay, with
// which all that was sent is heard as it was sent.
func TestCodecsAndPTimes(t *testing.T) {
	for _, params := range []codec.Params{pcmu, g722, l16} {
		for _, ptime := range []int{10, 20, 30, 60} {
			c := fixed()
			c.Codec, c.PTime = params, time.Duration(ptime)*time.Millisecond
			impl, err := codec.Lookup(params)
			if err != nil {
				t.Fatal(err)
			}
			format, err := impl.Format(params)
			if err != nil {
				t.Fatal(err)
			}
			c.Speech = Speech(format.Rate)
			r := run(t, c, path(300, nil))
			if r.DelayMean != 60 || r.DelayMax != 60 || r.Concealed != 0 || r.Packets != 6000/ptime || r.Rate != format.Rate {
				t.Errorf("%v, %d ms: %+v", params, ptime, r)
			}
			for i, p := range r.Points {
				if p.Delay != 60*time.Millisecond {
					t.Fatalf("%v, %d ms: delay %v of frame %d", params, ptime, p.Delay, i)
				}
			}
		}
	}
}

// Delays are the same when they are taken from impulses in the sound, without
// the tracker: each one is heard where it was sent, later by the delay.
func TestDelaysBesideImpulses(t *testing.T) {
	const rate = 8000
	speech := Speech(rate)
	every := rate * 7 / 20 // is never at the same place of a frame for long
	for i := range speech {
		speech[i] /= 4
		if i%every == every-1 {
			speech[i] = math.MaxInt16
		}
	}
	speech = speech[:len(speech)/every*every]
	for _, playout := range []stream.Playout{stream.Fixed, stream.Adaptive} {
		for _, trace := range Generate(3) {
			c := Config{Codec: pcmu, Playout: playout, Speech: speech}
			r := run(t, c, trace)
			// When each impulse is due behind the fastest packet.
			floor := trace.leastTransit()
			checked, apart := 0, 0
			for i, v := range r.Heard {
				if v < 25000 {
					continue
				}
				at := r.Begin + time.Duration(i)*time.Second/rate
				point := r.Points[i/160]
				if point.Delay < 0 {
					continue
				}
				// The impulse that is nearest to what the tracker says.
				sent := float64(at-floor-point.Delay) / (1 + trace.Drift/1e6)
				k := int(math.Round((sent/1e9*rate + 1) / float64(every)))
				media := time.Duration(k*every-1) * time.Second / rate
				delay := at - trace.sent(media) - floor
				checked++
				if d := delay - point.Delay; d < -12*time.Millisecond || d > 12*time.Millisecond {
					apart++
				}
			}
			if checked < 80 || apart > checked/50 {
				t.Errorf("%v, %s: %d of %d impulses are not heard when the delay says", playout, trace.Name, apart, checked)
			}
		}
	}
}

func TestCatchUp(t *testing.T) {
	trace := path(300, nil)
	for i := range trace.Arrivals { // nothing for 600 ms
		if a := &trace.Arrivals[i]; a.Seq >= 100 && a.Seq < 130 {
			a.At = ms(2630)
		}
	}
	r := run(t, fixed(), trace)
	if r.Outage != 620 || r.CatchUp == nil {
		t.Fatalf("an outage of %v ms, caught up after %v", r.Outage, r.CatchUp)
	}
	var last time.Duration
	for _, p := range r.Points {
		if p.Delay >= caughtUp {
			last = p.At + 20*time.Millisecond
		}
	}
	if want := math.Round(milliseconds(r.Begin + last - ms(2630))); *r.CatchUp != max(0, want) {
		t.Errorf("caught up after %v ms, want %v", *r.CatchUp, want)
	}
	// Lost packets leave a hole too, but there is nothing to catch up with.
	lost := make(map[int]float64)
	for i := range 30 {
		lost[100+i] = -1
	}
	if r := run(t, fixed(), path(300, lost)); r.CatchUp != nil || r.Outage != 0 {
		t.Errorf("an outage of %v ms", r.Outage)
	}
}

func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, fixed(), path(100, nil)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := Run(t.Context(), fixed(), &Trace{Name: "empty"}); !errors.Is(err, ErrTrace) {
		t.Error(err)
	}
	c := fixed()
	c.Codec.Name = "GSM"
	if _, err := Run(t.Context(), c, path(100, nil)); !errors.Is(err, codec.ErrUnknown) {
		t.Error(err)
	}
	c = fixed()
	c.Duration = time.Second
	if r := run(t, c, path(100, nil)); r.Packets != 50 || len(r.Points) != 47 {
		t.Errorf("%d packets, %d frames", r.Packets, len(r.Points))
	}
}

// The numbers of a trace are the same in every run.
func ExampleRun() {
	trace, err := ReadTrace("example", strings.NewReader("seq,arrival_ms\n0,30\n1,50\n2,\n3,95\n4,111\n5,130\n6,150\n7,170\n8,190\n9,210\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := Run(context.Background(), Config{
		Codec:    codec.Params{Name: "PCMU", ClockRate: 8000},
		Playout:  stream.Fixed,
		MinDelay: 60 * time.Millisecond,
		Speech:   Speech(8000),
	}, trace)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.0f ms later, %.1f %% concealed, %.1f %% late\n", r.DelayMean, r.Concealed, r.LatePct)
	// Output: 60 ms later, 14.3 % concealed, 0.0 % late
}

// What a program reads of a result.
func TestJSON(t *testing.T) {
	r := run(t, fixed(), path(100, map[int]float64{10: -1}))
	r.Sound = metric.Sound{Gaps: 1, SegSNR: 1.5, LSD: 2.25, Clicks: 0}
	text, err := json.Marshal(r)
	const want = `{"trace":"path","packets":100,"lost_pct":1,"delay_mean_ms":60,"delay_p95_ms":60,"delay_p99_ms":60,"delay_max_ms":60,` +
		`"concealed_pct":1.031,"events":1,"runs_over_60ms":0,"runs_over_150ms":0,"longest_run_ms":20,"late_pct":0,` +
		`"stretched_pct":0,"compressed_pct":0,"gaps":1,"segsnr_db":1.5,"lsd_db":2.25,"clicks_pct":0}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
}
