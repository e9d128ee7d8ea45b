//go:build interop && soak

package peer_test

import (
	"bytes"
	"errors"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/video"
	"github.com/parley-media/parley/video/vpx"
)

// A picture that Chromium codes in two spatial layers comes as one frame, of which
// decoders show the larger one. It sends both when it has the time and the bit rate.
func TestLiveLayers(t *testing.T) {
	p, e := open(t, headless.Chromium), listen(t, nil)
	p.do(t, "start")
	p.do(t, "camera", "camera", 1, options{"codec": "VP9", "mode": "L2T2", "width": 640, "height": 480})
	far, answer, err := e.Answer(t.Context(), p.do(t, "offer", p.patience()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	p.do(t, "accept", answer)
	p.connect(t, far)

	decoder, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: "VP9"})
	if err != nil {
		t.Fatalf("%v (Debian package libvpx7)", err)
	}
	defer decoder.Close()
	name := filepath.Join(t.TempDir(), "layers.ivf")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := file.NewIVFWriter(out, file.Track{Codec: file.VP9})
	if err != nil {
		t.Fatal(err)
	}
	far.Video().SetReadDeadline(time.Now().Add(time.Minute))
	var f video.Frame
	var img image.YCbCr
	const enough = 60
	frames, layered := 0, 0
	for ; layered < enough; frames++ {
		if err := far.Video().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if err := decoder.Decode(&img, &f); err != nil {
			t.Fatalf("frame of %v, %d bytes: %v", f.Time, len(f.Data), err)
		}
		if f.Data[len(f.Data)-1]&0xe7 == 0xc1 { // the index of a superframe of two
			layered++
			if f.Key && (f.Width != img.Rect.Dx() || f.Height != img.Rect.Dy()) {
				t.Errorf("a frame of %dx%d shows %v", f.Width, f.Height, img.Rect)
			}
		}
		if err := w.WritePacket(&file.Packet{Time: f.Time, Key: f.Key, Data: f.Data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d of %d frames have two layers; the last one shows %v", layered, frames, img.Rect)
	// It shows both layers, at the same time, of which its muxer complains.
	var said bytes.Buffer
	ffmpeg := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-i", name, "-f", "null", "-")
	ffmpeg.Stderr = &said
	if err := ffmpeg.Run(); errors.Is(err, exec.ErrNotFound) {
		t.Fatal("this test needs ffmpeg (apt install ffmpeg)")
	} else if err != nil || strings.Contains(said.String(), "vp9") {
		t.Errorf("ffmpeg: %v\n%s", err, said.String())
	}
	p.do(t, "stop")
}
