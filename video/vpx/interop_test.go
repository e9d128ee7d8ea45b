//go:build interop

package vpx

import (
	"fmt"
	"image"
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/parley-media/parley/video"
)

func need(t testing.TB) {
	t.Helper()
	if err := Available(); err != nil {
		t.Fatalf("%v (Debian package libvpx7)", err)
	}
}

var both = []string{"VP8", "VP9"}

// scene draws picture n of a moving scene: shapes, gradients and some texture.
func scene(p *image.YCbCr, w, h, n int) {
	if err := video.Reshape(p, w, h); err != nil {
		panic(err)
	}
	for y := range h {
		for x := range w {
			v := 60 + 100*x/w + 30*y/h + (x*7+y*13)%9
			if dx, dy := x-w/4-3*n, y-h/2; dx*dx+dy*dy < h*h/16 {
				v = 200 - 40*(x/8+y/8)%2
			}
			p.Y[y*p.YStride+x] = byte(v)
		}
	}
	for y := range (h + 1) / 2 {
		for x := range (w + 1) / 2 {
			p.Cb[y*p.CStride+x] = byte(100 + 50*x/w + n%8)
			p.Cr[y*p.CStride+x] = byte(140 - 40*y/h)
		}
	}
}

func psnr(a, b *image.YCbCr) float64 {
	sum, n := 0.0, 0
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			d := float64(a.Y[y*a.YStride+x]) - float64(b.Y[y*b.YStride+x])
			sum += d * d
			n++
		}
	}
	for y := range (a.Rect.Dy() + 1) / 2 {
		for x := range (a.Rect.Dx() + 1) / 2 {
			for _, d := range []float64{
				float64(a.Cb[y*a.CStride+x]) - float64(b.Cb[y*b.CStride+x]),
				float64(a.Cr[y*a.CStride+x]) - float64(b.Cr[y*b.CStride+x]),
			} {
				sum += d * d
				n++
			}
		}
	}
	return 10 * math.Log10(255*255*float64(n)/(sum+1e-9))
}

func newPair(t testing.TB, c EncoderConfig) (*Encoder, *Decoder) {
	t.Helper()
	need(t)
	e, err := NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(DecoderConfig{Codec: c.Codec, Threads: c.Threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(); d.Close() })
	return e, d
}

func pictureTime(n int) time.Duration { return time.Duration(n) * time.Second / 30 }

// Sizes of every parity come back, and look as they were.
func TestRoundTrip(t *testing.T) {
	for _, name := range both {
		for _, size := range []image.Point{{320, 240}, {642, 482}, {321, 239}, {17, 1}, {1, 1}} {
			for _, threads := range []int{1, 4} {
				e, d := newPair(t, EncoderConfig{Codec: name, Threads: threads, Bitrate: 1_500_000})
				var in, out image.YCbCr
				var f video.Frame
				worst, total := math.Inf(1), 0
				for n := range 30 {
					scene(&in, size.X, size.Y, n)
					if err := e.Encode(&f, &in, pictureTime(n), false); err != nil {
						t.Fatal(err)
					}
					if f.Key != (n == 0) || f.Time != pictureTime(n) || f.Width != size.X || f.Height != size.Y {
						t.Fatalf("%s: frame %d: key %v, %v, %dx%d", name, n, f.Key, f.Time, f.Width, f.Height)
					}
					if err := d.Decode(&out, &f); err != nil {
						t.Fatal(err)
					}
					if out.Rect.Size() != size {
						t.Fatalf("%s: %v, want %v", name, out.Rect, size)
					}
					worst = min(worst, psnr(&in, &out))
					total += len(f.Data)
				}
				t.Logf("%s %v, %d threads: worst %.1f dB, %d kb/s", name, size, threads, worst, total*8/1000)
				if worst < 30 {
					t.Errorf("%s %v: %.1f dB, want 30", name, size, worst)
				}
			}
		}
	}
}

// The defaults of the library are where layout.go looks for them.
func TestDefaultsAreReadBack(t *testing.T) {
	need(t)
	l, _ := load()
	for c := range codecID(codecs) {
		e, _ := newPair(t, EncoderConfig{Codec: c.String()})
		s := &e.settings // on the heap
		if status, _, _ := purego.SyscallN(l.encoderDefaults, l.encoders[c], address(s), 0); status != 0 {
			t.Fatalf("%v: status %d", c, status)
		}
		if s.width != 320 || s.height != 240 || s.timebaseNum != 1 || s.timebaseDen != 30 || s.targetBitrate != 256 ||
			s.undershoot != [...]uint32{100, 25}[c] || s.overshoot != [...]uint32{100, 25}[c] || s.buffer != 6000 || s.bufferInitial != 4000 ||
			s.bufferOptimal != 5000 || s.keyMode != keyAutomatic || s.keyMax != [...]uint32{128, 128}[c] ||
			s.maxQuantizer != 63 || s.endUsage != 0 || s.spatialLayers != 1 || s.temporalLayers != 1 {
			t.Errorf("%v: %+v", c, *s)
		}
		end := 504 / 4
		for i, v := range unsafe.Slice((*uint32)(unsafe.Pointer(s)), unsafe.Sizeof(*s)/4)[end:] {
			if v != 0 {
				t.Errorf("%v: word %d behind the end is %d", c, end+i, v)
			}
		}
	}
	if l.encoderABI != 25 || !strings.HasPrefix(Version(), "v1.12.") {
		t.Logf("%s with version %d of the interface, not the 25 of 1.12", Version(), l.encoderABI)
	}
	for version, want := range map[uintptr]int32{l.encoderABI: invalidParameter, l.encoderABI + 1: abiMismatch} {
		if status, _, _ := purego.SyscallN(l.encoderInit, 0, 0, 0, 0, version); int32(status) != want {
			t.Errorf("version %d: status %d, want %d", version, int32(status), want)
		}
	}
}

func TestKeyFrames(t *testing.T) {
	for _, name := range both {
		var f video.Frame
		var p image.YCbCr
		keys := func(c EncoderConfig, asked func(n int) bool) (at []int) {
			c.Codec = name
			e, _ := newPair(t, c)
			for n := range 40 {
				scene(&p, 160, 120, n)
				if err := e.Encode(&f, &p, pictureTime(n), asked(n)); err != nil {
					t.Fatal(err)
				}
				if f.Key {
					at = append(at, n)
				}
			}
			return at
		}
		never := func(int) bool { return false }
		if got := fmt.Sprint(keys(EncoderConfig{}, never)); got != "[0]" {
			t.Errorf("%s: keys at %s unasked", name, got)
		}
		if got := fmt.Sprint(keys(EncoderConfig{}, func(n int) bool { return n == 7 || n == 8 || n == 31 })); got != "[0 7 8 31]" {
			t.Errorf("%s: asked for 7, 8 and 31, got %s", name, got)
		}
		got := keys(EncoderConfig{KeyInterval: 12}, never)
		for i := 1; i < len(got); i++ {
			if got[i]-got[i-1] > 12 {
				t.Errorf("%s: keys at %v with an interval of 12", name, got)
			}
		}
		if len(got) < 4 {
			t.Errorf("%s: keys at %v with an interval of 12", name, got)
		}
	}
}

// noise is what no encoder can predict.
func noise(p *image.YCbCr, w, h int, seed uint32) {
	scene(p, w, h, int(seed%50))
	for i := range p.Y {
		seed = seed*1664525 + 1013904223
		p.Y[i] = byte(int(p.Y[i])/2 + int(seed>>24)/4)
	}
}

// The rate is kept, and follows a change from one picture to the next.
func TestBitrate(t *testing.T) {
	for _, name := range both {
		e, _ := newPair(t, EncoderConfig{Codec: name, Bitrate: 2_000_000})
		var p image.YCbCr
		var f video.Frame
		n := 0
		measure := func() int {
			bits := 0
			for i := range 120 {
				noise(&p, 320, 240, uint32(n))
				if err := e.Encode(&f, &p, pictureTime(n), false); err != nil {
					t.Fatal(err)
				}
				n++
				if f.Key && i > 0 {
					t.Error("a key frame")
				}
				if i >= 60 {
					bits += len(f.Data) * 8
				}
			}
			return bits / 2
		}
		for _, want := range []int{2_000_000, 700_000, 1_500_000} {
			if err := e.SetBitrate(want); err != nil {
				t.Fatal(err)
			}
			got := measure()
			t.Logf("%s: %d b/s asked for, %d sent", name, want, got)
			if math.Abs(float64(got-want)) > 0.2*float64(want) {
				t.Errorf("%s: %d b/s asked for, %d sent", name, want, got)
			}
		}
		for _, bad := range []int{0, -5, 999, maxBitrate + 1} {
			if e.SetBitrate(bad) == nil {
				t.Errorf("%d b/s: no error", bad)
			}
		}
	}
}

// A new size begins with a key frame, and the decoder follows. A clock that is
// set back or forward changes nothing.
func TestSizeAndTimeChange(t *testing.T) {
	for _, name := range both {
		e, d := newPair(t, EncoderConfig{Codec: name})
		var in, out image.YCbCr
		var f video.Frame
		at := time.Hour
		for i, size := range []image.Point{{320, 240}, {640, 480}, {101, 333}, {640, 480}} {
			for n := range 10 {
				switch {
				case i == 1 && n == 5:
					at -= 50 * time.Minute
				case i == 2 && n == 5:
					at += 1000 * time.Hour
				case n != 7:
					at += time.Second / 30
				}
				scene(&in, size.X, size.Y, n)
				if err := e.Encode(&f, &in, at, false); err != nil {
					t.Fatal(err)
				}
				if err := d.Decode(&out, &f); err != nil {
					t.Fatal(err)
				}
				if f.Key != (n == 0) || out.Rect.Size() != size || f.Width != size.X || f.Time != at {
					t.Fatalf("%s: frame %d of %v: key %v, %v", name, n, size, f.Key, out.Rect)
				}
				if q := psnr(&in, &out); q < 28 {
					t.Errorf("%s: frame %d of %v: %.1f dB", name, n, size, q)
				}
			}
		}
	}
}

// A part of a larger picture is coded, and decoded into a part.
func TestPartOfAPicture(t *testing.T) {
	for _, name := range both {
		e, d := newPair(t, EncoderConfig{Codec: name, Bitrate: 2_000_000})
		var in image.YCbCr
		scene(&in, 320, 240, 0)
		part := in.SubImage(image.Rect(20, 30, 181, 151)).(*image.YCbCr)
		canvas := image.NewYCbCr(image.Rect(0, 0, 400, 300), image.YCbCrSubsampleRatio420)
		into := canvas.SubImage(image.Rect(100, 100, 261, 221)).(*image.YCbCr)
		var f video.Frame
		if err := e.Encode(&f, part, 0, false); err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(into, &f); err != nil {
			t.Fatal(err)
		}
		if q := psnr(part, into); q < 30 || into.Rect.Min.X != 100 {
			t.Errorf("%s: %.1f dB at %v", name, q, into.Rect)
		}
		if canvas.Y[99*canvas.YStride+150] != 0 || canvas.Y[150*canvas.YStride+261] != 0 || canvas.Y[221*canvas.YStride+150] != 0 {
			t.Errorf("%s: pixels outside of the part are drawn", name)
		}
	}
}
