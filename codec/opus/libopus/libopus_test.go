package libopus

import (
	"errors"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// With the library or without: constructors work or say what to install, and
// the registry has an encoder or not.
func TestWithOrWithoutTheLibrary(t *testing.T) {
	p := codec.Params{Name: "opus", ClockRate: 48000, Channels: 2}
	c, err := codec.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	_, encErr := NewEncoder(EncoderConfig{})
	_, decErr := NewDecoder(audio.Format{Rate: 48000, Channels: 1})
	if err := Available(); err == nil {
		if encErr != nil || decErr != nil || c.NewEncoder == nil || Version() == "" {
			t.Errorf("the library is there, but: %v, %v, version %q", encErr, decErr, Version())
		}
	} else {
		if !errors.Is(encErr, ErrUnavailable) || !errors.Is(decErr, ErrUnavailable) || c.NewEncoder != nil {
			t.Errorf("no library, but: %v, %v", encErr, decErr)
		}
	}
}
