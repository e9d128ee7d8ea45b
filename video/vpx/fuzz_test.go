package vpx

import (
	"errors"
	"image"
	"testing"

	"github.com/parley-media/parley/video"
)

// Two frames, one after the other, as they may come from anywhere: an error or
// a picture within the limit. Without the library the headers are still read.
func FuzzDecode(f *testing.F) {
	f.Add(false, vp8Key(64, 48), []byte{1, 0, 0})
	f.Add(true, vp9Key(64, 48), superframe(vp9Key(9, 9), vp9Inter(8, 8, -1)))
	const most = 1 << 14
	f.Fuzz(func(t *testing.T, second bool, a, b []byte) {
		name := "VP8"
		if second {
			name = "VP9"
		}
		d, err := NewDecoder(DecoderConfig{Codec: name, MaxPixels: most})
		if err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		var p image.YCbCr
		for _, data := range [][]byte{a, b, a} {
			var headers error
			if second {
				_, _, headers = checkVP9(data, most)
			} else {
				_, headers = checkVP8(data, most)
			}
			if headers != nil && !errors.Is(headers, video.ErrFrame) {
				t.Fatal(headers)
			}
			if d == nil {
				continue
			}
			before := p.Rect
			err := d.Decode(&p, &video.Frame{Data: data})
			switch {
			case err == nil && headers != nil:
				t.Fatalf("decoded in spite of %v", headers)
			case err == nil && (video.CheckPicture(&p) != nil || p.Rect.Dx()*p.Rect.Dy() > most):
				t.Fatalf("a picture of %v", p.Rect)
			case err != nil && !errors.Is(err, video.ErrFrame) && !errors.Is(err, video.ErrNoPicture):
				t.Fatal(err)
			case err != nil && p.Rect != before:
				t.Fatalf("%v, but the picture is %v", err, p.Rect)
			}
		}
		if d != nil {
			d.Close()
		}
	})
}
