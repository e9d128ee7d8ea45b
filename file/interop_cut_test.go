//go:build interop

package file_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A file that ends anywhere plays up to there.
func TestOthersReadOurTruncatedFiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		from, to string
		args     []string
		lost     time.Duration // at most, before the cut
	}{
		{"av.webm", "a.webm", join(copyVP8, copyOpus), 0},
		{"av.mkv", "a.mkv", join(copyH264, copyOpus, []string{"-bf", "0"}), 0},
		{"av.mkv", "a.mp4", join(copyH264, copyOpus, []string{"-bf", "0"}), 1100 * time.Millisecond},
		{"vp8.ivf", "a.ivf", copyVP8, 0},
	} {
		t.Run(tt.to, func(t *testing.T) {
			from := source(t, tt.from, tt.args...)
			whole := filepath.Join(t.TempDir(), tt.to)
			convert(t, from, whole)
			b, err := os.ReadFile(whole)
			if err != nil {
				t.Fatal(err)
			}
			want := hashes(t, from)[0]
			var cuts []int
			var in, out, read []string
			dir := t.TempDir()
			for i := range 20 {
				cut := len(b)/10 + random.IntN(len(b)-len(b)/10)
				name := filepath.Join(dir, strconv.Itoa(i)+tt.to)
				if err := os.WriteFile(name, b[:cut], 0o644); err != nil {
					t.Fatal(err)
				}
				cuts, read = append(cuts, cut), append(read, name+".packets")
				in, out = append(in, "-i", name), append(out, "-map", strconv.Itoa(i)+":v", "-c", "copy", "-f", "framecrc", read[i])
			}
			// ffmpeg complains of the ends, and must read what is before them. One process reads
			// all, since it takes longer to begin than to read.
			run(t, "ffmpeg", nil, "ffmpeg", slices.Concat([]string{"-nostdin", "-v", "quiet"}, in, out)...)
			for i, cut := range cuts {
				text, err := os.ReadFile(read[i])
				if err != nil {
					t.Fatal(err)
				}
				got := 0
				for line := range strings.Lines(string(text)) {
					if !strings.HasPrefix(line, "#") {
						got++
					}
				}
				// Bytes are about evenly spread over the time.
				least := int(float64(len(want))*float64(cut)/float64(len(b))*0.8 - tt.lost.Seconds()*25 - 8)
				if got < least || got == 0 && cut > len(b)/2 {
					t.Errorf("cut at %d of %d bytes: %d pictures, want at least %d", cut, len(b), got, least)
				}
			}
		})
	}
}
