package payload_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

var formats = []payload.VideoFormat{payload.H264{}, payload.VP8{}, payload.VP9{}}

// cut takes data apart into payloads: each one behind its length in a byte.
func cut(data []byte) (all [][]byte) {
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		all = append(all, data[1:1+n])
		data = data[1+n:]
	}
	return all
}

// fuzzFormat checks what a format promises for any payloads.
func fuzzFormat(t *testing.T, f payload.VideoFormat, data []byte) (frame []byte, ok bool) {
	in := cut(data)
	size, parsed := 0, len(in) > 0
	var any payload.VideoInfo
	for _, p := range in {
		part, err := f.ParsePacket(p)
		if err != nil && !errors.Is(err, codec.ErrPayload) {
			t.Fatal(err)
		}
		parsed = parsed && err == nil
		any.Key = any.Key || part.Key
		size += len(p)
	}
	out, info, err := f.AppendFrame([]byte{1, 2, 3}, in)
	if !bytes.HasPrefix(out, []byte{1, 2, 3}) || len(out) > 3+5*size {
		t.Fatalf("%d bytes of %d", len(out), size)
	}
	if err != nil {
		if !errors.Is(err, codec.ErrPayload) || len(out) != 3 {
			t.Fatal(err, len(out))
		}
		return nil, false
	}
	if !parsed {
		t.Fatal("a frame of a packet that is malformed")
	}
	if info.Key != any.Key {
		t.Fatalf("frame %+v, packets %+v", info, any)
	}

	// Alone, a depacketizer makes the same frame of the same packets after
	// another frame.
	d := payload.VideoDepacketizer{Format: f}
	d.Push(9, 1, true, []byte{0x10})
	for i, p := range in {
		d.Push(uint16(10+i), 2, i == len(in)-1, p)
	}
	got, ok := d.Frame()
	if !ok || !bytes.Equal(got.Data, out[3:]) || got.VideoInfo != info {
		t.Fatalf("depacketizer: %+v, %v", got, ok)
	}
	return out[3:], true
}

func fuzzPacketizer(t *testing.T, f payload.VideoFormat, p payload.VideoPacketizer, size int, frame []byte) (got []byte, ok bool) {
	if err := p.Begin(frame); err != nil {
		if !errors.Is(err, payload.ErrFrame) {
			t.Fatal(err)
		}
		return nil, false
	}
	all := rest(p)
	for _, b := range all {
		if len(b) > size {
			t.Fatalf("payload of %d bytes, at most %d", len(b), size)
		}
	}
	got, _, err := f.AppendFrame(nil, all)
	if err != nil {
		t.Fatal(err)
	}
	return got, true
}

func FuzzH264(f *testing.F) {
	f.Add([]byte("\x06\x7c\x85\x88\x01\x02\x03\x04\x7c\x45\x02\x03"))
	f.Add(append([]byte{20}, stapA(sps, []byte{0x68, 0xce})...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if frame, ok := fuzzFormat(t, payload.H264{}, data); ok && len(slices.Collect(payload.AnnexB(frame))) == 0 && bytes.ContainsFunc(frame, func(r rune) bool { return r > 1 }) {
			t.Fatalf("no units in %x", frame)
		}
		size := 3 + len(data)%50
		data = bytes.Clone(data)
		units := slices.Collect(payload.AnnexB(data))
		for _, u := range units {
			if len(u) < 2 {
				return
			}
			u[1] |= 0x80 // of a slice: the first one
		}
		got, ok := fuzzPacketizer(t, payload.H264{}, &payload.H264Packetizer{MaxPayload: size}, size, data)
		if ok && !bytes.Equal(got, annexB(units...)) {
			t.Fatalf("%x became %x", data, got)
		}
		for _, u := range units {
			if len(u) == 0 || u[len(u)-1] == 0 || bytes.Contains(u, []byte{0, 0, 1}) {
				t.Fatalf("unit %x", u)
			}
		}
		for n := range 6 {
			length := 0
			for u := range payload.AVCC(data, n) {
				length += n + len(u)
			}
			if length > len(data) {
				t.Fatalf("%d bytes of units of %d bytes", length, len(data))
			}
		}
	})
}

func FuzzH264SPS(f *testing.F) {
	f.Add(sps)
	f.Add([]byte{0x67, 100, 0, 40, 0xff})
	f.Fuzz(func(t *testing.T, unit []byte) {
		s, err := payload.ParseH264SPS(unit)
		if err != nil {
			if !errors.Is(err, codec.ErrPayload) {
				t.Fatal(err)
			}
		} else if s.Width <= 0 || s.Height <= 0 || s.Width > 1<<15 || s.Height > 1<<15 {
			t.Fatalf("%+v", s)
		}
	})
}

func FuzzH264FMTP(f *testing.F) {
	f.Add("profile-level-id=42E01F; packetization-mode=1;sprop-parameter-sets=Z0IACpZTBYmI,aMljiA==")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := payload.ParseH264FMTP(s)
		if err != nil {
			return
		}
		b, err := payload.ParseH264FMTP(a.String())
		if err != nil || a.String() != b.String() {
			t.Fatalf("%q became %q, %v", a, b, err)
		}
	})
}

func FuzzVP8(f *testing.F) {
	f.Add([]byte("\x02\x10\x01\x05\x80\x80\x80\x05\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzFormat(t, payload.VP8{}, data)
		if d, rest, err := payload.ParseVP8Descriptor(data); err == nil {
			again, _, err := payload.ParseVP8Descriptor(append(d.AppendTo(nil), rest...))
			if err != nil || again != d {
				t.Fatalf("%+v became %+v, %v", d, again, err)
			}
			if d.PictureIDBits != 0 {
				d.PictureIDBits = 7
			}
			p := &payload.VP8Packetizer{MaxPayload: 20, Descriptor: d}
			if got, ok := fuzzPacketizer(t, payload.VP8{}, p, 20, rest); !ok || !bytes.Equal(got, rest) {
				t.Fatalf("%x became %x", rest, got)
			}
		}
	})
}

func FuzzVP9(f *testing.F) {
	f.Add(append([]byte("\x02\x4c\x01\x0a\x0a"), sizes...))
	f.Add([]byte{0x0a, 0xf8, 0xff, 0xff})
	f.Add(append(append([]byte{30, 0x2e, 0x00, 0}, layers...), vp9Frame(true, 15)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzFormat(t, payload.VP9{}, data)
		if d, rest, err := payload.ParseVP9Descriptor(data); err == nil {
			header := d.AppendTo(nil)
			if n := len(data) - len(rest); len(header) != n {
				t.Fatalf("descriptor of %d bytes became %d", n, len(header))
			}
			again, _, err := payload.ParseVP9Descriptor(append(header, rest...))
			if err != nil || !bytes.Equal(again.AppendTo(nil), header) {
				t.Fatalf("%+v became %+v, %v", d, again, err)
			}
			if d.Structure != nil {
				if s, err := payload.ParseVP9Structure(d.Structure); err != nil {
					t.Fatal(err)
				} else if b, err := s.AppendTo(nil); err != nil || len(b) != len(d.Structure) {
					t.Fatalf("%x became %x, %v", d.Structure, b, err)
				}
			}
			d.InterLayer = false // the layer below is not sent
			p := &payload.VP9Packetizer{MaxPayload: 40, Descriptor: d}
			if got, ok := fuzzPacketizer(t, payload.VP9{}, p, 40, rest); ok && !bytes.Equal(got, rest) {
				t.Fatalf("%x became %x", rest, got)
			}
		}
	})
}

// A depacketizer never gives out more than it was given, whatever comes.
func FuzzVideoDepacketizer(f *testing.F) {
	f.Add(uint8(0), []byte{1, 1, 4, 0x7c, 0x85, 0x88, 1, 2, 1, 3, 0x7c, 0x45, 2})
	f.Add(uint8(1), []byte{1, 3, 2, 0x10, 1, 2, 5, 2, 0x10, 1})
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		d := payload.VideoDepacketizer{Format: formats[format%3], MaxFrame: 200}
		seq, timestamp, frames := uint16(0), uint32(0), uint64(0)
		for len(data) >= 3 {
			seq += uint16(int8(data[0]))
			timestamp += uint32(data[1] >> 1)
			n := min(int(data[2]), len(data)-3)
			d.Push(seq, timestamp, data[1]&1 != 0, data[3:3+n])
			for f, ok := d.Frame(); ok; f, ok = d.Frame() {
				if frames++; len(f.Data) == 0 || len(f.Data) > 5*200 {
					t.Fatalf("frame of %d bytes", len(f.Data))
				}
			}
			data = data[3+n:]
		}
		if s := d.Stats(); s.Frames != frames {
			t.Fatalf("%+v, %d came out", s, frames)
		}
	})
}
