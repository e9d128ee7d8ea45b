package main

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/video"
)

// What is sent of a file is what is recorded, in any container.
func TestFilms(t *testing.T) {
	const d = 1200 * ms
	vp8, vp9, h264 := file.Track{Codec: file.VP8}, file.Track{Codec: file.VP9}, file.Track{Codec: file.H264}
	opus, pcm := file.Track{Codec: file.Opus, Channels: 1}, file.Track{Codec: file.PCM, Rate: 8000, Channels: 1}
	for _, c := range []struct {
		name   string
		in     string
		tracks []file.Track
		lists  [][]file.Packet
		codec  string // of recv
		send   []string
		out    string
		only   file.Codec // that is sent; "": all
		within time.Duration
	}{
		{"VP8, IVF to IVF", "a.ivf", []file.Track{vp8}, [][]file.Packet{film(d, vp8Frame)}, "vp8", nil, "o.ivf", "", ms / 10},
		{"VP9, IVF to WebM", "a.ivf", []file.Track{vp9}, [][]file.Packet{film(d, vp9Frame)}, "vp9", nil, "o.webm", "", 2 * ms},
		{"H.264, stream to stream", "a.h264", []file.Track{h264}, [][]file.Packet{film(d, h264Frame)}, "H264", nil, "o.264", "", 0},
		{"H.264 with B-frames, MKV to MKV", "a.mkv", []file.Track{h264}, [][]file.Packet{reordered(d, h264Frame)}, "h264", nil, "o.mkv", "", 2 * ms},
		{"VP8 and Opus, WebM to WebM", "a.webm", []file.Track{vp8, opus}, [][]file.Packet{film(d, vp8Frame), opusPackets(1, d)}, "opus,vp8", nil, "o.webm", "", 2 * ms},
		{"Opus and H.264, MKV to MKV", "a.mkv", []file.Track{opus, h264}, [][]file.Packet{opusPackets(0, d), onTrack(1, film(d, h264Frame))}, "h264,opus", nil, "o.mkv", "", 2 * ms},
		{"the video alone", "a.webm", []file.Track{vp8, opus}, [][]file.Packet{film(d, vp8Frame), opusPackets(1, d)}, "vp8", []string{"--no-audio"}, "o.ivf", file.VP8, 2 * ms},
		{"the audio alone", "a.webm", []file.Track{vp8, opus}, [][]file.Packet{film(d, vp8Frame), opusPackets(1, d)}, "opus", []string{"--no-video"}, "o.ogg", file.Opus, 2 * ms},
		{"Opus, Ogg to WebM", "a.ogg", []file.Track{opus}, [][]file.Packet{opusPackets(0, d)}, "opus", nil, "o.webm", "", 2 * ms},
		{"VP8 and samples, MKV to MKV", "a.mkv", []file.Track{vp8, pcm}, [][]file.Packet{film(d, vp8Frame), pcmPackets(1, d)}, "l16/8000,vp8", []string{"--codec", "l16"}, "o.mkv", "", 2 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := writeFilm(t, c.in, c.tracks, c.lists...)
			out := filepath.Join(t.TempDir(), c.out)
			recv := begin("recv", "--listen", "127.0.0.1:0", "--codec", c.codec, "--out", out)
			args := slices.Concat([]string{"send", in}, addresses(t, recv.until(t, "listening")), c.send)
			send := begin(args...)
			if e := send.drain(t, statusDone); e.Reason != "sent" {
				t.Errorf("send ends with %s", e.line)
			}
			e := recv.drain(t, statusDone)
			if v := videoSaid(t, e); e.Reason != "bye" || e.PacketsLost != 0 || v.PacketsLost != 0 || v.FramesLost != 0 || v.KeyFramesAsked != 0 {
				t.Errorf("recv ends with %s", e.line)
			}
			tracks, got := readFilm(t, out)
			heard := map[file.Codec][]file.Packet{}
			for i, track := range tracks {
				heard[track.Codec] = got[i]
			}
			first := map[bool]time.Duration{}
			for i, track := range c.tracks {
				if c.only != "" && track.Codec != c.only {
					if heard[track.Codec] != nil {
						t.Errorf("%s was sent, too", track.Codec)
					}
					continue
				}
				want := c.lists[i]
				within := c.within
				if track.Codec.Video() && len(c.tracks) == 2 && c.only == "" {
					within = 40 * ms // they are shifted to fit the sound
				}
				sameTrack(t, track.Codec, heard[track.Codec], want, within)
				first[track.Codec.Video()] = heard[track.Codec][0].Time - want[0].Time
			}
			if apart := first[true] - first[false]; len(first) == 2 && apart.Abs() > 40*ms {
				t.Errorf("audio and video are %v apart", apart)
			}
		})
	}
}

// A film goes on at its end, until it is gone.
func TestFilmLoops(t *testing.T) {
	t.Parallel()
	const d = 320 * ms
	in := writeFilm(t, "a.webm", []file.Track{{Codec: file.VP8}, {Codec: file.Opus, PreSkip: 312}}, film(d, vp8Frame), opusPackets(1, d))
	out := filepath.Join(t.TempDir(), "o.webm")
	recv := begin("recv", "--listen", "127.0.0.1:0", "--codec", "opus,vp8", "--out", out)
	send := begin(append([]string{"send", in, "--loop"}, addresses(t, recv.until(t, "listening"))...)...)
	for _, event := range []string{"started", "started", "stats", "stats"} { // the last ones come once a second
		recv.until(t, event)
	}
	if err := os.Remove(in); err != nil {
		t.Fatal(err)
	}
	send.drain(t, statusFailed)
	if e := recv.drain(t, statusDone); e.Reason != "bye" {
		t.Errorf("recv ends with %s", e.line)
	}
	tracks, got := readFilm(t, out)
	for i, track := range tracks {
		step := 20 * ms
		if track.Codec.Video() {
			step = 40 * ms
		}
		if n := len(got[i]); n < int(1800*ms/step) {
			t.Errorf("%d packets of %s in two seconds", n, track.Codec)
		}
		for j := 1; j < len(got[i]); j++ {
			// Where the file begins again, the longer track says when.
			if s := got[i][j].Time - got[i][j-1].Time; s < step-2*ms || s > step+30*ms {
				t.Errorf("packet %d of %s comes %v after the one before", j, track.Codec, s)
			}
		}
	}
}

// What there is of a film that was cut off is sent, whole, before that is an error.
func TestFilmCutOff(t *testing.T) {
	t.Parallel()
	const d = 400 * ms
	in := writeFilm(t, "a.webm", []file.Track{{Codec: file.VP8}, {Codec: file.Opus, Channels: 1}}, film(d, vp8Frame), opusPackets(1, d))
	b, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	// The last packet is of sound; what follows the packets is not needed.
	if err := os.WriteFile(in, b[:bytes.LastIndexByte(b, 0xA3)+8], 0o666); err != nil {
		t.Fatal(err)
	}
	recv := begin("recv", "--listen", "127.0.0.1:0", "--codec", "opus,vp8")
	send := begin(append([]string{"send", in}, addresses(t, recv.until(t, "listening"))...)...)
	if e := send.drain(t, statusFailed); !strings.Contains(e.line, "a.webm: webm: reading a block") {
		t.Errorf("send ends with %s", e.line)
	}
	if e := recv.drain(t, statusDone); e.PacketsReceived != 19 || videoSaid(t, e).Frames != 10 {
		t.Errorf("recv ends with %s", e.line)
	}
}

// The pictures of a byte stream come as fast as is said.
func TestFilmRate(t *testing.T) {
	t.Parallel()
	in := writeFilm(t, "a.h264", []file.Track{{Codec: file.H264}}, film(800*ms, h264Frame))
	out := filepath.Join(t.TempDir(), "o.mkv")
	recv := begin("recv", "--listen", "127.0.0.1:0", "--codec", "h264", "--out", out)
	send := begin(append([]string{"send", in, "--fps", "50"}, addresses(t, recv.until(t, "listening"))...)...)
	send.drain(t, statusDone)
	recv.drain(t, statusDone)
	_, got := readFilm(t, out)
	if len(got[0]) != 20 || (got[0][19].Time-380*ms).Abs() > ms {
		t.Errorf("%d pictures, the last one at %v", len(got[0]), got[0][len(got[0])-1].Time)
	}
}

func TestFilmEvents(t *testing.T) {
	t.Parallel()
	const d = 1200 * ms
	in := writeFilm(t, "a.webm", []file.Track{{Codec: file.VP8}, {Codec: file.Opus, Channels: 1}}, film(d, vp8Frame), opusPackets(1, d))
	recv := begin("recv", "--listen", "127.0.0.1:0", "--codec", "opus,vp8")
	listening := recv.until(t, "listening")
	send := begin(append([]string{"send", in}, addresses(t, listening)...)...)
	send.until(t, "listening")
	started := send.until(t, "started")
	if v := videoSaid(t, started); started.Codec != "opus/48000/2" || started.Format != "48000 Hz mono" || v.VideoCodec != "VP8/90000" || v.VideoFormat != "320x240" {
		t.Errorf("started with %s", started.line)
	}
	stats := <-send.events
	if stats.Event != "stats" || stats.PositionMS == nil || *stats.PositionMS < 500 || *stats.PositionMS > milliseconds(d) {
		t.Errorf("a second later: %s", stats.line)
	}
	end := send.drain(t, statusDone)
	if v := videoSaid(t, end); end.PacketsSent != 60 || v.FramesSent != 30 || v.KeyFramesSent != 3 || v.PacketsSent < 30+3*3 {
		t.Errorf("send ends with %s", end.line)
	}
	kinds := map[string]int{}
	for s := range recv.events {
		if s.Event == "started" {
			kinds[s.Event+videoSaid(t, s).Media]++
		}
		end = s
	}
	recv.exit(t, statusDone)
	if kinds["started"] != 1 || kinds["startedvideo"] != 1 {
		t.Errorf("recv started %v", kinds)
	}
	if v := videoSaid(t, end); end.PacketsReceived != 60 || v.Frames != 30 || v.KeyFrames != 3 || v.PacketsReceived < 30+3*3 {
		t.Errorf("recv ends with %s", end.line)
	}
}

// A film says once that it cannot make a key frame.
func TestFilmHasNoKeyFrame(t *testing.T) {
	t.Parallel()
	in := writeFilm(t, "a.ivf", []file.Track{{Codec: file.VP8}}, film(1500*ms, vp8Frame))
	far := openVideo(t)
	var stdout, stderr transcript
	status := make(chan int, 1)
	go func() { status <- run([]string{"send", in, "--to", far.LocalVideo().String()}, &stdout, &stderr) }()
	readVideo(t, far, 3)
	far.Video().RequestKeyframe()
	readVideo(t, far, 0)
	if got := <-status; got != statusDone {
		t.Errorf("exit status %d: %s", got, &stderr)
	}
	if all := regexp.MustCompile(`keyframe requests: [1-9]; a file cannot make one`).FindAllString(stdout.String(), -1); len(all) != 1 {
		t.Errorf("it says so %d times: %s", len(all), &stdout)
	}
}

// A file of a kind that is read by another program says so, where there is none.
func TestFilmWithoutFFmpeg(t *testing.T) {
	t.Setenv("PATH", "")
	in := writeFilm(t, "a.mp4", []file.Track{{Codec: file.H264}}, film(200*ms, h264Frame))
	var stdout, stderr transcript
	if status := run([]string{"send", in, "--to", "127.0.0.1:4000"}, &stdout, &stderr); status != statusFailed {
		t.Errorf("exit status %d", status)
	}
	if s := stderr.String(); !strings.Contains(s, "read by the ffmpeg program") {
		t.Errorf("it says %q", s)
	}
}

// A signal while the other program takes the file apart is no failure.
func TestOpeningFilmIsInterrupted(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "ffmpeg"), []byte("#!/bin/false"), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	name := filepath.Join(folder, "a.mp4")
	if err := os.WriteFile(name, []byte("for ffmpeg"), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	said := &transcript{}
	err := (&sendCommand{File: name, To: "127.0.0.1:4000", PTime: 20 * time.Millisecond}).Run(ctx, newOutput(true, said, io.Discard))
	if got := said.String(); err != nil || !strings.Contains(got, `"reason":"interrupted"`) {
		t.Errorf("send says %q, %v", got, err)
	}
	said = &transcript{}
	err = parsed(t, "--http", "127.0.0.1:0", "--play", name).Run(ctx, newOutput(true, said, io.Discard))
	if got := said.String(); err != nil || got != `{"event":"stopped","reason":"interrupted"}`+"\n" {
		t.Errorf("serve says %q, %v", got, err)
	}
}

// Where the sound of a file cannot be sent, the video does not take its place.
func TestVideoWithoutItsSound(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // without ffmpeg
	in := writeFilm(t, "a.mkv", []file.Track{{Codec: file.VP8}, {Codec: file.PCM, Rate: 8000, Channels: 6}}, film(100*ms, vp8Frame),
		[]file.Packet{{Track: 1, Data: make([]byte, 960)}})
	for noAudio, want := range map[bool]string{false: "127.0.0.1:5306", true: "127.0.0.1:5304"} {
		src, err := openSource(t.Context(), in, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		if err := src.drop(noAudio, false); err != nil {
			t.Fatal(err)
		}
		c := sendCommand{File: in, To: "127.0.0.1:5304", PayloadType: -1, VideoPayloadType: -1}
		config, err := c.config(src)
		if err != nil {
			t.Fatal(err)
		}
		if v := config.Video; config.Audio != nil || v.Remote.String() != want || v.Codecs[0].PayloadType != 96 {
			t.Errorf("audio %v, video to %v as %v, want %s", config.Audio, v.Remote, v.Codecs, want)
		}
	}
}

// Audio and video have payload types of their own, those that ffmpeg gives them.
func TestPayloadTypes(t *testing.T) {
	for _, c := range []struct {
		codec        string
		pt           int
		audio, video uint8
	}{
		{"opus", -1, 97, 96},
		{"pcmu", -1, 0, 96},
		{"l16/16000", 96, 96, 97},
	} {
		recv := recvCommand{Listen: "127.0.0.1:5304", Codec: []string{c.codec, "vp8"}, PayloadType: c.pt, VideoPayloadType: -1}
		config, err := recv.config()
		if err != nil {
			t.Fatal(err)
		}
		if a, v := config.Audio.Codecs[0].PayloadType, config.Video.Codecs[0].PayloadType; a != c.audio || v != c.video {
			t.Errorf("%s: %d and %d, want %d and %d", c.codec, a, v, c.audio, c.video)
		}
	}
}

// H.264 without parameter sets is no film, which is said at once and at the end.
func TestWithoutParameterSets(t *testing.T) {
	out := filepath.Join(t.TempDir(), "o.mp4")
	recv := begin("recv", "--listen", "127.0.0.1:0", "--codec", "h264", "--out", out)
	to := netip.MustParseAddrPort(recv.until(t, "listening").Address)
	p, _ := videoParams("h264", -1)
	s, err := session.Open(t.Context(), &session.Config{Video: &session.VideoConfig{Remote: to, Codecs: []codec.Params{p}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 10 {
		f := video.Frame{Key: i%5 == 0, Time: time.Duration(i) * 40 * ms, Data: h264Frame(false, i)}
		if f.Key {
			f.Data = payload.AppendAnnexB(nil, []byte{0x65, 0x88, 0x80, 1, 2, 3})
		}
		if err := s.Video().WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Video().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	recv.until(t, "started")
	if w := recv.until(t, "warning"); !strings.Contains(w.line, "sprop-parameter-sets") {
		t.Errorf("the warning is %s", w.line)
	}
	recv.drain(t, statusFailed)
	if s := recv.stderr.String(); !strings.Contains(s, out+": no parameter sets") {
		t.Errorf("it says %q", s)
	}
}
