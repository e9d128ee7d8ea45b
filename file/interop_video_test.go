//go:build interop

package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

// A decoded frame of video as ffmpeg has it: when it is shown, and its hash.
type frameHash struct {
	at   time.Duration
	hash string
}

// hashes decodes the picture of a file.
func hashes(t *testing.T, names ...string) [][]frameHash {
	t.Helper()
	all := make([][]frameHash, len(names))
	for i, out := range ffmpegEach(t, names, "v:0", "-c:v", "rawvideo", "-enc_time_base", "1:90000", "-fps_mode", "passthrough", "-f", "framemd5") {
		for line := range strings.Lines(string(out)) {
			fields := strings.Split(strings.TrimSpace(line), ",")
			if strings.HasPrefix(line, "#") || len(fields) != 6 {
				continue
			}
			pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
			if err != nil {
				t.Fatalf("%s: %q", names[i], line)
			}
			all[i] = append(all[i], frameHash{time.Duration(pts) * time.Second / 90000, strings.TrimSpace(fields[5])})
		}
	}
	return all
}

// samePictures compares hashes, and times from the first picture on.
func samePictures(t *testing.T, name string, got, want []frameHash, times bool) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%s: %d pictures, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		if got[i].hash != want[i].hash {
			t.Errorf("%s: picture %d of %d is another", name, i, len(want))
			return
		}
		if a, b := got[i].at-got[0].at, want[i].at-want[0].at; times && (a-b).Abs() > 1100*time.Microsecond {
			t.Errorf("%s: picture %d is shown at %v, want %v", name, i, a, b)
			return
		}
	}
}

// source makes a file with ffmpeg: three seconds of a moving picture, of a tone,
// or of both.
func source(t *testing.T, name string, args ...string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	in := []string{
		"-f", "lavfi", "-i", "testsrc=s=198x130:r=25:d=3,format=yuv420p",
		"-f", "lavfi", "-i", "sine=440:d=3:r=48000",
	}
	ffmpeg(t, nil, append(append(in, args...), name)...)
	return name
}

var (
	copyVP8  = []string{"-map", "0:v", "-c:v", "libvpx", "-b:v", "300k", "-g", "20", "-auto-alt-ref", "1", "-lag-in-frames", "8"}
	copyVP9  = []string{"-map", "0:v", "-c:v", "libvpx-vp9", "-b:v", "300k", "-g", "20", "-cpu-used", "8", "-auto-alt-ref", "1", "-lag-in-frames", "8"}
	copyH264 = []string{"-map", "0:v", "-c:v", "libx264", "-g", "20", "-bf", "3", "-b_strategy", "0"}
	copyOpus = []string{"-map", "1:a", "-c:a", "libopus", "-b:a", "32k"}
	copyAAC  = []string{"-map", "1:a", "-c:a", "aac"}
	copyPCM  = []string{"-map", "1:a", "-c:a", "pcm_s16le"}
)

func join(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// convert copies all packets of a file to another one.
func convert(t *testing.T, from, to string) []file.Packet {
	t.Helper()
	r, err := file.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	packets, err := readPackets(r)
	if err != nil {
		t.Fatalf("%s: %v", from, err)
	}
	w, err := file.Create(to, r.Tracks()...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if err := w.WritePacket(&packets[i]); err != nil {
			t.Fatalf("%s: packet %d: %v", to, i, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packets
}

// throughFiles returns the names of a file and of what is written of it.
func throughFiles(t *testing.T, from string, to []string) []string {
	t.Helper()
	names := []string{from}
	for _, to := range to {
		name := filepath.Join(t.TempDir(), to)
		convert(t, from, name)
		names = append(names, name)
	}
	return names
}

// What ffmpeg writes is read, and what is written of it ffmpeg decodes to the
// same pictures at the same times.
func TestPicturesThroughFiles(t *testing.T) {
	for _, tt := range []struct {
		from  string
		args  []string
		to    []string
		times bool
	}{
		{"vp8.ivf", copyVP8, []string{"a.ivf", "a.webm"}, true},
		{"vp8.webm", copyVP8, []string{"a.ivf", "a.webm"}, true},
		{"live.webm", join(copyVP8, []string{"-live", "1"}), []string{"a.webm"}, true},
		{"vp9.ivf", copyVP9, []string{"a.ivf", "a.webm"}, true},
		{"vp9.webm", copyVP9, []string{"a.ivf", "a.webm"}, true},
		{"bframes.mkv", copyH264, []string{"a.mkv", "a.mp4"}, true},
		{"bframes.mp4", copyH264, []string{"a.mkv", "a.mp4"}, true},
		{"bframes.ts", copyH264, []string{"a.mkv", "a.mp4"}, true},
		{"bframes.mkv", copyH264, []string{"a.h264"}, false}, // without times
		{"simple.h264", join(copyH264, []string{"-bf", "0"}), []string{"a.h264", "a.mkv", "a.mp4"}, true},
		{"slices.h264", join(copyH264, []string{"-bf", "0", "-slices", "4"}), []string{"a.h264", "a.mkv", "a.mp4"}, true},
		{"fields.mkv", join(copyH264, []string{"-vf", "scale=198:132", "-weightp", "0", "-flags", "+ildct+ilme"}), []string{"a.mkv", "a.mp4"}, true},
		{"aud.h264", join(copyH264, []string{"-bf", "0", "-x264-params", "aud=1:repeat-headers=1"}), []string{"a.h264", "a.mkv", "a.mp4"}, true},
	} {
		names := throughFiles(t, source(t, tt.from, tt.args...), tt.to)
		all := hashes(t, names...)
		if len(all[0]) != 75 {
			t.Fatalf("%s: %d pictures", names[0], len(all[0]))
		}
		for i, to := range tt.to {
			t.Run(tt.from+" to "+to, func(t *testing.T) { samePictures(t, to, all[i+1], all[0], tt.times) })
		}
	}
}

// decodeAudio returns the first audio of files as it is played.
func decodeAudio(t *testing.T, names ...string) [][]byte {
	t.Helper()
	return ffmpegEach(t, names, "a:0", "-f", "s16le")
}

func TestSoundThroughFiles(t *testing.T) {
	for _, tt := range []struct {
		from string
		args []string
		to   []string
	}{
		{"opus.ogg", copyOpus, []string{"a.ogg", "a.webm", "a.mp4"}},
		{"opus.webm", copyOpus, []string{"a.ogg", "a.webm", "a.mp4"}},
		{"opus60.mkv", join(copyOpus, []string{"-frame_duration", "60"}), []string{"a.ogg", "a.webm", "a.mp4"}},
		{"opus.mp4", copyOpus, []string{"a.ogg", "a.webm", "a.mp4"}},
		{"aac.mp4", copyAAC, []string{"a.mp4"}},
		{"aac.mkv", copyAAC, []string{"a.mp4"}},
		{"pcm.mkv", copyPCM, []string{"a.mkv"}},
		{"pcm.wav", copyPCM, []string{"a.mkv"}},
	} {
		all := decodeAudio(t, throughFiles(t, source(t, tt.from, tt.args...), tt.to)...)
		for i, to := range tt.to {
			t.Run(tt.from+" to "+to, func(t *testing.T) {
				got, want := all[i+1], all[0]
				// What an encoder put before the beginning or after the end is
				// played by programs that do not know it in that format.
				const most = 60 * 48 * 2
				if len(want) < 3*48000*2-most || len(got) > len(want)+most || !bytes.Contains(got, want[:len(want)-most]) {
					t.Errorf("%d bytes of sound, want %d", len(got), len(want))
				}
			})
		}
	}
}

// times returns the times of the first packets of the tracks of a file, by
// ffprobe.
func startTimes(t *testing.T, name string) (starts []float64) {
	t.Helper()
	out := run(t, "ffmpeg", nil, "ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=start_time", name)
	for line := range strings.Lines(string(out)) {
		s, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			t.Fatalf("%s: ffprobe says %q", name, line)
		}
		starts = append(starts, s)
	}
	return starts
}

// Sound that begins later than the picture stays so.
func TestSoundAndPictureStayTogether(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		args     []string
		primed   float64 // what an encoder put before the beginning, and is played
	}{
		{"av.webm", "a.webm", join(copyVP8, copyOpus), 0},
		{"av.mkv", "a.mkv", join(copyH264, copyOpus), 0},
		{"av.mkv", "a.mp4", join(copyH264, copyOpus), 0},
		{"av.mkv", "a.mkv", join(copyH264, copyPCM), 0},
		{"av.mp4", "a.mp4", join(copyH264, copyAAC), 1024. / 48000},
	} {
		t.Run(tt.from+" to "+tt.to, func(t *testing.T) {
			from := source(t, tt.from, tt.args...)
			r, err := file.Open(t.Context(), from)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			packets, err := readPackets(r)
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), tt.to)
			w, err := file.Create(to, r.Tracks()...)
			if err != nil {
				t.Fatal(err)
			}
			const late = 0.7
			for _, p := range packets {
				if p.Track == 1 {
					p.Time += 700 * time.Millisecond
				}
				if err := w.WritePacket(&p); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			before, after := startTimes(t, from), startTimes(t, to)
			if len(before) != 2 || len(after) != 2 {
				t.Fatalf("%v become %v", before, after)
			}
			if d := (after[1] - after[0]) - (before[1] - before[0]) - late + tt.primed; math.Abs(d) > 0.008 {
				t.Errorf("sound is off by %.4f s: it begins at %v, was %v", d, after, before)
			}
			all := hashes(t, to, from)
			samePictures(t, to, all[0], all[1], true)
		})
	}
}

// gst runs a pipeline of GStreamer, some of whose elements complain and work.
func gst(t *testing.T, pipeline string, args ...any) {
	t.Helper()
	launch, err := exec.LookPath("gst-launch-1.0")
	if err != nil {
		t.Fatalf("%v (Debian packages gstreamer1.0-tools, gstreamer1.0-plugins-good and gstreamer1.0-plugins-bad)", err)
	}
	out, err := exec.Command(launch, append([]string{"-q"}, strings.Fields(fmt.Sprintf(pipeline, args...))...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", pipeline, err, out)
	}
}

func TestReadMatroskaOfGStreamer(t *testing.T) {
	for _, tt := range []struct {
		name, mux, video, audio string
	}{
		{"a.webm", "webmmux", "vp8enc deadline=1", "opusenc"},
		{"streamed.webm", "webmmux streamable=true", "vp8enc deadline=1", "opusenc"},
		{"b.webm", "webmmux", "vp9enc deadline=1 cpu-used=8", "opusenc frame-size=40"},
		{"a.mkv", "matroskamux", "openh264enc ! h264parse", "audioconvert"},
		{"streamed.mkv", "matroskamux streamable=true max-cluster-duration=300000000", "openh264enc ! h264parse", "opusenc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), tt.name)
			gst(t, "videotestsrc num-buffers=50 ! video/x-raw,width=320,height=240,framerate=25/1,format=I420 ! %s ! queue ! %s name=m ! filesink location=%s "+
				"audiotestsrc num-buffers=100 samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=1,format=S16LE ! %s ! queue ! m.",
				tt.video, tt.mux, name, tt.audio)
			to := filepath.Join(t.TempDir(), strings.Replace(tt.name, "streamed", "again", 1))
			convert(t, name, to)
			all := hashes(t, to, name)
			samePictures(t, to, all[0], all[1], true)
			if sound := decodeAudio(t, to, name); !bytes.Equal(sound[0], sound[1]) || len(sound[0]) < 190000 {
				t.Errorf("%d bytes of sound, want %d", len(sound[0]), len(sound[1]))
			}
		})
	}
}

// GStreamer decodes what is written: it is stricter than ffmpeg.
func TestGStreamerReadsOurFiles(t *testing.T) {
	for _, tt := range []struct {
		from, to, demux, decode string
		args                    []string
	}{
		{"av.webm", "a.webm", "matroskademux", "vp8dec", join(copyVP8, copyOpus)},
		{"av.mkv", "a.mkv", "matroskademux", "h264parse ! openh264dec", join(copyH264, copyOpus, []string{"-bf", "0"})},
		{"av.mkv", "a.mp4", "qtdemux", "h264parse ! openh264dec", join(copyH264, copyOpus, []string{"-bf", "0"})},
	} {
		t.Run(tt.to, func(t *testing.T) {
			from := source(t, tt.from, tt.args...)
			to := filepath.Join(t.TempDir(), tt.to)
			convert(t, from, to)
			video, sound := filepath.Join(t.TempDir(), "yuv"), filepath.Join(t.TempDir(), "pcm")
			gst(t, "filesrc location=%s ! %s name=d d.video_0 ! queue ! %s ! videoconvert ! video/x-raw,format=I420 ! filesink location=%s "+
				"d.audio_0 ! queue ! opusparse ! opusdec ! audioconvert ! audio/x-raw,format=S16LE ! filesink location=%s", to, tt.demux, tt.decode, video, sound)
			v, err := os.Stat(video)
			if err != nil {
				t.Fatal(err)
			}
			a, err := os.Stat(sound)
			if err != nil {
				t.Fatal(err)
			}
			frame := int64(200*130 + 2*100*65) // rows are padded to four bytes
			if n := v.Size() / frame; n < 75 || n > 76 {
				t.Errorf("%d bytes of pictures, which are %d", v.Size(), n)
			}
			if a.Size() < 3*48000*2-4096 {
				t.Errorf("%d bytes of sound", a.Size())
			}
		})
	}
}

// Sound of other codecs becomes samples.
func TestOtherSoundIsDecoded(t *testing.T) {
	surround := []string{"-c:a", "libopus", "-af", "aformat=channel_layouts=5.1", "-mapping_family", "1", "-b:a", "128k"}
	for name, args := range map[string][]string{
		"a.mp3": {"-c:a", "libmp3lame"}, "a.flac": {"-c:a", "flac"}, "a.mka": {"-c:a", "ac3", "-ac", "6"}, "a.amr": {"-c:a", "amr_nb"}, "a.m4a": {"-c:a", "aac"},
		"a.opus": surround, "a.webm": surround,
		"gsm.wav": {"-c:a", "libgsm_ms", "-ar", "8000", "-ac", "1"}, "adpcm.wav": {"-c:a", "adpcm_ima_wav"}, "six.wav": {"-ac", "6"},
	} {
		if strings.HasSuffix(name, ".amr") {
			if out := string(run(t, "ffmpeg", nil, "ffmpeg", "-v", "error", "-encoders")); !strings.Contains(out, "amr_nb") {
				continue
			}
		}
		from := source(t, name, append([]string{"-map", "1:a"}, args...)...)
		r, err := file.OpenPlayable(t.Context(), from)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		defer r.Close()
		packets, err := readPackets(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var n int
		for _, p := range packets {
			n += len(p.Data)
		}
		track := r.Tracks()[0]
		if d := track.Rate * track.Channels * 2 * 3; len(r.Tracks()) != 1 || track.Codec != file.PCM || track.Channels > 2 || n < d-d/20 || n > d+d/10 {
			t.Errorf("%s: %+v, %d bytes, want %d", name, track, n, d)
		}
	}
}

// AVI does not tell when pictures are shown that are reordered.
func TestReorderedPicturesOfAVI(t *testing.T) {
	r, err := file.Open(t.Context(), source(t, "a.avi", join(copyH264, copyPCM)...))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	packets, err := readPackets(r)
	if err != nil {
		t.Error(err)
	}
	pictures, last := 0, time.Duration(0)
	for _, p := range packets {
		if p.Track != 0 {
			continue
		}
		if step := p.Time - last; pictures > 0 && step != 40*time.Millisecond {
			t.Errorf("picture %d comes %v after the one before", pictures, step)
		}
		pictures, last = pictures+1, p.Time
	}
	if pictures != 75 {
		t.Errorf("%d pictures, want 75", pictures)
	}
}

func TestFFmpegReaderErrors(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.mp4")
	if err := os.WriteFile(junk, []byte(strings.Repeat("junk", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := file.OpenFFmpeg(t.Context(), junk); err == nil || !strings.Contains(err.Error(), "Invalid data") {
		t.Errorf("junk: %v", err)
	}
	mpeg4 := source(t, "a.avi", "-map", "0:v", "-c:v", "mpeg4")
	if _, err := file.OpenFFmpeg(t.Context(), mpeg4); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("MPEG-4: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := file.OpenFFmpeg(ctx, source(t, "a.mp4", append(copyPCM, "-f", "mov")...))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	var p file.Packet
	for err == nil {
		err = r.ReadPacket(&p)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended: %v", err)
	}
}

// A stream that nobody could go back in plays too.
func TestOthersReadOurStreamedPackets(t *testing.T) {
	from := source(t, "av.mkv", join(copyH264, copyOpus)...)
	for _, to := range []string{"a.mkv", "a.mp4"} {
		r, err := file.Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		packets, err := readPackets(r)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		create := webmWriter
		if to == "a.mp4" {
			create = mp4Writer
		}
		w, err := create(&b, r.Tracks())
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, packets)
		finish(t, w)
		name := filepath.Join(t.TempDir(), to)
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		all := hashes(t, name, from)
		samePictures(t, name, all[0], all[1], true)
		if got := decodeAudio(t, name)[0]; len(got) < 3*48000*2-8192 {
			t.Errorf("%s: %d bytes of sound", to, len(got))
		}
	}
}
