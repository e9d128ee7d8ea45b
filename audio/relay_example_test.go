package audio_test

import (
	"fmt"
	"io"
	"time"

	"github.com/parley-media/parley/audio"
)

// What one end says is heard by a recorder and by a transcriber.
func ExampleRelay() {
	call := &paced{left: 3} // stands for call.Audio()
	relay := audio.NewRelay(call, audio.RelayConfig{})
	recorder, transcriber := relay.Subscribe(), relay.Subscribe()
	defer recorder.Close()
	defer transcriber.Close()
	for _, reader := range []audio.Reader{recorder, transcriber} {
		var f audio.Frame
		for reader.ReadFrame(&f) == nil {
			fmt.Println(f.Time, len(f.Samples))
		}
	}
	// Output:
	// 20ms 160
	// 40ms 160
	// 60ms 160
	// 20ms 160
	// 40ms 160
	// 60ms 160
}

// paced gives a frame every 20 ms.
type paced struct {
	left int
	time time.Duration
}

func (p *paced) ReadFrame(f *audio.Frame) error {
	if p.left--; p.left < 0 {
		return io.EOF
	}
	p.time += 20 * time.Millisecond
	<-time.After(20 * time.Millisecond)
	f.Format = audio.Format{Rate: 8000, Channels: 1}
	f.Grow(160)
	f.Time = p.time
	return nil
}
