//go:build interop

package vpx

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/parley-media/parley/video"
)

// i420 returns the planes without gaps.
func i420(b []byte, p *image.YCbCr) []byte {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	for y := range h {
		b = append(b, p.Y[y*p.YStride:][:w]...)
	}
	for _, c := range [][]byte{p.Cb, p.Cr} {
		for y := range (h + 1) / 2 {
			b = append(b, c[y*p.CStride:][:(w+1)/2]...)
		}
	}
	return b
}

// ffmpeg runs it and returns what it writes.
func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal("no ffmpeg (Debian package ffmpeg)")
	}
	var out, problems bytes.Buffer
	cmd := exec.Command(path, append([]string{"-hide_banner", "-loglevel", "error", "-y"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, &problems)
	}
	return out.Bytes()
}

// eachIVF calls fn with the frames of an IVF file.
func eachIVF(t *testing.T, b []byte, fn func(data []byte)) {
	t.Helper()
	for r := bytes.NewReader(b[32:]); r.Len() > 0; {
		var h [12]byte
		io.ReadFull(r, h[:])
		data := make([]byte, int(h[0])|int(h[1])<<8|int(h[2])<<16)
		if _, err := io.ReadFull(r, data); err != nil {
			t.Fatal(err)
		}
		fn(data)
	}
}

// What ffmpeg encodes, with hidden frames and several threads, is decoded to the
// bit as ffmpeg's own decoder has it.
func TestDecodesLikeFFmpeg(t *testing.T) {
	need(t)
	for _, c := range []struct {
		codec  string
		size   string
		args   []string
		hidden bool
	}{
		{"VP8", "320x240", []string{"-c:v", "libvpx", "-b:v", "600k", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-pass"}, true},
		{"VP8", "641x479", []string{"-c:v", "libvpx", "-b:v", "300k", "-deadline", "realtime", "-slices", "4"}, false},
		{"VP9", "320x240", []string{"-c:v", "libvpx-vp9", "-b:v", "600k", "-cpu-used", "5", "-auto-alt-ref", "1", "-lag-in-frames", "16"}, false},
		{"VP9", "641x479", []string{"-c:v", "libvpx-vp9", "-b:v", "300k", "-deadline", "realtime", "-cpu-used", "8"}, false},
	} {
		for _, threads := range []int{1, 4} {
			ivf := filepath.Join(t.TempDir(), "in.ivf")
			args := append([]string{"-f", "lavfi", "-i", "testsrc2=rate=30:duration=2:size=" + c.size, "-pix_fmt", "yuv420p"}, c.args...)
			if c.hidden { // only two passes make frames that VP8 does not show
				log := filepath.Join(t.TempDir(), "log")
				ffmpeg(t, append(slices.Clone(args), "1", "-passlogfile", log, "-f", "null", "-")...)
				args = append(args, "2", "-passlogfile", log)
			}
			ffmpeg(t, append(args, ivf)...)
			b, err := os.ReadFile(ivf)
			if err != nil {
				t.Fatal(err)
			}
			native := map[string]string{"VP8": "vp8", "VP9": "vp9"}[c.codec]
			want := ffmpeg(t, "-c:v", native, "-i", ivf, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-fps_mode", "passthrough", "-")
			d, err := NewDecoder(DecoderConfig{Codec: c.codec, Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			var p image.YCbCr
			var got []byte
			pictures, hidden := 0, 0
			eachIVF(t, b, func(data []byte) {
				switch err := d.Decode(&p, &video.Frame{Data: data}); {
				case errors.Is(err, video.ErrNoPicture):
					hidden++
				case err != nil:
					t.Fatal(err)
				default:
					pictures++
					got = i420(got, &p)
				}
			})
			d.Close()
			t.Logf("%s %s, %d threads: %d pictures, %d hidden, %x", c.codec, c.size, threads, pictures, hidden, sha256.Sum256(got))
			if pictures != 60 || c.hidden != (hidden > 0) || !bytes.Equal(got, want) {
				t.Errorf("%s %s: %d pictures, %d hidden, %d bytes, not the %d of ffmpeg", c.codec, c.size, pictures, hidden, len(got), len(want))
			}
		}
	}
}

// What we encode is decoded by ffmpeg as by us.
func TestFFmpegDecodesOurs(t *testing.T) {
	for _, name := range both {
		e, d := newPair(t, EncoderConfig{Codec: name})
		var in, out image.YCbCr
		var f video.Frame
		ivf := []byte("DKIF\x00\x00\x20\x00" + map[string]string{"VP8": "VP80", "VP9": "VP90"}[name])
		ivf = append(ivf, 642&255, 642>>8, 482&255, 482>>8, 30, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0)
		var ours []byte
		for n := range 60 {
			scene(&in, 642, 482, n)
			if err := e.Encode(&f, &in, pictureTime(n), n == 30); err != nil {
				t.Fatal(err)
			}
			size := len(f.Data)
			ivf = append(ivf, byte(size), byte(size>>8), byte(size>>16), 0, byte(n), 0, 0, 0, 0, 0, 0, 0)
			ivf = append(ivf, f.Data...)
			if err := d.Decode(&out, &f); err != nil {
				t.Fatal(err)
			}
			ours = i420(ours, &out)
		}
		path := filepath.Join(t.TempDir(), "ours.ivf")
		if err := os.WriteFile(path, ivf, 0o644); err != nil {
			t.Fatal(err)
		}
		native := map[string]string{"VP8": "vp8", "VP9": "vp9"}[name]
		theirs := ffmpeg(t, "-c:v", native, "-i", path, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-fps_mode", "passthrough", "-")
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%s: ffmpeg has %d bytes, we %d, and they differ", name, len(theirs), len(ours))
		}
	}
}
