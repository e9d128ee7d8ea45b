package conference

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
)

// A member whose call does not let it be heard, as a supervisor who listens, hears the
// others all the same, and is heard as soon as it is to be.
func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRoom()
		defer r.Close()
		var running sync.WaitGroup
		defer running.Wait()
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		var near, far [2]*parley.Call
		for i := range near {
			near[i], far[i] = newPair(t)
			running.Go(func() { r.Join(ctx, near[i]) }) //nolint:errcheck // it is cancelled
			running.Go(func() {
				f := audio.Frame{Format: audio.Format{Rate: rate, Channels: 1}, Samples: make([]int16, rate/50)}
				for i := range f.Samples {
					f.Samples[i] = int16(1-i/24%2*2) * 8000 // 1 kHz
				}
				for ctx.Err() == nil {
					if far[i].Audio().WriteFrame(&f) != nil {
						return
					}
				}
			})
		}
		for _, heard := range []bool{true, false, true} {
			d := parley.SendOnly
			if heard {
				d = parley.SendRecv
			}
			if err := near[0].Audio().SetDirection(d); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			var f audio.Frame
			if err := far[0].Audio().ReadFrame(&f); err != nil || power(f.Samples) == 0 {
				t.Errorf("%s: the listener hears nothing, %v", d, err)
			}
			if err := far[1].Audio().ReadFrame(&f); err != nil || (power(f.Samples) > 0) != heard {
				t.Errorf("%s: heard with %v, %v", d, power(f.Samples), err)
			}
		}
		leave()
		for i := range far {
			far[i].Close()
		}
	})
}
