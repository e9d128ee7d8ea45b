//go:build interop

package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/internal/testport"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

const senderSSRC = 0x5041524c

func (c *clip) sender(t *testing.T, p codec.Params, size int) *stream.VideoSender {
	t.Helper()
	s, err := stream.NewVideoSender(stream.VideoSenderConfig{
		Codec: p, MaxPayload: size, SSRC: senderSSRC, Sequence: 65500, Timestamp: 1<<32 - 90000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// frames returns what is in a file.
func frames(t *testing.T, name string) (all []video.Frame) {
	t.Helper()
	r := open(t, name)
	for {
		var p file.Packet
		switch err := r.ReadPacket(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, video.Frame{Data: p.Data, Key: p.Key, Time: p.Time})
	}
}

// A timed packet is due at a time from the beginning of its stream.
type timed struct {
	at   time.Duration
	data []byte
}

// packetize returns when the sender sends what. The queue is always full.
func packetize(t *testing.T, s *stream.VideoSender, all []video.Frame) (packets []timed) {
	t.Helper()
	begin := time.Unix(1, 0)
	now := begin
	for {
		for ; len(all) > 0 && s.Room(len(all[0].Data)); all = all[1:] {
			if err := s.Write(now, &all[0]); err != nil {
				t.Fatal(err)
			}
		}
		next := s.Next()
		if next.IsZero() {
			return packets
		}
		if next.After(now) {
			now = next
		}
		if b, ok := s.AppendPacket(nil, now); ok {
			packets = append(packets, timed{now.Sub(begin), b})
		}
	}
}

// play sends in real time. Whether anyone is there is not asked.
func play(t *testing.T, s *stream.VideoSender, all []video.Frame, port int) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
	timer := time.NewTimer(0)
	defer timer.Stop()
	var buf []byte
	for {
		now := time.Now()
		for ; len(all) > 0 && s.Room(len(all[0].Data)); all = all[1:] {
			if err := s.Write(now, &all[0]); err != nil {
				t.Fatal(err)
			}
		}
		next := s.Next()
		if next.IsZero() {
			return
		}
		if next.After(now) {
			timer.Reset(next.Sub(now))
			<-timer.C
			now = time.Now()
		}
		for {
			var ok bool
			if buf, ok = s.AppendPacket(buf[:0], now); !ok {
				break
			}
			if _, err := conn.WriteToUDPAddrPort(buf, to); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// awaitPort returns when a program has opened a port.
func awaitPort(t *testing.T, port int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if testport.Open(port) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("nobody opens port %d", port)
		}
	}
}

// What is sent in real time, FFmpeg and GStreamer receive as it was.
func TestVideoToOthers(t *testing.T) {
	for _, c := range clips {
		if c.name == "refresh" {
			continue // is the same as slices to a sender
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			size, bitrate := "320x240", "800k"
			if c.name == "slices" {
				size, bitrate = "1280x720", "4M"
			}
			source := c.encode(t, size, bitrate, 60)
			want := decode(t, source)
			all := frames(t, source)
			for _, receiver := range []string{"FFmpeg", "GStreamer"} {
				t.Run(receiver, func(t *testing.T) {
					t.Parallel()
					// A byte stream of H.264 has no times.
					received := c.testTo(t, receiver, c.params(t, source), all, testport.Pair(t, net.IPv4(127, 0, 0, 1)))
					samePictures(t, decode(t, received), want, false)
				})
			}
		})
	}
}

// testTo returns the file that a program has made of the frames.
func (c *clip) testTo(t *testing.T, receiver string, p codec.Params, all []video.Frame, port int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "received.mkv")
	switch {
	case c.codec == file.VP9 && receiver == "FFmpeg": // which lacks the size of the picture for Matroska
		name = filepath.Join(t.TempDir(), "received.ivf")
	case c.codec == file.H264:
		name = filepath.Join(t.TempDir(), "received.h264")
	}
	s := c.sender(t, p, 0)
	count := len(packetize(t, c.sender(t, p, 0), all))
	cmd, report := program(t, needGStreamer, "gst-launch-1.0", gstReceiver(p, port, count, name)...)
	if receiver == "FFmpeg" {
		description := filepath.Join(t.TempDir(), "in.sdp")
		text := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video %d RTP/AVP 96\r\na=rtpmap:96 %s/90000\r\n", port, p.Name)
		if p.FMTP != "" {
			text += "a=fmtp:96 " + p.FMTP + "\r\n"
		}
		if err := os.WriteFile(description, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		// It does not notice key frames of VP9, before which nothing is copied.
		cmd, report = program(t, needFFmpeg, "ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp", "-buffer_size", "8000000",
			"-i", description, "-c", "copy", "-copyinkf", "-frames:v", strconv.Itoa(len(all)), name)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitPort(t, port)
	if receiver == "FFmpeg" {
		// It does not know that a frame of H.264 has ended until the next begins.
		more := all[0]
		more.Time = all[len(all)-1].Time + 80*time.Millisecond
		all = append(slices.Clone(all), more)
	}
	play(t, s, all, port)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v: %s", cmd, err, report)
	}
	t.Logf("%s says: %s", receiver, report)
	return name
}

// gstReceiver returns the pipeline that writes so many packets to a file.
func gstReceiver(p codec.Params, port, packets int, name string) []string {
	caps := fmt.Sprintf("application/x-rtp,media=video,clock-rate=90000,payload=96,encoding-name=%s", p.Name)
	rest := fmt.Sprintf("rtp%sdepay ! matroskamux", strings.ToLower(p.Name))
	if p.Name == "H264" {
		if _, sets, ok := strings.Cut(p.FMTP, "sprop-parameter-sets="); ok {
			caps += fmt.Sprintf(`,sprop-parameter-sets=(string)"%s"`, sets)
		}
		rest = "rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=nal"
	}
	return strings.Fields(fmt.Sprintf("-q udpsrc port=%d buffer-size=8000000 num-buffers=%d caps=%s ! %s ! filesink location=%s", port, packets, caps, rest, name))
}
