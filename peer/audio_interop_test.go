//go:build interop

package peer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/opus/libopus"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// needOpus fails the test where Opus cannot be decoded here.
func needOpus(t *testing.T) {
	t.Helper()
	if err := libopus.Available(); err != nil {
		t.Fatalf("%v (Debian package libopus0)", err)
	}
}

// What a page says is decoded here, frame by frame, and coded again for it.
func TestSoundChromium(t *testing.T) {
	t.Parallel()
	needOpus(t)
	p, e := record(t, headless.Chromium), listen(t, nil)
	for _, codec := range []string{"opus", "G722", "PCMU", "PCMA"} {
		tries(t, codec, func(t *testing.T) error { return hearsItself(t, p, e, codec) })
	}
	tries(t, "stereo", func(t *testing.T) error { return bothChannels(t, p, e) })
	tries(t, "formats", func(t *testing.T) error { return anyFormat(t, p, e) })
}

func TestSoundFirefox(t *testing.T) {
	t.Parallel()
	needOpus(t)
	p, e := record(t, headless.Firefox), listen(t, nil)
	tries(t, "opus", func(t *testing.T) error { return hearsItself(t, p, e, "opus") })
}

// An echo sends back what it hears, and keeps it.
type echoed struct {
	heard  tape
	made   time.Duration // the longest part in a row that had to be made up
	record chan struct{} // closed when it shall begin to keep

	mu sync.Mutex
}

func newEcho() *echoed { return &echoed{record: make(chan struct{})} }

func (h *echoed) ServeCall(_ context.Context, c *parley.Call) error {
	var f audio.Frame
	var made time.Duration
	for {
		if err := c.Audio().ReadFrame(&f); err != nil {
			return err
		}
		select {
		case <-h.record:
			h.mu.Lock()
			h.heard.listen(&f)
			if made += f.Duration(); f.Kind == audio.Media {
				made = 0
			}
			h.made = max(h.made, made)
			h.mu.Unlock()
		default:
		}
		if err := c.Audio().WriteFrame(&f); err != nil {
			return err
		}
	}
}

// stop returns what was heard until now.
func (h *echoed) stop() (heard *tape, made time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.heard
	return &x, h.made
}

// sent is the level of the tones of a page, in dB of full scale.
var sent = 20*math.Log10(0.25) - 10*math.Log10(2)

func hearsItself(t *testing.T, p *studio, e *peer.Endpoint, codec string) error {
	p.do(t, "start")
	p.do(t, "tone", 440, options{"codec": codec})
	far := p.call(t, e, nil)
	defer far.Close()
	h := newEcho()
	serve(t, far.Call, h)
	mid := far.Audio().Mid()
	p.do(t, "hears", mid, 440)
	p.do(t, "sleep", 500)
	before := p.inbound(t, mid)
	p.tape(t, mid)
	close(h.record)
	p.do(t, "sleep", 4000)
	x := p.cut(t, mid)
	here, made := h.stop()
	after := p.inbound(t, mid)
	s := p.stats(t)[mid]
	p.do(t, "stop")
	concealed := float64(after.ConcealedSamples-before.ConcealedSamples) / float64(max(1, after.TotalSamplesReceived-before.TotalSamplesReceived))
	theirs, ours := peak(x.left, x.rate), peak(here.left, here.rate)
	level, level2 := decibels(x.middle(100*time.Millisecond).left), decibels(here.middle(100*time.Millisecond).left)
	t.Logf("%s: %.1f Hz at the page, %.1f Hz here at %d Hz; %.2f dB and %.2f dB of %.2f dB; gaps %v and %v, made up %v here in a row, %.1f %% there; %d packets lost; slack %v",
		s["inbound"].Codec, theirs, ours, here.rate, level, level2, sent, x.gap(), here.gap(), made, 100*concealed, after.PacketsLost, x.slack)
	for _, way := range []string{"inbound", "outbound"} {
		if got := s[way].Codec; !strings.EqualFold(got, "audio/"+codec) {
			t.Errorf("%s: codec %s", way, got)
		}
	}
	var failed []error
	if math.Abs(theirs-440) > 2 || math.Abs(ours-440) > 2 {
		failed = append(failed, fmt.Errorf("%.1f Hz at the page, %.1f Hz here", theirs, ours))
	}
	if math.Abs(level-sent) > 3 || math.Abs(level2-sent) > 3 {
		failed = append(failed, fmt.Errorf("%.1f dB at the page and %.1f dB here, want %.1f", level, level2, sent))
	}
	longest := 40*time.Millisecond + x.slack
	if x.gap() > longest || here.gap() > longest || made > longest {
		failed = append(failed, fmt.Errorf("silent for %v at the page and for %v here, %v in a row made up", x.gap(), here.gap(), made))
	}
	if after.PacketsLost > 0 || here.duration(len(here.left)) < 3500*time.Millisecond-x.slack {
		failed = append(failed, fmt.Errorf("%d packets lost, %v heard", after.PacketsLost, here.duration(len(here.left))))
	}
	if len(failed) > 0 {
		x.keep(t, "page-"+codec)
		here.keep(t, "here-"+codec)
	}
	return errors.Join(failed...)
}

// bothChannels has 440 Hz on the left and 880 Hz on the right all the way.
func bothChannels(t *testing.T, p *studio, e *peer.Endpoint) error {
	p.do(t, "start")
	p.do(t, "stereo", 440, 880)
	far := p.call(t, e, nil)
	defer far.Close()
	h := newEcho()
	serve(t, far.Call, h)
	mid := far.Audio().Mid()
	p.do(t, "loud", mid)
	p.do(t, "sleep", 500)
	p.tape(t, mid)
	close(h.record)
	p.do(t, "sleep", 1200)
	x := p.cut(t, mid)
	here, _ := h.stop()
	p.do(t, "stop")
	var failed []error
	for name, x := range map[string]*tape{"page": x, "here": here} {
		if len(x.left) == 0 {
			return fmt.Errorf("%s: nothing was heard", name)
		}
		x = x.middle(200 * time.Millisecond)
		left := power(x.left, x.rate, 440) - power(x.left, x.rate, 880)
		right := power(x.right, x.rate, 880) - power(x.right, x.rate, 440)
		a, b := peak(x.left, x.rate), peak(x.right, x.rate)
		t.Logf("%s: %.1f Hz left, %.1f Hz right; apart by %.1f dB and %.1f dB", name, a, b, left, right)
		if len(x.left) < x.frames(300*time.Millisecond) || math.Abs(a-440) > 2 || math.Abs(b-880) > 2 || left < 20 || right < 20 {
			failed = append(failed, fmt.Errorf("%s: %.1f Hz and %.1f Hz, apart by %.1f dB and %.1f dB", name, a, b, left, right))
		}
	}
	return errors.Join(failed...)
}

// anyFormat has sixteen handlers at a time hear one page, each in the format and
// in frames of the length that it wants, to the last sample.
func anyFormat(t *testing.T, p *studio, e *peer.Endpoint) error {
	p.do(t, "start")
	p.do(t, "tone", 440, options{"codec": "opus"})
	far := p.call(t, e, nil)
	defer far.Close()
	relay := audio.NewRelay(far.Audio(), audio.RelayConfig{Queue: 1000})
	defer relay.Close()
	type listener struct {
		format       audio.Format
		frame        time.Duration
		from         *audio.Subscription
		begin        time.Duration
		total, short int // samples
		x            tape
		err          error
	}
	var all []*listener
	for _, rate := range []int{8000, 16000, 24000, 48000} {
		for _, ms := range []time.Duration{10, 20, 32, 50} {
			all = append(all, &listener{format: audio.Format{Rate: rate, Channels: 1}, frame: ms * time.Millisecond})
		}
	}
	for _, l := range all {
		l.from = relay.Subscribe()
		defer l.from.Close()
	}
	plain := relay.Subscribe()
	defer plain.Close()
	var listening sync.WaitGroup
	for _, l := range all {
		listening.Go(func() {
			in := audio.Convert(l.from, l.format, l.frame)
			var f audio.Frame
			for l.err = in.ReadFrame(&f); l.err == nil; l.err = in.ReadFrame(&f) {
				if l.total == 0 {
					l.begin = f.Time
				}
				switch want := l.begin + l.format.Duration(l.total); {
				case f.Format != l.format || l.short > 0 || len(f.Samples) > l.format.Samples(l.frame):
					l.err = fmt.Errorf("a frame of %v with %d samples, after %d of %d", f.Format, len(f.Samples), l.short, l.format.Samples(l.frame))
				case f.Time != want:
					l.err = fmt.Errorf("a frame of %v, want %v", f.Time, want)
				}
				if l.err != nil {
					return
				}
				if len(f.Samples) < l.format.Samples(l.frame) {
					l.short = len(f.Samples) // the last one
				}
				l.total += len(f.Samples)
				l.x.listen(&f)
			}
		})
	}
	stopped := make(chan error, 1)
	go func() {
		_, err := p.console.Eval(t.Context(), "sleep(4000).then(stop)")
		stopped <- err
	}()
	// What is read without a change of format is the media time.
	var f audio.Frame
	var first, end time.Duration
	begun := time.Time{}
	for err := plain.ReadFrame(&f); err != io.EOF; err = plain.ReadFrame(&f) {
		if err != nil {
			return err
		}
		if begun.IsZero() {
			begun, first = time.Now(), f.Time
		}
		end = f.Time + f.Duration()
	}
	took := time.Since(begun)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	listening.Wait()
	var failed []error
	for _, l := range all {
		media := end - l.begin
		off := l.format.Duration(l.total) - media
		hz := peak(l.x.middle(time.Second).left, l.format.Rate)
		t.Logf("%v, frames of %v: %d samples, %v off from %v, the last frame has %d; %.1f Hz", l.format, l.frame, l.total, off, media, l.short, hz)
		if l.err != io.EOF || off.Abs() > media/1000 || off.Abs() > 2*time.Second/time.Duration(l.format.Rate) {
			failed = append(failed, fmt.Errorf("%v, frames of %v: %v, %v off from %v", l.format, l.frame, l.err, off, media))
		}
		if math.Abs(hz-440) > 2 {
			failed = append(failed, fmt.Errorf("%v, frames of %v: %.1f Hz", l.format, l.frame, hz))
		}
	}
	t.Logf("%v of media in %v", end-first, took)
	// At the end comes at once what has waited to be played, half a second at most.
	if end-first < 3*time.Second || (took-(end-first)).Abs() > 700*time.Millisecond {
		failed = append(failed, fmt.Errorf("%v of media in %v", end-first, took))
	}
	return errors.Join(failed...)
}
