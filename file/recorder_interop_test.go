//go:build interop

package file_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	_ "github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
	pictures "github.com/parley-media/parley/video"
)

// judge asks ffprobe for the streams of a recording: their codecs, and whether
// their times ascend strictly. The recording has to last so long, and ffmpeg to
// decode it without a complaint.
func judge(t *testing.T, name string, want time.Duration, codecs ...string) {
	t.Helper()
	out := run(t, "ffmpeg", nil, "ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=codec_name", name)
	if got := strings.Fields(string(out)); fmt.Sprint(got) != fmt.Sprint(codecs) {
		t.Errorf("%s: streams %v, want %v", name, got, codecs)
	}
	out = run(t, "ffmpeg", nil, "ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "format=duration", name)
	if strings.HasSuffix(name, ".ivf") {
		// What the header counts are frames, which ffprobe takes for a time.
	} else if d, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64); err != nil || math.Abs(d-want.Seconds()) > 0.1 {
		t.Errorf("%s: lasts %s s, want %v (%v)", name, strings.TrimSpace(string(out)), want, err)
	}
	out = run(t, "ffmpeg", nil, "ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "packet=stream_index,pts_time", name)
	last := map[string]float64{}
	n := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		at, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			t.Fatalf("%s: ffprobe says %q", name, line)
		}
		if before, ok := last[fields[0]]; ok && at <= before {
			t.Errorf("%s: stream %s goes from %v to %v", name, fields[0], before, at)
		}
		last[fields[0]] = at
		n++
	}
	if n == 0 {
		t.Errorf("%s: no packets", name)
	}
	ffmpeg(t, nil, "-v", "error", "-i", name, "-map", "0", "-f", "null", "-")
}

// A file is played into a call and recorded at its other end, with a pause of 5 s
// in it.
func TestPlayedCallIsRecorded(t *testing.T) {
	from := source(t, "in.webm", join(copyVP8[:6], []string{"-g", "20"}, copyOpus)...)
	for _, c := range []struct {
		to     string
		codecs []string
	}{
		{"out.webm", []string{"opus", "vp8"}},
		{"out.mkv", []string{"opus", "vp8"}},
		{"out.ogg", []string{"opus"}},
		{"out.ivf", []string{"vp8"}},
	} {
		t.Run(c.to, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.to)
			synctest.Test(t, func(t *testing.T) {
				x, y := calls(t, opusCodec)
				r, err := file.CreateRecorder(path, file.RecorderConfig{Error: func(err error) { t.Error(err) }})
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := r.AddCall(y); err != nil {
					t.Fatal(err)
				}
				p := player(t, from, file.PlayerConfig{Paused: true, Error: func(err error) { t.Error(err) }})
				if err := p.AddCall(x); err != nil {
					t.Fatal(err)
				}
				p.Play()
				time.Sleep(time.Second)
				p.Pause()
				time.Sleep(5 * time.Second)
				p.Play()
				if err := p.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(500 * ms)
				closed(t, r)
			})
			judge(t, path, 8*time.Second, c.codecs...)
		})
	}
}

// Tracks are added to a file that is never completed.
func TestKilledRecordingPlays(t *testing.T) {
	dir := t.TempDir()
	from := source(t, "in.webm", join(copyVP8[:6], []string{"-g", "20"}, copyOpus)...)
	in, err := file.Open(context.Background(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	packets, err := readPackets(in)
	if err != nil {
		t.Fatal(err)
	}
	sound := 0
	for i, track := range in.Tracks() {
		if track.Codec == file.Opus {
			sound = i
		}
	}
	killed := filepath.Join(dir, "killed.webm")
	whole := filepath.Join(dir, "whole.webm")
	synctest.Test(t, func(t *testing.T) {
		r, err := file.CreateRecorder(whole, file.RecorderConfig{Error: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		first := addAudio(t, r, file.Track{Codec: file.Opus})
		var second *file.AudioRecording
		var picture *file.VideoRecording
		n := 0
		for _, p := range packets {
			time.Sleep(time.Until(begin.Add(p.Time)))
			if p.Time > time.Second && second == nil {
				second = addAudio(t, r, file.Track{Codec: file.Opus})
				picture = addVideo(t, r, file.Track{Codec: file.VP8})
			}
			if p.Track != sound {
				if picture != nil {
					picture.WriteFrame(&pictures.Frame{Data: p.Data, Key: p.Key, Time: p.Time})
				}
				continue
			}
			n++
			packet := stream.Packet{Codec: opusCodec, Seq: int64(n), Timestamp: uint32(n * 960), Payload: p.Data}
			first.WritePacket(&packet)
			if second != nil {
				second.WritePacket(&packet)
			}
			if p.Time > 2500*ms {
				b, err := os.ReadFile(whole)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(killed, b, 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		closed(t, r)
	})
	judge(t, whole, 3*time.Second, "opus", "opus", "vp8")
	out := run(t, "ffmpeg", nil, "ffprobe", "-v", "fatal", "-of", "csv=p=0", "-show_entries", "packet=pts_time", killed)
	latest := 0.0
	for line := range strings.Lines(string(out)) {
		if at, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err == nil {
			latest = max(latest, at)
		}
	}
	if latest < 2.3 {
		t.Errorf("ffprobe finds %v s in what was killed after 3 s", latest)
	}
}

// H.264 and Opus are recorded into what takes them.
func TestRecordedH264(t *testing.T) {
	from := source(t, "in.mkv", join([]string{"-map", "0:v", "-c:v", "libx264", "-g", "20", "-bf", "0"}, copyOpus)...)
	in, err := file.Open(context.Background(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	tracks := in.Tracks()
	packets, err := readPackets(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"out.mkv", "out.mp4"} {
		path := filepath.Join(t.TempDir(), to)
		synctest.Test(t, func(t *testing.T) {
			r, err := file.CreateRecorder(path, file.RecorderConfig{Error: func(err error) { t.Error(err) }})
			if err != nil {
				t.Fatal(err)
			}
			v := addVideo(t, r, file.Track{Codec: file.H264})
			a := addAudio(t, r, file.Track{Codec: file.Opus})
			begin := time.Now()
			n := 0
			for _, p := range packets {
				time.Sleep(time.Until(begin.Add(p.Time)))
				if tracks[p.Track].Codec == file.H264 {
					data := p.Data
					if p.Key { // as calls have it
						data = append(append([]byte(nil), tracks[p.Track].Config...), data...)
					}
					if err := v.WriteFrame(&pictures.Frame{Data: data, Key: p.Key, Time: p.Time}); err != nil {
						t.Fatal(err)
					}
					continue
				}
				n++
				if err := a.WritePacket(&stream.Packet{Codec: opusCodec, Seq: int64(n), Timestamp: uint32(n * 960), Payload: p.Data}); err != nil {
					t.Fatal(err)
				}
			}
			closed(t, r)
		})
		judge(t, path, 3*time.Second, "h264", "opus")
	}
}

// Sound that is not Opus becomes it, in files that have nothing else.
func TestRecordedFramesAreEncoded(t *testing.T) {
	for _, c := range []struct {
		to     string
		codecs []string
	}{
		{"out.webm", []string{"opus", "vp8"}},
		{"out.ogg", []string{"opus"}},
	} {
		path := filepath.Join(t.TempDir(), c.to)
		from := source(t, "in.wav", "-map", "1:a", "-ar", "8000", "-c:a", "pcm_mulaw")
		synctest.Test(t, func(t *testing.T) {
			x, y := calls(t, pcmu)
			r, err := file.CreateRecorder(path, file.RecorderConfig{Error: func(err error) { t.Error(err) }})
			if err != nil {
				t.Fatal(err)
			}
			sounds, _, err := r.AddCall(y)
			if err != nil {
				t.Fatalf("%v (Debian package libopus0)", err)
			}
			p := player(t, from, file.PlayerConfig{Paused: true})
			if err := p.AddCall(x); err != nil {
				t.Fatal(err)
			}
			p.Play()
			for i := range 75 {
				x.Video().WriteFrame(&pictures.Frame{Data: vp8(i%25 == 0, i), Key: i%25 == 0, Time: time.Duration(i) * 40 * ms})
			}
			if err := p.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(100 * ms)
			closed(t, r)
			if n := sounds[0].Skipped(); n != 0 {
				t.Errorf("%d frames were left out", n)
			}
		})
		_, packets := packetsOf(t, path)
		if n := len(packets); n < 150 {
			t.Errorf("%s: %d packets", c.to, n)
		}
		pcm := ffmpeg(t, nil, "-v", "error", "-i", path, "-map", "0:a", "-f", "s16le", "-ar", "8000", "-ac", "1", "-")
		loud := 0
		for i := 0; i+1 < len(pcm); i += 2 {
			if v := int16(le.Uint16(pcm[i:])); v > 2500 {
				loud++
			}
		}
		if d := mono8.Duration(len(pcm) / 2); (d-3*time.Second).Abs() > 200*ms || loud < 4000 {
			t.Errorf("%s: %v of sound with %d loud samples", c.to, d, loud)
		}
	}
}

// A call of two sides in one WAV file.
func TestRecordedSides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.wav")
	synctest.Test(t, func(t *testing.T) {
		r, err := file.CreateRecorder(path, file.RecorderConfig{})
		if err != nil {
			t.Fatal(err)
		}
		left, right := addAudio(t, r, file.Track{Codec: file.PCM}), addAudio(t, r, file.Track{Codec: file.PCM})
		for i := range 500 {
			left.WriteFrame(level(100, time.Duration(i)*20*ms))
			if i > 100 && i < 200 {
				right.WriteFrame(&audio.Frame{Format: audio.Format{Rate: 48000, Channels: 2}, Samples: make([]int16, 1920), Time: time.Duration(i) * 20 * ms})
			}
			time.Sleep(20 * ms)
		}
		closed(t, r)
	})
	judge(t, path, 10*time.Second, "pcm_s16le")
}

// What only ffmpeg can take apart is played too, and what only a decoder can make
// heard.
func TestPlayThroughFFmpeg(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"in.avi", copyPCM},
		{"in.ogg", copyOpus},
		{"in.ogg", append([]string{"-ac", "2"}, copyOpus...)},
	} {
		from := source(t, c.name, c.args...)
		p := player(t, from, file.PlayerConfig{Paused: true})
		l := &meter{}
		if err := p.AddAudio(l); err != nil {
			t.Fatal(err)
		}
		p.Seek(2500 * ms)
		p.Play()
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		p.Close()
		if l.loudest < 2900 || (l.length-500*ms).Abs() > 60*ms {
			t.Errorf("%s: %v with samples up to %d, want 500 ms up to 4096, or 2900 in stereo", c.name, l.length, l.loudest)
		}
	}
}

// A meter measures what is played to it.
type meter struct {
	length  time.Duration
	loudest int16
}

func (m *meter) WriteFrame(f *audio.Frame) error {
	m.length += f.Duration()
	for _, s := range f.Samples {
		m.loudest = max(m.loudest, s)
	}
	return nil
}
