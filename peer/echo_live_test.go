//go:build interop && soak

package peer_test

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// A page hears itself for ten minutes, or as many as -timeout allows, all the time
// with the same delay, and this process does not grow: at first what it sends goes
// back as it is coded, and then by way of frames.
func TestLiveEcho(t *testing.T) {
	needOpus(t)
	length := 10 * time.Minute
	if end, ok := t.Deadline(); ok {
		length = min(length, time.Until(end)-2*time.Minute)
	}
	p, e := record(t, headless.Chromium), listen(t, nil)
	t.Run("coded", func(t *testing.T) { staysPut(t, p, e, echo.Handler{}, length/2) })
	t.Run("frames", func(t *testing.T) { staysPut(t, p, e, newEcho(), length/2) })
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
	var heaps []uint64
	begin := time.Now()
	for time.Since(begin) < length {
		p.do(t, "compare", mid)
		p.do(t, "sleep", 6000)
		x := p.cut(t, mid)
		for _, d := range x.delays() {
			delays, at = append(delays, d.Seconds()), append(at, time.Since(begin).Seconds())
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heaps = append(heaps, m.HeapAlloc)
		p.do(t, "sleep", 4000)
	}
	var s parley.Stats
	far.Stats(&s)
	last := p.inbound(t, mid)
	p.do(t, "stop")
	if float64(len(delays)) < length.Seconds()/3 {
		t.Fatalf("%d beeps were heard in %v", len(delays), length)
	}
	fifth := len(delays) / 5
	first, end := median(delays[:fifth]), median(delays[len(delays)-fifth:])
	inclined := slope(at, delays)
	grown := int64(slices.Min(heaps[len(heaps)*4/5:])) - int64(slices.Min(heaps[len(heaps)/5:len(heaps)*2/5+1]))
	t.Logf("%d beeps in %v: %.1f ms after, %.1f ms at the end (%.1f to %.1f), slope %.2f ms a minute; heap %d kB, grown by %d kB; %d packets lost; %+v",
		len(delays), length, 1000*first, 1000*end, 1000*slices.Min(delays), 1000*slices.Max(delays), 60000*inclined, heaps[len(heaps)-1]>>10, grown>>10, last.PacketsLost, s.Audio)
	if d := math.Abs(end - first); d > 0.040 {
		t.Errorf("the delay has changed by %.1f ms", 1000*d)
	}
	if total := math.Abs(inclined) * length.Seconds(); total > 0.040 {
		t.Errorf("the delay goes up or down by %.1f ms in %v", 1000*total, length)
	}
	if grown > 1<<20 {
		t.Errorf("the heap has grown by %d kB", grown>>10)
	}
}

// slope is that of the straight line through points, by least squares.
func slope(x, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	n := float64(len(x))
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}
