package g711_test

import (
	"fmt"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/g711"
)

func ExampleAppendMuLaw() {
	pcm := []int16{0, 1000, -1000, 32767}
	payload := g711.AppendMuLaw(nil, pcm)
	fmt.Printf("%x\n", payload)
	fmt.Println(g711.AppendPCMFromMuLaw(nil, payload))
	// Output:
	// ffce4e80
	// [0 988 -988 32124]
}

func ExampleAppendALaw() {
	pcm := []int16{0, 1000, -1000, 32767}
	payload := g711.AppendALaw(nil, pcm)
	fmt.Printf("%x\n", payload)
	fmt.Println(g711.AppendPCMFromALaw(nil, payload))
	// Output:
	// d5fa7aaa
	// [8 1008 -1008 32256]
}

// A program that gets its codecs by name, as a call does.
func Example() {
	p := codec.Params{Name: "PCMA", PayloadType: 8, ClockRate: 8000}
	c, err := codec.Lookup(p)
	if err != nil {
		fmt.Println(err)
		return
	}
	enc, _ := c.NewEncoder(p)
	payload, err := enc.Encode(nil, make([]int16, 160)) // 20 ms of silence
	fmt.Println(len(payload), err)
	// Output: 160 <nil>
}
