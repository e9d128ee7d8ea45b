package video

import (
	"errors"
	"image"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckPicture(t *testing.T) {
	picture := func(change func(*image.YCbCr)) *image.YCbCr {
		p := image.NewYCbCr(image.Rect(0, 0, 33, 17), image.YCbCrSubsampleRatio420)
		change(p)
		return p
	}
	for _, c := range []struct {
		name string
		img  *image.YCbCr
		ok   bool
	}{
		{"whole", picture(func(*image.YCbCr) {}), true},
		{"a part", picture(func(p *image.YCbCr) { *p = *p.SubImage(image.Rect(3, 5, 30, 16)).(*image.YCbCr) }), true},
		{"none", nil, false},
		{"zero value", new(image.YCbCr), false},
		{"an empty part", picture(func(p *image.YCbCr) { *p = *p.SubImage(image.Rect(3, 5, 3, 9)).(*image.YCbCr) }), false},
		{"4:2:2", image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio422), false},
		{"short Y", picture(func(p *image.YCbCr) { p.Y = p.Y[1:] }), false},
		{"short Cb", picture(func(p *image.YCbCr) { p.Cb = p.Cb[1:] }), false},
		{"short Cr", picture(func(p *image.YCbCr) { p.Cr = nil }), false},
		{"narrow rows", picture(func(p *image.YCbCr) { p.YStride = 32 }), false},
		{"narrow rows of chroma", picture(func(p *image.YCbCr) { p.CStride = 16 }), false},
		{"negative stride", picture(func(p *image.YCbCr) { p.YStride = -33 }), false},
		{"negative place", picture(func(p *image.YCbCr) { p.Rect = p.Rect.Sub(image.Pt(1, 1)) }), false},
		{"huge", picture(func(p *image.YCbCr) { p.Rect.Max = image.Pt(math.MaxInt, math.MaxInt) }), false},
	} {
		if err := CheckPicture(c.img); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrPicture) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Whatever a picture was before, it has the size, all of its pixels can be
// reached, and its memory is used again.
func TestReshape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 70)
		p := image.NewYCbCr(image.Rect(0, 0, 70, 70), image.YCbCrSubsampleRatio420)
		first := &p.Y[0]
		for range 4 {
			w, h := side.Draw(t, "width"), side.Draw(t, "height")
			if err := Reshape(p, w, h); err != nil {
				t.Fatal(err)
			}
			if p.Rect.Size() != image.Pt(w, h) || CheckPicture(p) != nil || &p.Y[0] != first {
				t.Fatalf("%v in other memory", p.Rect)
			}
			for _, pl := range components(p) {
				pl.fill(7)
			}
		}
	})
	for _, size := range []image.Point{{0, 1}, {1, 0}, {-1, 5}, {1 << 20, 1}, {1, 1 << 15 << 1}} {
		if err := Reshape(new(image.YCbCr), size.X, size.Y); !errors.Is(err, ErrPicture) {
			t.Errorf("%v: %v", size, err)
		}
	}
	whole := image.NewYCbCr(image.Rect(0, 0, 40, 40), image.YCbCrSubsampleRatio420)
	part := whole.SubImage(image.Rect(10, 10, 20, 20)).(*image.YCbCr)
	if err := Reshape(part, 10, 10); err != nil || part.YStride != 40 || part.Rect.Min.X != 10 {
		t.Errorf("a part of the right size is not left alone: %v, %v", err, part.Rect)
	}
}

func components(p *image.YCbCr) [3]plane {
	y, cb, cr := planes(p)
	return [3]plane{y, cb, cr}
}
