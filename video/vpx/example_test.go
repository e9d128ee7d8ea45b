//go:build interop

package vpx_test

import (
	"errors"
	"fmt"
	"image"
	"time"

	"github.com/parley-media/parley/video"
	"github.com/parley-media/parley/video/vpx"
)

// A picture is coded and decoded; between the two lies the network. Without the
// library, NewEncoder says what to install.
func Example() {
	encoder, encErr := vpx.NewEncoder(vpx.EncoderConfig{Codec: "VP8", Bitrate: 500_000})
	decoder, decErr := vpx.NewDecoder(vpx.DecoderConfig{Codec: "VP8"})
	if err := errors.Join(encErr, decErr); err != nil {
		fmt.Println(err)
		return
	}
	defer encoder.Close()
	defer decoder.Close()

	camera := image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420)
	var frame video.Frame   // reused
	var picture image.YCbCr // reused
	for n := range 3 {
		at := time.Duration(n) * time.Second / 30
		if err := encoder.Encode(&frame, camera, at, false); err != nil {
			fmt.Println(err)
			return
		}
		switch err := decoder.Decode(&picture, &frame); {
		case errors.Is(err, video.ErrNoPicture):
			continue
		case errors.Is(err, video.ErrFrame):
			fmt.Println("a key frame is needed")
			continue
		case err != nil:
			fmt.Println(err)
			return
		}
		fmt.Println(frame.Key, picture.Rect.Dx(), picture.Rect.Dy())
	}
	// Output:
	// true 320 240
	// false 320 240
	// false 320 240
}
