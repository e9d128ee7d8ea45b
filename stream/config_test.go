package stream

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/parley-media/parley/codec"
)

// What no receiver can do is refused, instead of being heard as gaps.
func TestReceiverRefuses(t *testing.T) {
	for name, c := range map[string]ReceiverConfig{
		"unknown playout":         {Playout: InOrder + 1},
		"negative least delay":    {Playout: Fixed, MinDelay: -ms},
		"negative most delay":     {Playout: InOrder, MaxDelay: -ms},
		"negative pause":          {PauseAfter: -ms},
		"preference above 1":      {Preference: 7},
		"negative preference":     {Preference: -0.1},
		"preference that is none": {Preference: math.NaN()},
	} {
		c.Codecs = []codec.Params{pcmu}
		if _, err := NewAudioReceiver(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
	for name, c := range map[string]VideoReceiverConfig{
		"negative wait": {Wait: -ms},
		"negative size": {MaxFrame: -1},
	} {
		if _, err := NewVideoReceiver(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
	if _, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}, PTime: -ms}); err == nil || !strings.Contains(err.Error(), "ptime -1ms") {
		t.Error(err) // the least delay, which is a ptime, is not what is wrong
	}
	// A depth that is asked for is more than the limit.
	if _, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}, MinDelay: 900 * ms}); err != nil {
		t.Error(err)
	}
}
