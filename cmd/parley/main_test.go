package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/opus"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
)

var mono8k = audio.Format{Rate: 8000, Channels: 1}

func TestWrongUse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return name
	}
	wav := toneWAV(t, mono8k, 20*time.Millisecond)
	link := filepath.Join(dir, "link.wav")
	if err := os.Link(wav, link); err != nil {
		t.Fatal(err)
	}
	noWAV := write("text.wav", "this is no audio at all, but long enough for a header of 44 bytes")
	ivf := writeFilm(t, "a.ivf", []file.Track{{Codec: file.VP8}}, film(40*ms, vp8Frame))
	av1 := writeFilm(t, "b.ivf", []file.Track{{Codec: file.AV1, Width: 16, Height: 16}}, film(40*ms, vp8Frame))
	taken, err := session.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := fmt.Sprint(taken.LocalAddr().Port())
	audioSDP := func(rest string) string {
		return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" + rest
	}
	sdp := func(name, text string) []string { return []string{"recv", "--sdp", write(name, text)} }

	for _, c := range []struct {
		name    string
		args    []string
		status  int
		message string
	}{
		{"no command", nil, statusUse, "expected one of"},
		{"unknown command", []string{"dial"}, statusUse, "dial"},
		{"unknown flag", []string{"send", wav, "--to", "127.0.0.1:4000", "--loud"}, statusUse, "--loud"},

		{"send: no file", []string{"send", "--to", "127.0.0.1:4000"}, statusUse, "<file>"},
		{"send: no --to", []string{"send", wav}, statusUse, "--to"},
		{"send: --to without port", []string{"send", wav, "--to", "127.0.0.1"}, statusUse, "--to 127.0.0.1 is not HOST:PORT"},
		{"send: --to with a large port", []string{"send", wav, "--to", "127.0.0.1:70000"}, statusUse, "--to 127.0.0.1:70000"},
		{"send: --to a port without a number", []string{"send", wav, "--to", "127.0.0.1:none"}, statusUse, "--to 127.0.0.1:none is not HOST:PORT"},
		{"send: --to a name that is none", []string{"send", wav, "--to", "a..b:4000"}, statusFailed, "--to: lookup a..b: no such host"},
		{"send: --to port 0", []string{"send", wav, "--to", "127.0.0.1:0"}, statusUse, "--to 127.0.0.1:0"},
		{"send: --to the last port", []string{"send", wav, "--to", "127.0.0.1:65535"}, statusUse, "--to 127.0.0.1:65535"},
		{"send: --to nobody", []string{"send", wav, "--to", ":4000"}, statusUse, "--to :4000"},
		{"send: --to a group", []string{"send", wav, "--to", "239.1.1.1:4000"}, statusUse, "multicast"},
		{"send: --to all", []string{"send", wav, "--to", "255.255.255.255:4000"}, statusUse, "broadcast"},
		{"send: --local without port", []string{"send", wav, "--to", "127.0.0.1:4000", "--local", "x"}, statusUse, "--local x"},
		{"send: --ptime is no duration", []string{"send", wav, "--to", "127.0.0.1:4000", "--ptime", "20"}, statusUse, "--ptime"},
		{"send: --ptime 0", []string{"send", wav, "--to", "127.0.0.1:4000", "--ptime", "0s"}, statusUse, "--ptime 0s"},
		{"send: --ptime 1s", []string{"send", wav, "--to", "127.0.0.1:4000", "--ptime", "1s"}, statusUse, "--ptime 1s"},
		{"send: --payload-type 128", []string{"send", wav, "--to", "127.0.0.1:4000", "--payload-type", "128"}, statusUse, "--payload-type 128"},
		{"send: --payload-type x", []string{"send", wav, "--to", "127.0.0.1:4000", "--payload-type", "x"}, statusUse, "--payload-type"},
		{"send: --payload-type of another codec", []string{"send", wav, "--to", "127.0.0.1:4000", "--payload-type", "14"}, statusUse, "MPA"},
		{"send: --dtmf without events", []string{"send", wav, "--to", "127.0.0.1:4000", "--dtmf", "1", "--dtmf-payload-type=-1"}, statusUse, "--dtmf"},
		{"send: --dtmf-payload-type 0", []string{"send", wav, "--to", "127.0.0.1:4000", "--dtmf-payload-type", "0"}, statusUse, "--dtmf-payload-type 0"},
		{"send: --dtmf-payload-type of the codec", []string{"send", wav, "--to", "127.0.0.1:4000", "--codec", "pcma", "--dtmf-payload-type", "8"}, statusUse, "payload type 8 stands for"},
		{"send: --srtp that is not set", []string{"send", wav, "--to", "127.0.0.1:4000", "--srtp="}, statusUse, "--srtp is empty"},
		{"send: --fps without video", []string{"send", wav, "--to", "127.0.0.1:4000", "--fps", "25"}, statusUse, "--fps"},
		{"send: --video-to without video", []string{"send", wav, "--to", "127.0.0.1:4000", "--video-to", "127.0.0.1:5000"}, statusUse, "--video-to"},
		{"send: --fir without video", []string{"send", wav, "--to", "127.0.0.1:4000", "--fir"}, statusUse, "--fir"},
		{"send: unknown codec", []string{"send", wav, "--to", "127.0.0.1:4000", "--codec", "mp3"}, statusUse, "l16, pcma, pcmu"},
		{"send: a rate that is none", []string{"send", wav, "--to", "127.0.0.1:4000", "--codec", "l16/fast"}, statusUse, `"fast" is not a rate`},
		{"send: channels that are none", []string{"send", wav, "--to", "127.0.0.1:4000", "--codec", "l16/8000/x"}, statusUse, `"x" is not a number of channels`},
		{"send: --start-after -1s", []string{"send", wav, "--to", "127.0.0.1:4000", "--start-after", "-1s"}, statusUse, "--start-after"},
		{"send: missing file", []string{"send", filepath.Join(dir, "missing.wav"), "--to", "127.0.0.1:4000"}, statusFailed, "missing.wav"},
		{"send: a directory", []string{"send", dir, "--to", "127.0.0.1:4000"}, statusFailed, dir},
		{"send: not a WAV file", []string{"send", noWAV, "--to", "127.0.0.1:4000"}, statusFailed, "malformed"},
		{"send: an empty file", []string{"send", write("empty.wav", ""), "--to", "127.0.0.1:4000"}, statusFailed, "empty.wav"},
		{"send: --local in use", []string{"send", wav, "--to", "127.0.0.1:4000", "--local", ":" + port}, statusFailed, "address already in use"},
		{"send: nothing that can be sent", []string{"send", av1, "--to", "127.0.0.1:4000"}, statusFailed, "AV1 is neither a payload format"},
		{"send: no video in a WAV file", []string{"send", wav, "--to", "127.0.0.1:4000", "--no-audio"}, statusUse, "--no-audio"},
		{"send: neither audio nor video", []string{"send", ivf, "--to", "127.0.0.1:4000", "--no-audio", "--no-video"}, statusUse, "leave nothing"},
		{"send: --no-video of video alone", []string{"send", ivf, "--to", "127.0.0.1:4000", "--no-video"}, statusFailed, "nothing in it can be sent"},
		{"send: --dtmf without audio", []string{"send", ivf, "--to", "127.0.0.1:4000", "--dtmf", "1"}, statusUse, "--dtmf"},
		{"send: --fps 0.01", []string{"send", ivf, "--to", "127.0.0.1:4000", "--fps", "0.01"}, statusUse, "--fps 0.01"},
		{"send: --fps for no byte stream", []string{"send", ivf, "--to", "127.0.0.1:4000", "--fps", "25"}, statusFailed, "--fps is for"},
		{"send: --video-payload-type 128", []string{"send", ivf, "--to", "127.0.0.1:4000", "--video-payload-type", "128"}, statusUse, "--video-payload-type 128"},
		{"send: --video-to nobody", []string{"send", ivf, "--to", "127.0.0.1:4000", "--video-to", ":1"}, statusUse, "--video-to :1"},
		{"send: --write-sdp into a file", []string{"send", wav, "--to", "127.0.0.1:4000", "--write-sdp", filepath.Join(wav, "x.sdp")}, statusFailed, "x.sdp"},
		{"send: --pcap over the file", []string{"send", wav, "--to", "127.0.0.1:4000", "--pcap", wav}, statusUse, "named twice"},
		{"send: --write-sdp over a link to the file", []string{"send", wav, "--to", "127.0.0.1:4000", "--write-sdp", link}, statusUse, "named twice"},

		{"recv: --out and --pcap into one file", []string{"recv", "--listen", "127.0.0.1:0", "--out", filepath.Join(dir, "new.wav"), "--pcap", dir + "/./new.wav"}, statusUse, "named twice"},
		{"recv: no address", []string{"recv"}, statusUse, "--listen or --sdp"},
		{"recv: --video-listen and --sdp", []string{"recv", "--video-listen", ":0", "--sdp", "x.sdp"}, statusUse, "--video-listen"},
		{"recv: --fir without video", []string{"recv", "--listen", "127.0.0.1:0", "--fir"}, statusUse, "--fir"},
		{"recv: --out that is not set", []string{"recv", "--listen", "127.0.0.1:0", "--wait", "1ns", "--out", ""}, statusUse, "--out is empty"},
		{"recv: --codec that is not set", []string{"recv", "--listen", "127.0.0.1:0", "--wait", "1ns", "--codec", ""}, statusUse, "--codec is empty"},
		{"recv: --codec and --sdp", []string{"recv", "--codec", "pcma", "--sdp", "x.sdp"}, statusUse, "--codec"},
		{"recv: --listen without port", []string{"recv", "--listen", "127.0.0.1"}, statusUse, "--listen 127.0.0.1"},
		{"recv: unknown codec", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "mp3"}, statusUse, "l16, pcma, pcmu"},
		{"recv: unknown --playout", []string{"recv", "--listen", "127.0.0.1:0", "--playout", "later"}, statusUse, "--playout"},
		{"recv: --timeout -1s", []string{"recv", "--listen", "127.0.0.1:0", "--timeout", "-1s"}, statusUse, "--timeout"},
		{"recv: --wait -1s", []string{"recv", "--listen", "127.0.0.1:0", "--wait", "-1s"}, statusUse, "--wait"},
		{"recv: --duration -1s", []string{"recv", "--listen", "127.0.0.1:0", "--duration", "-1s"}, statusUse, "--duration"},
		{"recv: --dtmf-payload-type of a codec", []string{"recv", "--listen", "127.0.0.1:0", "--dtmf-payload-type", "8"}, statusUse, "payload type 8 stands for"},
		{"recv: two codecs of video", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "vp8,vp9"}, statusUse, "at most one"},
		{"recv: two codecs of audio", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "pcmu", "--codec", "pcma"}, statusUse, "at most one"},
		{"recv: --video-listen without video", []string{"recv", "--listen", "127.0.0.1:0", "--video-listen", ":0"}, statusUse, "--codec of video"},
		{"recv: --payload-type of video", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "vp8", "--payload-type", "97"}, statusUse, "--video-payload-type"},
		{"recv: no ports for the video", []string{"recv", "--listen", "127.0.0.1:65534", "--codec", "pcmu,vp8"}, statusUse, "--video-listen"},
		{"recv: video into WAV", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "vp8", "--out", "x.wav"}, statusUse, ".webm"},
		{"recv: audio into IVF", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "opus,vp8", "--out", "x.ivf"}, statusUse, "no audio"},
		{"recv: audio into a byte stream", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "pcmu,h264", "--out", "x.h264"}, statusUse, "no audio"},
		{"recv: H.264 into IVF", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "h264", "--out", "x.ivf"}, statusUse, "VP8 or VP9"},
		{"recv: VP8 into MP4", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "vp8", "--out", "x.mp4"}, statusUse, "H.264"},
		{"recv: samples into MP4", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "pcmu,h264", "--out", "x.mp4"}, statusUse, "not samples"},
		{"recv: samples into Ogg", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "pcmu", "--out", "x.ogg"}, statusUse, "Opus"},
		{"recv: what was heard into Ogg", []string{"recv", "--listen", "127.0.0.1:0", "--codec", "opus", "--out", "x.ogg", "--playout", "fixed"}, statusUse, "Opus"},
		{"recv: a file of another kind", []string{"recv", "--listen", "127.0.0.1:0", "--out", "x.mp3"}, statusUse, ".wav"},
		{"recv: port in use", []string{"recv", "--listen", ":" + port}, statusFailed, "address already in use"},
		{"recv: --out into a file", []string{"recv", "--listen", "127.0.0.1:0", "--out", filepath.Join(wav, "x.wav")}, statusFailed, "x.wav"},
		{"recv: --out is a directory", []string{"recv", "--listen", "127.0.0.1:0", "--out", dir}, statusFailed, dir},
		{"recv: --out in a missing directory", []string{"recv", "--listen", "127.0.0.1:0", "--out", filepath.Join(dir, "no", "x.wav")}, statusFailed, "x.wav"},
		{"recv: missing --sdp", []string{"recv", "--sdp", filepath.Join(dir, "missing.sdp")}, statusFailed, "missing.sdp"},
		{"recv: empty SDP", sdp("empty.sdp", ""), statusFailed, "empty.sdp"},
		{"recv: SDP of zeros", sdp("zeros.sdp", strings.Repeat("\x00", 5000)), statusFailed, "zeros.sdp"},
		{"recv: endless SDP", sdp("endless.sdp", audioSDP(strings.Repeat("a=x\r\n", 100_000))), statusFailed, "500"},
		{"recv: SDP without audio", sdp("video.sdp", audioSDP("m=video 4000 RTP/AVP 96\r\n")), statusFailed, "m=video"},
		{"recv: SDP with port 0", sdp("port.sdp", audioSDP("m=audio 0 RTP/AVP 0\r\n")), statusFailed, "audio port 0"},
		{"recv: SDP with port 65535", sdp("last.sdp", audioSDP("m=audio 65535 RTP/AVP 0\r\n")), statusFailed, "audio port 65535"},
		{"recv: SDP with rate 0", sdp("rate.sdp", audioSDP("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 L16/0\r\n")), statusFailed, "clock rate"},
		{"recv: SDP with a huge rate", sdp("huge.sdp", audioSDP("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 L16/2147483647\r\n")), statusFailed, "huge.sdp"},
		{"recv: SDP with 255 channels", sdp("many.sdp", audioSDP("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 L16/8000/255\r\n")), statusFailed, "many.sdp"},
		{"recv: SDP with payload type 200", sdp("type.sdp", audioSDP("m=audio 4000 RTP/AVP 200\r\n")), statusFailed, "payload type"},
		{"recv: SDP of another codec", sdp("codec.sdp", audioSDP("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 MP4A-LATM/90000\r\n")), statusFailed, "MP4A-LATM"},
		{"recv: SDP with encryption", sdp("savp.sdp", audioSDP("m=audio 4000 RTP/SAVP 0\r\n")), statusFailed, "RTP/SAVP"},
		{"recv: SDP of a far address", sdp("far.sdp", strings.ReplaceAll(audioSDP("m=audio 4000 RTP/AVP 0\r\n"), "127.0.0.1", "192.0.2.1")), statusFailed, "192.0.2.1"},

		{"recv: SDP of a group", sdp("group.sdp", strings.ReplaceAll(audioSDP("m=audio 4000 RTP/AVP 0\r\n"), "127.0.0.1", "239.1.1.1/64")), statusFailed, "multicast"},

		{"bench quality: --html into a file", []string{"bench", "quality", "--html", filepath.Join(wav, "x.html")}, statusFailed, "x.html"},

		{"serve: --http without port", []string{"serve", "--http", "127.0.0.1"}, statusUse, "--http 127.0.0.1"},
		{"serve: --http with a large port", []string{"serve", "--http", "127.0.0.1:70000"}, statusUse, "--http 127.0.0.1:70000"},
		{"serve: --origin without a scheme", []string{"serve", "--http", "127.0.0.1:0", "--origin", "example.com"}, statusUse, "--origin"},
		{"serve: --udp 70000", []string{"serve", "--udp", "70000"}, statusUse, "--udp 70000"},
		{"serve: --tls-cert alone", []string{"serve", "--tls-cert", "x"}, statusUse, "--tls-key"},
		{"serve: --public-ip x", []string{"serve", "--public-ip", "x"}, statusUse, "--public-ip"},
		{"serve: --stun without a host", []string{"serve", "--http", "127.0.0.1:0", "--stun", ":3478"}, statusUse, "--stun"},
		{"serve: --turn to a port that is none", []string{"serve", "--http", "127.0.0.1:0", "--turn", "a:b", "--turn-secret", "x"}, statusUse, "turn:a:b is not"},
		{"serve: --turn-ttl -1h", []string{"serve", "--http", "127.0.0.1:0", "--turn", "a", "--turn-secret", "x", "--turn-ttl=-1h"}, statusUse, "--turn-ttl"},
		{"serve: --turn-ttl alone", []string{"serve", "--http", "127.0.0.1:0", "--turn-ttl", "2h"}, statusUse, "--turn"},
		{"serve: --turn-secret alone", []string{"serve", "--http", "127.0.0.1:0", "--turn-secret", "x"}, statusUse, "--turn"},
		{"serve: --recordings into a file", []string{"serve", "--http", "127.0.0.1:0", "--recordings", filepath.Join(wav, "x")}, statusFailed, "--recordings"},
		{"serve: --record-to in a missing folder", []string{"serve", "--http", "127.0.0.1:0", "--record-to", filepath.Join(dir, "missing", "call.mkv")}, statusFailed, "--record-to"},
		{"serve: --record-to of no format", []string{"serve", "--http", "127.0.0.1:0", "--record-to", filepath.Join(dir, "call.mp3")}, statusUse, ".mp3"},
		{"serve: --play of a missing film", []string{"serve", "--http", "127.0.0.1:0", "--play", filepath.Join(dir, "missing.webm")}, statusFailed, "missing.webm"},
		{"serve: --play of pictures that no call has", []string{"serve", "--http", "127.0.0.1:0", "--play", av1}, statusFailed, "AV1"},
		{"serve: --play of no film", []string{"serve", "--http", "127.0.0.1:0", "--play", noWAV}, statusFailed, "--play"},
		{"serve: --tls-cert that is none", []string{"serve", "--http", "127.0.0.1:0", "--tls-cert", noWAV, "--tls-key", noWAV}, statusFailed, "--tls-cert"},
		{"serve: unknown --log-level", []string{"serve", "--log-level", "loud"}, statusUse, "--log-level"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout bytes.Buffer
			stderr := &transcript{}
			ended := make(chan int, 1)
			go func() { ended <- run(c.args, &stdout, stderr) }()
			select {
			case status := <-ended:
				if status != c.status {
					t.Errorf("exit status %d, want %d", status, c.status)
				}
			case <-time.After(patience):
				t.Fatalf("it does not end\n%s", stderr)
			}
			message := stderr.String()
			if !strings.HasPrefix(message, "parley: ") || !strings.Contains(message, c.message) {
				t.Errorf("it says %q, want %q in it", message, c.message)
			}
			first, rest, _ := strings.Cut(message, "\n")
			if rest != "" && rest != "Run \"parley --help\" for usage.\n" || len(first) > 400 || strings.Contains(message, "goroutine ") {
				t.Errorf("it says more than a sentence: %q", message)
			}
			if stdout.Len() > 0 {
				t.Errorf("standard output: %q", &stdout)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args, want []string
	}{
		{[]string{"--help"}, []string{"serve", "send", "recv"}},
		{[]string{"help"}, []string{"serve", "send", "recv"}},
		{[]string{"help", "send"}, []string{"--dtmf"}},
		{[]string{"--version"}, []string{"devel"}},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(c.args, &stdout, &stderr); status != statusDone || stderr.Len() > 0 {
			t.Errorf("%q: exit status %d, standard error %q", c.args, status, &stderr)
		}
		for _, word := range c.want {
			if !strings.Contains(stdout.String(), word) {
				t.Errorf("%q does not name %s:\n%s", c.args, word, &stdout)
			}
		}
	}
}

// The measures of calls are those that the help names.
func TestMeasures(t *testing.T) {
	some := new(float64)
	b, err := json.Marshal(struct {
		*statistics
		*videoStatistics
	}{&statistics{MOS: 1, RoundTripMS: some, RemoteLossPct: some}, &videoStatistics{RoundTripMS: some, RemoteLossPct: some}})
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]float64
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(all))
	if want := sorted(slices.Concat(measures, measuresOfVideo)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, command := range []string{"send", "recv"} {
		var stdout, stderr bytes.Buffer
		if status := run([]string{command, "--help"}, &stdout, &stderr); status != statusDone {
			t.Errorf("exit status %d of %s --help", status, command)
		}
		words := strings.FieldsFunc(stdout.String(), func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
		for _, key := range got {
			if !slices.Contains(words, key) {
				t.Errorf("the help of %s does not name %s", command, key)
			}
		}
	}
}

// keys of the events, in alphabetical order.
var (
	measures = []string{
		"concealed_ms", "delay_ms", "delay_target_ms", "jitter_ms", "mos", "octets_sent", "packets_discarded", "packets_duplicated",
		"packets_late", "packets_lost", "packets_received", "packets_reordered", "packets_sent", "remote_loss_pct", "round_trip_ms", "stalled_ms",
	}
	measuresOfVideo = []string{
		"video_frames_lost", "video_frames_received", "video_frames_sent", "video_jitter_ms", "video_key_frame_requests",
		"video_key_frames_received", "video_key_frames_requested", "video_key_frames_sent", "video_octets_received",
		"video_octets_sent", "video_packets_discarded", "video_packets_duplicated", "video_packets_late", "video_packets_lost", "video_packets_received",
		"video_packets_requested", "video_packets_retransmitted", "video_packets_sent", "video_remote_loss_pct", "video_round_trip_ms",
	}
	keys = map[string][]string{
		"send listening": {"address", "event"},
		"recv listening": {"address", "event"},
		"send started":   {"address", "codec", "event", "file", "format"},
		"recv started":   {"address", "event", "format"},
		"stats":          sorted(append([]string{"event", "position_ms"}, measures...)),
		"end":            sorted(append([]string{"event", "reason"}, measures...)),
	}
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestEvents(t *testing.T) {
	const d = 2300 * time.Millisecond
	out := filepath.Join(t.TempDir(), "out.wav")
	recv := begin("recv", "--listen", "127.0.0.1:0", "--out", out)
	heard := []said{recv.until(t, "listening")}
	send := begin("send", toneWAV(t, mono8k, d), "--to", heard[0].Address)
	var sent []said
	for e := range send.events {
		sent = append(sent, e)
	}
	for e := range recv.events {
		heard = append(heard, e)
	}
	send.exit(t, statusDone)
	recv.exit(t, statusDone)

	for command, events := range map[string][]said{"send": sent, "recv": heard} {
		var order []string
		var position float64
		for _, e := range events {
			order = append(order, e.Event)
			var fields map[string]any
			if err := json.Unmarshal([]byte(e.line), &fields); err != nil {
				t.Errorf("%s: %s: %v", command, e.line, err)
				continue
			}
			want, ok := keys[e.Event]
			if !ok {
				want = keys[command+" "+e.Event]
			}
			for _, reported := range []string{"remote_loss_pct", "round_trip_ms", "mos"} { // or not, within so short a time
				if reported == "mos" && command == "recv" {
					continue
				}
				if slices.Contains(want, reported) && fields[reported] == nil {
					fields[reported] = 0
				}
			}
			if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
				t.Errorf("%s: %q has %q, want %q", command, e.Event, got, want)
			}
			if e.PositionMS != nil {
				if *e.PositionMS < position || *e.PositionMS > milliseconds(d) && len(events) == 5 {
					t.Errorf("%s: position %v ms after %v ms", command, *e.PositionMS, position)
				}
				position = *e.PositionMS
			}
		}
		// A call that this machine makes last longer has more of them.
		if want := []string{"listening", "started", "stats", "stats", "end"}; len(order) < len(want) || !slices.Equal(slices.Compact(order), slices.Compact(want)) {
			t.Errorf("%s: events %q, want %q", command, order, want)
		}
		if position < 1500 {
			t.Errorf("%s: the last position is %v ms", command, position)
		}
	}
	if t.Failed() {
		return
	}
	s, r := sent[len(sent)-1], heard[len(heard)-1]
	t.Logf("send: %s", s.line)
	t.Logf("recv: %s", r.line)
	if s.Reason != "sent" || s.PacketsSent != 115 || s.OctetsSent != 115*160 {
		t.Errorf("send ends with %s", s.line)
	}
	if r.Reason != "bye" || r.PacketsReceived != 115 || r.PacketsLost != 0 || r.PacketsDiscarded != 0 || r.ConcealedMS != 0 || r.DelayTargetMS != 60 {
		t.Errorf("recv ends with %s", r.line)
	}
	if sent[1].Address != heard[0].Address || sent[1].Codec != "PCMU/8000" || sent[1].Format != "8000 Hz mono" || heard[1].Format != "8000 Hz mono" {
		t.Errorf("started with\n%s\n%s", sent[1].line, heard[1].line)
	}
	readSound(t, out).check(t, mono8k, d, 0)
}

// Where nobody reports, nothing is said of what the far end gets.
func TestNoReport(t *testing.T) {
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	send := begin("send", toneWAV(t, mono8k, 40*time.Millisecond), "--to", sink.LocalAddr().String())
	send.until(t, "listening")
	send.until(t, "started")
	if e := send.end(t); strings.Contains(e.line, "remote_loss_pct") || strings.Contains(e.line, "round_trip_ms") {
		t.Errorf("send ends with %s", e.line)
	}
	if s := send.stderr.String(); !strings.Contains(s, "no report from the far end") {
		t.Errorf("send says %q", s)
	}
}

// Who waits for nobody does not wait for ever.
func TestNobodyComes(t *testing.T) {
	recv := begin("recv", "--listen", "127.0.0.1:0", "--wait", "50ms")
	recv.until(t, "listening")
	if end := recv.until(t, "end"); end.Reason != "no-media" {
		t.Errorf("it ends with %s", end.line)
	}
	recv.exit(t, statusFailed)
}

// A description with an address of the far end is of use with --listen, also one that
// ffmpeg has printed.
func TestListenBesideDescription(t *testing.T) {
	name := filepath.Join(t.TempDir(), "far.sdp")
	text := "SDP:\nv=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 8\nm=video 4002 RTP/AVP 96\na=rtpmap:96 VP8/90000\n"
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	c := recvCommand{SDP: name, Listen: "127.0.0.1:5000", PayloadType: -1, VideoPayloadType: -1}
	config, err := c.config()
	if err != nil {
		t.Fatal(err)
	}
	if config.Local.String() != "127.0.0.1:5000" || config.Video.Local.String() != "127.0.0.1:5002" || config.Audio.Codecs[0].Name != "PCMA" {
		t.Errorf("%v %v, video %v", config.Local, config.Audio.Codecs, config.Video.Local)
	}
}

// A recording waits for pictures that are asked for again as long as for sound.
func TestWaitForPictures(t *testing.T) {
	for _, tt := range []struct {
		out, playout string
		nack         bool
		want         time.Duration
	}{
		{"film.webm", "", true, 700 * time.Millisecond},
		{"", "in-order", true, 700 * time.Millisecond},
		{"film.webm", "", false, 0},
		{"film.webm", "adaptive", true, 0},
	} {
		c := recvCommand{Listen: "127.0.0.1:5000", Codec: []string{"vp8"}, Out: tt.out, Playout: tt.playout, MaxDelay: 700 * time.Millisecond, PayloadType: -1, VideoPayloadType: -1}
		c.NACK = tt.nack
		config, err := c.config()
		if err != nil {
			t.Fatal(err)
		}
		if config.Video.Wait != tt.want {
			t.Errorf("%+v: %v", tt, config.Video.Wait)
		}
	}
}

// Opus is recorded in stereo if the sender has said that it is (as FFmpeg does), and in mono
// if it has not.
func TestStereoOfTheDescription(t *testing.T) {
	for fmtp, want := range map[string]int{"sprop-stereo=1": 2, "stereo=1": 2, "sprop-stereo=0": 1} {
		name := filepath.Join(t.TempDir(), "a.sdp")
		text := "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 97\na=rtpmap:97 opus/48000/2\na=fmtp:97 " + fmtp + "\n"
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		c := recvCommand{SDP: name, PayloadType: -1, VideoPayloadType: -1}
		config, err := c.config()
		if err != nil {
			t.Fatal(err)
		}
		if f, err := opus.Format(config.Audio.Codecs[0]); err != nil || f.Channels != want {
			t.Errorf("%s: %v, %v", fmtp, f, err)
		}
	}
}

// Opus is sent with copies against losses once the far end reports some, and asked for
// with them.
func TestOpusAgainstLosses(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		p, err := codecFlags{Codec: "opus", PayloadType: -1}.params(audio.Format{Rate: 48000, Channels: channels})
		if f := opus.ParseFMTP(p.FMTP); err != nil || !f.UseInbandFEC || f.Stereo != (channels == 2) {
			t.Errorf("%d channels: %v, %v", channels, p.FMTP, err)
		}
	}
}

// Where a codec has the payload type of telephone events, these have another one,
// which is told.
func TestEventsGiveWay(t *testing.T) {
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	send := begin("send", toneWAV(t, mono8k, 40*ms), "--to", sink.LocalAddr().String(), "--payload-type", "101", "--dtmf", "1")
	if e := send.until(t, "warning"); !strings.Contains(e.line, "102") {
		t.Errorf("it warns of %s", e.line)
	}
	send.until(t, "listening")
	send.until(t, "started")
	send.until(t, "digits")
	send.end(t)
	b := make([]byte, 2000)
	for {
		sink.SetReadDeadline(time.Now().Add(patience))
		if _, err := sink.Read(b); err != nil {
			t.Fatalf("no event: %v", err)
		}
		if b[1]&0x7f == 102 {
			return
		}
	}
}

// A file that has a beginning alone is not sent, which a script would take for success.
func TestSendNothing(t *testing.T) {
	name := toneWAV(t, mono8k, 0)
	var stdout, stderr strings.Builder
	status := run([]string{"send", name, "--to", "127.0.0.1:41200"}, &stdout, &stderr)
	if said := stdout.String() + stderr.String(); status != statusFailed || !strings.Contains(said, name+" has nothing to send") {
		t.Errorf("status %d, said %q", status, said)
	}
}

// A program whose packets all go nowhere says so, and that it has failed. The system lets
// none leave from an address of this machine alone.
func TestSendRefused(t *testing.T) {
	name := toneWAV(t, mono8k, 100*time.Millisecond)
	var stdout, stderr strings.Builder
	status := run([]string{"send", name, "--to", "192.0.2.1:41200", "--local", "127.0.0.1:0"}, &stdout, &stderr)
	if said := stdout.String() + stderr.String(); status != statusFailed || !strings.Contains(said, "refused all packets") {
		t.Errorf("status %d, said %q", status, said)
	}
}
