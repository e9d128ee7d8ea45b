package parley

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
)

// Who takes 200 ms for each frame of sound is behind by no more than the longest
// delay, of which the statistics tell, misses what is counted, and catches up when
// it is fast again. Frames of video that nobody reads meanwhile are told as well.
func TestSlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, &AudioConfig{}, nil)
		var writing sync.WaitGroup
		defer writing.Wait()
		defer x.Close()
		writing.Go(func() {
			for x.Audio().WriteFrame(ramp(64)) == nil {
			}
		})
		writing.Go(func() {
			for n := 0; x.Video().WriteFrame(picture(n, n%30 == 0, 500)) == nil; n++ {
			}
		})
		begin := time.Now()
		var f audio.Frame
		var s Stats
		var oldest time.Duration
		for time.Since(begin) < 10*time.Second {
			if err := y.Audio().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
			oldest = max(oldest, time.Since(begin)-f.Time)
			time.Sleep(200 * ms)
		}
		y.Stats(&s)
		t.Logf("slow: %v old at most, behind by %v at last; %+v", oldest, s.Audio.Behind, s.Audio.ReceiverStats)
		if oldest > 700*ms {
			t.Errorf("sound is %v old", oldest)
		}
		// All that came in ten seconds, but for a frame in each 200 ms.
		if a := s.Audio; a.Discarded < 400 || a.Received < 490 || a.Behind < 100*ms || a.Behind > 700*ms {
			t.Errorf("%d packets came, %d were dropped, behind by %v", a.Received, a.Discarded, a.Behind)
		}
		if v := s.Video; v.Unread == 0 || v.Behind < 500*ms || v.Behind > 64*time.Second/30 || v.Dropped < 100 {
			t.Errorf("%d frames of video over %v wait, %d were dropped", v.Unread, v.Behind, v.Dropped)
		}

		dropped, fast := s.Audio.Discarded, time.Now()
		for time.Since(fast) < 3*time.Second {
			if err := y.Audio().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		y.Stats(&s)
		late := time.Since(begin) - f.Time
		t.Logf("fast: %v old, behind by %v; %+v", late, s.Audio.Behind, s.Audio.ReceiverStats)
		if late > 100*ms || s.Audio.Discarded > dropped+25 || s.Audio.Behind > 0 {
			t.Errorf("sound is %v old, behind by %v, %d more packets were dropped", late, s.Audio.Behind, s.Audio.Discarded-dropped)
		}
	})
}
