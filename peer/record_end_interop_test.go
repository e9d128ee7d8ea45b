//go:build interop

package peer_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

// recordInto names the folder into which the test binary records instead of
// testing.
const recordInto = "PARLEY_TEST_RECORD_INTO"

// A killedCall is what the two processes tell each other.
type killedCall struct{ Name, Description string }

// recordUntilKilled answers calls and records them.
func recordUntilKilled(t *testing.T, folder string) {
	e := listen(t, nil)
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c killedCall
		if err := in.Decode(&c); err != nil {
			t.Fatal(err)
		}
		far, answer, err := e.Answer(t.Context(), c.Description, nil)
		if err != nil {
			t.Fatal(err)
		}
		rec := recorder(t, filepath.Join(folder, c.Name))
		if _, _, err := rec.AddCall(far.Call); err != nil {
			t.Fatal(err)
		}
		if err := out.Encode(killedCall{c.Name, answer}); err != nil {
			t.Fatal(err)
		}
	}
}

// killed: what a killed process has recorded plays up to shortly before its end.
func killed(j *judge, p *page, _ *peer.Endpoint) {
	t := j.T
	all := []struct {
		name, video string
		codecs      []string
	}{
		{"killed.webm", "VP8", []string{"opus", "vp8"}},
		{"killed.mp4", "H264", []string{"h264", "opus"}},
		{"killed.ogg", "", []string{"opus"}},
		{"killed.wav", "", []string{"pcm_s16le"}},
	}
	folder := t.ArtifactDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRecordingsChromium$")
	cmd.Env = append(os.Environ(), recordInto+"="+folder)
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	p.do(t, "studio", "killed")
	in, out := json.NewDecoder(from), json.NewEncoder(to)
	begins := make([]float64, len(all))
	for i, f := range all {
		c := killedCall{f.name, p.do(t, "shoot", f.name, "killed", options{"video": f.video})}
		if err := out.Encode(c); err != nil {
			t.Fatal(err)
		}
		if err := in.Decode(&c); err != nil {
			t.Fatal(err)
		}
		begins[i] = p.number(t, "acceptOf", f.name, c.Description)
	}
	p.do(t, "sleep", 4000)
	end := p.number(t, "clock")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for i, want := range all {
		p.do(t, "leave", want.name)
		f := probe(t, filepath.Join(folder, want.name), want.codecs...)
		t.Logf("%s: killed after %.0f ms, plays to %v; %q", want.name, end-begins[i], f.last, f.problems)
		for _, codec := range want.codecs {
			missing := time.Duration((end-begins[i])*1e6) - f.last[codec]
			j.check(missing < 2*time.Second, "%s: %v of %s are missing", want.name, missing, codec)
		}
		j.check(len(f.problems) == 0, "%s: %q", want.name, f.problems)
	}
}

// sides: both sides of a call in one file. What was queued when the far end
// barged in, and was dropped, is not in it.
func sides(j *judge, p *page, e *peer.Endpoint) {
	t := j.T
	p.do(t, "studio", "caller")
	p.do(t, "mute", "caller", true)
	path := filepath.Join(t.ArtifactDir(), "sides.wav")
	far, answer := p.shoot(t, e, "sides", "caller", options{})
	rec := recorder(t, path)
	left, err := rec.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.PCM}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rec.AddSent(far.Audio()); err != nil {
		t.Fatal(err)
	}
	p.do(t, "acceptOf", "sides", answer)

	speech := audio.Frame{Format: audio.Format{Rate: 16000, Channels: 1}}
	for i := range 160000 { // 500 Hz
		speech.Samples = append(speech.Samples, int16(8000-16000*(i/16%2)))
	}
	written := make(chan error, 1)
	go func() { written <- far.Audio().WriteFrame(&speech) }()
	var said, end time.Duration
	heard := make(chan float64, 1)
	go func() {
		text, _ := p.console.Eval(t.Context(), "fellSilent('sides')")
		var at float64
		json.Unmarshal([]byte(text), &at)
		heard <- at
	}()
	spoken := time.AfterFunc(2*time.Second, func() { p.console.Eval(t.Context(), "mute('caller', false)") })
	defer spoken.Stop()
	far.Audio().SetReadDeadline(time.Now().Add(20 * time.Second))
	var f audio.Frame
	for flushed := false; !flushed || f.Time < end+time.Second; {
		if err := far.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if err := left.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
		if !flushed && slices.Max(f.Samples) > 800 {
			flushed, end = true, f.Time
			said = far.Audio().Flush(8 * time.Millisecond).Sent
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	at := <-heard
	begin := time.Now().Add(-rec.Duration())
	if err := rec.Close(); err != nil {
		t.Error(err)
	}
	p.do(t, "leave", "sides")

	film := probe(t, path, "pcm_s16le")
	last := time.Duration(0)
	for i, x := range film.loud[1] {
		if x > 800 {
			last = time.Duration(i+1) * envelope
		}
	}
	silent := time.UnixMicro(int64(at * 1000)).Sub(begin)
	t.Logf("the right side ends at %v, the page is silent at %v; %v were said; %q", last, silent, said, film.problems)
	// The page hears it later, by the way there and what it holds back.
	late := silent - last
	j.check(late > -100*time.Millisecond && late < 200*time.Millisecond, "the right side ends %v before the page is silent", late)
}

// full: a disk that takes nothing ends the recording, once and with a reason, and
// not the call.
func full(j *judge, p *page, e *peer.Endpoint) {
	t := j.T
	if _, err := file.CreateRecorder(filepath.Join(t.TempDir(), "nowhere", "full.ogg"), file.RecorderConfig{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	p.do(t, "studio", "full")
	far, answer := p.shoot(t, e, "full", "full", options{"video": "H264"})
	relay := video.NewRelay(far.Video(), video.RelayConfig{})
	defer relay.Close()
	told := make(chan error, 10)
	for _, name := range []string{"full.h264", "full.mp4"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.Symlink("/dev/full", path); err != nil {
			t.Fatal(err)
		}
		rec, err := file.CreateRecorder(path, file.RecorderConfig{Error: func(err error) { told <- err }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := rec.Close(); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: closed with %v", name, err)
			}
		}()
		v, err := rec.AddVideo(file.RecorderTrack{Track: file.Track{Codec: file.H264}, Timeline: far.Call})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Record(relay.Subscribe()); err != nil {
			t.Fatal(err)
		}
	}
	p.do(t, "acceptOf", "full", answer)
	for range 2 {
		select {
		case err := <-told:
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("told of %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody is told")
		}
	}
	s := relay.Subscribe()
	s.RequestKeyframe()
	var f video.Frame
	for range 10 {
		s.SetReadDeadline(time.Now().Add(5 * time.Second))
		if err := s.ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := far.Err(); err != nil || len(told) > 0 {
		t.Errorf("the call: %v; told of %d more errors", err, len(told))
	}
	p.do(t, "leave", "full")
}
