//go:build interop

package payload_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os/exec"
	"testing"

	"github.com/parley-media/parley/payload"
)

func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal("this test needs ffmpeg: apt install ffmpeg")
	}
	var out, report bytes.Buffer
	cmd := exec.Command(path, append([]string{"-v", "error"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, report.Bytes())
	}
	if report.Len() > 0 {
		t.Errorf("ffmpeg: %s", report.Bytes())
	}
	return out.Bytes()
}

// FFmpeg analyses each 80 ms on its own, through a window, so only the mean of
// its payloads compares. It rounds levels up, and coefficients down, by up to
// one step.
func TestFFmpegEncoder(t *testing.T) {
	for _, colour := range colours {
		pcm := noise(80000, 40.5, colour.a...)
		raw, err := binary.Append(nil, binary.LittleEndian, pcm)
		if err != nil {
			t.Fatal(err)
		}
		nut := ffmpeg(t, raw, "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-", "-c:a", "comfortnoise", "-f", "nut", "-")
		packets := ffmpeg(t, nut, "-f", "nut", "-i", "-", "-map", "0:a", "-c", "copy", "-f", "data", "-")
		const size, packet = 11, 80000 / 640
		if len(packets) != size*packet {
			t.Fatalf("%d bytes, want %d", len(packets), size*packet)
		}
		var level float64
		var k [payload.MaxCNOrder]float64
		for i := 0; i < len(packets); i += size {
			cn, err := payload.ParseCN(packets[i : i+size])
			if err != nil {
				t.Fatal(err)
			}
			level += float64(cn.Level) / packet
			for j := range k {
				k[j] += cn.Reflection[j] / packet
			}
		}
		e := newEstimator(t, 8000, 10)
		e.Write(pcm)
		got := e.CN()
		t.Logf("%s: ours -%d %.2f", colour.name, got.Level, got.Reflection[:4])
		t.Logf("%s: FFmpeg's -%.1f %.2f", colour.name, level, k[:4])
		if math.Abs(level-float64(got.Level)) > 1.5 {
			t.Errorf("%s: -%d dBov, FFmpeg -%.1f", colour.name, got.Level, level)
		}
		for j := range 4 {
			if math.Abs(k[j]-got.Reflection[j]) > 0.15 {
				t.Errorf("%s: coefficient %d is %.3f, FFmpeg's %.3f", colour.name, j+1, got.Reflection[j], k[j])
			}
		}
	}
}
