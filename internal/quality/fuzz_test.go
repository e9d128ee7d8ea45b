package quality

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/stream"
)

// Whatever the arrivals are, the output clock goes on from the first frame to
// the end, and the numbers are possible ones.
func FuzzRun(f *testing.F) {
	f.Add("seq,arrival_ms\n0,30\n1,50\n2,\n3,95\n4,111\n5,130\n6,150\n", true)
	f.Add("seq,arrival_ms\n0,500\n1,500\n2,500\n3,60\n4,80\n60,90\n61,80\n62,70\n99,3600\n", false)
	f.Add("seq,arrival_ms\n5,0\n6,0\n7,0\n8,0\n40,5000\n41,5000\n", true)
	speech := Speech(8000)
	f.Fuzz(func(t *testing.T, text string, adaptive bool) {
		trace, err := ReadTrace("x", strings.NewReader(text))
		if err != nil {
			return
		}
		c := Config{Codec: pcmu, Speech: speech, Duration: 2 * time.Second, Playout: stream.Fixed}
		if adaptive {
			c.Playout = stream.Adaptive
		}
		r, err := Run(t.Context(), c, trace)
		if errors.Is(err, ErrTrace) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Heard) != len(r.Points)*160 {
			t.Errorf("%d samples in %d frames", len(r.Heard), len(r.Points))
		}
		for i, p := range r.Points {
			if p.At != time.Duration(i)*interval {
				t.Fatalf("frame %d at %v", i, p.At)
			}
			if p.Concealed < 0 || p.Concealed > interval {
				t.Fatalf("%v of frame %d were concealed", p.Concealed, i)
			}
		}
		for name, pct := range map[string]float64{"lost": r.LostPct, "concealed": r.Concealed, "clicks": r.Clicks} {
			if !(pct >= 0 && pct <= 100) {
				t.Errorf("%s: %v %%", name, pct)
			}
		}
		// What is heard has arrived before, and so is later than the fastest.
		if r.DelayMean < 0 || r.DelayMean > r.DelayMax || r.DelayP95 > r.DelayP99 || r.DelayP99 > r.DelayMax || r.Over150 > r.Over60 || r.Over60 > r.Events {
			t.Errorf("%+v", r)
		}
	})
}
