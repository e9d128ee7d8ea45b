//go:build interop

package vpx

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/parley-media/parley/video"
)

// Damaged frames are errors or pictures, and the next key frame heals, however
// many there were.
func TestDamage(t *testing.T) {
	for _, name := range both {
		e, d := newPair(t, EncoderConfig{Codec: name})
		var in, out image.YCbCr
		var f video.Frame
		frame := func(n int, key bool) {
			scene(&in, 320, 240, n)
			if err := e.Encode(&f, &in, pictureTime(n), key); err != nil {
				t.Fatal(err)
			}
		}
		frame(0, true)
		frame(1, false)
		if err := d.Decode(&out, &f); !errors.Is(err, video.ErrFrame) {
			t.Errorf("%s: no key frame yet: %v", name, err)
		}
		faults, seed := 0, uint32(1)
		for n := 2; n < 200; n++ {
			frame(n, n%10 == 0)
			data := bytes.Clone(f.Data)
			for range 1 + n%3 {
				seed = seed*1664525 + 1013904223
				if n%2 == 0 {
					data = data[:1+int(seed>>8)%len(data)]
				} else {
					data[int(seed>>8)%len(data)] ^= byte(seed>>4) | 1
				}
			}
			if err := d.Decode(&out, &video.Frame{Data: data}); err != nil {
				if !errors.Is(err, video.ErrFrame) && !errors.Is(err, video.ErrNoPicture) {
					t.Fatal(err)
				}
				faults++
			}
		}
		if faults == 0 {
			t.Errorf("%s: no fault found", name)
		}
		frame(200, true)
		for n := 201; n < 205; n++ {
			if err := d.Decode(&out, &f); err != nil {
				t.Fatalf("%s: frame %d behind a key frame: %v", name, n-201, err)
			}
			if q := psnr(&in, &out); q < 30 {
				t.Errorf("%s: frame %d behind a key frame: %.1f dB", name, n-201, q)
			}
			frame(n, false)
		}
	}
}

// residentKB is the most memory that this process has had.
func residentKB(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d", &kb); n == 1 {
			return kb
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// Headers that ask for the largest picture cost nothing, whether they come
// first, later, or hidden behind a frame.
func TestHostileSizes(t *testing.T) {
	for _, name := range both {
		e, d := newPair(t, EncoderConfig{Codec: name})
		var in, out image.YCbCr
		var f video.Frame
		scene(&in, 640, 480, 0)
		if err := e.Encode(&f, &in, 0, true); err != nil {
			t.Fatal(err)
		}
		good := bytes.Clone(f.Data)
		hostile := [][]byte{append(vp8Key(16383, 16383), make([]byte, 100)...)}
		if name == "VP9" {
			tail := make([]byte, 100)
			hostile = [][]byte{
				append(vp9Key(65536, 65536), tail...),
				append(vp9Key(16000, 16000), tail...),
				append(vp9IntraOnly(16000, 16000, 1), tail...),
				append(vp9Inter(10240, 7680, -1), tail...),
				superframe(good, append(vp9Key(16000, 16000), tail...)),
			}
		}
		before := residentKB(t)
		for _, b := range hostile {
			if err := d.Decode(&out, &video.Frame{Data: b}); !errors.Is(err, video.ErrFrame) {
				t.Errorf("%s: % x: %v", name, b[:12], err)
			}
			if err := d.Decode(&out, &video.Frame{Data: good}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if name == "VP9" {
			// What follows a frame without an index is not looked at.
			b := append(bytes.Clone(good), append(vp9Key(16000, 16000), make([]byte, 100)...)...)
			if err := d.Decode(&out, &video.Frame{Data: b}); err != nil || psnr(&in, &out) < 30 {
				t.Errorf("VP9: a second frame without an index: %v", err)
			}
		}
		if grown := residentKB(t) - before; grown > 50_000 {
			t.Errorf("%s: %d KB more memory", name, grown)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, name := range both {
		e, d := newPair(t, EncoderConfig{Codec: name})
		var f video.Frame
		var p image.YCbCr
		for _, bad := range []*image.YCbCr{
			nil,
			{},
			image.NewYCbCr(image.Rect(0, 0, 16, 16), image.YCbCrSubsampleRatio444),
			image.NewYCbCr(image.Rect(0, 0, 16384, 2), image.YCbCrSubsampleRatio420),
			{Y: make([]byte, 10), Cb: make([]byte, 64), Cr: make([]byte, 64), YStride: 16, CStride: 8, SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, 16, 16)},
		} {
			if err := e.Encode(&f, bad, 0, false); !errors.Is(err, video.ErrPicture) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 2 {
			e.Close()
			d.Close()
		}
		scene(&p, 16, 16, 0)
		if err := e.Encode(&f, &p, 0, false); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if err := e.SetBitrate(50000); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if err := d.Decode(&p, &f); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// Coders that are dropped are collected.
func TestCollected(t *testing.T) {
	need(t)
	var p image.YCbCr
	var f video.Frame
	scene(&p, 640, 480, 0)
	before := 0
	for i := range 120 {
		e, _ := NewEncoder(EncoderConfig{Codec: both[i%2]})
		d, _ := NewDecoder(DecoderConfig{Codec: both[i%2]})
		if err := e.Encode(&f, &p, 0, false); err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(&p, &f); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		if i == 40 {
			before = residentKB(t)
		}
	}
	if grown := residentKB(t) - before; grown > 400_000 {
		t.Errorf("%d KB more after 80 more coders", grown)
	}
}
