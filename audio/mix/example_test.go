package mix_test

import (
	"fmt"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/mix"
)

// Three in a room: each one hears the other two.
func Example() {
	format := audio.Format{Rate: 8000, Channels: 1}
	m, err := mix.New(mix.Config{Format: format})
	if err != nil {
		fmt.Println(err)
		return
	}
	room := []*mix.Input{m.Add(), m.Add(), m.Add()}
	var out []int16
	for tick := range 3 {
		for i, in := range room {
			f := audio.Frame{Format: format, Samples: make([]int16, 160)}
			for k := range f.Samples {
				f.Samples[k] = []int16{1000, 200, 30}[i]
			}
			if err := in.WriteFrame(&f); err != nil {
				fmt.Println(err)
				return
			}
		}
		m.Mix(160)
		for i, in := range room {
			out = in.Append(out[:0])
			if tick == 2 {
				fmt.Printf("%d hears %d\n", i, out[0])
			}
		}
	}
	fmt.Println("all together", m.Append(out[:0])[0])
	// Output:
	// 0 hears 230
	// 1 hears 1030
	// 2 hears 1200
	// all together 1230
}

func ExampleInput_SetGain() {
	format := audio.Format{Rate: 8000, Channels: 1}
	m, err := mix.New(mix.Config{Format: format})
	if err != nil {
		fmt.Println(err)
		return
	}
	music, listener := m.Add(), m.Add()
	music.SetGain(0.25)
	f := audio.Frame{Format: format, Samples: make([]int16, 160)}
	for i := range f.Samples {
		f.Samples[i] = 4000
	}
	if err := music.WriteFrame(&f); err != nil {
		fmt.Println(err)
		return
	}
	m.Mix(160)
	out := listener.Append(nil)
	fmt.Println(out[0] < 200, out[159])
	// Output: true 1000
}
