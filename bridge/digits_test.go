package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
)

// A key that was read before the calls were joined is not sent on, though it is still
// held down: it was the last one of a card's number, or a choice from a menu. What is
// pressed and said after it goes over, without a loss.
func TestDigitThatIsHeld(t *testing.T) {
	for _, codec := range []codec.Params{pcmu, g722} {
		t.Run(codec.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := open(t, pcmu, keys, false), open(t, codec, keys, false)
				says(t, x.far, 8000, 10, 1000)
				dialled := make(chan error, 1)
				go func() {
					dialled <- x.far.SendDigits(t.Context(), "12", &dtmf.Options{Duration: 500 * ms, Gap: 500 * ms})
				}()
				if d, err := x.near.ReadDigit(t.Context()); err != nil || d != '1' {
					t.Fatal(d, err)
				}
				join(t, x, y)
				if err := <-dialled; err != nil {
					t.Fatal(err)
				}
				says(t, x.far, 8000, 50, 1000)
				time.Sleep(time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var got string
				for {
					d, err := y.far.ReadDigit(ctx)
					if err != nil {
						break
					}
					got += d.String()
				}
				if got != "2" {
					t.Errorf("got %q", got)
				}
				var s parley.AudioStats
				if y.far.Audio().Stats(&s); s.Received < 40 || s.Lost != 0 {
					t.Errorf("%d packets, %d lost", s.Received, s.Lost)
				}
			})
		})
	}
}
