package file

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Sequence parameter sets of x264.
var parameterSetTests = []struct{ name, sps string }{
	{"baseline", "6742c00bd90344f9a23011000003000100000300320f142a48"},
	{"high", "6764000bacd94344f9a23011000003000100000300320f142996"},
	{"4:2:2", "677a000bbcd94344f9a3f011000003000100000300320f142996"},
	{"4:4:4", "67f4000b919b28689f171f80880000030008000003019078a14cb0"},
}

// An AVCDecoderConfigurationRecord comes back, and a byte stream from lengths.
func TestAVCC(t *testing.T) {
	for _, tt := range parameterSetTests {
		var sets parameterSets
		pps := unhex(t, "68cb83cb20")
		stream := slices.Concat([]byte{0, 0, 0, 1}, unhex(t, tt.sps), []byte{0, 0, 0, 1}, pps)
		sets.add(stream)
		sets.add(stream)
		if got := sets.appendAnnexB(nil); !bytes.Equal(got, stream) || len(got) != sets.size() {
			t.Errorf("%s: the sets are %x", tt.name, got)
		}
		record := sets.appendAVCC(nil)
		var back parameterSets
		if size, ok := back.parseAVCC(record); !ok || size != 4 || !bytes.Equal(back.appendAnnexB(nil), stream) {
			t.Errorf("%s: %x comes back as %x", tt.name, record, back.appendAnnexB(nil))
		}
		// ISO/IEC 14496-15 section 5.3.3.1.2: high profiles have three more fields.
		if more := len(record) - 11 - len(unhex(t, tt.sps)) - len(pps); (more == 4) != (record[1] == 100 || record[1] == 122) {
			t.Errorf("%s: %d more bytes in %x", tt.name, more, record)
		}
		for cut := range len(record) - 5 {
			new(parameterSets).parseAVCC(record[:cut])
		}
		slice := []byte{0, 0, 0, 1, 0x65, 0x88, 1}
		lengths := appendLengths(nil, slices.Concat([]byte{0, 0, 1, 9, 0xF0}, stream, slice), &sets)
		if want := []byte{0, 0, 0, 3, 0x65, 0x88, 1}; !bytes.Equal(lengths, want) {
			t.Errorf("%s: lengths are %x, want %x", tt.name, lengths, want)
		}
		if got, ok := appendStartCodes(nil, lengths, 4, true, &sets); !ok || !bytes.Equal(got, append(slices.Clone(stream), slice...)) {
			t.Errorf("%s: %x, %t", tt.name, got, ok)
		}
		if got, ok := appendStartCodes(nil, lengths, 4, false, &sets); !ok || !bytes.Equal(got, slice) {
			t.Errorf("%s: %x, %t", tt.name, got, ok)
		}
		own := appendLengths(nil, append(slices.Clone(stream), slice...), new(parameterSets))
		if got, ok := appendStartCodes(nil, own, 4, true, &sets); !ok || !bytes.Equal(got, append(slices.Clone(stream), slice...)) {
			t.Errorf("%s: with its own sets %x, %t", tt.name, got, ok)
		}
	}
}

// A stream that goes over to other sets, and back, names all of them from then on.
func TestSetsThatChange(t *testing.T) {
	start := []byte{0, 0, 0, 1}
	pps, slice := unhex(t, "68cb83cb20"), []byte{0x65, 0x88, 1}
	unit := func(sps string) []byte {
		return slices.Concat(start, unhex(t, sps), start, pps, start, slice)
	}
	one, other := unit(parameterSetTests[0].sps), unit(parameterSetTests[1].sps)
	var sets parameterSets
	sets.add(one)
	for i, tt := range []struct{ in, want []byte }{
		{one, slices.Concat(start, slice)},
		{other, other},
		{other, other},
		{one, one},
		{slices.Concat(start, slice), slices.Concat(start, slice)},
	} {
		got, ok := appendStartCodes(nil, appendLengths(nil, tt.in, &sets), 4, false, &sets)
		if !ok || !bytes.Equal(got, tt.want) {
			t.Errorf("unit %d is %x, want %x", i, got, tt.want)
		}
	}
}

func TestLookAtPictures(t *testing.T) {
	for _, tt := range []struct {
		codec Codec
		in    string
		want  picture
	}{
		{VP8, "1000009d012a4001f000", picture{true, 320, 240}},
		{VP8, "1000009d012a40c1f040", picture{true, 320, 240}}, // scaling bits
		{VP8, "1100009d012a4001f000", picture{}},
		{VP8, "1000009d012b4001f000", picture{}},
		{VP8, "10", picture{}},
		{VP9, "82498342201 5f011f0", picture{true, 352, 288}},
		{VP9, "8600", picture{}},
		{VP9, "88", picture{}}, // an earlier frame shown again
		{VP9, "8249834220", picture{}},
		{AV1, "12000a0a00000024cf7f0d bffa30", picture{key: true}},
		{AV1, "1200320100", picture{}},
		{AV1, "32", picture{}},
		{H264, "000001091000000165", picture{key: true}},
		{H264, "0000010910000001419a", picture{}},
		{H264, "0000016742c00bd90344f9a23011000003000100000300320f142a480000016588", picture{true, 198, 130}},
		{"", "00", picture{}},
	} {
		if got := tt.codec.look(unhex(t, string(bytes.ReplaceAll([]byte(tt.in), []byte(" "), nil)))); got != tt.want {
			t.Errorf("%s %s is %+v, want %+v", tt.codec, tt.in, got, tt.want)
		}
	}
}

// RFC 6716 table 2 and section 3.2.
func TestOpusSamples(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
	}{
		{"", 0},
		{"00", 480},
		{"18", 2880},
		{"60", 480},
		{"68", 960},
		{"80", 120},
		{"f8", 960},
		{"f9", 1920},
		{"fa", 1920},
		{"fb", 0},
		{"fb06", 5760},
		{"fb07", 0}, // more than 120 ms
		{"fbc3", 2880},
		{"8330", 5760},
	} {
		if got := opusSamples(unhex(t, tt.in)); got != tt.want {
			t.Errorf("%s has %d samples, want %d", tt.in, got, tt.want)
		}
	}
}

func TestTimesComeBack(t *testing.T) {
	for _, rate := range []int{1000, 8000, 11025, 44100, 48000, 90000, 384000} {
		for _, n := range []int64{0, 1, -1, 7, -7, 44100, 1 << 31, int64(maxTime/time.Second) * int64(rate)} {
			d := samplesToTime(n, rate)
			if got := timeToSamples(d, rate); got != n {
				t.Errorf("%d samples at %d Hz are %v, which are %d", n, rate, d, got)
			}
		}
	}
}
