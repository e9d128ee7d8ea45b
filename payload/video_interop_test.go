//go:build interop

package payload_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/payload"
)

const videoSource = "testsrc=size=320x240:rate=25:duration=2"

// A videoCodec is a codec as the other programs call it.
type videoCodec struct {
	name        string // of a file format of FFmpeg
	format      payload.VideoFormat
	packetizer  func(size int) payload.VideoPacketizer
	encoder     []string // of FFmpeg
	filter      []string // of FFmpeg, out of Matroska
	parse       string   // of GStreamer, before the payloader
	payloader   string
	depayloader string
}

// H.264 has B-frames, slices, several key frames and delimiters, which tell
// where an access unit begins. VP8 and VP9 have hidden frames, VP9 in
// superframes.
var videoCodecs = []videoCodec{
	{
		name: "h264", format: payload.H264{},
		packetizer: func(size int) payload.VideoPacketizer { return &payload.H264Packetizer{MaxPayload: size} },
		encoder:    []string{"-c:v", "libx264", "-bf", "3", "-g", "20", "-b:v", "1M", "-x264-params", "slices=4:b-adapt=0:repeat-headers=1"},
		filter:     []string{"-bsf:v", "h264_mp4toannexb,h264_metadata=aud=insert"},
		parse:      "h264parse", payloader: "rtph264pay", depayloader: "rtph264depay",
	},
	{
		name: "vp8", format: payload.VP8{},
		packetizer: func(size int) payload.VideoPacketizer {
			return &payload.VP8Packetizer{MaxPayload: size, Descriptor: payload.VP8Descriptor{PictureIDBits: 15}}
		},
		encoder: []string{"-c:v", "libvpx", "-g", "20", "-b:v", "1M", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-slices", "4"},
		parse:   "identity", payloader: "rtpvp8pay", depayloader: "rtpvp8depay",
	},
	{
		name: "vp9", format: payload.VP9{},
		packetizer: func(size int) payload.VideoPacketizer {
			return &payload.VP9Packetizer{MaxPayload: size, Descriptor: payload.VP9Descriptor{PictureIDBits: 15}}
		},
		encoder: []string{"-c:v", "libvpx-vp9", "-g", "20", "-b:v", "1M", "-auto-alt-ref", "1", "-lag-in-frames", "16"},
		parse:   "identity", payloader: "rtpvp9pay", depayloader: "rtpvp9depay",
	},
}

// bytestream is the name of FFmpeg's file format with the frames of the codec.
func (c *videoCodec) bytestream() string {
	if c.name == "h264" {
		return "h264"
	}
	return "ivf"
}

const ivfHeader, ivfFrameHeader = 32, 12

// split takes a byte stream of H.264 with delimiters, or an IVF file, apart.
func (c *videoCodec) split(t *testing.T, file []byte) (frames [][]byte) {
	t.Helper()
	if c.name == "h264" {
		for u := range payload.AnnexB(file) {
			if payload.H264TypeOf(u) == payload.H264Delimiter {
				frames = append(frames, nil)
			}
			last := len(frames) - 1
			frames[last] = payload.AppendAnnexB(frames[last], u)
		}
		return frames
	}
	for file = file[ivfHeader:]; len(file) > 0; {
		n := ivfFrameHeader + int(binary.LittleEndian.Uint32(file))
		frames = append(frames, file[ivfFrameHeader:n])
		file = file[n:]
	}
	return frames
}

// join is the reverse of split.
func (c *videoCodec) join(frames [][]byte) []byte {
	if c.name == "h264" {
		return slices.Concat(frames...)
	}
	file := make([]byte, ivfHeader)
	copy(file, "DKIF\x00\x00\x20\x00VP80")
	if c.name == "vp9" {
		file[11] = '9'
		copy(file[8:], "VP90")
	}
	binary.LittleEndian.PutUint16(file[12:], 320)
	binary.LittleEndian.PutUint16(file[14:], 240)
	binary.LittleEndian.PutUint32(file[16:], 25)
	binary.LittleEndian.PutUint32(file[20:], 1)
	for i, f := range frames {
		file = binary.LittleEndian.AppendUint32(file, uint32(len(f)))
		file = binary.LittleEndian.AppendUint64(file, uint64(i))
		file = append(file, f...)
	}
	return file
}

// decode returns the pictures of a file. What a decoder has to complain of is an
// error.
func decode(t *testing.T, file []byte, format string) []byte {
	t.Helper()
	return ffmpeg(t, file, "-xerror", "-f", format, "-i", "-", "-vsync", "passthrough", "-vf", "settb=1/25,setpts=N", "-enc_time_base", "1:25",
		"-pix_fmt", "yuv420p", "-f", "rawvideo", "-")
}

func samePictures(t *testing.T, got, want []byte) {
	t.Helper()
	const picture = 320 * 240 * 3 / 2
	if len(want) != 50*picture {
		t.Fatalf("%d pictures were encoded", len(want)/picture)
	}
	if len(got) != len(want) {
		t.Fatalf("%d pictures, want %d", len(got)/picture, len(want)/picture)
	}
	for i := 0; i < len(want); i += picture {
		if !bytes.Equal(got[i:i+picture], want[i:i+picture]) {
			t.Fatalf("picture %d is different", i/picture)
		}
	}
}

// encode returns pictures of the codec in Matroska, and as they are in its own
// byte stream.
func (c *videoCodec) encode(t *testing.T) (matroska, file []byte) {
	t.Helper()
	matroska = ffmpeg(t, nil, slices.Concat([]string{"-f", "lavfi", "-i", videoSource, "-pix_fmt", "yuv420p"}, c.encoder,
		[]string{"-f", "matroska", "-"})...)
	file = ffmpeg(t, matroska, slices.Concat([]string{"-f", "matroska", "-i", "-", "-c", "copy"}, c.filter,
		[]string{"-f", c.bytestream(), "-"})...)
	return matroska, file
}

// What FFmpeg encodes goes through packets byte by byte, in the order of
// decoding, with timestamps that go back and forth as those of B-frames do.
func TestFFmpegFrames(t *testing.T) {
	for _, c := range videoCodecs {
		t.Run(c.name, func(t *testing.T) {
			_, file := c.encode(t)
			frames := c.split(t, file)
			for _, size := range []int{100, 1200, 60000} {
				p := c.packetizer(size)
				d := payload.VideoDepacketizer{Format: c.format}
				seq := uint16(65000)
				keys, slicesSeen := 0, 0
				for i, frame := range frames {
					all := payloads(t, p, frame)
					for j, b := range all {
						d.Push(seq, uint32(i^1)*3600, j == len(all)-1, b)
						seq++
					}
					f, ok := d.Frame()
					if !ok || !bytes.Equal(f.Data, frame) || f.Gap {
						t.Fatalf("frame %d of %d bytes: %v", i, len(frame), ok)
					}
					if f.Key {
						keys++
						if f.Width != 320 || f.Height != 240 {
							t.Errorf("key frame %d is of %dx%d", i, f.Width, f.Height)
						}
					}
					if c.name == "h264" {
						for u := range payload.AnnexB(frame) {
							if payload.H264TypeOf(u) == payload.H264Slice {
								slicesSeen++
							}
						}
					}
				}
				if keys < 3 || c.name == "h264" && slicesSeen < 4*45 {
					t.Errorf("%d key frames, %d slices", keys, slicesSeen)
				}
				if want := (payload.VideoStats{Frames: uint64(len(frames))}); d.Stats() != want {
					t.Errorf("%+v", d.Stats())
				}
			}
		})
	}
}

func gstreamer(t *testing.T, in []byte, pipeline ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("gst-launch-1.0")
	if err != nil {
		t.Fatal("this test needs GStreamer: apt install gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // its jitter buffer has stood still at the end
	defer cancel()
	var out, report bytes.Buffer
	cmd := exec.CommandContext(ctx, path, slices.Concat([]string{"-q", "fdsrc", "fd=0", "do-timestamp=true", "!"}, pipeline, []string{"!", "fdsink", "fd=1"})...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("GStreamer: %v: %s (apt install gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)", err, report.Bytes())
	}
	return out.Bytes()
}

// receive returns the frames of packets, and refuses anything amiss.
func (c *videoCodec) receive(t *testing.T, packets [][]byte) (frames [][]byte) {
	t.Helper()
	d := payload.VideoDepacketizer{Format: c.format}
	for _, b := range packets {
		var p rtp.Packet
		if err := p.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
		d.Push(p.SequenceNumber, p.Timestamp, p.Marker, p.Payload)
		for f, ok := d.Frame(); ok; f, ok = d.Frame() {
			frames = append(frames, bytes.Clone(f.Data))
			if f.Key != (len(frames) == 1) && f.Key && f.Width != 320 {
				t.Errorf("key frame of %dx%d", f.Width, f.Height)
			}
		}
	}
	if want := (payload.VideoStats{Frames: uint64(len(frames))}); d.Stats() != want {
		t.Errorf("%+v of %d packets", d.Stats(), len(packets))
	}
	return frames
}

// What GStreamer sends comes out as it was, whatever it aggregates.
func TestGStreamerSends(t *testing.T) {
	for _, c := range videoCodecs {
		options := [][]string{{"mtu=1200"}, {"mtu=200"}}
		switch c.name {
		case "h264":
			options = [][]string{
				{"mtu=1200", "aggregate-mode=none"},
				{"mtu=300", "aggregate-mode=zero-latency"},
				{"mtu=60000", "aggregate-mode=max-stap"},
			}
		case "vp8", "vp9":
			options = append(options, []string{"mtu=1200", "picture-id-mode=1"}, []string{"mtu=1200", "picture-id-mode=2"})
		}
		matroska, file := c.encode(t)
		want := decode(t, file, c.bytestream())
		for _, o := range options {
			t.Run(fmt.Sprint(c.name, o), func(t *testing.T) {
				stream := gstreamer(t, matroska, slices.Concat([]string{"matroskademux", "!", c.parse, "!", c.payloader}, o,
					[]string{"!", "rtpstreampay"})...)
				var packets [][]byte
				for len(stream) > 0 { // RFC 4571
					n := 2 + int(binary.BigEndian.Uint16(stream))
					packets = append(packets, stream[2:n])
					stream = stream[n:]
				}
				samePictures(t, decode(t, c.join(c.receive(t, packets)), c.bytestream()), want)
			})
		}
	}
}

// What we send, GStreamer puts together.
func TestGStreamerReceives(t *testing.T) {
	for _, c := range videoCodecs {
		t.Run(c.name, func(t *testing.T) {
			_, file := c.encode(t)
			frames := c.split(t, file)
			p := c.packetizer(500)
			header := rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: 65500}
			var stream []byte
			for i, frame := range frames {
				header.Timestamp = uint32(i) * 3600
				all := payloads(t, p, frame)
				for j, b := range all {
					header.Marker = j == len(all)-1
					packet, err := (&rtp.Packet{Header: header, Payload: b}).Marshal()
					if err != nil {
						t.Fatal(err)
					}
					stream = append(binary.BigEndian.AppendUint16(stream, uint16(len(packet))), packet...)
					header.SequenceNumber++
				}
			}
			caps := "application/x-rtp-stream,media=video,clock-rate=90000,payload=96,encoding-name=" +
				map[string]string{"h264": "H264", "vp8": "VP8", "vp9": "VP9"}[c.name]
			got := gstreamer(t, stream, slices.Concat([]string{caps, "!", "rtpstreamdepay", "!", "rtpjitterbuffer", "latency=0", "!", c.depayloader, "!"}, c.gstreamerFile())...)
			format := "h264"
			if c.name != "h264" {
				format = "matroska"
			}
			samePictures(t, decode(t, got, format), decode(t, file, c.bytestream()))
		})
	}
}

func (c *videoCodec) gstreamerFile() []string {
	if c.name == "h264" {
		return []string{"video/x-h264,stream-format=byte-stream"}
	}
	return []string{"matroskamux", "streamable=true"}
}

// What FFmpeg sends over UDP comes out as it was.
func TestFFmpegSends(t *testing.T) {
	for _, c := range videoCodecs {
		t.Run(c.name, func(t *testing.T) {
			matroska, file := c.encode(t)
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetReadBuffer(4 << 20); err != nil {
				t.Fatal(err)
			}
			received := make(chan [][]byte)
			go func() {
				var packets [][]byte
				for {
					b := make([]byte, 2000)
					n, err := conn.Read(b)
					if err != nil {
						if !errors.Is(err, os.ErrDeadlineExceeded) {
							t.Error(err)
						}
						received <- packets
						return
					}
					packets = append(packets, b[:n])
				}
			}()
			ffmpeg(t, matroska, "-re", "-readrate", "8", "-f", "matroska", "-i", "-", "-c", "copy", "-strict", "experimental",
				"-f", "rtp", fmt.Sprintf("rtp://%v?pkt_size=600", conn.LocalAddr()))
			if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			frames := c.receive(t, <-received)
			samePictures(t, decode(t, c.join(frames), c.bytestream()), decode(t, file, c.bytestream()))
		})
	}
}
