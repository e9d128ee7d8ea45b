//go:build interop

package peer_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/video"
	"github.com/parley-media/parley/video/vpx"
)

// Who reads sound and pictures long after they have begun is in the present.
func TestReadLater(t *testing.T) {
	t.Parallel() // it waits most of the time
	p, e := watching(t), listen(t, nil)
	p.do(t, "start")
	p.do(t, "tone", 440, options{"codec": "PCMU"})
	p.do(t, "camera", "camera", 1, options{"codec": "VP8"})
	far := p.call(t, e, nil)
	defer far.Close()
	p.do(t, "sleep", 5000)
	var s parley.Stats
	far.Stats(&s)
	if s.Video.Frames < 50 || s.Video.Dropped < s.Video.Frames-64 || s.Audio.Received < 200 || s.Audio.Behind < time.Second {
		t.Errorf("%d frames came, of which %d were dropped, and %d packets of sound, behind by %v", s.Video.Frames, s.Video.Dropped, s.Audio.Received, s.Audio.Behind)
	}

	// The page goes silent: what is heard a second later is not what came before.
	sound := far.Audio()
	p.do(t, "(() => { pc.getSenders().find((s) => s.track?.kind === 'audio').track.enabled = false; return ''; })")
	p.do(t, "sleep", 1500)
	sound.SetReadDeadline(time.Now().Add(5 * time.Second))
	var f audio.Frame
	for range 50 {
		if err := sound.ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if loudest := slices.Max(f.Samples); loudest > 1000 {
			t.Fatalf("sound of up to %d from the past, %+v", loudest, f.Kind)
		}
	}

	decoder, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: "VP8"})
	if err != nil {
		t.Fatalf("%v (Debian package libvpx7)", err)
	}
	pictures := video.NewPictures(far.Video(), decoder)
	defer pictures.Close()
	begin := p.number(t, "number", "camera")
	bars := newBars()
	number := 0
	for ok := false; !ok; {
		if _, err := pictures.ReadPicture(&bars.image); err != nil {
			t.Fatal(err)
		}
		_, number, ok = bars.read()
	}
	behind := begin - float64(number) // of what was shown when reading began
	t.Logf("%+v; the first picture is %.0f behind", s.Video, behind)
	if behind > 10 || math.Abs(behind) > 200 {
		t.Errorf("the first picture is %d, the page was at %.0f", number, begin)
	}
	p.do(t, "stop")
}

// Who takes 200 ms for each picture has one that is new all the time, and what
// was left out is counted.
func TestSlowViewer(t *testing.T) {
	t.Parallel() // it waits most of the time
	p, e := watching(t), listen(t, nil)
	twice(t, "VP8", func(t *testing.T) error {
		p.do(t, "start")
		p.do(t, "camera", "camera", 1, options{"codec": "VP8"})
		far := p.call(t, e, nil)
		defer far.Close()
		decoder, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: "VP8"})
		if err != nil {
			t.Fatalf("%v (Debian package libvpx7)", err)
		}
		pictures := video.NewPictures(far.Video(), decoder)
		defer pictures.Close()
		type reading struct {
			number int
			at     float64
		}
		var readings []reading
		bars := newBars()
		for range 22 {
			if _, err := pictures.ReadPicture(&bars.image); err != nil {
				t.Fatal(err)
			}
			at := float64(time.Now().UnixMicro()) / 1000
			if id, number, ok := bars.read(); ok && id == 1 {
				readings = append(readings, reading{number, at})
			}
			time.Sleep(200 * time.Millisecond) // what it takes
		}
		var drawn map[string]float64
		p.into(t, &drawn, "drawn", "camera")
		p.do(t, "stop")
		var ages []float64
		for _, r := range readings {
			if at, ok := drawn[strconv.Itoa(r.number)]; ok {
				ages = append(ages, r.at-at)
			}
		}
		if len(ages) < 15 {
			t.Fatalf("%d pictures of 22 have an age", len(ages))
		}
		oldest, tail := slices.Max(ages), slices.Max(ages[len(ages)-5:])
		t.Logf("%d pictures, the oldest %.0f ms old, of the last five %.0f ms; %d were left out", len(ages), oldest, tail, pictures.Missed())
		if n := pictures.Missed(); n < 22 {
			t.Errorf("%d pictures were left out", n)
		}
		var s parley.VideoStats
		far.Video().Stats(&s)
		if s.Behind > 200*time.Millisecond || s.Dropped > 0 {
			t.Errorf("undecoded frames of %v wait, %d were dropped", s.Behind, s.Dropped)
		}
		if tail > 400 {
			return fmt.Errorf("a picture is %.0f ms old", tail)
		}
		return nil
	})
}
