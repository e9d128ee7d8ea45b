package parley

import (
	"testing"

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
