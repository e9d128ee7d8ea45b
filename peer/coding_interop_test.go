//go:build interop

package peer_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
	"github.com/parley-media/parley/video/vpx"
)

//go:embed testdata/watch.js
var watchScript string

// watching is open with the words of testdata/watch.js.
func watching(t *testing.T) *page {
	t.Helper()
	p := open(t, headless.Chromium)
	p.console.Must(t, 30*time.Second, watchScript)
	return p
}

// An artist sends back what it sees, decoded, drawn anew and encoded.
type artist struct {
	codec string

	mu      sync.Mutex
	effect  video.Transform
	decoded []time.Duration // how long each picture took
	drawn   []time.Duration
	came    map[time.Duration]time.Time // when decoding of a picture began
	stayed  []time.Duration             // from then on until it was written
	pages   map[image.Point]int         // pictures by size
	missed  int64
}

func (a *artist) ServeCall(_ context.Context, c *parley.Call) error {
	line := c.Video()
	decoder, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: a.codec})
	if err != nil {
		return err
	}
	encoder, err := vpx.NewEncoder(vpx.EncoderConfig{Codec: a.codec})
	if err != nil {
		return err
	}
	defer encoder.Close()
	pictures := video.NewPictures(line, &timedDecoder{decoder, a})
	defer pictures.Close()
	var in, out image.YCbCr
	var f video.Frame
	for {
		at, err := pictures.ReadPicture(&in)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := a.look().Draw(&out, &in, at); err != nil {
			return err
		}
		if err := encoder.Encode(&f, &out, at, line.KeyframeRequested()); err != nil && err != video.ErrNoPicture {
			return err
		} else if err == nil {
			took := time.Since(begin)
			if err := line.WriteFrame(&f); err != nil {
				return err
			}
			a.mu.Lock()
			a.drawn = append(a.drawn, took)
			a.stayed = append(a.stayed, time.Since(a.came[at]))
			clear(a.came)
			a.pages[out.Rect.Size()]++
			a.missed = pictures.Missed()
			a.mu.Unlock()
		}
	}
}

func (a *artist) look() video.Transform {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.effect
}

// draw changes the effect, and begins to measure anew.
func (a *artist) draw(t *testing.T, name string) {
	t.Helper()
	effect, err := video.NewTransform(name)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.effect, a.decoded, a.drawn, a.stayed = effect, nil, nil, nil
}

// each returns how long half of the pictures took at most, decoding included.
func (a *artist) each() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return median(a.decoded) + median(a.drawn)
}

// staying returns how long half of the pictures were here at most, from the call to
// the call, with the goroutines in between.
func (a *artist) staying() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return median(a.stayed)
}

// left returns how many pictures were left out for newer ones.
func (a *artist) left() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.missed
}

// median returns that of values, or a very large one if there are none.
func median[T time.Duration | float64](values []T) T {
	if len(values) == 0 {
		return T(time.Hour)
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

type timedDecoder struct {
	video.Decoder
	a *artist
}

func (d *timedDecoder) Decode(dst *image.YCbCr, f *video.Frame) error {
	begin := time.Now()
	d.a.mu.Lock()
	d.a.came[f.Time] = begin
	d.a.mu.Unlock()
	err := d.Decoder.Decode(dst, f)
	d.a.mu.Lock()
	defer d.a.mu.Unlock()
	d.a.decoded = append(d.a.decoded, time.Since(begin))
	return err
}

// What a page shows comes back drawn anew, soon, and as often as it was shown.
func TestDrawnChromium(t *testing.T) {
	t.Parallel()
	p, e := watching(t), listen(t, nil)
	for _, codec := range []string{"VP8", "VP9"} {
		twice(t, codec, func(t *testing.T) error { return draws(t, p, e, codec) })
	}
}

func draws(t *testing.T, p *page, e *peer.Endpoint, codec string) error {
	a := &artist{codec: codec, effect: video.None{}, pages: map[image.Point]int{}, came: map[time.Duration]time.Time{}}
	p.do(t, "start")
	p.do(t, "camera", "camera", 1, options{"codec": codec, "width": 640, "height": 480})
	far, answer, err := e.Answer(t.Context(), p.do(t, "offer", p.patience()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	serve(t, far.Call, a)
	p.do(t, "accept", answer)
	mid := far.Video().Mid()
	p.do(t, "eye", mid)
	p.connect(t, far)
	first := p.sees(t, mid, 1)
	p.do(t, "seen", mid, true)

	// Numbers, as they are.
	var before, after parley.Stats
	missed := a.left()
	came := p.number(t, "received", mid)
	far.Stats(&before)
	v := p.sees(t, mid, 40)
	far.Stats(&after)
	came = p.number(t, "received", mid) - came
	missed = a.left() - missed
	in, out := after.Video.Frames-before.Video.Frames, after.Video.FramesSent-before.Video.FramesSent
	plain, stayed := a.each(), a.staying()
	if v.Back > 0 || len(v.IDs) != 1 || v.IDs[0] != 1 || v.Bad > v.Frames/10 {
		t.Errorf("%d pictures, %d of them cannot be read, %d out of order, of cameras %v", v.Frames, v.Bad, v.Back, v.IDs)
	}

	// Outlines are light between the columns' halves, and all else is dark.
	a.draw(t, "edges")
	var edges, flat [][2]float64
	for i := range 16 {
		x := (float64(i) + 0.5) / 16
		edges, flat = append(edges, [2]float64{x, 0.5}), append(flat, [2]float64{x, 0.25}, [2]float64{x, 0.75})
	}
	p.until(t, mid, "outlines", append(edges, flat...), func(n int, c [3]int) bool {
		return grey(c) && (n < len(edges)) == (c[1] > 90) && (n < len(edges) || c[1] < 40)
	}, 0.95)
	times := []time.Duration{a.each()}

	// What is turned turns by 45 degrees each second, counter-clockwise.
	p.do(t, "sheet", "camera", "halves")
	a.draw(t, "rotate")
	p.do(t, "sleep", 300)
	speed := p.turns(t, mid)
	if speed < 40 || speed > 50 {
		t.Errorf("the picture turns by %.1f degrees per second, want 45", speed)
	}
	times = append(times, a.each())

	// A ramp becomes eight steps.
	p.do(t, "sheet", "camera", "ramp")
	a.draw(t, "cartoon")
	var across [][2]float64
	for i := range 200 {
		across = append(across, [2]float64{(float64(i) + 0.5) / 200, 0.4})
	}
	p.until(t, mid, "steps", across, func(_ int, c [3]int) bool {
		off := math.Mod(float64(c[1]), 255.0/8) - 255.0/16
		return grey(c) && math.Abs(off) < 7
	}, 0.85)
	times = append(times, a.each())

	// Another size goes all the way. A larger picture Chromium would make smaller
	// again when it is busy.
	a.draw(t, "none")
	p.do(t, "resize", "camera", 240, 180)
	p.do(t, "sheet", "camera", "")
	p.do(t, "sized", mid, "240x180")
	p.do(t, "stop")

	t.Logf("first picture after %.0f ms, delay %.0f ms, of that %v here, %d frames in, %d out, %.0f at the page; per picture of %v: %v, edges %v, rotate %v, cartoon %v; turns by %.1f degrees/s; %d missed",
		first.FirstAt-first.ConnectedAt, v.Delay, stayed, in, out, came, a.pages, plain, times[0], times[1], times[2], speed, a.missed)
	var failed []error
	if d := first.FirstAt - first.ConnectedAt; d > 1000 {
		failed = append(failed, fmt.Errorf("the first picture came after %.0f ms", d))
	}
	if v.Delay > 200 && stayed > 100*time.Millisecond { // a busy page delays them too
		failed = append(failed, fmt.Errorf("a delay of %.0f ms, of that %v here", v.Delay, stayed))
	}
	if float64(out+missed) < 0.9*float64(in) || came < 0.9*float64(out)-3 {
		failed = append(failed, fmt.Errorf("%d frames in, %d out, of which %.0f came to the page", in, out, came))
	}
	for _, each := range append(times, plain) { // in less than 15 pictures a second leave for one
		if each > time.Second/15 {
			failed = append(failed, fmt.Errorf("a picture takes %v", each))
		}
	}
	return errors.Join(failed...)
}

func grey(c [3]int) bool { return max(c[0], c[1], c[2])-min(c[0], c[1], c[2]) < 24 }

// until waits until a part of the points of what is seen is as it should be.
func (p *page) until(t *testing.T, mid, what string, points [][2]float64, fits func(n int, c [3]int) bool, part float64) {
	t.Helper()
	var colours [][3]int
	for deadline := time.Now().Add(8 * time.Second); ; {
		p.into(t, &colours, "pixels", mid, points)
		good := 0
		for n, c := range colours {
			if fits(n, c) {
				good++
			}
		}
		if float64(good) >= part*float64(len(points)) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %d of %d points fit: %v", what, good, len(points), colours)
			return
		}
		p.do(t, "sleep", 50)
	}
}

// turns returns how fast what is seen turns, in degrees per second.
func (p *page) turns(t *testing.T, mid string) float64 {
	t.Helper()
	var all []struct {
		Angle float64
		RTP   uint32
	}
	p.into(t, &all, "tilts", mid, 20)
	var speeds []float64
	for i := range all {
		for j := range i {
			if seconds := float64(int32(all[i].RTP-all[j].RTP)) / 90000; seconds > 0.4 {
				turned := math.Mod(all[i].Angle-all[j].Angle+720, 360)
				speeds = append(speeds, turned/seconds)
			}
		}
	}
	if len(speeds) == 0 {
		t.Fatalf("no time goes by: %+v", all)
	}
	slices.Sort(speeds)
	return speeds[len(speeds)/2]
}
