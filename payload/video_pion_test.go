package payload_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtp/codecs"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

// drawUnits draws an access unit that pion's payloader sends completely: it
// drops delimiters and fillers, and holds parameter sets back until a unit
// follows that is neither.
func drawUnits(t *rapid.T) (units [][]byte) {
	content := rapid.SliceOfN(rapid.ByteRange(1, 255), 2, 1000)
	if rapid.Bool().Draw(t, "parameter sets") {
		units = append(units, []byte{0x67, 66, 0xc0, 13, 1, 2, 3}, []byte{0x68, 0xce, 1})
	}
	for range rapid.IntRange(1, 4).Draw(t, "units") {
		u := content.Draw(t, "unit")
		u[0] = rapid.SampledFrom([]byte{0x65, 0x41, 0x01, 0x06}).Draw(t, "header")
		u[1] |= 0x80
		units = append(units, u)
	}
	return units
}

func TestH264AgainstPion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := annexB(drawUnits(t)...)
		size := rapid.IntRange(40, 1200).Draw(t, "size")

		theirs := codecs.H264Payloader{DisableStapA: rapid.Bool().Draw(t, "no STAP-A")}
		got, _, err := payload.H264{}.AppendFrame(nil, theirs.Payload(uint16(size), frame))
		if err != nil || !bytes.Equal(got, frame) {
			t.Fatalf("sent by pion: %x, %v, want %x", got, err, frame)
		}

		ours := payload.H264Packetizer{MaxPayload: size}
		if err := ours.Begin(frame); err != nil {
			t.Fatal(err)
		}
		var reader codecs.H264Packet
		got = nil
		for _, p := range rest(&ours) {
			b, err := reader.Unmarshal(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, frame) {
			t.Fatalf("read by pion: %x, want %x", got, frame)
		}
	})
}

func vp8OfPion(p *codecs.VP8Packet, payloadSize int) payload.VP8Descriptor {
	d := payload.VP8Descriptor{
		NonReference: p.N != 0, Start: p.S != 0, Partition: p.PID, PictureID: p.PictureID,
		HasTL0PICIDX: p.L != 0, TL0PICIDX: p.TL0PICIDX, HasTID: p.T != 0, TID: p.TID, LayerSync: p.Y != 0,
		HasKeyIndex: p.K != 0, KeyIndex: p.KEYIDX,
	}
	if p.I != 0 { // pion keeps no note of the length, but it follows from all
		size := 2 + 1
		if d.HasTL0PICIDX {
			size++
		}
		if d.HasTID || d.HasKeyIndex {
			size++
		}
		d.PictureIDBits = 7
		if payloadSize-len(p.Payload) > size {
			d.PictureIDBits = 15
		}
	}
	return d
}

// Any bytes are the same descriptor and the same data, or nothing, to both.
func TestVP8AgainstPion(t *testing.T) {
	parsed := 0
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "payload")
		var theirs codecs.VP8Packet
		data, theirErr := theirs.Unmarshal(in)
		d, got, err := payload.ParseVP8Descriptor(in)
		if theirErr != nil || len(data) == 0 {
			if err == nil {
				t.Fatalf("%+v, pion %v", d, theirErr)
			}
			return
		}
		parsed++
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%x, %v, pion %x", got, err, data)
		}
		if diff := cmp.Diff(vp8OfPion(&theirs, len(in)), d); diff != "" {
			t.Fatal(diff)
		}
	})
	if parsed == 0 {
		t.Error("no payload was valid")
	}
}

func vp9OfPion(p *codecs.VP9Packet) (payload.VP9Descriptor, payload.VP9Structure) {
	d := payload.VP9Descriptor{
		PictureID: p.PictureID, Inter: p.P, Flexible: p.F, Begin: p.B, End: p.E, NotForUpper: p.Z,
		HasLayers: p.L, TID: p.TID, SwitchUp: p.U, SID: p.SID, InterLayer: p.D, TL0PICIDX: p.TL0PICIDX,
		References: uint8(len(p.PDiff)),
	}
	copy(d.Diffs[:], p.PDiff)
	var s payload.VP9Structure
	if p.V {
		s.Layers = int(p.NS) + 1
	}
	for i := range p.Width {
		s.Sizes = append(s.Sizes, payload.VP9Size{Width: p.Width[i], Height: p.Height[i]})
	}
	if p.G {
		s.Group = make([]payload.VP9Picture, p.NG)
	}
	for i := range s.Group {
		s.Group[i] = payload.VP9Picture{TID: p.PGTID[i], SwitchUp: p.PGU[i], References: uint8(len(p.PGPDiff[i]))}
		copy(s.Group[i].Diffs[:], p.PGPDiff[i])
	}
	return d, s
}

// As for VP8, but for spatial layers from 5 up, of which pion knows none.
func TestVP9AgainstPion(t *testing.T) {
	structures := 0
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "payload")
		d, got, err := payload.ParseVP9Descriptor(in)
		if d.SID >= 5 {
			return
		}
		var theirs codecs.VP9Packet
		data, theirErr := theirs.Unmarshal(in)
		if theirErr != nil || len(data) == 0 {
			if err == nil {
				t.Fatalf("%+v, pion %v", d, theirErr)
			}
			return
		}
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%x, %v, pion %x", got, err, data)
		}
		want, structure := vp9OfPion(&theirs)
		if d.Structure != nil {
			structures++
			s, err := payload.ParseVP9Structure(d.Structure)
			if diff := cmp.Diff(structure, s); err != nil || diff != "" {
				t.Fatal(err, diff)
			}
		}
		if theirs.I != (d.PictureIDBits != 0) || theirs.V != (d.Structure != nil) {
			t.Fatalf("%+v, pion %+v", d, theirs)
		}
		d.PictureIDBits, d.Structure = 0, nil // pion does not have them like this
		if diff := cmp.Diff(want, d); diff != "" {
			t.Fatal(diff)
		}
	})
	if structures == 0 {
		t.Error("no payload had a structure")
	}
}

// Frames of pion's payloaders come out of our depacketizer, and ours out of
// pion's.
func TestVPXFramesAgainstPion(t *testing.T) {
	for _, tt := range []struct {
		name   string
		theirs interface {
			Payload(mtu uint16, frame []byte) [][]byte
		}
		ours   payload.VideoPacketizer
		reader interface {
			Unmarshal(payload []byte) ([]byte, error)
		}
		format payload.VideoFormat
		frame  func(key bool, n int) []byte
	}{
		{"VP8", &codecs.VP8Payloader{}, &payload.VP8Packetizer{}, &codecs.VP8Packet{}, payload.VP8{}, vp8Frame},
		{
			"VP8 with picture IDs", &codecs.VP8Payloader{EnablePictureID: true},
			&payload.VP8Packetizer{Descriptor: payload.VP8Descriptor{PictureIDBits: 15}}, &codecs.VP8Packet{},
			payload.VP8{},
			vp8Frame,
		},
		{"VP9", &codecs.VP9Payloader{}, &payload.VP9Packetizer{}, &codecs.VP9Packet{}, payload.VP9{}, vp9Frame},
	} {
		d := payload.VideoDepacketizer{Format: tt.format}
		var seq uint16
		for i, n := range []int{5000, 20, 1300, 3000, 13} {
			frame := tt.frame(i%3 == 0, n)
			all := tt.theirs.Payload(1200, frame)
			for j, p := range all {
				d.Push(seq, uint32(i)*3000, j == len(all)-1, p)
				seq++
			}
			f, ok := d.Frame()
			if !ok || !bytes.Equal(f.Data, frame) || f.Key != (i%3 == 0) || f.Key != (f.Width == 640 && f.Height == 480) {
				t.Errorf("%s, frame %d: %v, %+v", tt.name, i, ok, f)
			}
			var got []byte
			for _, p := range payloads(t, tt.ours, frame) {
				b, err := tt.reader.Unmarshal(p)
				if err != nil {
					t.Fatal(tt.name, err)
				}
				got = append(got, b...)
			}
			if !bytes.Equal(got, frame) {
				t.Errorf("%s, frame %d: pion reads %x", tt.name, i, got)
			}
		}
	}
}

// pion makes units of fragments that have no beginning, no middle, or two
// headers: the first byte is right and the rest is not what was sent.
func TestPionInventsH264Units(t *testing.T) {
	for name, in := range map[string][][]byte{
		"without the first":     {{0x7c, 0x05, 2}, {0x7c, 0x45, 3}},
		"of two units":          {{0x7c, 0x85, 1}, {0x7c, 0x41, 9}},
		"last of all":           {{0x7c, 0x45, 3}},
		"first of another unit": {{0x7c, 0x85, 1}, {0x7c, 0xc5, 9}},
	} {
		var theirs codecs.H264Packet
		var invented []byte
		for _, p := range in {
			b, err := theirs.Unmarshal(p)
			if err != nil {
				t.Fatal(err)
			}
			invented = append(invented, b...)
		}
		if len(invented) == 0 {
			t.Errorf("%s: pion does not any more", name)
		}
		if b, _, err := (payload.H264{}).AppendFrame(nil, in); !errors.Is(err, codec.ErrPayload) || len(b) != 0 {
			t.Errorf("%s: %x, %v", name, b, err)
		}
		d := payload.VideoDepacketizer{Format: payload.H264{}}
		for i, p := range in {
			d.Push(uint16(i), 1, i == len(in)-1, p)
		}
		if f, ok := d.Frame(); ok {
			t.Errorf("%s: %x came out", name, f.Data)
		}
	}

	// The middle is missing, which only the sequence numbers show.
	d := payload.VideoDepacketizer{Format: payload.H264{}}
	d.Push(1, 1, false, []byte{0x7c, 0x85, 1})
	d.Push(3, 1, true, []byte{0x7c, 0x45, 3})
	if f, ok := d.Frame(); ok || d.Stats().Dropped != 1 {
		t.Errorf("%+v, %+v", f, d.Stats())
	}
}

// pion keeps parameter sets for a later frame, loses them if they do not fit
// into a packet together, and never sends delimiters.
func TestPionLosesH264Units(t *testing.T) {
	for name, units := range map[string][][]byte{
		"parameter sets alone":      {sps, {0x68, 0xce, 1}},
		"parameter sets that large": {unit(0x67, 60), unit(0x68, 60), unit(0x65, 9)},
		"delimiter":                 {{0x09, 0x10}, unit(0x41, 9)},
		"two parameter sets each":   {unit(0x67, 10), unit(0x67, 12), {0x68, 1, 2}, unit(0x65, 9)},
	} {
		var theirs codecs.H264Payloader
		if got, _, err := (payload.H264{}).AppendFrame(nil, theirs.Payload(100, annexB(units...))); err == nil && bytes.Equal(got, annexB(units...)) {
			t.Errorf("%s: pion does not any more", name)
		}
		all := payloads(t, &payload.H264Packetizer{MaxPayload: 100}, annexB(units...))
		if got, _, err := (payload.H264{}).AppendFrame(nil, all); err != nil || !bytes.Equal(got, annexB(units...)) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

// pion takes any partition for the beginning of a frame.
func TestPionBeginsVP8FrameAtPartition(t *testing.T) {
	in := []byte{0x11, 1, 2}
	if !new(codecs.VP8Packet).IsPartitionHead(in) {
		t.Error("pion does not any more")
	}
	if part, err := (payload.VP8{}).ParsePacket(in); err != nil || part.Start {
		t.Errorf("%+v, %v", part, err)
	}
}

// pion adds the references of a packet to those of the one before, and to a
// fourth it is an error; it also knows only five spatial layers of eight.
func TestPionVP9References(t *testing.T) {
	in := []byte{0xdc, 9, 0x03, 0x8c, 0x86} // differences of 1 and 70
	var theirs codecs.VP9Packet
	for range 2 {
		if _, err := theirs.Unmarshal(in); err != nil {
			break
		}
	}
	if len(theirs.PDiff) == 2 {
		t.Error("pion does not any more")
	}
	for range 2 {
		if d, _, err := payload.ParseVP9Descriptor(in); err != nil || d.References != 2 || d.Diffs != [3]uint8{1, 70} {
			t.Errorf("%+v, %v", d, err)
		}
	}

	layer7 := []byte{0x2c, 7 << 1, 0, 0x86}
	if _, err := theirs.Unmarshal(layer7); err == nil {
		t.Error("pion knows layer 7")
	}
	if d, _, err := payload.ParseVP9Descriptor(layer7); err != nil || d.SID != 7 {
		t.Errorf("%+v, %v", d, err)
	}
}

// In flexible mode pion says of each picture that it is not predicted, so a
// receiver that believes it takes each for a key frame.
func TestPionVP9FlexibleModeHasNoPrediction(t *testing.T) {
	inter := vp9Frame(false, 30)
	theirs := codecs.VP9Payloader{FlexibleMode: true}
	all := theirs.Payload(1200, inter)
	if d, _, err := payload.ParseVP9Descriptor(all[0]); err != nil || d.Inter {
		t.Errorf("pion does not any more: %+v, %v", d, err)
	}
	if got, info, err := (payload.VP9{}).AppendFrame(nil, all); err != nil || info.Key || !slices.Equal(got, inter) {
		t.Errorf("%x, %+v, %v", got, info, err)
	}
	ours := payloads(t, &payload.VP9Packetizer{Descriptor: payload.VP9Descriptor{Flexible: true}}, inter)
	if d, _, err := payload.ParseVP9Descriptor(ours[0]); err != nil || !d.Inter || d.References != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}
