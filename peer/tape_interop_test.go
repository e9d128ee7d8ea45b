//go:build interop

package peer_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	headless "github.com/parley-media/parley/internal/browser"
)

// A tape is sound that was heard, sample by sample.
type tape struct {
	rate        int
	left, right []int16
	begin       time.Time // when the first sample was heard

	// slack is by how much the machine was too busy meanwhile to do in time what was
	// due, in the page and here: what is missing or late by that is not held against
	// anybody.
	slack time.Duration
}

// A studio is a page whose lines can be recorded.
type studio struct {
	*page
	mu    sync.Mutex
	tapes map[string][]byte
	count int
	watch func() time.Duration
}

// record opens the page in a browser, which lives until the test ends.
func record(t *testing.T, start func(testing.TB, string) *headless.Process) *studio {
	t.Helper()
	s := &studio{page: &page{console: headless.NewConsole()}, tapes: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.Handle("/peer/", s.console)
	mux.HandleFunc("POST /tape/{name}", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tapes[r.PathValue("name")] = b
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.process = start(t, s.console.URL(server.URL))
	return s
}

// lateness finds out how late this process comes to what is due, until the
// returned function is called.
func lateness() func() time.Duration {
	done, latest := make(chan struct{}), make(chan time.Duration)
	go func() {
		const every = 5 * time.Millisecond
		tick := time.NewTicker(every)
		defer tick.Stop()
		var late time.Duration
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-tick.C:
				late = max(late, time.Since(last)-every)
			case <-done:
				latest <- late
				return
			}
		}
	}()
	return func() time.Duration {
		close(done)
		return <-latest
	}
}

// tape begins to record a line.
func (s *studio) tape(t *testing.T, mid string) {
	t.Helper()
	s.do(t, "tape", mid)
	s.watch = lateness()
}

// cut ends the recording of a line.
func (s *studio) cut(t *testing.T, mid string) *tape {
	t.Helper()
	s.mu.Lock()
	s.count++
	name := fmt.Sprint("tape-", s.count)
	s.mu.Unlock()
	var told struct {
		Rate  int
		Marks [][2]float64
		Late  float64
	}
	s.into(t, &told, "cut", mid, "/tape/"+name)
	var slack time.Duration
	if s.watch != nil {
		slack = s.watch()
		s.watch = nil
	}
	s.mu.Lock()
	b := s.tapes[name]
	delete(s.tapes, name)
	s.mu.Unlock()
	x := &tape{rate: told.Rate}
	for ; len(b) >= 4; b = b[4:] {
		x.left = append(x.left, int16(binary.LittleEndian.Uint16(b)))
		x.right = append(x.right, int16(binary.LittleEndian.Uint16(b[2:])))
	}
	if len(x.left) == 0 || len(told.Marks) == 0 {
		t.Fatalf("nothing was recorded on %s", mid)
	}
	// The page works through its sound in bursts, of which the earliest are in time.
	var late []float64
	for _, m := range told.Marks {
		late = append(late, m[1]-1000*m[0]/float64(told.Rate))
	}
	slices.Sort(late)
	x.begin = time.UnixMicro(int64(1000 * late[0]))
	x.slack = slack + time.Duration(1e6*max(told.Late, late[len(late)-1]-late[len(late)/2]))
	return x
}

// listen appends a frame, as this end has heard it.
func (x *tape) listen(f *audio.Frame) {
	x.rate = f.Format.Rate
	for i := 0; i < len(f.Samples); i += f.Format.Channels {
		x.left = append(x.left, f.Samples[i])
		x.right = append(x.right, f.Samples[i+f.Format.Channels-1])
	}
}

// keep leaves the tape as a WAV file for who looks at a failure.
func (x *tape) keep(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(t.ArtifactDir(), name+".wav")
	w, err := file.CreateWAV(path, audio.Format{Rate: x.rate, Channels: 2})
	if err != nil {
		t.Log(err)
		return
	}
	defer w.Close()
	f := audio.Frame{Format: w.Format()}
	for i := range x.left {
		f.Samples = append(f.Samples, x.left[i], x.right[i])
	}
	if err := w.WriteFrame(&f); err != nil {
		t.Log(err)
	}
	t.Logf("kept as %s", path)
}

func (x *tape) frames(d time.Duration) int { return int(d * time.Duration(x.rate) / time.Second) }

func (x *tape) duration(frames int) time.Duration {
	return time.Duration(frames) * time.Second / time.Duration(x.rate)
}

// when returns when a sample was heard.
func (x *tape) when(frame int) time.Time { return x.begin.Add(x.duration(frame)) }

// A span is a part of a tape in which there is sound.
type span struct{ from, to int }

// audible is what counts as sound: a twentieth of the tones.
const audible = 410

// spans returns where there is sound on the left, apart from pauses up to the
// given length.
func (x *tape) spans(pause time.Duration) (all []span) {
	limit := x.frames(pause)
	for i, v := range x.left {
		switch {
		case v < audible && v > -audible:
		case len(all) > 0 && i-all[len(all)-1].to <= limit:
			all[len(all)-1].to = i + 1
		default:
			all = append(all, span{i, i + 1})
		}
	}
	return all
}

// gap returns the longest silence between two sounds.
func (x *tape) gap() (longest time.Duration) {
	all := x.spans(0)
	for i := 1; i < len(all); i++ {
		longest = max(longest, x.duration(all[i].from-all[i-1].to))
	}
	return longest
}

// delays returns how much later than on the left each beep is on the right.
func (x *tape) delays() (all []time.Duration) {
	const pause = 300 * time.Millisecond
	back := (&tape{rate: x.rate, left: x.right}).spans(pause)
	for _, s := range x.spans(pause) {
		i := slices.IndexFunc(back, func(b span) bool { return b.from >= s.from })
		if s.from > 0 && i >= 0 && x.duration(back[i].from-s.from) < 900*time.Millisecond {
			all = append(all, x.duration(back[i].from-s.from))
		}
	}
	return all
}

// middle returns the part of a tape without its ends.
func (x *tape) middle(without time.Duration) *tape {
	n := min(x.frames(without), len(x.left)/3)
	return x.part(span{n, len(x.left) - n})
}

func (x *tape) part(s span) *tape {
	return &tape{rate: x.rate, left: x.left[s.from:s.to], right: x.right[s.from:s.to], begin: x.when(s.from)}
}

// decibels returns the mean power of samples, of full scale.
func decibels(samples []int16) float64 {
	var sum float64
	for _, v := range samples {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(max(1, len(samples)))/(1<<30)+1e-12)
}

// power returns how much of a frequency there is in samples, in dB of a tone of
// full scale, through a window of Hann.
func power(samples []int16, rate int, hz float64) float64 {
	n := float64(len(samples))
	step, turn := 2*math.Pi*hz/float64(rate), 2*math.Pi/n
	var re, im float64
	for i, v := range samples {
		w := float64(v) / 32768 * (1 - math.Cos(turn*(float64(i)+0.5)))
		sin, cos := math.Sincos(step * float64(i))
		re += w * cos
		im += w * sin
	}
	return 10 * math.Log10(4*(re*re+im*im)/(n*n)+1e-12)
}

// peak returns the strongest frequency from 100 to 3000 Hz in up to half a second,
// to a tenth of a Hertz.
func peak(samples []int16, rate int) (hz float64) {
	look := func(part []int16, from, to, step float64) {
		best := math.Inf(-1)
		for f := from; f <= to; f += step {
			if p := power(part, rate, f); p > best {
				best, hz = p, f
			}
		}
	}
	samples = samples[:min(len(samples), rate/2)]
	look(samples[:min(len(samples), rate/20)], 100, 3000, 10)
	look(samples, hz-20, hz+20, 1)
	look(samples, hz-1, hz+1, 0.1)
	return hz
}

// strongest returns which of the tones is the loudest in samples.
func strongest(samples []int16, rate int, tones []float64) (which int) {
	best := math.Inf(-1)
	for i, hz := range tones {
		if p := power(samples, rate, hz); p > best {
			best, which = p, i
		}
	}
	return which
}

// steepest returns the largest step between two samples.
func steepest(samples []int16) (largest int) {
	for i := 1; i < len(samples); i++ {
		step := int(samples[i]) - int(samples[i-1])
		largest = max(largest, step, -step)
	}
	return largest
}

// A wave is a tone that goes on from each frame to the next.
type wave struct {
	format audio.Format
	hz     float64
	level  float64 // amplitude, of full scale
	at     int
}

// next returns the next n samples of each channel.
func (w *wave) next(n int) *audio.Frame {
	f := &audio.Frame{Format: w.format}
	for range n {
		v := int16(w.level * 32767 * math.Sin(2*math.Pi*w.hz*float64(w.at)/float64(w.format.Rate)))
		w.at++
		f.Samples = append(f.Samples, slices.Repeat([]int16{v}, w.format.Channels)...)
	}
	return f
}

// reception is what the page counts of a line.
type reception struct {
	PacketsReceived, PacketsLost, PacketsDiscarded int
	TotalSamplesReceived, ConcealedSamples         int
	SilentConcealedSamples, ConcealmentEvents      int
	InsertedSamplesForDeceleration                 int
	RemovedSamplesForAcceleration                  int
	JitterBufferDelay, TotalAudioEnergy            float64
	JitterBufferEmittedCount                       int
}

func (p *page) inbound(t *testing.T, mid string) (r reception) {
	t.Helper()
	p.into(t, &r, "inbound", mid)
	return r
}

// stretched returns by how much the page has played more slowly than it received,
// since before.
func (r *reception) stretched(before reception) time.Duration {
	more := r.InsertedSamplesForDeceleration - before.InsertedSamplesForDeceleration
	less := r.RemovedSamplesForAcceleration - before.RemovedSamplesForAcceleration
	return time.Duration(more-less) * time.Second / 48000
}

// tries runs a test that the machine may spoil up to four times.
func tries(t *testing.T, name string, test func(*testing.T) error) {
	t.Run(name, func(t *testing.T) {
		var failed []string
		for range 4 {
			err := test(t)
			if err == nil {
				return
			}
			t.Log(err)
			failed = append(failed, err.Error())
		}
		t.Error(strings.Join(failed, "; "))
	})
}
