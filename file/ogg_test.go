package file_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

// oggSum is the checksum of a page by another way: the CRC of hash/crc32 runs
// over reversed bits (RFC 3533 section 6), and begins and ends with inverted ones.
func oggSum(page []byte) uint32 {
	reversed := make([]byte, len(page))
	for i, c := range page {
		reversed[i] = bits.Reverse8(c)
	}
	return bits.Reverse32(^crc32.Update(^uint32(0), crc32.IEEETable, reversed))
}

// oggPage makes a page of a stream. A packet that ends the page with 255*n bytes
// goes on if open is set.
func oggPage(serial uint32, flags byte, granule int64, open bool, packets ...[]byte) []byte {
	var table, data []byte
	for i, p := range packets {
		table = append(table, bytes.Repeat([]byte{255}, len(p)/255)...)
		if !open || i < len(packets)-1 {
			table = append(table, byte(len(p)%255))
		}
		data = append(data, p...)
	}
	b := append([]byte("OggS\x00"), flags)
	b = le.AppendUint64(b, uint64(granule))
	b = le.AppendUint32(b, serial)
	b = le.AppendUint32(b, 0)
	b = append(b, 0, 0, 0, 0, byte(len(table)))
	b = slices.Concat(b, table, data)
	le.PutUint32(b[22:], oggSum(b))
	return b
}

var (
	opusHead = []byte("OpusHead\x01\x02\x38\x01\x80\xBB\x00\x00\x00\x00\x00") // pre-skip 312
	opusTags = []byte("OpusTags\x00\x00\x00\x00\x00\x00\x00\x00")
	oggStart = slices.Concat(oggPage(7, 2, 0, false, opusHead), oggPage(7, 0, 0, false, opusTags))
)

func long(n int) []byte { return append([]byte{0xF8}, make([]byte, n-1)...) }

func TestReadOgg(t *testing.T) {
	const skip = -6500 * time.Microsecond
	type packet struct {
		at, duration time.Duration
		size         int
	}
	for _, tt := range []struct {
		name  string
		pages [][]byte
		want  []packet
	}{
		{"nothing", nil, nil},
		{
			"two on a page",
			[][]byte{oggPage(7, 4, 1920, false, long(10), long(11))},
			[]packet{{skip, 20 * ms, 10}, {skip + 20*ms, 20 * ms, 11}},
		},
		// RFC 7845 section 4.4: what the last page does not count is cut off.
		{
			"trimmed at the end",
			[][]byte{oggPage(7, 0, 960, false, long(10)), oggPage(7, 4, 1440, false, long(11), long(12))},
			[]packet{{skip, 20 * ms, 10}, {skip + 20*ms, 10 * ms, 11}, {skip + 40*ms, 0, 12}},
		},
		{
			"trimmed on the only page",
			[][]byte{oggPage(7, 4, 1440, false, long(10), long(11))},
			[]packet{{skip, 20 * ms, 10}, {skip + 20*ms, 10 * ms, 11}},
		},
		// RFC 7845 section 4.5: a stream that was cut out of a longer one.
		{
			"late",
			[][]byte{oggPage(7, 0, 48000, false, long(10)), oggPage(7, 4, 48960, false, long(11))},
			[]packet{{skip + 980*ms, 20 * ms, 10}, {skip + time.Second, 20 * ms, 11}},
		},
		{
			"a gap",
			[][]byte{oggPage(7, 0, 960, false, long(10)), oggPage(7, 0, 48960, false, long(11))},
			[]packet{{skip, 20 * ms, 10}, {skip + time.Second, 20 * ms, 11}},
		},
		{"over three pages", [][]byte{
			oggPage(7, 0, 960, true, long(10), long(510)),
			oggPage(7, 1, -1, true, make([]byte, 255)),
			oggPage(7, 1|4, 2880, false, make([]byte, 5), long(12)),
		}, []packet{{skip, 20 * ms, 10}, {skip + 20*ms, 20 * ms, 770}, {skip + 40*ms, 20 * ms, 12}}},
		{
			"over two pages, not the last",
			[][]byte{oggPage(7, 0, 960, true, long(10), long(255)), oggPage(7, 1, 2880, false, make([]byte, 5), long(12))},
			[]packet{{skip, 20 * ms, 10}, {skip + 20*ms, 20 * ms, 260}, {skip + 40*ms, 20 * ms, 12}},
		},
		{
			"the beginning of a packet is missing",
			[][]byte{oggPage(7, 1, 1920, false, long(300), long(10))},
			[]packet{{skip + 20*ms, 20 * ms, 10}},
		},
		{
			"the end of a packet is missing",
			[][]byte{oggPage(7, 0, -1, true, long(255)), oggPage(7, 0, 960, false, long(10))},
			[]packet{{skip, 20 * ms, 10}},
		},
		{
			"another stream between",
			[][]byte{oggPage(7, 0, 960, false, long(10)), oggPage(8, 0, 5, false, text("other")), oggPage(7, 4, 1920, false, long(11))},
			[]packet{{skip, 20 * ms, 10}, {skip + 20*ms, 20 * ms, 11}},
		},
		{
			"after the end",
			[][]byte{oggPage(7, 4, 960, false, long(10)), oggPage(7, 0, 1920, false, long(11))},
			[]packet{{skip, 20 * ms, 10}},
		},
		{
			"not packets of Opus",
			[][]byte{oggPage(7, 4, 960, false, nil, []byte{3}, long(10))},
			[]packet{{skip, 20 * ms, 10}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := file.NewOggReader(bytes.NewReader(append(slices.Clone(oggStart), slices.Concat(tt.pages...)...)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readPackets(r)
			if err != nil {
				t.Fatal(err)
			}
			var all []packet
			for _, p := range got {
				all = append(all, packet{p.Time, p.Duration, len(p.Data)})
			}
			if !slices.Equal(all, tt.want) {
				t.Errorf("read %v, want %v", all, tt.want)
			}
			if track := r.Tracks()[0]; track.Channels != 2 || track.PreSkip != 312 || track.Rate != 48000 || !bytes.Equal(track.Config, opusHead) {
				t.Errorf("the track is %+v", track)
			}
		})
	}
}

func TestReadMalformedOgg(t *testing.T) {
	broken := slices.Clone(oggStart)
	broken[len(broken)-1] ^= 1
	large := oggPage(7, 0, 960, true, make([]byte, 255*255))
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, io.ErrUnexpectedEOF},
		{"text", bytes.Repeat(text("text "), 9), file.ErrMalformed},
		{"cut header", oggStart[:20], io.ErrUnexpectedEOF},
		{"no comments", oggStart[:47], io.ErrUnexpectedEOF},
		{"checksum", broken, file.ErrMalformed},
		{"Vorbis", slices.Concat(oggPage(1, 2, 0, false, text("\x01vorbis")), oggPage(1, 0, 0, false, text("\x03vorbis"))), errors.ErrUnsupported},
		{"OpusHead of a later version", oggPage(7, 2, 0, false, append([]byte("OpusHead\x10"), opusHead[9:]...)), file.ErrMalformed},
		{"no channels", oggPage(7, 2, 0, false, append([]byte("OpusHead\x01\x00"), opusHead[10:]...)), file.ErrMalformed},
		{"three channels in family 0", oggPage(7, 2, 0, false, append([]byte("OpusHead\x01\x03"), opusHead[10:]...)), file.ErrMalformed},
		{"family 1 without mapping", oggPage(7, 2, 0, false, append(slices.Clone(opusHead[:18]), 1)), file.ErrMalformed},
		{"other comments", slices.Concat(oggStart[:47], oggPage(7, 0, 0, false, text("comments"))), file.ErrMalformed},
		{"a packet with the comments", slices.Concat(oggStart[:47], oggPage(7, 0, 0, false, opusTags, long(9))), file.ErrMalformed},
		{"an endless packet", append(slices.Clone(oggStart), bytes.Repeat(large, 200)...), file.ErrMalformed},
		{"a packet at the end of time", append(slices.Clone(oggStart), oggPage(7, 0, 1<<62, false, long(9))...), file.ErrMalformed},
		{"cut within a packet", append(slices.Clone(oggStart), oggPage(7, 0, -1, true, long(255))...), io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			if tt.name == "an endless packet" {
				for p := len(oggStart) + len(large); p < len(in); p += len(large) {
					in[p+5] = 1
					le.PutUint32(in[p+22:], 0)
					le.PutUint32(in[p+22:], oggSum(in[p:p+len(large)]))
				}
			}
			r, err := file.NewOggReader(bytes.NewReader(in))
			if err == nil {
				_, err = readPackets(r)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
		})
	}
}

// The pages of a small file, byte for byte (RFC 3533 section 6, RFC 7845).
func TestWriteOgg(t *testing.T) {
	var b bytes.Buffer
	w, err := file.NewOggWriter(&b, opusTrack)
	if err != nil {
		t.Fatal(err)
	}
	in := sound(0, 2, preSkip)
	in[1].Duration = 15 * ms
	write(t, w, in)
	finish(t, w)
	tags := append(slices.Clone(opusTags[:8]), "\x06\x00\x00\x00parley\x00\x00\x00\x00"...)
	want := oggPage(1, 2, 0, false, opusHead)
	for i, page := range [][]byte{oggPage(1, 0, 0, false, tags), oggPage(1, 4, 960+720, false, opus(0), opus(1))} {
		le.PutUint32(page[18:], uint32(i+1))
		le.PutUint32(page[22:], 0)
		le.PutUint32(page[22:], oggSum(page))
		want = append(want, page...)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the file is\n%q, want\n%q", b.Bytes(), want)
	}
}

// A gap is filled with packets of lost frames, so that times stay.
func TestOggFillsGaps(t *testing.T) {
	for _, toc := range []byte{0xF8, 0x08, 0x78, 0x0B << 3, 0x60} { // CELT, SILK, hybrid, SILK wideband 60 ms, hybrid
		for _, gap := range []time.Duration{20 * ms, 2500 * time.Microsecond, 10 * ms, 37500 * time.Microsecond, 5 * time.Second, time.Hour} {
			var b bytes.Buffer
			w, err := file.NewOggWriter(&b, file.Track{Codec: file.Opus, Channels: 1})
			if err != nil {
				t.Fatal(err)
			}
			first := file.Packet{Data: []byte{toc, 'a'}}
			write(t, w, []file.Packet{first})
			length := frameOf(toc)
			late := file.Packet{Time: length + gap, Data: []byte{toc, 'b'}}
			write(t, w, []file.Packet{late})
			finish(t, w)
			r, err := file.NewOggReader(&b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := readPackets(r)
			if err != nil {
				t.Fatal(err)
			}
			last := got[len(got)-1]
			if last.Time != late.Time || string(last.Data) != string(late.Data) {
				t.Errorf("%#02x: after a gap of %v the packet is at %v, want %v", toc, gap, last.Time, late.Time)
			}
			next := length
			for _, p := range got[1 : len(got)-1] {
				if len(p.Data) != 2 || p.Data[0]&3 != 3 || p.Time != next {
					t.Fatalf("%#02x: the gap of %v is filled with %x at %v, want it at %v", toc, gap, p.Data, p.Time, next)
				}
				next += p.Duration
			}
		}
	}
	// RFC 6716 table 2: frames of CELT have the bandwidth and channels of the packet.
	for toc, want := range map[byte]byte{0x08: 0x83, 0x0C: 0x87, 0x58: 0xA3, 0x60: 0xC3, 0x78: 0xE3, 0xF8: 0xE3, 0xDC: 0xC7} {
		var b bytes.Buffer
		w, err := file.NewOggWriter(&b, file.Track{Codec: file.Opus})
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, []file.Packet{{Time: 2500 * time.Microsecond, Data: []byte{toc, 'a'}}})
		finish(t, w)
		r, err := file.NewOggReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readPackets(r); err != nil || len(got) != 2 || got[0].Data[0] != want {
			t.Errorf("%#02x: a gap is filled with %v, %v, want %#02x", toc, got, err, want)
		}
	}
	// Late by less than the shortest frame, the packet follows at once.
	var b bytes.Buffer
	w, _ := file.NewOggWriter(&b, opusTrack)
	in := sound(0, 3, preSkip)
	in[1].Time += 2 * ms
	in[2].Time -= 15 * ms
	write(t, w, in)
	finish(t, w)
	r, err := file.NewOggReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readPackets(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, sound(0, 3, preSkip), 0)
}

// frameOf is how long a frame lasts (RFC 6716 table 2).
func frameOf(toc byte) time.Duration {
	return map[byte]time.Duration{0xF8: 20 * ms, 0x08: 20 * ms, 0x78: 20 * ms, 0x0B << 3: 60 * ms, 0x60: 10 * ms}[toc]
}

// All pages have their number, their checksum and at most half a second.
func TestOggPages(t *testing.T) {
	var b bytes.Buffer
	w, err := file.NewOggWriter(&b, opusTrack)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		// The segment table of a page has room for few of them.
		p := file.Packet{Time: time.Duration(i)*20*ms - preSkip, Data: long(1 + i*400)}
		if err := w.WritePacket(&p); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, w)
	var last int64
	in := b.Bytes()
	for n := 0; len(in) > 0; n++ {
		size := 27 + int(in[26])
		for _, s := range in[27 : 27+int(in[26])] {
			size += int(s)
		}
		page := slices.Clone(in[:size])
		in = in[size:]
		granule, sum := int64(binary.LittleEndian.Uint64(page[6:])), le.Uint32(page[22:])
		le.PutUint32(page[22:], 0)
		if got := le.Uint32(page[18:]); got != uint32(n) || sum != oggSum(page) || granule-last > 24000 {
			t.Errorf("page %d has number %d, sum %08x (want %08x) and %d samples", n, got, sum, oggSum(page), granule-last)
		}
		last = granule
		if flags := map[bool]byte{true: 2}[n == 0] | map[bool]byte{true: 4}[len(in) == 0]; page[5] != flags {
			t.Errorf("page %d has flags %d", n, page[5])
		}
	}
	if last != 96000 {
		t.Errorf("the file ends at %d", last)
	}
}
