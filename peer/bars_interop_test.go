//go:build interop

package peer_test

import "image"

// Bars are a decoded picture of the page, or one that its eyes can read: sixteen
// columns, of which three say whose it is and thirteen count, above the same in
// negative.
type bars struct{ image image.YCbCr }

const barColumns = 16

func newBars() *bars {
	return &bars{*image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420)}
}

// read returns the numbers of the picture, if it can be read.
func (b *bars) read() (id, number int, ok bool) {
	w, h := b.image.Rect.Dx(), b.image.Rect.Dy()
	n := 0
	for i := range barColumns {
		x := w * (2*i + 1) / (2 * barColumns)
		upper, lower := b.image.Y[h/4*b.image.YStride+x] > 125, b.image.Y[h*3/4*b.image.YStride+x] > 125
		if upper == lower {
			return 0, 0, false
		}
		if upper {
			n |= 1 << i
		}
	}
	return n >> 13, n & 0x1fff, true
}
