//go:build interop && soak

package peer_test

import (
	"context"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/audio"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// A page hears itself for ten minutes, or as many as -timeout allows, all the time
// with the same delay but for that of jitter buffers, which follow the machine, and
// this process does not grow: at first what it sends goes back as it is coded, and
// then by way of frames.
func TestLiveEcho(t *testing.T) {
	needOpus(t)
	length := 10 * time.Minute
	if end, ok := t.Deadline(); ok {
		length = min(length, time.Until(end)-2*time.Minute)
	}
	p, e := record(t, headless.Chromium), listen(t, nil)
	t.Run("coded", func(t *testing.T) { staysPut(t, p, e, echo.Handler{}, length/2) })
	t.Run("frames", func(t *testing.T) { staysPut(t, p, e, parley.HandlerFunc(echoFrames), length/2) })
}

func echoFrames(_ context.Context, c *parley.Call) error {
	var f audio.Frame
	for {
		if err := c.Audio().ReadFrame(&f); err != nil {
			return err
		}
		if err := c.Audio().WriteLive(&f); err != nil {
			return err
		}
	}
}

func staysPut(t *testing.T, p *studio, e *peer.Endpoint, h parley.Handler, length time.Duration) {
	p.do(t, "start")
	p.do(t, "beeps", 1000, "opus")
	far := p.call(t, e, nil)
	defer far.Close()
	serve(t, far.Call, h)
	mid := far.Audio().Mid()
	p.do(t, "loud", mid)
	p.do(t, "sleep", 20000) // until the jitter buffers of both ends have settled
	var delays []float64    // seconds
	var at []float64
	var waits []float64 // in the page's jitter buffer, and in that of the echo
	var s parley.Stats
	var heaps []uint64
	begin := time.Now()
	for time.Since(begin) < length {
		before := p.inbound(t, mid)
		p.do(t, "compare", mid)
		p.do(t, "sleep", 6000)
		x := p.cut(t, mid)
		after := p.inbound(t, mid)
		far.Stats(&s)
		waited := after.waited(before) + s.Audio.Added.Seconds()
		waits = append(waits, waited)
		for _, d := range x.delays() {
			delays, at = append(delays, d.Seconds()-waited), append(at, time.Since(begin).Seconds())
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heaps = append(heaps, m.HeapAlloc)
		p.do(t, "sleep", 4000)
	}
	queued := time.Duration(math.MaxInt64) // the least, as a stall may just have been
	for range 50 {
		far.Stats(&s)
		queued = min(queued, s.Audio.Queued)
		p.do(t, "sleep", 50)
	}
	last := p.inbound(t, mid)
	p.do(t, "stop")
	if float64(len(delays)) < length.Seconds()/3 {
		t.Fatalf("%d beeps were heard in %v", len(delays), length)
	}
	fifth := len(delays) / 5
	first, end := median(delays[:fifth]), median(delays[len(delays)-fifth:])
	inclined := slope(at, delays)
	grown := int64(slices.Min(heaps[len(heaps)*4/5:])) - int64(slices.Min(heaps[len(heaps)/5:len(heaps)*2/5+1]))
	t.Logf("%d beeps in %v: %.1f ms after, %.1f ms at the end (%.1f to %.1f) without %.1f to %.1f ms in jitter buffers, slope %.2f ms a minute; heap %d kB, grown by %d kB; %d packets lost; %+v",
		len(delays), length, 1000*first, 1000*end, 1000*slices.Min(delays), 1000*slices.Max(delays), 1000*slices.Min(waits), 1000*slices.Max(waits), 60000*inclined, heaps[len(heaps)-1]>>10, grown>>10, last.PacketsLost, s.Audio)
	if d := math.Abs(end - first); d > 0.040 {
		t.Errorf("the delay has changed by %.1f ms", 1000*d)
	}
	if total := math.Abs(inclined) * length.Seconds(); total > 0.040 {
		t.Errorf("the delay goes up or down by %.1f ms in %v", 1000*total, length)
	}
	if queued > 40*time.Millisecond {
		t.Errorf("%v wait to be sent", queued)
	}
	if grown > 1<<20 {
		t.Errorf("the heap has grown by %d kB", grown>>10)
	}
}

// waited returns for how many seconds a sample waited in the jitter buffer of the page,
// since before.
func (r *reception) waited(before reception) float64 {
	return (r.JitterBufferDelay - before.JitterBufferDelay) / float64(max(1, r.JitterBufferEmittedCount-before.JitterBufferEmittedCount))
}

// slope is the median of those between any two points that are a fifth of x apart, so
// that a stall of the machine, which is over soon, does not count.
func slope(x, y []float64) float64 {
	var all []float64
	apart := (x[len(x)-1] - x[0]) / 5
	for i := range x {
		for j := i + 1; j < len(x); j++ {
			if x[j]-x[i] >= apart {
				all = append(all, (y[j]-y[i])/(x[j]-x[i]))
			}
		}
	}
	return median(all)
}
