//go:build interop

package transform_test

import (
	"errors"
	"image"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/transform"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
	"github.com/parley-media/parley/video/vpx"
)

// A picture that is half black and half white comes back with a line in the middle.
func TestOutlinesByLibvpx(t *testing.T) {
	if err := vpx.Available(); err != nil {
		t.Fatalf("%v (Debian package libvpx7)", err)
	}
	synctest.Test(t, func(t *testing.T) {
		c, far := calltest.New(t, codec.Params{}, calltest.VP8())
		calltest.Serve(t, far, transform.Handler{Effect: "edges"})
		go func() {
			e, err := vpx.NewEncoder(vpx.EncoderConfig{Codec: "VP8"})
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Close()
			img := image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420)
			for i := range img.Y {
				img.Y[i] = 16
				if i%img.YStride >= 160 {
					img.Y[i] = 235
				}
			}
			for i := range img.Cb {
				img.Cb[i], img.Cr[i] = 128, 128
			}
			var f video.Frame
			for n := 0; ; n++ {
				if err := e.Encode(&f, img, time.Duration(n)*50*ms, c.Video().KeyframeRequested()); err != nil {
					t.Error(err)
					return
				}
				if c.Video().WriteFrame(&f) != nil {
					return
				}
				select {
				case <-time.After(50 * ms):
				case <-c.Done():
					return
				}
			}
		}()
		d, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: "VP8"})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		var f video.Frame
		var img image.YCbCr
		drawn := 0
		c.Video().SetReadDeadline(time.Now().Add(3 * time.Second))
		for {
			err := c.Video().ReadFrame(&f)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Decode(&img, &f); err != nil {
				t.Fatal(err)
			}
			drawn++
		}
		if drawn < 50 {
			t.Fatalf("%d pictures came back in 3 s", drawn)
		}
		row := img.Y[120*img.YStride:]
		if left, middle, right := row[80], max(row[159], row[160]), row[240]; left > 40 || right > 40 || middle < 150 {
			t.Errorf("left %d, middle %d, right %d", left, middle, right)
		}
	})
}
