package video

import (
	"errors"
	"fmt"
	"image"
	"time"
)

// A Transform draws a picture from another one.
type Transform interface {
	// Draw fills dst with src transformed. Both are 4:2:0 and share no memory; dst
	// becomes as large as src by [Reshape], so that nothing is allocated as long
	// as the size stays. The time of the picture moves what moves. An error wraps
	// [ErrPicture].
	Draw(dst, src *image.YCbCr, at time.Duration) error
}

// NewTransform returns a transform by its name: "none" or "", "edges", "cartoon"
// or "rotate". For other names the error wraps [errors.ErrUnsupported].
func NewTransform(name string) (Transform, error) {
	switch name {
	case "", "none":
		return None{}, nil
	case "edges":
		return Edges{}, nil
	case "cartoon":
		return new(Cartoon), nil
	case "rotate":
		return Rotate{}, nil
	}
	return nil, fmt.Errorf("video: transform %q: %w", name, errors.ErrUnsupported)
}

// Video has 16 for black and 235 for white, and 128 for no colour (ITU-R BT.601,
// section 2.5.3).
const (
	black = 16
	white = 235
	grey  = 128
)

// begin checks the pictures of a transform and sizes dst.
func begin(dst, src *image.YCbCr) error {
	if err := CheckPicture(src); err != nil {
		return err
	}
	if dst == nil || dst == src {
		return fmt.Errorf("%w: a transform needs a second one to draw in", ErrPicture)
	}
	return Reshape(dst, src.Rect.Dx(), src.Rect.Dy())
}

// None is the [Transform] that copies.
type None struct{}

// Draw implements [Transform].
func (None) Draw(dst, src *image.YCbCr, _ time.Duration) error {
	if err := begin(dst, src); err != nil {
		return err
	}
	dy, db, dr := planes(dst)
	sy, sb, sr := planes(src)
	for _, p := range [...][2]plane{{dy, sy}, {db, sb}, {dr, sr}} {
		for y := range p[0].h {
			copy(p[0].row(y), p[1].row(y))
		}
	}
	return nil
}

// Edges is the [Transform] that draws the outlines, light on black, by Sobel's
// operator.
type Edges struct{}

// Draw implements [Transform].
func (Edges) Draw(dst, src *image.YCbCr, _ time.Duration) error {
	if err := begin(dst, src); err != nil {
		return err
	}
	out, cb, cr := planes(dst)
	in, _, _ := planes(src)
	for y := range in.h {
		sobel(out.row(y), in.row(max(y-1, 0)), in.row(y), in.row(min(y+1, in.h-1)))
	}
	cb.fill(grey)
	cr.fill(grey)
	return nil
}

// sobel draws the edges of the middle one of three rows. What is outside the
// picture is like its border.
func sobel(out, above, here, below []byte) {
	w := len(out)
	above, here, below = above[:w], here[:w], below[:w]
	for x := range out {
		l, r := max(x-1, 0), min(x+1, w-1)
		a, b, c := int(above[l]), int(above[x]), int(above[r])
		d, e := int(here[l]), int(here[r])
		f, g, h := int(below[l]), int(below[x]), int(below[r])
		gx := c + 2*e + h - a - 2*d - f
		gy := f + 2*g + h - a - 2*b - c
		out[x] = byte(black + min(white-black, (max(gx, -gx)+max(gy, -gy))/2))
	}
}
