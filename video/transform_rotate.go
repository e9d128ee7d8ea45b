package video

import (
	"image"
	"math"
	"time"
)

// Rotate is the [Transform] that turns the picture counter-clockwise about its
// middle, as time goes on. The size stays; what was outside is black.
type Rotate struct {
	Speed float64 // degrees per second, negative: clockwise; 0: 45
}

// Draw implements [Transform].
func (r Rotate) Draw(dst, src *image.YCbCr, at time.Duration) error {
	if err := begin(dst, src); err != nil {
		return err
	}
	sin, cos := r.turn(at)
	dy, db, dr := planes(dst)
	sy, sb, sr := planes(src)
	rotate(dy, sy, sin, cos, black)
	rotate(db, sb, sin, cos, grey)
	rotate(dr, sr, sin, cos, grey)
	return nil
}

// turn returns sine and cosine of the angle at a time, in units of 1/65536.
func (r Rotate) turn(at time.Duration) (sin, cos int64) {
	speed := r.Speed
	if speed == 0 {
		speed = 45
	}
	angle := math.Mod(at.Seconds()*speed, 360)
	if math.IsNaN(angle) {
		return 0, 1 << 16
	}
	s, c := math.Sincos(angle * math.Pi / 180)
	return int64(math.Round(s * (1 << 16))), int64(math.Round(c * (1 << 16)))
}

// rotate takes for each pixel the one that its middle comes from. Distances from
// the middle of the picture are in half pixels, so that they are whole numbers,
// times 65536.
func rotate(dst, src plane, sin, cos int64, outside byte) {
	w, h := int64(src.w), int64(src.h)
	for y := range h {
		dx, dy := 1-w, 2*y+1-h
		sx := cos*dx - sin*dy + w<<16
		sy := sin*dx + cos*dy + h<<16
		row := dst.row(int(y))
		for x := range row {
			px, py := sx>>17, sy>>17
			if uint64(px) < uint64(w) && uint64(py) < uint64(h) {
				row[x] = src.pix[int(py)*src.stride+int(px)]
			} else {
				row[x] = outside
			}
			sx += 2 * cos
			sy += 2 * sin
		}
	}
}
