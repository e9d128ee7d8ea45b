package video_test

import (
	"fmt"
	"image"

	"github.com/parley-media/parley/video"
)

// A handler keeps one destination, and draws every picture into it.
func ExampleNewTransform() {
	edges, err := video.NewTransform("edges")
	if err != nil {
		fmt.Println(err)
		return
	}
	src := image.NewYCbCr(image.Rect(0, 0, 8, 2), image.YCbCrSubsampleRatio420)
	copy(src.Y, []byte{50, 50, 50, 50, 90, 90, 90, 90})
	copy(src.Y[8:], src.Y[:8])
	var dst image.YCbCr
	if err := edges.Draw(&dst, src, 0); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(dst.Rect.Dx(), dst.Rect.Dy(), dst.Y[:8])
	// Output: 8 2 [16 16 16 96 96 16 16 16]
}
