//go:build interop

package peer_test

import (
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// Files are heard by a page as they are, whatever their format.
func TestPlayerChromium(t *testing.T) {
	t.Parallel()
	needOpus(t)
	p, e := record(t, headless.Chromium), listen(t, nil)
	tries(t, "files", func(t *testing.T) error { return playsFiles(t, p, e) })
}

// A recording of a tone, between silences.
type recording struct {
	name string
	hz   float64
}

const (
	margin     = 200 * time.Millisecond
	toneLength = 600 * time.Millisecond
)

func recordings(t *testing.T) (all []recording) {
	t.Helper()
	folder := t.TempDir()
	for _, rate := range []int{8000, 16000, 44100, 48000} {
		for _, channels := range []int{1, 2} {
			r := recording{filepath.Join(folder, fmt.Sprintf("%d-%d.wav", rate, channels)), 400 + 70*float64(len(all))}
			w, err := file.CreateWAV(r.name, audio.Format{Rate: rate, Channels: channels})
			if err != nil {
				t.Fatal(err)
			}
			tone := wave{format: w.Format(), hz: r.hz, level: 0.25}
			if err := errors.Join(w.WriteSilence(margin), w.WriteFrame(tone.next(w.Format().Samples(toneLength)/channels)), w.WriteSilence(margin), w.Close()); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	coded := recording{filepath.Join(folder, "coded.ogg"), all[len(all)-1].hz}
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", all[len(all)-1].name, "-c:a", "libopus", "-b:a", "64k", coded.name).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v (Debian package ffmpeg): %s", err, out)
	}
	return append(all, coded)
}

func playsFiles(t *testing.T, p *studio, e *peer.Endpoint) error {
	all := recordings(t)
	p.do(t, "start")
	p.do(t, "tone", 0, options{"direction": "recvonly", "codec": "opus"})
	far := p.call(t, e, nil)
	defer far.Close()
	mid := far.Audio().Mid()
	p.tape(t, mid)
	for _, r := range all {
		player, err := file.OpenPlayer(t.Context(), r.name, file.PlayerConfig{Error: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := player.AddCall(far.Call); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := player.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := far.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s was played in %v", filepath.Base(r.name), time.Since(begin))
		player.Close()
	}
	p.do(t, "sleep", 300)
	x := p.cut(t, mid)
	p.do(t, "stop")
	heard := x.spans(margin / 2)
	var failed []error
	if len(heard) != len(all) {
		failed = append(failed, fmt.Errorf("%d sounds were heard of %d files", len(heard), len(all)))
	}
	for i := range min(len(heard), len(all)) {
		y := x.part(heard[i])
		length, hz, level, gap := y.duration(len(y.left)), peak(y.middle(100*time.Millisecond).left, y.rate), decibels(y.middle(100*time.Millisecond).left), y.gap()
		t.Logf("%s: %v of %.1f Hz at %.1f dB, gaps of %v", filepath.Base(all[i].name), length, hz, level, gap)
		if (length-toneLength).Abs() > 50*time.Millisecond+x.slack || math.Abs(hz-all[i].hz) > 2 || math.Abs(level-sent) > 3 || gap > 25*time.Millisecond+x.slack {
			failed = append(failed, fmt.Errorf("%s: %v of %.1f Hz at %.1f dB with gaps of %v, want %v of %.0f Hz at %.1f dB", filepath.Base(all[i].name), length, hz, level, gap, toneLength, all[i].hz, sent))
		}
	}
	if len(failed) > 0 {
		x.keep(t, "files")
	}
	return errors.Join(failed...)
}
