package conceal_test

import (
	"fmt"
	"math"

	"github.com/parley-media/parley/audio/conceal"
)

// The third of four packets is lost, and the fourth is there in time.
func Example() {
	c, err := conceal.New(8000, 1)
	if err != nil {
		panic(err)
	}
	const packet = 160
	media := make([]int16, 4*packet)
	for i := range media {
		media[i] = int16(8000 * math.Sin(2*math.Pi*float64(i)/40))
	}
	c.Media(media[:packet])
	c.Media(media[packet : 2*packet])

	bridge := c.Bridge(nil, packet, media[3*packet:])
	var worst float64
	for i, v := range bridge {
		worst = max(worst, math.Abs(float64(v)-float64(media[2*packet+i])))
	}
	fmt.Println(len(bridge), "samples; as if nothing was lost:", worst < 1200)

	c.Media(media[3*packet:])
	// Output:
	// 160 samples; as if nothing was lost: true
}

// Nothing comes for 40 ms, and then the media goes on.
func ExampleConcealer_Extend() {
	c, err := conceal.New(8000, 1)
	if err != nil {
		panic(err)
	}
	frame := make([]int16, 160)
	for i := range frame {
		frame[i] = int16(i % 40 * 100)
	}
	c.Join(frame) // does nothing here
	c.Media(frame)
	made := c.Extend(nil, 160)
	made = c.Extend(made, 160)
	c.Join(frame) // goes over from the extension
	c.Media(frame)
	fmt.Println(len(made), "samples made up")
	// Output:
	// 320 samples made up
}
