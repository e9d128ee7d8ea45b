package video_test

import (
	"fmt"
	"io"
	"time"

	"github.com/parley-media/parley/video"
)

// What one end shows is seen by a recorder and by a viewer.
func ExampleRelay() {
	call := &paced{left: 3} // stands for call.Video()
	relay := video.NewRelay(call, video.RelayConfig{})
	recorder, viewer := relay.Subscribe(), relay.Subscribe()
	defer recorder.Close()
	defer viewer.Close()
	for _, reader := range []video.Reader{recorder, viewer} {
		var f video.Frame
		for reader.ReadFrame(&f) == nil {
			fmt.Println(f.Time, f.Key)
		}
	}
	// Output:
	// 40ms true
	// 80ms false
	// 120ms false
	// 40ms true
	// 80ms false
	// 120ms false
}

// paced gives a frame every 40 ms.
type paced struct {
	left int
	time time.Duration
}

func (p *paced) ReadFrame(f *video.Frame) error {
	if p.left--; p.left < 0 {
		return io.EOF
	}
	p.time += 40 * time.Millisecond
	<-time.After(40 * time.Millisecond)
	f.Data = append(f.Data[:0], 1, 2, 3)
	f.Time, f.Key = p.time, p.time == 40*time.Millisecond
	return nil
}
