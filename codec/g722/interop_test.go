//go:build interop

package g722

import (
	"bytes"
	"encoding/binary"
	"math"
	"os/exec"
	"slices"
	"testing"

	"github.com/ebitengine/purego"
)

// run feeds in to a program and returns its output.
func run(t testing.TB, pkg string, in []byte, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v (Debian package %s)", err, pkg)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errs.Bytes())
	}
	return out.Bytes()
}

func toSamples(t testing.TB, b []byte) []int16 {
	t.Helper()
	pcm := make([]int16, len(b)/2)
	if _, err := binary.Decode(b, binary.LittleEndian, pcm); err != nil {
		t.Fatal(err)
	}
	return pcm
}

func ffmpegEncode(t testing.TB, pcm []int16) []byte {
	t.Helper()
	return run(t, "ffmpeg", samples(pcm), "ffmpeg", "-v", "error", "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-",
		"-c:a", "g722", "-f", "g722", "-")
}

func ffmpegDecode(t testing.TB, codes []byte) []int16 {
	t.Helper()
	return toSamples(t, run(t, "ffmpeg", codes, "ffmpeg", "-v", "error", "-f", "g722", "-i", "-", "-f", "s16le", "-"))
}

// spandsp is the G.722 of libspandsp.
type spandsp struct {
	encodeInit    func(s uintptr, rate, options int32) uintptr
	encode        func(s uintptr, out *byte, in *int16, n int32) int32
	encodeRelease func(s uintptr) int32
	decodeInit    func(s uintptr, rate, options int32) uintptr
	decode        func(s uintptr, out *int16, in *byte, n int32) int32
	decodeRelease func(s uintptr) int32
}

func loadSpandsp(t testing.TB) *spandsp {
	t.Helper()
	lib, err := purego.Dlopen("libspandsp.so.2", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		t.Fatalf("%v (Debian package libspandsp2)", err)
	}
	var s spandsp
	purego.RegisterLibFunc(&s.encodeInit, lib, "g722_encode_init")
	purego.RegisterLibFunc(&s.encode, lib, "g722_encode")
	purego.RegisterLibFunc(&s.encodeRelease, lib, "g722_encode_free")
	purego.RegisterLibFunc(&s.decodeInit, lib, "g722_decode_init")
	purego.RegisterLibFunc(&s.decode, lib, "g722_decode")
	purego.RegisterLibFunc(&s.decodeRelease, lib, "g722_decode_free")
	return &s
}

func (s *spandsp) encodeAll(pcm []int16) []byte {
	state := s.encodeInit(0, 64000, 0)
	defer s.encodeRelease(state)
	out := make([]byte, len(pcm)/2)
	return out[:s.encode(state, &out[0], &pcm[0], int32(len(pcm)))]
}

func (s *spandsp) decodeAll(codes []byte) []int16 {
	state := s.decodeInit(0, 64000, 0)
	defer s.decodeRelease(state)
	out := make([]int16, 2*len(codes))
	return out[:s.decode(state, &out[0], &codes[0], int32(len(codes)))]
}

const text = "The quick brown fox jumps over the lazy dog. Please hold the line; your call is important to us. " +
	"She sells sea shells by the sea shore, and the shells she sells are sea shells, I am sure. One, two, three, four, " +
	"five, six, seven, eight, nine, ten. What a strange and noisy afternoon it was! "

// voice is speech of one voice, at 16 kHz.
func voice(t testing.TB, name string) []int16 {
	t.Helper()
	wav := run(t, "espeak-ng", []byte(text), "espeak-ng", "-v", name, "--stdin", "--stdout")
	return toSamples(t, run(t, "ffmpeg", wav, "ffmpeg", "-v", "error", "-f", "wav", "-i", "-", "-ar", "16000", "-ac", "1", "-f", "s16le", "-"))
}

// tones are full-scale sines, half a second each.
func tones() []int16 {
	var pcm []int16
	for _, f := range []float64{30, 100, 440, 1000, 1004, 2000, 3400, 3900, 4000, 4100, 5000, 6000, 7000, 7500, 7990} {
		for i := range 8000 {
			pcm = append(pcm, int16(math.Round(32767*math.Sin(2*math.Pi*f*float64(i)/16000))))
		}
	}
	return pcm
}

// quieter returns pcm at a half.
func quieter(pcm []int16) []int16 {
	out := make([]int16, len(pcm))
	for i, s := range pcm {
		out[i] = s / 2
	}
	return out
}

type clip struct {
	name string
	pcm  []int16
	loud bool // overdrives the sub-bands
}

func clips(t testing.TB) []clip {
	all := []clip{
		{name: "male voice", pcm: voice(t, "en")},
		{name: "female voice", pcm: voice(t, "en-us+f3")},
		{name: "foreign voice", pcm: voice(t, "de")},
		{name: "chords", pcm: chords(10 * 16000)},
		{name: "silence", pcm: make([]int16, 5*16000)},
		{name: "noise", pcm: quieter(noise(15*16000, 8))},
		{name: "tones", pcm: quieter(tones())},
		{name: "squares", pcm: quieter(squares(10 * 16000))},
	}
	var joined []int16
	for i := range all {
		all[i].pcm = all[i].pcm[:len(all[i].pcm)&^1]
		joined = append(joined, all[i].pcm...)
	}
	if len(joined) < 90*16000 {
		t.Fatalf("only %d s of audio", len(joined)/16000)
	}
	return append(all,
		clip{name: "all of these", pcm: joined},
		clip{name: "full-scale noise", pcm: noise(15*16000, 8), loud: true},
		clip{name: "full-scale tones", pcm: tones(), loud: true},
		clip{name: "full-scale squares", pcm: squares(10 * 16000), loud: true},
	)
}

// unlimited encodes pcm without LIMIT at the end of the transmit filter. The
// reference software of the Recommendation (G.191) has it there, as a sub-band
// sample is of 15 bits; libavcodec and spandsp have not.
func unlimited(pcm []int16) []byte {
	x := make([]int32, history+len(pcm))
	for i, s := range pcm {
		x[history+i] = int32(s)
	}
	var e Encoder
	codes := make([]byte, len(pcm)/2)
	for i := range codes {
		older, newer := filter((*[taps]int32)(x[2*i:]))
		codes[i] = e.high.encodeHigh((newer-older)>>14)<<6 | e.low.encodeLow((newer+older)>>14)
	}
	return codes
}

// The codes must be those of the others; where they are not, the missing LIMIT
// must account for every difference, and there must be one only for what
// overdrives the sub-bands.
func TestEncodeLikeOthers(t *testing.T) {
	c := loadSpandsp(t)
	for _, clip := range clips(t) {
		got := encoded(t, clip.pcm)
		for name, codes := range map[string][]byte{"ffmpeg": ffmpegEncode(t, clip.pcm), "spandsp": c.encodeAll(clip.pcm)} {
			if bytes.Equal(codes, got) {
				continue
			}
			if !clip.loud {
				t.Errorf("%s: codes differ from those of %s", clip.name, name)
			}
			if !bytes.Equal(codes, unlimited(clip.pcm)) {
				t.Errorf("%s: codes differ from those of %s, not only for want of limits", clip.name, name)
			}
		}
	}
}

func TestDecodeLikeOthers(t *testing.T) {
	c := loadSpandsp(t)
	check := func(name string, codes []byte) {
		t.Helper()
		got := decoded(t, codes)
		if !slices.Equal(got, ffmpegDecode(t, codes)) {
			t.Errorf("%s: samples differ from those of ffmpeg", name)
		}
		sp := c.decodeAll(codes)
		if len(sp) != len(got) {
			t.Errorf("%s: spandsp made %d samples, want %d", name, len(sp), len(got))
			return
		}
		wrapped := 0
		for i := range got {
			if got[i] == sp[i] {
				continue
			}
			// The receive filter saturates in the Recommendation and in ffmpeg;
			// in this version of spandsp it wraps around.
			if got[i] != math.MaxInt16 && got[i] != math.MinInt16 {
				t.Errorf("%s: sample %d is %d, spandsp has %d", name, i, got[i], sp[i])
				break
			}
			wrapped++
		}
		t.Logf("%s: %d samples, %d wrapped by spandsp", name, len(got), wrapped)
	}
	for _, clip := range clips(t) {
		check(clip.name, encoded(t, clip.pcm))
	}
	check("any codes", anyCodes(60*8000))
	check("few codes", fewCodes(60*8000))
}

func BenchmarkEncodeSpandsp(b *testing.B) {
	c := loadSpandsp(b)
	state := c.encodeInit(0, 64000, 0)
	defer c.encodeRelease(state)
	pcm := speech(50 * frame)
	out := make([]byte, frame/2)
	i := 0
	for b.Loop() {
		c.encode(state, &out[0], &pcm[i], frame)
		i = (i + frame) % len(pcm)
	}
}

func BenchmarkDecodeSpandsp(b *testing.B) {
	c := loadSpandsp(b)
	state := c.decodeInit(0, 64000, 0)
	defer c.decodeRelease(state)
	codes := encoded(b, speech(50*frame))
	out := make([]int16, frame)
	i := 0
	for b.Loop() {
		c.decode(state, &out[0], &codes[i], frame/2)
		i = (i + frame/2) % len(codes)
	}
}
