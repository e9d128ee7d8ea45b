package parley

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/video"
)

// Pictures that the network does not carry pause, so that the sound gets through, for
// longer when it still does not carry them; then they go on with a key frame. Where
// less is lost they go on all the time, and where the sound is lost all the same they
// pause once.
func TestThinNetwork(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lost   int // of 100 packets
		from   time.Duration
		until  time.Duration
		again  time.Duration // after which this comes again
		sound  bool          // is lost too, whatever is sent
		pauses []time.Duration
	}{
		{"half is lost for a while", 50, 3 * time.Second, 20 * time.Second, time.Hour, false, []time.Duration{10 * time.Second, 20 * time.Second}},
		{"half is lost twice", 50, 3 * time.Second, 10 * time.Second, 50 * time.Second, false, []time.Duration{10 * time.Second, 10 * time.Second}},
		{"little is lost", 10, 3 * time.Second, 80 * time.Second, time.Hour, false, nil},
		{"half is lost of all", 50, 3 * time.Second, 80 * time.Second, time.Hour, true, []time.Duration{10 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var count atomic.Int64
				lose := func([]byte) bool {
					since := time.Since(begin) % tt.again
					return since >= tt.from && since < tt.until && count.Add(1)*37%100 < int64(tt.lost)
				}
				rtcp := RTCPConfig{Interval: 500 * ms, Bandwidth: 1 << 20}
				x, y := videoPair(t, VideoConfig{RTCP: rtcp}, &AudioConfig{RTCP: rtcp}, lose)
				if tt.sound {
					x.Audio().leg.(*plug).lay(0, lose)
				}
				var going sync.WaitGroup
				going.Go(func() {
					for x.Audio().WriteFrame(ramp(64)) == nil {
					}
				})
				going.Go(func() {
					for n := 0; ; n++ {
						if x.Video().WriteFrame(picture(n, n == 0 || x.Video().KeyframeRequested(), 5000)) != nil {
							return
						}
					}
				})
				going.Go(func() {
					var f video.Frame
					for y.Video().ReadFrame(&f) == nil {
					}
				})
				var pauses []time.Duration // in which nothing is sent
				var was, now VideoStats
				began := begin
				for time.Since(begin) < 90*time.Second {
					time.Sleep(100 * ms)
					was = now
					x.Video().Stats(&now)
					switch idle := now.FramesSent == was.FramesSent; {
					case idle && now.FramesSkipped <= was.FramesSkipped:
						t.Fatalf("nothing was skipped between %d and %d", was.FramesSkipped, now.FramesSkipped)
					case !idle:
						if d := time.Since(began); d > time.Second {
							pauses = append(pauses, d.Truncate(time.Second))
							if now.KeyFramesSent == was.KeyFramesSent {
								t.Errorf("pictures go on after %v, not with a key frame", time.Since(begin))
							}
						}
						began = time.Now()
					}
				}
				if !slices.Equal(pauses, tt.pauses) {
					t.Errorf("pauses of %v, want %v", pauses, tt.pauses)
				}
				var s Stats
				if y.Stats(&s); s.Video.Frames < now.FramesSent*3/4 && !tt.sound && tt.lost > 10 {
					t.Errorf("%d of %d frames came", s.Video.Frames, now.FramesSent)
				}
				x.Close()
				y.Close()
				going.Wait()
			})
		})
	}
}
