package file_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

// channels is a writer that counts the frames of one and of two channels.
type channels [3]int

func (c *channels) WriteFrame(f *audio.Frame) error {
	c[f.Format.Channels]++
	return nil
}

// Who takes frames hears the two channels of an Opus file, and one of a file that has no
// more.
func TestPlayStereo(t *testing.T) {
	for n := 1; n <= 2; n++ {
		name := filepath.Join(t.TempDir(), "in.ogg")
		w, err := file.Create(name, file.Track{Codec: file.Opus, Channels: n})
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, sound(0, 10, 0))
		finish(t, w)
		synctest.Test(t, func(t *testing.T) {
			var heard, want channels
			want[n] = 10
			p := player(t, name, file.PlayerConfig{})
			if err := p.AddAudio(&heard); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			p.Close()
			if heard != want {
				t.Errorf("a file of %d channels: %v", n, heard)
			}
		})
	}
}
