//go:build interop

package file_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

// run returns what a program of a Debian package writes to its output, and fails
// if it ends in an error or has anything to say.
func run(t *testing.T, debian string, in io.Reader, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v (Debian package %s)", err, debian)
	}
	cmd := exec.Command(name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %q: %v\n%s", name, args, err, &complaints)
	}
	return out.Bytes()
}

func ffmpeg(t *testing.T, in io.Reader, args ...string) []byte {
	t.Helper()
	return run(t, "ffmpeg", in, "ffmpeg", append([]string{"-nostdin", "-hide_banner", "-v", "warning", "-y"}, args...)...)
}

func sox(t *testing.T, in io.Reader, args ...string) []byte {
	t.Helper()
	return run(t, "sox", in, "sox", append([]string{"-V2", "-D"}, args...)...)
}

// ffmpegEach returns what ffmpeg makes of a stream of each of the files with these
// arguments. One process does it for all, since it takes longer to begin than to decode.
// It would guess a channel layout and say so.
func ffmpegEach(t *testing.T, names []string, stream string, args ...string) [][]byte {
	t.Helper()
	var in, out []string
	dir := t.TempDir()
	for i, name := range names {
		in = append(in, "-guess_layout_max", "0", "-i", name)
		out = append(append(out, "-map", strconv.Itoa(i)+":"+stream), args...)
		out = append(out, filepath.Join(dir, strconv.Itoa(i)))
	}
	ffmpeg(t, nil, append(in, out...)...)
	all := make([][]byte, len(names))
	for i := range all {
		b, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		all[i] = b
	}
	return all
}

// ffmpegPCM returns a file's samples as raw PCM. It would guess a channel layout
// and say so.
func ffmpegPCM(t *testing.T, format, name string, seek ...string) []byte {
	t.Helper()
	args := append([]string{"-guess_layout_max", "0"}, seek...)
	return ffmpeg(t, nil, append(args, "-i", name, "-f", format, "-")...)
}

// expect returns the samples of files as ffmpeg decodes them, rounded.
func expect(t *testing.T, names ...string) (all [][]int16) {
	t.Helper()
	for _, raw := range ffmpegEach(t, names, "a:0", "-f", "f64le") {
		pcm := make([]int16, len(raw)/8)
		for i := range pcm {
			x := math.Floor(math.Float64frombits(le.Uint64(raw[8*i:]))*32768 + 0.5)
			pcm[i] = int16(max(min(x, 32767), -32768))
		}
		all = append(all, pcm)
	}
	return all
}

func TestReadWAVOfFFmpeg(t *testing.T) {
	for _, rate := range []int{44100, 96000} { // 96 kHz is extensible
		dir := t.TempDir()
		args := []string{"-f", "lavfi", "-i", fmt.Sprintf("aevalsrc=1.1*sin(2*PI*440*t)|0.3*sin(2*PI*1000*t):s=%d:d=0.34", rate)}
		var names []string
		var formats []audio.Format
		for _, codec := range []string{"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"} {
			for channels := 1; channels <= 2; channels++ {
				for _, rf64 := range []string{"never", "always"} {
					name := filepath.Join(dir, fmt.Sprintf("%s-%d-%d-%s.wav", codec, rate, channels, rf64))
					names, formats = append(names, name), append(formats, audio.Format{Rate: rate, Channels: channels})
					args = append(args, "-map", "0", "-ac", strconv.Itoa(channels), "-c:a", codec, "-rf64", rf64, "-metadata", "title=odd", name)
				}
			}
		}
		ffmpeg(t, nil, args...)
		for i, want := range expect(t, names...) {
			compare(t, names[i], want, formats[i], rate/3-rate/1000)
		}
	}
}

func TestReadWAVOfSox(t *testing.T) {
	dir := t.TempDir()
	var names []string
	var formats []audio.Format
	for _, e := range []struct {
		encoding string
		bits     string
	}{
		{"unsigned", "8"},
		{"signed", "16"},
		{"signed", "24"},
		{"signed", "32"},
		{"float", "32"},
		{"float", "64"},
		{"a-law", "8"},
		{"mu-law", "8"},
	} {
		for channels := 1; channels <= 2; channels++ {
			name := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.wav", e.encoding, e.bits, channels))
			sox(t, nil, "-n", "-r", "16000", "-c", strconv.Itoa(channels), "-e", e.encoding, "-b", e.bits, name,
				"synth", "0.4321", "sine", "300-3000", "vol", "0.9")
			names, formats = append(names, name), append(formats, audio.Format{Rate: 16000, Channels: channels})
		}
	}
	for i, want := range expect(t, names...) {
		compare(t, names[i], want, formats[i], 6900)
	}
}

// compare reads a file as a file and as a pipe.
func compare(t *testing.T, name string, want []int16, format audio.Format, atLeast int) {
	t.Helper()
	if len(want) < atLeast*format.Channels {
		t.Fatalf("%s has %d samples", name, len(want))
	}
	r, err := file.OpenWAV(name)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	if r.Format() != format {
		t.Errorf("%s is %v, want %v", name, r.Format(), format)
	}
	if d, ok := r.Duration(); !ok || d != format.Duration(len(want)) {
		t.Errorf("%s lasts %v, want %v", name, d, format.Duration(len(want)))
	}
	got, err := readAll(r)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: %v: samples are not those of ffmpeg: %d of %d", name, err, len(got), len(want))
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r, err = file.NewWAVReader(plain{f}); err != nil {
		t.Error(err)
		return
	}
	if got, err := readAll(r); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s from a pipe: %v: samples are not those of ffmpeg: %d of %d", name, err, len(got), len(want))
	}
}

// Files of writers that could not seek.
func TestReadStreamedWAV(t *testing.T) {
	for _, out := range [][]byte{
		ffmpeg(t, nil, "-f", "lavfi", "-i", "sine=d=0.5:r=8000", "-f", "wav", "-"),
		run(t, "sox", nil, "sox", "-V1", "-n", "-r", "8000", "-b", "16", "-t", "wav", "-", "synth", "0.5", "sine", "440"),
	} {
		for _, in := range []io.Reader{bytes.NewReader(out), plain{bytes.NewReader(out)}} {
			r, err := file.NewWAVReader(in)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := readAll(r); err != nil || len(got) != 4000 {
				t.Errorf("%d samples, %v, want 4000", len(got), err)
			}
		}
	}
}

// probe returns the duration that ffprobe finds, and fails if it warns.
func probe(t *testing.T, name string, format audio.Format) time.Duration {
	t.Helper()
	out := run(t, "ffmpeg", nil, "ffprobe", "-v", "warning", "-of", "csv=p=0",
		"-show_entries", "stream=codec_name,sample_rate,channels,duration", name)
	fields := strings.Split(strings.TrimSpace(string(out)), ",")
	if len(fields) != 4 {
		t.Fatalf("ffprobe says %q", out)
	}
	if got, want := strings.Join(fields[:3], ","), fmt.Sprintf("pcm_s16le,%d,%d", format.Rate, format.Channels); got != want {
		t.Errorf("%s is %s, want %s", name, got, want)
	}
	seconds, err := strconv.ParseFloat(fields[3], 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}

func TestOthersReadOurWAV(t *testing.T) {
	for _, format := range []audio.Format{mono8k, {Rate: 48000, Channels: 2}, {Rate: 11025, Channels: 1}} {
		name := filepath.Join(t.TempDir(), "a.wav")
		w, err := file.CreateWAV(name, format)
		if err != nil {
			t.Fatal(err)
		}
		var f audio.Frame
		for i := range 130 {
			ramp(&f, format, 200*i, 200)
			if err := w.WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		for _, state := range []string{"being written", "closed"} {
			settle := w.Flush
			if state == "closed" {
				settle = w.Close
			}
			if err := settle(); err != nil {
				t.Fatal(err)
			}
			mine := readFile(t, name)
			want := make([]byte, 0, 2*len(mine))
			for _, s := range mine {
				want = le.AppendUint16(want, uint16(s))
			}
			if len(mine) != 26000*format.Channels {
				t.Errorf("%s: %d samples", state, len(mine))
			}
			if d := probe(t, name, format); (d - format.Duration(len(mine))).Abs() > 10*time.Microsecond {
				t.Errorf("%s: ffprobe: %v, want %v", state, d, format.Duration(len(mine)))
			}
			if got := ffmpegPCM(t, "s16le", name); !bytes.Equal(got, want) {
				t.Errorf("%s: ffmpeg reads %d bytes, want %d", state, len(got), len(want))
			}
			if got := sox(t, nil, name, "-t", "s16", "-"); !bytes.Equal(got, want) {
				t.Errorf("%s: sox reads %d bytes, want %d", state, len(got), len(want))
			}
		}
	}
}

func TestOthersReadOurStream(t *testing.T) {
	var b bytes.Buffer
	w, err := file.NewWAVWriter(&b, mono8k)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteSilence(time.Second); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// Both tell that the size is not known; sox has no quieter way than -V1.
	if got := run(t, "ffmpeg", bytes.NewReader(b.Bytes()), "ffmpeg", "-v", "error", "-i", "-", "-f", "s16le", "-"); len(got) != 16000 {
		t.Errorf("ffmpeg reads %d bytes", len(got))
	}
	if got := run(t, "sox", bytes.NewReader(b.Bytes()), "sox", "-V1", "--ignore-length", "-t", "wav", "-", "-t", "s16", "-"); len(got) != 16000 {
		t.Errorf("sox reads %d bytes", len(got))
	}
}

// sparse is a file in which zeros take no room.
type sparse struct{ *os.File }

func (s sparse) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte{0}) < len(p) {
		return s.File.Write(p)
	}
	end, err := s.Seek(int64(len(p)), io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	return len(p), s.Truncate(end)
}

func TestOthersReadOurRF64(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large.wav")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	format := audio.Format{Rate: 48000, Channels: 2}
	w, err := file.NewWAVWriter(sparse{f}, format)
	if err != nil {
		t.Fatal(err)
	}
	const length = 7 * time.Hour // 4.8 GB
	if err := w.WriteSilence(length - 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var frame audio.Frame
	ramp(&frame, format, 0, 960)
	if err := w.WriteFrame(&frame); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if d := probe(t, name, format); d != length {
		t.Errorf("ffprobe: %v, want %v", d, length)
	}
	r, err := file.OpenWAV(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if d, ok := r.Duration(); d != length || !ok {
		t.Errorf("Duration is %v, %t, want %v", d, ok, length)
	}
	end := ffmpegPCM(t, "s16le", name, "-ss", "25199.98")
	var want []byte
	for _, s := range frame.Samples {
		want = le.AppendUint16(want, uint16(s))
	}
	if !bytes.HasSuffix(end, want) {
		t.Errorf("ffmpeg does not find the last frame in %d bytes", len(end))
	}
}
