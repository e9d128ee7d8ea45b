package stretch_test

import (
	"fmt"

	"github.com/parley-media/parley/audio/stretch"
)

// A buffer that holds too much loses a pitch period wherever that is not heard.
func Example() {
	s, err := stretch.New(8000, 1)
	if err != nil {
		panic(err)
	}
	pcm := make([]int16, s.Window())
	for i := range pcm {
		pcm[i] = int16(i % 40 * 100) // a buzz of 200 Hz
	}
	const tooMuch = 160
	rest, removed := s.Compress(pcm, tooMuch, false)
	fmt.Println(len(rest), "left,", removed, "removed")

	longer, inserted := s.Expand(rest, 0, len(rest), tooMuch, false)
	fmt.Println(len(longer), "now,", inserted, "inserted")
	// Output:
	// 200 left, 40 removed
	// 240 now, 40 inserted
}
