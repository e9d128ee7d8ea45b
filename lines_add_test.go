package parley

import (
	"errors"
	"testing"

	"github.com/parley-media/parley/codec"
)

// What cannot be asked for is told at once.
func TestLinesThatStayAsTheyAre(t *testing.T) {
	c, err := New(Config{Audio: &AudioConfig{Leg: &wire{}, Send: pcmu, Receive: []codec.Params{pcmu}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, audio := c.AddAudio(t.Context())
	_, video := c.AddVideo(t.Context())
	for _, err := range []error{audio, video, c.Remove(c.Audio())} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	}
}
