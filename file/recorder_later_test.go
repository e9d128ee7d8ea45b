package file_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
)

// laterLines are those of another microphone and another camera in the middle of a call.
func laterLines(t *testing.T, x, y *parley.Call) (sound *parley.Audio, camera *parley.Video) {
	t.Helper()
	var wires []*wire
	attach := func(c *parley.Call) (*parley.Audio, *parley.Video) {
		vp8Codec := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
		to, with := newWire(), newWire()
		wires = append(wires, to, with)
		a, err := c.AttachAudio(parley.AudioConfig{Leg: to, Send: opusCodec, Receive: []codec.Params{opusCodec}})
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.AttachVideo(parley.VideoConfig{Leg: with, Send: vp8Codec, Receive: []codec.Params{vp8Codec}})
		if err != nil {
			t.Fatal(err)
		}
		return a, v
	}
	sound, camera = attach(x)
	heard, seen := attach(y)
	wires[0].to.Store(&far{heard})
	wires[1].to.Store(&far{seen})
	wires[2].to.Store(&far{sound})
	wires[3].to.Store(&far{camera})
	t.Cleanup(func() {
		x.Close()
		y.Close()
		for _, w := range wires {
			w.flying.Wait()
		}
	})
	return sound, camera
}

// A caller whose microphone and camera are taken away, and there again on other lines,
// goes on in the tracks that there are. Lines beside those that there are have tracks of
// their own, where the format has any.
func TestRecordLaterLines(t *testing.T) {
	for _, c := range []struct {
		name   string
		beside bool
		tracks int
		end    time.Duration // of the first track
	}{
		{"a.webm", false, 2, 4 * time.Second},
		{"a.ogg", false, 1, 4 * time.Second},
		{"a.webm", true, 4, 2 * time.Second},
		{"a.ogg", true, 1, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			x, y := calls(t, opusCodec)
			r, path := recorder(t, c.name, file.RecorderConfig{Error: func(err error) { t.Error(err) }})
			if _, _, err := r.AddCall(y); err != nil {
				t.Fatal(err)
			}
			perform := func(sound *parley.Audio, camera *parley.Video) {
				for i := range 100 {
					if err := sound.WritePacket(opusPacket(i)); err != nil {
						t.Fatal(err)
					}
					if i%2 == 0 {
						if err := camera.WriteFrame(pictureFrame(i == 0, i, time.Duration(i)*20*ms)); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(20 * ms)
				}
			}
			perform(x.Audio(), x.Video())
			sound, camera := laterLines(t, x, y)
			if !c.beside {
				for _, c := range []*parley.Call{x, y} {
					said, shown := c.Audio(), c.Video()
					said.Remove()
					shown.Remove()
				}
			}
			for _, more := range []bool{true, false} {
				audios, videos, err := r.AddCall(y)
				if err != nil || (len(audios) > 0) != (more && (c.tracks > 1 || !c.beside)) || (len(videos) > 0) != (more && c.tracks > 1) {
					t.Fatalf("%d sounds, %d videos, %v", len(audios), len(videos), err)
				}
			}
			perform(sound, camera)
			time.Sleep(100 * ms)
			x.Close() // before the recorder, so that all lines have ended for it
			closed(t, r)
			tracks, packets := packetsOf(t, path)
			if len(tracks) != c.tracks {
				t.Fatalf("%s has %d tracks, want %d", c.name, len(tracks), c.tracks)
			}
			for i := range tracks {
				times := timesOf(packets, i)
				begin, end := time.Duration(0), c.end
				if i >= 2 {
					begin, end = 2*time.Second, 4*time.Second
				}
				if first, last := times[0], times[len(times)-1]; (first-begin).Abs() > 100*ms || (last-end).Abs() > 250*ms {
					t.Errorf("%s: track %d goes from %v to %v, want %v to %v", c.name, i, first, last, begin, end)
				}
			}
		})
	}
}
