package file_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
)

// A second line of audio is one more source: its sound is where it belongs, beside
// that of the first.
func TestRecordSecondAudio(t *testing.T) {
	name := filepath.Join(t.TempDir(), "call.wav")
	synctest.Test(t, func(t *testing.T) {
		pcmu := codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
		x, y := calls(t, pcmu)
		add := func(c *parley.Call) (*parley.Audio, *wire) {
			w := newWire()
			a, err := c.AttachAudio(parley.AudioConfig{Leg: w, Send: pcmu, Receive: []codec.Params{pcmu}})
			if err != nil {
				t.Fatal(err)
			}
			return a, w
		}
		second, out := add(x)
		heard, back := add(y)
		out.to.Store(&far{heard})
		back.to.Store(&far{second})
		defer func() {
			x.Close()
			y.Close()
			out.flying.Wait()
			back.flying.Wait()
		}()
		rec, err := file.CreateRecorder(name, file.RecorderConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var sides []*file.AudioRecording
		for range 2 {
			side, err := rec.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.PCM, Rate: 8000}})
			if err != nil {
				t.Fatal(err)
			}
			sides = append(sides, side)
		}
		i := 0
		for a := range y.Audios() {
			if err := sides[i].Record(a); err != nil {
				t.Fatal(err)
			}
			i++
		}
		for i := range 50 {
			at := time.Duration(i) * 20 * time.Millisecond
			if err := x.Audio().WriteFrame(level(1000, at)); err != nil {
				t.Fatal(err)
			}
			if err := second.WriteFrame(level(3000, at)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
	})
	r, err := file.OpenWAV(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	both := 0
	var f audio.Frame
	for r.ReadFrame(&f) == nil {
		for i := 0; i+1 < len(f.Samples); i += 2 {
			left, right := int(f.Samples[i]), int(f.Samples[i+1])
			if near(left, 1000) && near(right, 3000) {
				both++
			}
			if left > 1100 { // the other one may go by 1000 when it fades
				t.Fatal("the two lines are mixed up")
			}
		}
	}
	if both < 6000 {
		t.Errorf("%d samples of both lines, want a second", both)
	}
}

func near(x, level int) bool { return x > level-70 && x < level+70 }

// All lines of a call are recorded where the format has room for them.
func TestRecordCallOfManyLines(t *testing.T) {
	for _, c := range []struct {
		name           string
		sounds, images int
	}{
		{"a.webm", 2, 2},
		{"a.wav", 1, 0},
		{"a.ivf", 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			x, y := calls(t, opusCodec)
			a := newWire()
			if _, err := y.AttachAudio(parley.AudioConfig{Leg: a, Send: opusCodec, Receive: []codec.Params{opusCodec}}); err != nil {
				t.Fatal(err)
			}
			vp8Codec := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
			// One whose codec the file cannot have is left out.
			for _, p := range []codec.Params{vp8Codec, {Name: "H264", PayloadType: 97, ClockRate: 90000}} {
				w := newWire()
				if _, err := y.AttachVideo(parley.VideoConfig{Leg: w, Send: p, Receive: []codec.Params{vp8Codec}}); err != nil {
					t.Fatal(err)
				}
				defer func() {
					y.Close()
					w.flying.Wait()
				}()
			}
			defer func() {
				y.Close()
				a.flying.Wait()
			}()
			r, path := recorder(t, c.name, file.RecorderConfig{})
			sounds, images, err := r.AddCall(y)
			if err != nil {
				t.Fatal(err)
			}
			recorded := 0
			for _, v := range images {
				if v != nil {
					recorded++
				}
			}
			if len(sounds) != c.sounds || recorded != c.images {
				t.Errorf("%s: %d sounds and %d videos, want %d and %d", c.name, len(sounds), recorded, c.sounds, c.images)
			}
			if c.name == "a.webm" && (len(images) != 3 || images[2] != nil) {
				t.Errorf("videos are %v, want two and nil", images)
			}
			for i := range 50 {
				if err := x.Audio().WritePacket(opusPacket(i)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if c.name == "a.webm" {
				if tracks, _ := packetsOf(t, path); len(tracks) != 2 { // pictures without a key frame are not listed
					t.Errorf("%d tracks are in the file, want 2", len(tracks))
				}
			}
		})
	}
}
