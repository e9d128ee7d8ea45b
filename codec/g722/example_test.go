package g722_test

import (
	"fmt"

	"github.com/parley-media/parley/codec/g722"
)

func Example() {
	enc, dec := g722.NewEncoder(), g722.NewDecoder()
	pcm := make([]int16, 320) // 20 ms at 16 kHz
	payload, err := enc.Encode(nil, pcm)
	if err != nil {
		fmt.Println(err)
		return
	}
	pcm, err = dec.Decode(pcm[:0], payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(payload), "bytes,", len(pcm), "samples")
	// Output: 160 bytes, 320 samples
}

func ExampleEncoder() {
	var enc g722.Encoder
	_, err := enc.Encode(nil, make([]int16, 321))
	fmt.Println(err)
	// Output: audio: wrong format: 321 samples, G.722 takes pairs
}

func ExampleDecoder() {
	var dec g722.Decoder
	pcm, err := dec.Decode(nil, []byte{0xFA, 0xFA, 0xFA, 0xFA}) // silence, but for a bit
	fmt.Println(pcm, err)
	// Output: [0 -1 -1 0 0 -1 0 0] <nil>
}
