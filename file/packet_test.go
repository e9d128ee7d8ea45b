package file_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

// readPackets returns all packets of a file, and the error that is not its end.
func readPackets(r file.PacketReader) ([]file.Packet, error) {
	var (
		all []file.Packet
		p   file.Packet
	)
	for {
		if err := r.ReadPacket(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, err
		}
		q := p
		q.Data = slices.Clone(p.Data)
		all = append(all, q)
	}
}

// What one packet of a codec may look like, with a number in it.

func vp8(key bool, n int) []byte {
	if key {
		return append([]byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00}, fmt.Sprintf("key %d", n)...) // 320x240
	}
	return append([]byte{0x11, 0, 0}, fmt.Sprintf("delta %d", n)...)
}

func vp9(key bool, n int) []byte {
	if key {
		// Profile 0, BT.601, 352x288 (VP9 bitstream specification section 6.2).
		return append([]byte{0x82, 0x49, 0x83, 0x42, 0x20, 0x15, 0xF0, 0x11, 0xF0}, fmt.Sprintf("key %d", n)...)
	}
	return append([]byte{0x86, 0}, fmt.Sprintf("delta %d", n)...)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func annexB(nals ...[]byte) (b []byte) {
	for _, nal := range nals {
		b = append(append(b, 0, 0, 0, 1), nal...)
	}
	return b
}

// Parameter sets of x264: 198x130 at 25 frames per second.
var (
	sps     = unhex("6742c00bd90344f9a23011000003000100000300320f142a48")
	highSPS = unhex("6764000bacd94344f9a23011000003000100000300320f142996")
	pps     = unhex("68cb83cb20")
	sets    = annexB(sps, pps)
)

// slice is one of a picture: the first, or with first_mb_in_slice 1.
func slice(key, first bool, n int) []byte {
	b := []byte{0x41, 0x9A} // first_mb_in_slice 0, slice_type 5, pic_parameter_set_id 0
	switch {
	case key && first:
		b = []byte{0x65, 0x88, 0x80} // 0, 7, 0
	case key:
		b = []byte{0x65, 0x42, 0x20} // 1, 7, 0
	case !first:
		b = []byte{0x41, 0x46, 0x80} // 1, 5, 0
	}
	return append(b, fmt.Sprintf("slice %03d", n)...)
}

func h264(key bool, n int) []byte {
	if key {
		return append(slices.Clone(sets), annexB(slice(true, true, n))...)
	}
	return annexB(slice(false, true, n))
}

// opus is a packet of one CELT frame of 20 ms.
func opus(n int) []byte { return append([]byte{0xF8}, fmt.Sprintf("packet %d", n)...) }

const (
	ms      = time.Millisecond
	picture = 40 * ms
)

// video makes n pictures, of which each tenth is a key frame.
func video(n int, data func(key bool, n int) []byte) (packets []file.Packet) {
	for i := range n {
		key := i%10 == 0
		packets = append(packets, file.Packet{Time: time.Duration(i) * picture, Key: key, Data: data(key, i)})
	}
	return packets
}

// sound makes n packets of 20 ms of Opus, the first of them early.
func sound(track, n int, early time.Duration) (packets []file.Packet) {
	for i := range n {
		packets = append(packets, file.Packet{Track: track, Time: time.Duration(i)*20*ms - early, Duration: 20 * ms, Key: true, Data: opus(i)})
	}
	return packets
}

func samples(track, n int) (packets []file.Packet) {
	for i := range n {
		data := bytes.Repeat([]byte{byte(i), 1}, 160)
		packets = append(packets, file.Packet{Track: track, Time: time.Duration(i) * 20 * ms, Duration: 20 * ms, Key: true, Data: data})
	}
	return packets
}

// together orders packets by time.
func together(lists ...[]file.Packet) []file.Packet {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b file.Packet) int { return cmp.Compare(a.Time, b.Time) })
	return all
}

func write(t testing.TB, w file.PacketWriter, packets []file.Packet) {
	t.Helper()
	for i := range packets {
		if err := w.WritePacket(&packets[i]); err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
}

func finish(t testing.TB, w file.PacketWriter) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPacketsComeBack(t *testing.T) {
	for _, c := range containers() {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{limit: math.MaxInt}
			var pipe bytes.Buffer
			for _, out := range []io.Writer{m, &pipe} {
				w, err := c.create(out, c.tracks)
				if err != nil {
					t.Fatal(err)
				}
				write(t, w, c.in)
				finish(t, w)
				finish(t, w)
				if err := w.WritePacket(&c.in[0]); err == nil {
					t.Error("a packet is written after Close")
				}
			}
			for _, in := range [][]byte{m.b, pipe.Bytes()} {
				r, err := c.open(plain{bytes.NewReader(in)})
				if err != nil {
					t.Fatal(err)
				}
				got, err := readPackets(r)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, c.in, c.within)
				checkTracks(t, r.Tracks(), c.tracks)
			}
		})
	}
}

// A file that is only appended to, as what a shell opens for ">>", is written like a pipe:
// nothing in it can be changed later.
func TestAppendToFile(t *testing.T) {
	for _, c := range containers() {
		t.Run(c.name, func(t *testing.T) {
			f, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w, err := c.create(f, c.tracks)
			if err != nil {
				t.Fatal(err)
			}
			write(t, w, c.in)
			finish(t, w)
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			r, err := c.open(f)
			if err != nil {
				t.Fatal(err)
			}
			got, err := readPackets(r)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, c.in, c.within)
		})
	}
}

// checkTracks compares what was known, and the sizes of the pictures above.
func checkTracks(t testing.TB, got, want []file.Track) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tracks, want %d", len(got), len(want))
	}
	sizes := map[file.Codec][2]int{file.VP8: {320, 240}, file.VP9: {352, 288}, file.H264: {198, 130}}
	for i, g := range got {
		w := want[i]
		if g.Codec != w.Codec || g.PreSkip != w.PreSkip || [2]int{g.Width, g.Height} != sizes[g.Codec] || w.Rate != 0 && g.Rate != w.Rate {
			t.Errorf("track %d is %+v, want %+v", i, g, w)
		}
		if g.Codec == file.H264 && !bytes.Equal(g.Config, sets) {
			t.Errorf("track %d has parameter sets %x", i, g.Config)
		}
	}
}

// A file that is cut anywhere gives the packets before the cut, and then the end
// or an error that tells of it.
func TestReadCutFiles(t *testing.T) {
	for _, c := range containers() {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{limit: math.MaxInt}
			w, err := c.create(m, c.tracks)
			if err != nil {
				t.Fatal(err)
			}
			c.in = c.in[:min(len(c.in), 150)]
			write(t, w, c.in)
			finish(t, w)
			most := 0
			for cut := range m.b {
				r, err := c.open(bytes.NewReader(m.b[:cut]))
				if err != nil {
					if !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
						t.Fatalf("cut at %d: %v", cut, err)
					}
					continue
				}
				got, err := readPackets(r)
				if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if n := len(got); n > 0 && c.name == "Annex B" {
					got = got[:n-1] // which cannot be told from a whole one
				}
				if len(got) < most {
					t.Fatalf("cut at %d: %d packets, a shorter one has %d", cut, len(got), most)
				}
				most = len(got)
				same(t, got, c.in[:len(got)], c.within)
			}
			if most < len(c.in)*4/5 {
				t.Errorf("%d packets of %d", most, len(c.in))
			}
		})
	}
}

// A recorder that is killed between any two of its writes leaves a file that has
// all packets but those of the last half second.
func TestFilesAreReadableAtEachWrite(t *testing.T) {
	for _, c := range containers() {
		t.Run(c.name, func(t *testing.T) {
			var done int // packets that were passed
			m := &memory{limit: math.MaxInt}
			m.after = func(b []byte) {
				r, err := c.open(bytes.NewReader(b))
				if err != nil {
					if done > 0 && c.in[done].Time > time.Second {
						t.Fatalf("after %d packets: %v", done, err)
					}
					return
				}
				got, err := readPackets(r)
				if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("after %d packets: %v", done, err)
				}
				if n := len(got); n > 0 && c.name == "Annex B" {
					got = got[:n-1]
				}
				same(t, got, c.in[:min(len(got), len(c.in))], c.within)
				end := time.Duration(0)
				if len(got) > 0 {
					end = got[len(got)-1].Time
				}
				if lost := c.in[done].Time - end; lost > 600*ms {
					t.Fatalf("after %d packets %v are lost", done, lost)
				}
			}
			w, err := c.create(m, c.tracks)
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.in {
				done = i
				if err := w.WritePacket(&c.in[i]); err != nil {
					t.Fatal(err)
				}
			}
			finish(t, w)
		})
	}
}

func TestDiskFull(t *testing.T) {
	all := append(containers(), container{
		"H264 in MP4", []file.Track{{Codec: file.H264}}, mp4Writer, nil, video(60, h264), 0,
	})
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			for limit := 0; limit < 1000; limit += 37 {
				w, err := c.create(&memory{limit: limit}, c.tracks)
				for i := 0; err == nil && i < len(c.in); i++ {
					err = w.WritePacket(&c.in[i])
				}
				if err == nil {
					err = w.Close()
				}
				if !errors.Is(err, errFull) {
					t.Fatalf("with room for %d bytes: %v", limit, err)
				}
				if w, ok := w.(interface{ Close() error }); ok && limit > 500 {
					if err := w.Close(); !errors.Is(err, errFull) {
						t.Fatalf("Close returns %v", err)
					}
				}
			}
		})
	}
}

func TestTracksThatCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		name   string
		create func(io.Writer, []file.Track) (file.PacketWriter, error)
		tracks []file.Track
		want   error
	}{
		{"none", webmWriter, nil, file.ErrTrack},
		{"too many", webmWriter, make([]file.Track, 17), file.ErrTrack},
		{"H264 in IVF", ivfWriter, []file.Track{{Codec: file.H264}}, errors.ErrUnsupported},
		{"VP8 in MP4", mp4Writer, []file.Track{{Codec: file.VP8}}, errors.ErrUnsupported},
		{"AAC in WebM", webmWriter, []file.Track{{Codec: file.AAC}}, errors.ErrUnsupported},
		{"VP8 in Ogg", oggWriter, []file.Track{{Codec: file.VP8}}, errors.ErrUnsupported},
		{"no codec", webmWriter, []file.Track{{}}, errors.ErrUnsupported},
		{"large picture", webmWriter, []file.Track{{Codec: file.VP8, Width: 65536, Height: 1}}, file.ErrTrack},
		{"negative picture", mp4Writer, []file.Track{{Codec: file.H264, Width: -1, Height: 1}}, file.ErrTrack},
		{"no parameter sets in Config", mp4Writer, []file.Track{{Codec: file.H264, Config: []byte{0, 0, 1, 9}}}, file.ErrTrack},
		{"AAC without Config", mp4Writer, []file.Track{{Codec: file.AAC, Rate: 48000, Channels: 2}}, file.ErrTrack},
		{"AAC without a rate", mp4Writer, []file.Track{{Codec: file.AAC, Channels: 2, Config: []byte{1, 2}}}, file.ErrTrack},
		{"PCM without channels", webmWriter, []file.Track{{Codec: file.PCM, Rate: 8000}}, file.ErrTrack},
		{"PCM with 9 channels", webmWriter, []file.Track{{Codec: file.PCM, Rate: 8000, Channels: 9}}, file.ErrTrack},
		{"broken OpusHead", oggWriter, []file.Track{{Codec: file.Opus, Config: []byte("OpusHead")}}, file.ErrTrack},
		{"surround without OpusHead", oggWriter, []file.Track{{Codec: file.Opus, Channels: 6}}, file.ErrTrack},
		{"negative pre-skip", oggWriter, []file.Track{{Codec: file.Opus, PreSkip: -1}}, file.ErrTrack},
	} {
		m := &memory{limit: math.MaxInt}
		if _, err := tt.create(m, tt.tracks); !errors.Is(err, tt.want) || len(m.b) > 0 {
			t.Errorf("%s: %v and %d bytes, want %v", tt.name, err, len(m.b), tt.want)
		}
	}
}

func TestPacketsThatCannotBeWritten(t *testing.T) {
	ok := func(p file.Packet) file.Packet {
		p.Key = true
		if p.Data == nil {
			p.Data = vp8(true, 1)
		}
		return p
	}
	for _, tt := range []struct {
		name   string
		create func(io.Writer, []file.Track) (file.PacketWriter, error)
		tracks []file.Track
		packet file.Packet
	}{
		{"track", webmWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Track: 1})},
		{"negative track", webmWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Track: -1})},
		{"no data", ivfWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Data: []byte{}})},
		{"too much data", ivfWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Data: make([]byte, 16<<20+1)})},
		{"early", webmWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Time: -ms})},
		{"early", ivfWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Time: -ms})},
		{"early", mp4Writer, []file.Track{{Codec: file.H264}}, ok(file.Packet{Time: -2 * ms, Data: h264(true, 1)})},
		{"early", oggWriter, []file.Track{opusTrack}, ok(file.Packet{Time: -7 * ms, Data: opus(1)})},
		{"late", webmWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Time: math.MaxInt64})},
		{"long", webmWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Duration: math.MaxInt64})},
		{"negative duration", webmWriter, []file.Track{{Codec: file.VP8}}, ok(file.Packet{Duration: -1})},
		{"no start code", mp4Writer, []file.Track{{Codec: file.H264}}, ok(file.Packet{Data: []byte{0, 0, 0, 2, 0x65, 0}})},
		{"no start code", webmWriter, []file.Track{{Codec: file.H264}}, ok(file.Packet{Data: []byte{0, 0, 0, 2, 0x65, 0}})},
		{"no start code", annexBWriter, []file.Track{{Codec: file.H264}}, ok(file.Packet{Data: []byte{0x65, 0}})},
		{"half a sample", webmWriter, []file.Track{{Codec: file.PCM, Rate: 8000, Channels: 2}}, ok(file.Packet{Data: []byte{1, 2}})},
		{"not Opus", oggWriter, []file.Track{opusTrack}, ok(file.Packet{Data: []byte{3}})},
		{"large Opus", oggWriter, []file.Track{opusTrack}, ok(file.Packet{Data: make([]byte, 65000)})},
		{"after two days", oggWriter, []file.Track{opusTrack}, ok(file.Packet{Time: 48 * time.Hour, Data: opus(1)})},
	} {
		var b bytes.Buffer
		w, err := tt.create(&b, tt.tracks)
		if err != nil {
			t.Fatal(err)
		}
		before := b.Len()
		if err := w.WritePacket(&tt.packet); !errors.Is(err, file.ErrPacket) || b.Len() != before {
			t.Errorf("%s: %v, want ErrPacket", tt.name, err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("%s: the file does not go on: %v", tt.name, err)
		}
	}
}

// Video begins with a key frame, also where the size was known before.
func TestVideoBeginsWithKeyFrame(t *testing.T) {
	for _, c := range containers() {
		if !c.tracks[0].Codec.Video() {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			m := &memory{limit: math.MaxInt}
			w, err := c.create(m, c.tracks)
			if err != nil {
				t.Fatal(err)
			}
			begun := false
			want := slices.DeleteFunc(slices.Clone(c.in[5:]), func(p file.Packet) bool {
				begun = begun || p.Track == 0 && p.Key
				return p.Track == 0 && !begun
			})
			write(t, w, c.in[5:])
			finish(t, w)
			r, err := c.open(bytes.NewReader(m.b))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readPackets(r)
			if err != nil {
				t.Fatal(err)
			}
			if c.name == "Annex B" {
				for i := range want {
					want[i].Time -= 10 * picture // which it cannot tell
				}
			}
			same(t, got, want, c.within)
		})
	}
}
