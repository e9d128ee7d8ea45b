package parrot_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/internal/speech"
)

// How long the caller waits for the answer is what the call measures, but for the
// playout at the caller.
func TestReplyMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, far := calltest.New(t, calltest.L16(speech.Rate), codec.Params{})
		var waits []time.Duration
		far.Audio().MeasureReplies(func(wait time.Duration) { waits = append(waits, wait) })
		calltest.Serve(t, far, parrot.Handler{})
		mouth := &speaker{call: caller, line: caller.Audio()}
		go mouth.run()
		hears(t, caller, 2*time.Second)
		for range 2 {
			began := time.Now()
			said := sentence()
			mouth.say(said)
			_, ceased := span(said)
			var first time.Duration
			for _, h := range hears(t, caller, 6*time.Second) {
				if from, _ := span(h.samples); from >= 0 {
					first = h.at.Sub(began) + from
					break
				}
			}
			if len(waits) != 1 {
				t.Fatalf("measured %v", waits)
			}
			// Both ends have a playout of 20 ms, of which the measure has one, and what
			// is silence is not to the sample the same for both.
			wait := first - ceased
			if d := wait - waits[0]; d < -30*ms || d > 70*ms || waits[0] < 500*ms {
				t.Errorf("the caller waits for %v, and %v is measured", wait, waits[0])
			}
			t.Logf("the caller waits for %v, and %v is measured", wait, waits[0])
			waits = nil
		}
		caller.Close()
		synctest.Wait()
	})
}
