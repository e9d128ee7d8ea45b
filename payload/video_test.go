package payload_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-media/parley/payload"
)

// A packet is what a depacketizer is pushed.
type packet struct {
	seq       uint16
	timestamp uint32
	marker    bool
	payload   []byte
}

// A videoStream has frames and the packets they are sent in.
type videoStream struct {
	name    string
	format  payload.VideoFormat
	frames  [][]byte
	packets []packet
	of      []int // the frame that a packet belongs to
}

// newStream sends frames in packets that begin at the sequence number 65530,
// with a timestamp that wraps too.
func newStream(t testing.TB, name string, format payload.VideoFormat, p payload.VideoPacketizer, frames ...[]byte) *videoStream {
	t.Helper()
	s := &videoStream{name: name, format: format, frames: frames}
	seq := uint16(65530)
	for i, frame := range frames {
		all := payloads(t, p, frame)
		for j, b := range all {
			s.packets = append(s.packets, packet{seq, uint32(1<<32-3000) + uint32(i)*3000, j == len(all)-1, b})
			s.of = append(s.of, i)
			seq++
		}
	}
	return s
}

func streams(t testing.TB) []*videoStream {
	key := annexB(sps, []byte{0x68, 0xce, 1}, unit(0x65, 450), unit(0x65, 90), unit(0x65, 230))
	return []*videoStream{
		newStream(t, "H.264", payload.H264{}, &payload.H264Packetizer{MaxPayload: 100},
			key, annexB(unit(0x41, 350)), annexB(unit(0x06, 20), unit(0x41, 50)), annexB(unit(0x41, 101)), key, annexB(unit(0x41, 20))),
		newStream(t, "H.264, mode 0", payload.H264{}, &payload.H264Packetizer{MaxPayload: 500, SingleUnits: true},
			key, annexB(unit(0x41, 350)), annexB(unit(0x41, 50)), key),
		newStream(t, "VP8", payload.VP8{}, &payload.VP8Packetizer{MaxPayload: 100, Descriptor: payload.VP8Descriptor{PictureIDBits: 15}},
			vp8Frame(true, 600), vp8Frame(false, 350), vp8Frame(false, 20), vp8Frame(false, 101), vp8Frame(true, 300)),
		newStream(t, "VP9", payload.VP9{}, &payload.VP9Packetizer{MaxPayload: 100},
			vp9Frame(true, 600), vp9Frame(false, 350), vp9Frame(false, 20), vp9Frame(false, 101), vp9Frame(true, 300)),
		newStream(t, "VP9, flexible", payload.VP9{}, &payload.VP9Packetizer{MaxPayload: 100, Descriptor: payload.VP9Descriptor{Flexible: true}},
			vp9Frame(true, 600), vp9Frame(false, 350), vp9Frame(false, 20)),
	}
}

func depacketize(d *payload.VideoDepacketizer, packets []packet) (frames [][]byte) {
	for _, p := range packets {
		d.Push(p.seq, p.timestamp, p.marker, p.payload)
		for f, ok := d.Frame(); ok; f, ok = d.Frame() {
			frames = append(frames, bytes.Clone(f.Data))
		}
	}
	return frames
}

func sameFrames(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d frames, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s: frame %d has %d bytes, want %d", what, i, len(got[i]), len(want[i]))
		}
	}
}

func TestVideoDepacketizer(t *testing.T) {
	for _, s := range streams(t) {
		d := payload.VideoDepacketizer{Format: s.format}
		sameFrames(t, s.name, depacketize(&d, s.packets), s.frames)
		if want := (payload.VideoStats{Frames: uint64(len(s.frames))}); d.Stats() != want {
			t.Errorf("%s: %+v", s.name, d.Stats())
		}

		// Every packet twice.
		var twice []packet
		for i, p := range s.packets {
			twice = append(twice, p, s.packets[max(i-1, 0)])
		}
		d = payload.VideoDepacketizer{Format: s.format}
		sameFrames(t, s.name+", each packet twice", depacketize(&d, twice), s.frames)
		if d.Stats().Late != uint64(len(s.packets)) {
			t.Errorf("%s: %+v", s.name, d.Stats())
		}

		// A sender that does not set the marker. The last frame does not end.
		bare := slices.Clone(s.packets)
		for i := range bare {
			bare[i].marker = false
		}
		d = payload.VideoDepacketizer{Format: s.format}
		sameFrames(t, s.name+", without markers", depacketize(&d, bare), s.frames[:len(s.frames)-1])

		// Padding after each packet, with its timestamp.
		var padded []packet
		for i, p := range s.packets {
			p.seq = uint16(2 * i)
			padded = append(padded, p, packet{seq: p.seq + 1, timestamp: p.timestamp})
		}
		d = payload.VideoDepacketizer{Format: s.format}
		sameFrames(t, s.name+", with padding", depacketize(&d, padded), s.frames)
	}
}

// Whichever packets are lost, in runs of one to three: the frames of which one
// is lost do not come out, and all others do that can be told to be whole.
func TestVideoDepacketizerLoss(t *testing.T) {
	for _, s := range streams(t) {
		for _, markers := range []bool{true, false} {
			for run := 1; run <= 3; run++ {
				for at := range s.packets {
					end := min(at+run, len(s.packets))
					left := slices.Concat(s.packets[:at], s.packets[end:])
					if !markers {
						for i := range left {
							left[i].marker = false
						}
					}
					lost := make(map[int]bool)
					for _, i := range s.of[at:end] {
						lost[i] = true
					}
					// With a gap before it, or as the first of all, a frame is known
					// to be whole only if its first packet says so.
					if end < len(s.packets) && s.of[end] != s.of[end-1] || at == 0 && end < len(s.packets) {
						if part, err := s.format.ParsePacket(s.packets[end].payload); err != nil {
							t.Fatal(err)
						} else if !part.Start {
							lost[s.of[end]] = true
						}
					}
					if !markers {
						lost[len(s.frames)-1] = true
						if at > 0 {
							lost[s.of[at-1]] = true // its end was not seen
						}
					}
					var want [][]byte
					for i, f := range s.frames {
						if !lost[i] {
							want = append(want, f)
						}
					}
					d := payload.VideoDepacketizer{Format: s.format}
					sameFrames(t, fmt.Sprintf("%s, markers %v, packets %d to %d lost", s.name, markers, at, end-1), depacketize(&d, left), want)
				}
			}
		}
	}
}

func TestVideoDepacketizerStats(t *testing.T) {
	d := payload.VideoDepacketizer{Format: payload.VP8{}, MaxFrame: 10}
	for i, tt := range []struct {
		p    packet
		want payload.VideoStats
	}{
		{packet{1, 1, false, []byte{0x00, 1}}, payload.VideoStats{Dropped: 1}}, // joined amid a frame
		{packet{2, 1, true, []byte{0x00, 1}}, payload.VideoStats{Dropped: 1}},
		{packet{3, 2, true, []byte{0x10, 1}}, payload.VideoStats{Frames: 1, Dropped: 1}},
		{packet{3, 2, true, []byte{0x10, 1}}, payload.VideoStats{Frames: 1, Dropped: 1, Late: 1}},
		{packet{4, 3, false, []byte{0x10, 1}}, payload.VideoStats{Frames: 1, Dropped: 1, Late: 1}},
		{packet{5, 3, false, []byte{0x80}}, payload.VideoStats{Frames: 1, Dropped: 2, Malformed: 1, Late: 1}},
		{packet{6, 3, true, []byte{0x00, 1}}, payload.VideoStats{Frames: 1, Dropped: 2, Malformed: 1, Late: 1}},
		{packet{7, 4, false, []byte{0x10, 1}}, payload.VideoStats{Frames: 1, Dropped: 2, Malformed: 1, Late: 1}},
		{packet{8, 4, true, []byte{0x10, 1}}, payload.VideoStats{Frames: 1, Dropped: 3, Malformed: 2, Late: 1}}, // begins twice
		{packet{9, 5, true, make([]byte, 11)}, payload.VideoStats{Frames: 1, Dropped: 4, Malformed: 2, Late: 1}},
		{packet{10, 6, true, []byte{0x10, 1}}, payload.VideoStats{Frames: 2, Dropped: 4, Malformed: 2, Late: 1}},
		{packet{60000, 7, true, []byte{0x10, 1}}, payload.VideoStats{Frames: 3, Dropped: 4, Malformed: 2, Late: 1}}, // began anew
		{packet{59990, 7, true, []byte{0x10, 1}}, payload.VideoStats{Frames: 3, Dropped: 4, Malformed: 2, Late: 2}},
		{packet{60004, 8, true, []byte{0x10, 1}}, payload.VideoStats{Frames: 4, Dropped: 4, Malformed: 2, Late: 2, Lost: 3}},
	} {
		d.Push(tt.p.seq, tt.p.timestamp, tt.p.marker, tt.p.payload)
		if d.Stats() != tt.want {
			t.Errorf("after packet %d: %+v, want %+v", i, d.Stats(), tt.want)
		}
	}
	d = payload.VideoDepacketizer{Format: payload.VP8{}}
	d.Push(1, 1, false, []byte{0x10, 1})
	for i := range uint16(20000) {
		d.Push(2+i, 1, false, []byte{0, 1})
	}
	if d.Push(20002, 1, true, []byte{0, 1}); d.Stats() != (payload.VideoStats{Dropped: 1}) {
		t.Errorf("a frame of 20000 packets: %+v", d.Stats())
	}
}

// A frame says that something before it is missing, once.
func TestVideoDepacketizerGap(t *testing.T) {
	d := payload.VideoDepacketizer{Format: payload.VP8{}}
	for i, tt := range []struct {
		p    packet
		want string // of a frame that comes out: "whole" or "gap"
	}{
		{packet{65534, 1, true, []byte{0x10, 1}}, "whole"},
		{packet{65535, 2, true, []byte{0x10, 1}}, "whole"},
		{packet{1, 4, true, []byte{0x10, 1}}, "gap"}, // a frame is missing
		{packet{2, 5, true, []byte{0x10, 1}}, "whole"},
		{packet{3, 6, false, []byte{0x10, 1}}, ""},
		{packet{5, 6, true, []byte{0x00, 1}}, ""},
		{packet{6, 7, true, []byte{0x10, 1}}, "gap"}, // of one, the middle
		{packet{7, 8, true, []byte{0x10, 1}}, "whole"},
		{packet{8, 9, true, []byte{0x00, 1}}, ""},
		{packet{9, 10, true, []byte{0x10, 1}}, "gap"}, // one without its beginning
		{packet{10, 11, false, []byte{0x10, 1}}, ""},
		{packet{11, 11, true, []byte{0x10, 1}}, ""},
		{packet{12, 12, true, []byte{0x10, 1}}, "gap"}, // one that was malformed
		{packet{12, 12, true, []byte{0x10, 1}}, ""},
		{packet{13, 13, true, []byte{0x10, 1}}, "whole"},
		{packet{40000, 14, true, []byte{0x10, 1}}, "gap"}, // the sender began anew
	} {
		d.Push(tt.p.seq, tt.p.timestamp, tt.p.marker, tt.p.payload)
		got := ""
		if f, ok := d.Frame(); ok {
			got = "whole"
			if f.Gap {
				got = "gap"
			}
		}
		if got != tt.want {
			t.Errorf("after packet %d: %q, want %q", i, got, tt.want)
		}
	}
}

// What an access unit may have before its sequence parameter set is a delimiter,
// which no decoder needs. Its loss costs no frame, that of the set does.
func TestH264LostDelimiter(t *testing.T) {
	key := [][]byte{{0x09, 0x10}, sps, {0x68, 0xce}, unit(0x65, 40)}
	s := newStream(t, "", payload.H264{}, &payload.H264Packetizer{SingleUnits: true}, annexB(key...))
	for i, want := range [][][]byte{{annexB(key[1:]...)}, nil, nil, nil} {
		d := payload.VideoDepacketizer{Format: payload.H264{}}
		sameFrames(t, fmt.Sprint("without packet ", i), depacketize(&d, slices.Concat(s.packets[:i], s.packets[i+1:])), want)
	}

	// Encoders put messages before the set too; joining there costs no frame,
	// and it is not counted as dropped.
	key[0] = []byte{0x06, 0x80}
	s = newStream(t, "", payload.H264{}, &payload.H264Packetizer{SingleUnits: true}, annexB(key...))
	d := payload.VideoDepacketizer{Format: payload.H264{}}
	sameFrames(t, "message before the set", depacketize(&d, s.packets), [][]byte{annexB(key[1:]...)})
	if want := (payload.VideoStats{Frames: 1}); d.Stats() != want {
		t.Errorf("%+v", d.Stats())
	}
}

// Some senders repeat parameter sets between slices. A frame does not come out
// without the slices that were lost before such a packet.
func TestH264ParameterSetsBetweenSlices(t *testing.T) {
	later := unit(0x65, 40)
	later[1] = 0x48 // not of the first macroblock
	sets := stapA(sps, []byte{0x68, 0xce})
	key := [][]byte{sets, unit(0x65, 40), sets, later, sets, later}
	for lost := range key[:5] {
		d := payload.VideoDepacketizer{Format: payload.H264{}}
		d.Push(99, 0, true, []byte{0x09, 0x10})
		for i, p := range key {
			if i != lost {
				d.Push(uint16(100+i), 1, i == len(key)-1, p)
			}
		}
		if f, ok := d.Frame(); ok {
			t.Errorf("without packet %d: %x", lost, f.Data)
		}
		if d.Stats().Dropped != 1 {
			t.Errorf("without packet %d: %+v", lost, d.Stats())
		}
	}
}

// Two frames come of one packet if the one before had no marker.
func TestVideoDepacketizerTwoFrames(t *testing.T) {
	d := payload.VideoDepacketizer{Format: payload.VP8{}}
	d.Push(1, 10, false, []byte{0x10, 1})
	if f, ok := d.Frame(); ok {
		t.Fatalf("%+v before its end", f)
	}
	d.Push(2, 20, true, []byte{0x10, 2})
	for _, want := range []payload.VideoFrame{
		{Data: []byte{1}, Timestamp: 10},
		{Data: []byte{2}, Timestamp: 20, VideoInfo: payload.VideoInfo{Key: true}},
	} {
		f, ok := d.Frame()
		if !ok || !bytes.Equal(f.Data, want.Data) || f.Timestamp != want.Timestamp || f.VideoInfo != want.VideoInfo {
			t.Errorf("%+v, %v, want %+v", f, ok, want)
		}
	}
	if f, ok := d.Frame(); ok {
		t.Errorf("%+v too", f)
	}
}

// Any frame, in payloads of any size, fits and comes back; only the first packet
// begins it and only the last one ends it.
func TestVideoRoundTrip(t *testing.T) {
	content := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 2000) // no start code
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(32, 1500).Draw(t, "size")
		var p payload.VideoPacketizer
		var format payload.VideoFormat
		var frame []byte
		switch rapid.IntRange(0, 2).Draw(t, "format") {
		case 0:
			size = rapid.IntRange(3, 1500).Draw(t, "size of H.264")
			p, format = &payload.H264Packetizer{MaxPayload: size}, payload.H264{}
			for range rapid.IntRange(1, 6).Draw(t, "units") {
				u := append([]byte{rapid.Byte().Draw(t, "header"), 0x80}, content.Draw(t, "unit")...)
				if u[0] = u[0]&0xe0 | u[0]%23 + 1; rapid.Bool().Draw(t, "small") {
					u = u[:min(len(u), 20)]
				}
				frame = payload.AppendAnnexB(frame, u)
			}
		case 1:
			format = payload.VP8{}
			p = &payload.VP8Packetizer{MaxPayload: size, Descriptor: payload.VP8Descriptor{
				NonReference:  rapid.Bool().Draw(t, "N"),
				PictureIDBits: rapid.SampledFrom([]uint8{0, 7, 15}).Draw(t, "bits"), PictureID: rapid.Uint16().Draw(t, "ID"),
				HasTL0PICIDX: rapid.Bool().Draw(t, "L"), HasTID: rapid.Bool().Draw(t, "T"), TID: rapid.Uint8().Draw(t, "TID"),
				HasKeyIndex: rapid.Bool().Draw(t, "K"), KeyIndex: rapid.Uint8().Draw(t, "KEYIDX"),
			}}
			frame = content.Draw(t, "frame")
		default:
			format = payload.VP9{}
			p = &payload.VP9Packetizer{MaxPayload: size, Descriptor: payload.VP9Descriptor{
				PictureIDBits: rapid.SampledFrom([]uint8{0, 7, 15}).Draw(t, "bits"), PictureID: rapid.Uint16().Draw(t, "ID"),
				Flexible: rapid.Bool().Draw(t, "F"), References: rapid.Uint8Range(0, 5).Draw(t, "R"),
				HasLayers: rapid.Bool().Draw(t, "L"), TID: rapid.Uint8Range(0, 7).Draw(t, "TID"),
			}}
			if frame = content.Draw(t, "frame"); rapid.Bool().Draw(t, "key") {
				frame = vp9Frame(true, max(len(frame), 13))
			}
		}
		if err := p.Begin(frame); err != nil {
			t.Fatal(err)
		}
		all := rest(p)
		for i, b := range all {
			if len(b) > size || len(b) == 0 {
				t.Fatalf("payload of %d bytes, at most %d", len(b), size)
			}
			if _, ok := format.(payload.VP8); ok {
				if d, _, err := payload.ParseVP8Descriptor(b); err != nil || d.BeginsFrame() != (i == 0) {
					t.Fatalf("packet %d: %+v, %v", i, d, err)
				}
			}
			if _, ok := format.(payload.VP9); ok {
				if d, _, err := payload.ParseVP9Descriptor(b); err != nil || d.Begin != (i == 0) || d.End != (i == len(all)-1) {
					t.Fatalf("packet %d: %+v, %v", i, d, err)
				}
			}
			if _, err := format.ParsePacket(b); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := format.AppendFrame(nil, all)
		if err != nil || !bytes.Equal(got, frame) {
			t.Fatalf("%x became %x, %v", frame, got, err)
		}
	})
}

func TestVideoDoesNotAllocate(t *testing.T) {
	key := annexB(sps, []byte{0x68, 0xce, 1}, unit(0x65, 20000), unit(0x65, 900))
	for _, tt := range []struct {
		name   string
		p      payload.VideoPacketizer
		format payload.VideoFormat
		frame  []byte
	}{
		{"H.264", &payload.H264Packetizer{}, payload.H264{}, key},
		{"VP8", &payload.VP8Packetizer{}, payload.VP8{}, vp8Frame(true, 20000)},
		{"VP9", &payload.VP9Packetizer{}, payload.VP9{}, vp9Frame(true, 20000)},
	} {
		d := payload.VideoDepacketizer{Format: tt.format}
		buf := make([]byte, 0, 1500)
		seq, timestamp := uint16(0), uint32(0)
		run := func() {
			if err := tt.p.Begin(tt.frame); err != nil {
				t.Fatal(err)
			}
			timestamp++
			for more := true; more; seq++ {
				buf, more = tt.p.AppendPayload(buf[:0])
				d.Push(seq, timestamp, !more, buf)
			}
			if f, ok := d.Frame(); !ok || !bytes.Equal(f.Data, tt.frame) || !f.Key {
				t.Fatalf("%s: %v", tt.name, ok)
			}
		}
		if a := testing.AllocsPerRun(100, run); a != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, a)
		}
	}
	units := 0
	if a := testing.AllocsPerRun(100, func() {
		for range payload.AnnexB(key) {
			units++
		}
	}); a != 0 || units == 0 {
		t.Errorf("AnnexB: %v allocations, want 0", a)
	}
}

func BenchmarkVideoPacketize(b *testing.B) { benchmarkVideo(b, false) }

func BenchmarkVideoDepacketize(b *testing.B) { benchmarkVideo(b, true) }

// Frames of 20 kB, as in 720p.
func benchmarkVideo(b *testing.B, receive bool) {
	for _, tt := range []struct {
		name   string
		p      payload.VideoPacketizer
		format payload.VideoFormat
		frame  []byte
	}{
		{"H264", &payload.H264Packetizer{}, payload.H264{}, annexB(unit(0x41, 20000))},
		{"VP8", &payload.VP8Packetizer{}, payload.VP8{}, vp8Frame(false, 20000)},
		{"VP9", &payload.VP9Packetizer{}, payload.VP9{}, vp9Frame(false, 20000)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			all := payloads(b, tt.p, tt.frame)
			d := payload.VideoDepacketizer{Format: tt.format}
			buf := make([]byte, 0, 1500)
			var seq uint16
			var timestamp uint32
			b.ReportAllocs()
			for b.Loop() {
				if !receive {
					if err := tt.p.Begin(tt.frame); err != nil {
						b.Fatal(err)
					}
					for more := true; more; {
						buf, more = tt.p.AppendPayload(buf[:0])
					}
					continue
				}
				timestamp++
				for i, p := range all {
					d.Push(seq, timestamp, i == len(all)-1, p)
					seq++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/packet")
		})
	}
}
