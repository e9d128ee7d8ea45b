package parley

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-media/parley/video"
)

// Whatever comes and whoever reads, the queue is bounded, every frame is read or
// counted as dropped, and after a gap comes a key frame.
func TestPictureQueueProperty(t *testing.T) {
	big := make([]byte, 4<<20)
	rapid.Check(t, func(t *rapid.T) {
		var q pictureQueue
		var pushed, popped, last int64
		var f video.Frame
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.IntRange(0, 50).Draw(t, "clear") == 0 {
				q.clear()
				if q.count != 0 {
					t.Fatalf("%d frames are left", q.count)
				}
			}
			if rapid.IntRange(0, 5).Draw(t, "read") == 0 {
				if q.pop(&f) {
					popped++
					if n := int64(f.Timestamp); n != last+1 && !f.Key || n <= last {
						t.Fatalf("frame %d follows %d, key %v", n, last, f.Key)
					}
					last = int64(f.Timestamp)
				}
			} else {
				pushed++
				key := pushed == 1 || rapid.IntRange(0, 30).Draw(t, "key") == 0
				size := rapid.SampledFrom([]int{10, 1000, 1 << 20, 4 << 20}).Draw(t, "size")
				next := q.room()
				*next = video.Frame{Data: big[:size:size], Key: key, Timestamp: uint32(pushed)}
				q.push()
			}
			bytes := 0
			for i := range q.count {
				bytes += len(q.at(i).Data)
			}
			switch {
			case q.count > maxPictures || q.bytes > maxPictureBytes || q.bytes != bytes:
				t.Fatalf("%d frames, %d bytes, counted as %d", q.count, bytes, q.bytes)
			case q.dropped+popped+int64(q.count) != pushed:
				t.Fatalf("%d frames, of which %d were dropped, %d read, and %d wait", pushed, q.dropped, popped, q.count)
			case q.count > 0 && !q.at(0).Key && int64(q.at(0).Timestamp) != last+1:
				t.Fatalf("frame %d would follow %d", q.at(0).Timestamp, last)
			}
		}
	})
}

// Pictures that came while nobody read them are not those that a relay begins with: all
// that come after would be late by them.
func TestRelayIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		var running sync.WaitGroup
		running.Go(func() {
			for n := 0; x.Video().WriteFrame(picture(n, n == 0 || x.Video().KeyframeRequested(), 3000)) == nil; n++ {
				time.Sleep(time.Second / 30)
			}
		})
		relay := video.NewRelay(y.Video(), video.RelayConfig{})
		var f video.Frame
		for viewer := range 3 { // before the next one comes, nobody reads
			time.Sleep(time.Second)
			synctest.Wait()
			var before VideoStats
			y.Video().Stats(&before)
			s := relay.Subscribe()
			if err := s.ReadFrame(&f); err != nil || !f.Key {
				t.Fatalf("viewer %d: key %v, %v", viewer, f.Key, err)
			}
			if n, came := int64(number(&f)), before.Frames; before.Unread == 0 || n < came {
				t.Errorf("viewer %d begins with frame %d after %d have come, of which %d are unread", viewer, n, came, before.Unread)
			}
			s.Close()
			relay.Wait()
		}
		x.Close()
		y.Close()
		running.Wait()
	})
}
