package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

const ms = time.Millisecond

// coding makes frames of a codec that say which one they are.
type coding func(key bool, n int) []byte

func vp8Frame(key bool, n int) []byte {
	if key {
		return fmt.Appendf([]byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00}, "key %d%4000d", n, 0) // 320x240
	}
	return fmt.Appendf([]byte{0x11, 0, 0}, "delta %d", n)
}

func vp9Frame(key bool, n int) []byte {
	if key { // profile 0, 352x288
		return fmt.Appendf([]byte{0x82, 0x49, 0x83, 0x42, 0x20, 0x15, 0xF0, 0x11, 0xF0}, "key %d%4000d", n, 0)
	}
	return fmt.Appendf([]byte{0x86, 0}, "delta %d", n)
}

// h264Frame has the parameter sets of 198x130 pictures before key frames.
func h264Frame(key bool, n int) []byte {
	unit := fmt.Appendf([]byte{0x41, 0x9A}, "slice %d", n)
	var b []byte
	if key {
		for _, set := range []string{"6742c00bd90344f9a23011000003000100000300320f142a48", "68cb83cb20"} {
			unit, _ := hex.DecodeString(set)
			b = payload.AppendAnnexB(b, unit)
		}
		unit = fmt.Appendf([]byte{0x65, 0x88, 0x80}, "slice %d%4000d", n, 0)
	}
	return payload.AppendAnnexB(b, unit)
}

// film makes frames for d, 40 ms apart, of which each tenth is a key frame.
func film(d time.Duration, frame coding) (all []file.Packet) {
	for n := 0; time.Duration(n)*40*ms < d; n++ {
		key := n%10 == 0
		all = append(all, file.Packet{Time: time.Duration(n) * 40 * ms, Key: key, Data: frame(key, n)})
	}
	return all
}

func onTrack(track int, all []file.Packet) []file.Packet {
	for i := range all {
		all[i].Track = track
	}
	return all
}

// reordered is a film in the order of decoding, with two B-frames after each P.
func reordered(d time.Duration, frame coding) (all []file.Packet) {
	for n := 0; time.Duration(n+3)*40*ms < d; n += 3 {
		if n == 0 {
			all = append(all, file.Packet{Key: true, Data: frame(true, 0)})
		}
		for _, i := range []int{3, 1, 2} {
			all = append(all, file.Packet{Time: time.Duration(n+i) * 40 * ms, Data: frame(false, n+i)})
		}
	}
	return all
}

// opusPackets makes packets of one CELT frame of 20 ms.
func opusPackets(track int, d time.Duration) (all []file.Packet) {
	for n := 0; time.Duration(n)*20*ms < d; n++ {
		all = append(all, file.Packet{Track: track, Time: time.Duration(n) * 20 * ms, Duration: 20 * ms, Data: fmt.Appendf([]byte{0xF8}, "packet %d", n)})
	}
	return all
}

// pcmPackets has another sample in each packet of 20 ms of 8 kHz mono.
func pcmPackets(track int, d time.Duration) (all []file.Packet) {
	for n := 0; time.Duration(n)*20*ms < d; n++ {
		data := bytes.Repeat([]byte{0, byte(10 + n%50)}, 160)
		all = append(all, file.Packet{Track: track, Time: time.Duration(n) * 20 * ms, Duration: 20 * ms, Data: data})
	}
	return all
}

func writeFilm(t testing.TB, name string, tracks []file.Track, lists ...[]file.Packet) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	w, err := file.Create(name, tracks...)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(lists...)
	if len(lists) > 1 {
		slices.SortStableFunc(all, func(a, b file.Packet) int { return cmp.Compare(a.Time, b.Time) })
	}
	for i := range all {
		if err := w.WritePacket(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// readFilm returns the packets of each track of a file.
func readFilm(t testing.TB, name string) ([]file.Track, [][]file.Packet) {
	t.Helper()
	r, err := file.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := make([][]file.Packet, len(r.Tracks()))
	for {
		var p file.Packet
		err := r.ReadPacket(&p)
		if err == io.EOF {
			return r.Tracks(), all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[p.Track] = append(all[p.Track], p)
	}
}

// sameTrack compares packets, and the times between them.
func sameTrack(t *testing.T, codec file.Codec, got, want []file.Packet, within time.Duration) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets of %s, want %d", len(got), codec, len(want))
	}
	for i := range got {
		g, w := got[i].Data, want[i].Data
		if codec == file.H264 {
			g, w = units(g), units(w)
		}
		if !bytes.Equal(g, w) {
			t.Fatalf("packet %d of %s is %.40q, want %.40q", i, codec, g, w)
		}
		if codec.Video() && got[i].Key != want[i].Key {
			t.Errorf("packet %d of %s: key frame %t", i, codec, got[i].Key)
		}
		if at, should := got[i].Time-got[0].Time, want[i].Time-want[0].Time; (at - should).Abs() > within {
			t.Fatalf("packet %d of %s is at %v, want %v", i, codec, at, should)
		}
	}
}

// units is an access unit with one kind of start codes.
func units(b []byte) (all []byte) {
	for unit := range payload.AnnexB(b) {
		all = payload.AppendAnnexB(all, unit)
	}
	return all
}

// videoSaid has the measures of video in an event.
func videoSaid(t testing.TB, s said) (v struct {
	videoStatistics
	Media        string `json:"media"`
	VideoAddress string `json:"video_address"`
	VideoCodec   string `json:"video_codec"`
	VideoFormat  string `json:"video_format"`
},
) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.line), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// addresses are the flags of send for a recv that listens.
func addresses(t testing.TB, s said) []string {
	t.Helper()
	to := []string{"--to", s.Address}
	if v := videoSaid(t, s); v.VideoAddress != "" && v.VideoAddress != s.Address {
		to = append(to, "--video-to", v.VideoAddress)
	}
	return to
}

// drain takes events until there are no more, and returns the last one.
func (p *program) drain(t *testing.T, status int) (last said) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case s, ok := <-p.events:
			if !ok {
				p.exit(t, status)
				return last
			}
			last = s
		case <-late:
			t.Fatalf("no end within %v\n%s", patience, p.stderr)
		}
	}
}

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
				sameTrack(t, track.Codec, heard[track.Codec], want, c.within)
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
	recv := begin("recv", "--listen", "127.0.0.1:0", "--codec", "opus,vp8", "--out", out, "--duration", "1500ms")
	send := begin(append([]string{"send", in, "--loop"}, addresses(t, recv.until(t, "listening"))...)...)
	if e := recv.drain(t, statusDone); e.Reason != "duration" {
		t.Errorf("recv ends with %s", e.line)
	}
	if err := os.Remove(in); err != nil {
		t.Fatal(err)
	}
	send.drain(t, statusFailed)
	tracks, got := readFilm(t, out)
	for i, track := range tracks {
		step := 20 * ms
		if track.Codec.Video() {
			step = 40 * ms
		}
		if n := len(got[i]); n < int(1300*ms/step) || n > int(1500*ms/step)+1 {
			t.Errorf("%d packets of %s in 1.5 s", n, track.Codec)
		}
		for j := 1; j < len(got[i]); j++ {
			// Where the file begins again, the longer track says when.
			if s := got[i][j].Time - got[i][j-1].Time; s < step-2*ms || s > step+30*ms {
				t.Errorf("packet %d of %s comes %v after the one before", j, track.Codec, s)
			}
		}
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

// The keys of the measures of video are their own.
func TestVideoMeasures(t *testing.T) {
	var all map[string]any
	b, err := json.Marshal(event{Event: "stats", statistics: &statistics{}, videoStatistics: &videoStatistics{}})
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	var video int
	for key := range all {
		if len(key) > 6 && key[:6] == "video_" {
			video++
		}
	}
	if want := 19; video != want || len(all) != 1+len(measures)+want {
		t.Errorf("%s", b)
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

// openVideo opens a call with VP8 alone, for what is sent to it.
func openVideo(t *testing.T) *session.Session {
	t.Helper()
	p, err := videoParams("vp8", -1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(t.Context(), &session.Config{
		Local: netip.MustParseAddrPort("127.0.0.1:0"),
		Video: &session.VideoConfig{Codecs: []codec.Params{p}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// readVideo reads n frames, or with 0 all.
func readVideo(t *testing.T, s *session.Session, n int) {
	t.Helper()
	s.Video().SetReadDeadline(time.Now().Add(patience))
	var f video.Frame
	for i := 0; n == 0 || i < n; i++ {
		err := s.Video().ReadFrame(&f)
		if err == io.EOF && n == 0 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
