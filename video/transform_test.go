package video

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// scene is a picture with shapes, gradients and noise, at some place of a larger
// one.
func scene(w, h int, seed uint64) *image.YCbCr {
	rng := rand.New(rand.NewPCG(seed, 1))
	at := image.Pt(int(seed%3)*2, int(seed%5))
	whole := image.NewYCbCr(image.Rect(0, 0, w+at.X+3, h+at.Y+2), image.YCbCrSubsampleRatio420)
	p := whole.SubImage(image.Rectangle{at, at.Add(image.Pt(w, h))}).(*image.YCbCr)
	c := components(p)
	for y := range h {
		row := c[0].row(y)
		for x := range row {
			v := 16 + 200*x/w + rng.IntN(12)
			if (x-w/2)*(x-w/2)+(y-h/2)*(y-h/2) < w*h/9 {
				v = 230 - 150*y/h
			}
			row[x] = byte(v)
		}
	}
	for _, pl := range c[1:] {
		for y := range pl.h {
			row := pl.row(y)
			for x := range row {
				row[x] = byte(60 + 120*y/h + rng.IntN(60))
			}
		}
	}
	return p
}

// pixel is that of a plane, or the nearest one on the border.
func pixel(p plane, x, y int) int {
	return int(p.pix[min(max(y, 0), p.h-1)*p.stride+min(max(x, 0), p.w-1)])
}

// mean is that of the square around a pixel, rounded down.
func mean(p plane, x, y, reach int) int {
	sum, n := 0, 0
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			sum += pixel(p, x+dx, y+dy)
			n++
		}
	}
	return sum / n
}

// simple are the transforms as one would write them down, a pixel at a time: fn
// gives the one at (x, y) of component c.
func simple(name string, src *image.YCbCr, at time.Duration) [3][]byte {
	var out [3][]byte
	for c, p := range components(src) {
		for y := range p.h {
			for x := range p.w {
				out[c] = append(out[c], simplePixel(name, p, c, x, y, at))
			}
		}
	}
	return out
}

func simplePixel(name string, p plane, c, x, y int, at time.Duration) byte {
	v := pixel(p, x, y)
	switch name {
	case "edges":
		if c > 0 {
			return 128
		}
		gx, gy := 0, 0
		for i, weight := range []int{1, 2, 1} {
			gx += weight * (pixel(p, x+1, y+i-1) - pixel(p, x-1, y+i-1))
			gy += weight * (pixel(p, x+i-1, y+1) - pixel(p, x+i-1, y-1))
		}
		return byte(min(235, 16+int(math.Abs(float64(gx))+math.Abs(float64(gy)))/2))
	case "cartoon":
		if c > 0 {
			return byte(min(240, int(math.Floor(float64(v)/16+0.5))*16))
		}
		if v+8 < mean(p, x, y, 4) {
			return 16
		}
		step := min(max(mean(p, x, y, 2)-16, 0)*8/220, 7)
		return byte(16 + (2*step+1)*220/16)
	case "rotate":
		angle := math.Pi / 4 * math.Mod(at.Seconds(), 8)
		sin, cos := math.Round(65536*math.Sin(angle))/65536, math.Round(65536*math.Cos(angle))/65536
		dx, dy := float64(x)+0.5-float64(p.w)/2, float64(y)+0.5-float64(p.h)/2
		sx := math.Floor(cos*dx - sin*dy + float64(p.w)/2)
		sy := math.Floor(sin*dx + cos*dy + float64(p.h)/2)
		if sx < 0 || sy < 0 || sx >= float64(p.w) || sy >= float64(p.h) {
			return [3]byte{16, 128, 128}[c]
		}
		return byte(pixel(p, int(sx), int(sy)))
	}
	return byte(v)
}

func bytesOf(p *image.YCbCr) (out [3][]byte) {
	for c, pl := range components(p) {
		for y := range pl.h {
			out[c] = append(out[c], pl.row(y)...)
		}
	}
	return out
}

var transforms = []string{"none", "edges", "cartoon", "rotate"}

// One value of each transform draws pictures of changing sizes, each as the
// simple way has it.
func TestTransformsAsWrittenDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(transforms).Draw(t, "name")
		transform, err := NewTransform(name)
		if err != nil {
			t.Fatal(err)
		}
		var dst image.YCbCr
		for range 3 {
			w, h := rapid.IntRange(1, 40).Draw(t, "width"), rapid.IntRange(1, 40).Draw(t, "height")
			src := scene(w, h, rapid.Uint64Range(0, 1000).Draw(t, "seed"))
			at := time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, "time"))
			before := fmt.Sprint(bytesOf(src))
			if err := transform.Draw(&dst, src, at); err != nil {
				t.Fatal(err)
			}
			if dst.Rect.Size() != image.Pt(w, h) {
				t.Fatalf("%v, want %dx%d", dst.Rect, w, h)
			}
			got, want := bytesOf(&dst), simple(name, src, at)
			for c := range got {
				if string(got[c]) != string(want[c]) {
					t.Fatalf("%s of %dx%d at %v: component %d is\n%v, want\n%v", name, w, h, at, c, got[c], want[c])
				}
			}
			if fmt.Sprint(bytesOf(src)) != before {
				t.Fatalf("%s changes the source", name)
			}
		}
	})
}

func TestTransformsStayAsTheyAre(t *testing.T) {
	for name, want := range map[string]string{
		"none":    "74e1c52555239f30",
		"edges":   "f7f9b6efb2932499",
		"cartoon": "fa303d725b4d8218",
		"rotate":  "d0a2b99e4047120e",
	} {
		transform, _ := NewTransform(name)
		var dst image.YCbCr
		if err := transform.Draw(&dst, scene(320, 240, 7), 1300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		written := simple(name, scene(320, 240, 7), 1300*time.Millisecond)
		for i, planes := range [][3][]byte{bytesOf(&dst), written} {
			sum := sha256.New()
			for _, p := range planes {
				sum.Write(p)
			}
			if got := fmt.Sprintf("%x", sum.Sum(nil)[:8]); got != want {
				t.Errorf("%s, way %d: %s, want %s", name, i, got, want)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	src := scene(64, 64, 4)
	want := bytesOf(src)
	quarter := func(deg float64) [3][]byte {
		var dst image.YCbCr
		if err := (Rotate{Speed: deg}).Draw(&dst, src, time.Second); err != nil {
			t.Fatal(err)
		}
		return bytesOf(&dst)
	}
	for c, n := range []int{64, 32, 32} {
		full, half, left := quarter(360)[c], quarter(-180)[c], quarter(90)[c]
		for y := range n {
			for x := range n {
				v := want[c][y*n+x]
				if full[y*n+x] != v || half[(n-1-y)*n+n-1-x] != v || left[(n-1-x)*n+y] != v {
					t.Fatalf("component %d: (%d, %d) is not where a turn brings it", c, x, y)
				}
			}
		}
	}
	for _, r := range []Rotate{{Speed: math.NaN()}, {Speed: math.Inf(1)}} {
		var dst image.YCbCr
		if err := r.Draw(&dst, src, time.Second); err != nil || string(bytesOf(&dst)[0]) != string(want[0]) {
			t.Errorf("%v: %v, or it is not left as it is", r, err)
		}
	}
}

// What is even has no edges and no contours.
func TestEvenPicture(t *testing.T) {
	src := image.NewYCbCr(image.Rect(0, 0, 50, 30), image.YCbCrSubsampleRatio420)
	var dst image.YCbCr
	for level := range 256 {
		for _, p := range components(src) {
			p.fill(byte(level))
		}
		for _, name := range []string{"edges", "cartoon"} {
			transform, _ := NewTransform(name)
			if err := transform.Draw(&dst, src, 0); err != nil {
				t.Fatal(err)
			}
			for c, b := range bytesOf(&dst) {
				for _, v := range b {
					if v != b[0] || v < 16 && c == 0 || v > 240 || name == "edges" && v != [3]byte{16, 128, 128}[c] {
						t.Fatalf("%s of level %d: %d in component %d", name, level, v, c)
					}
				}
			}
		}
	}
}

func TestTransformErrors(t *testing.T) {
	if _, err := NewTransform("negative"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("unknown name: %v", err)
	}
	src := scene(20, 20, 0)
	for _, name := range append(transforms, "") {
		transform, err := NewTransform(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range [][2]*image.YCbCr{
			{src, src},
			{nil, src},
			{new(image.YCbCr), nil},
			{new(image.YCbCr), new(image.YCbCr)},
			{new(image.YCbCr), image.NewYCbCr(image.Rect(0, 0, 9, 9), image.YCbCrSubsampleRatio444)},
		} {
			if err := transform.Draw(c[0], c[1], 0); !errors.Is(err, ErrPicture) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTransformsDoNotAllocate(t *testing.T) {
	src := scene(160, 120, 1)
	for _, name := range transforms {
		transform, _ := NewTransform(name)
		var dst image.YCbCr
		at := time.Duration(0)
		step := func() {
			at += time.Second / 30
			if err := transform.Draw(&dst, src, at); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if n := testing.AllocsPerRun(50, step); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkTransform(b *testing.B) {
	src := scene(640, 480, 1)
	for _, name := range transforms {
		b.Run(name, func(b *testing.B) {
			transform, _ := NewTransform(name)
			var dst image.YCbCr
			b.ReportAllocs()
			for b.Loop() {
				if err := transform.Draw(&dst, src, 700*time.Millisecond); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
