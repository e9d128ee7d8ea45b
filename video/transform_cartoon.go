package video

import (
	"image"
	"time"
)

// Cartoon is the [Transform] that paints even areas of few colours with black
// contours. The zero value is ready; it is not safe for concurrent use.
type Cartoon struct {
	paint, around boxes
}

// Reaches of the two means, in pixels each way, how much darker than its
// surroundings a contour is, and how many steps of brightness and of each colour
// are left.
const (
	paintReach   = 2
	contourReach = 4
	contourDepth = 8
	paintSteps   = 8
	colourStep   = 16
)

// Draw implements [Transform].
func (c *Cartoon) Draw(dst, src *image.YCbCr, _ time.Duration) error {
	if err := begin(dst, src); err != nil {
		return err
	}
	out, outB, outR := planes(dst)
	in, inB, inR := planes(src)
	c.paint.begin(in, paintReach)
	c.around.begin(in, contourReach)
	for y := range in.h {
		paint, around := c.paint.row(in, y), c.around.row(in, y)
		from, to := in.row(y), out.row(y)
		for x, v := range from {
			if int(around[x])-int(v) > contourDepth {
				to[x] = black
			} else {
				to[x] = posterized[paint[x]]
			}
		}
	}
	for _, p := range [...][2]plane{{outB, inB}, {outR, inR}} {
		for y := range p[0].h {
			to := p[0].row(y)
			for x, v := range p[1].row(y) {
				to[x] = byte(min((int(v)+colourStep/2)/colourStep*colourStep, 240))
			}
		}
	}
	return nil
}

// posterized has the middle of its step for each brightness.
var posterized = func() (t [256]byte) {
	const step = float64(white-black+1) / paintSteps
	for v := range t {
		n := int(float64(min(max(v, black), white)-black) / step)
		t[v] = byte(black + (float64(n)+0.5)*step)
	}
	return t
}()

// boxes are the means of the squares around the pixels of a row, for one row
// after another. What is outside the picture is like its border.
type boxes struct {
	reach   int
	columns []int32 // sums of 2*reach+1 rows
	means   []byte
}

// begin sums the columns around row 0.
func (b *boxes) begin(p plane, reach int) {
	b.reach = reach
	if cap(b.columns) < p.w {
		b.columns, b.means = make([]int32, p.w), make([]byte, p.w)
	}
	b.columns, b.means = b.columns[:p.w], b.means[:p.w]
	clear(b.columns)
	for y := -reach; y <= reach; y++ {
		for x, v := range p.row(min(max(y, 0), p.h-1)) {
			b.columns[x] += int32(v)
		}
	}
}

// row returns the means around row y, and goes on to the next.
func (b *boxes) row(p plane, y int) []byte {
	side := 2*b.reach + 1
	// A multiplication is several times faster than a division; the factor is
	// rounded up, which is exact for sums of up to 81 bytes.
	scale := uint64(1)<<32/uint64(side*side) + 1
	last := p.w - 1
	sum := int32(0)
	for x := -b.reach; x <= b.reach; x++ {
		sum += b.columns[min(max(x, 0), last)]
	}
	for x := range b.means {
		b.means[x] = byte(uint64(sum) * scale >> 32)
		sum += b.columns[min(x+b.reach+1, last)] - b.columns[max(x-b.reach, 0)]
	}
	leaves, comes := p.row(max(y-b.reach, 0)), p.row(min(y+b.reach+1, p.h-1))
	for x := range b.columns {
		b.columns[x] += int32(comes[x]) - int32(leaves[x])
	}
	return b.means
}
