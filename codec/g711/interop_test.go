//go:build interop

package g711_test

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ebitengine/purego"

	"github.com/parley-media/parley/codec/g711"
)

// run feeds in to a program and returns its output.
func run(t testing.TB, in []byte, pkg, name string, args ...string) []byte {
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

type law struct {
	name   string // of the format in ffmpeg
	sox    string
	encode func([]byte, []int16) []byte
	decode func([]int16, []byte) []int16
	invert byte // what makes the code of the smallest positive magnitude 0x80
}

var laws = []law{
	{"mulaw", "ul", g711.AppendMuLaw, g711.AppendPCMFromMuLaw, 0x7F},
	{"alaw", "al", g711.AppendALaw, g711.AppendPCMFromALaw, 0x55},
}

// rank numbers the codes by the size of their samples, from -128 to 127.
func (l law) rank(code byte) int {
	code ^= l.invert
	if code&0x80 != 0 {
		return int(code & 0x7F)
	}
	return -1 - int(code)
}

func TestDecodeLikeOthers(t *testing.T) {
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	for _, l := range laws {
		want, err := binary.Append(nil, binary.LittleEndian, l.decode(nil, codes))
		if err != nil {
			t.Fatal(err)
		}
		if got := run(t, codes, "ffmpeg", "ffmpeg", "-v", "error", "-f", l.name, "-ar", "8000", "-ac", "1", "-i", "-", "-f", "s16le", "-"); !bytes.Equal(got, want) {
			t.Errorf("%s: samples differ from those of ffmpeg", l.name)
		}
		if got := run(t, codes, "sox", "sox", "-D", "-t", l.sox, "-r", "8000", "-c", "1", "-", "-t", "s16", "-"); !bytes.Equal(got, want) {
			t.Errorf("%s: samples differ from those of sox", l.name)
		}
	}
}

// Where a sample lies at the border of two intervals, the others follow rules
// of their own, and so choose the interval beside ours:
//
//   - ffmpeg takes the quantised value that is nearest, also between two
//     segments, where the decision values of G.711 are not half-way; and it
//     counts a negative sample at a border to the other side.
//   - sox rounds to 14 and 13 bits where the ITU-T library (G.191) cuts off.
//
// More than the samples at the borders, or other than a neighbour, is an error.
func TestEncodeLikeOthers(t *testing.T) {
	var pcm []int16
	for i := -32768; i <= 32767; i++ {
		pcm = append(pcm, int16(i))
	}
	in, err := binary.Append(nil, binary.LittleEndian, pcm)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range laws {
		want := l.encode(nil, pcm)
		for name, got := range map[string][]byte{
			"ffmpeg": run(t, in, "ffmpeg", "ffmpeg", "-v", "error", "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-", "-f", l.name, "-"),
			"sox":    run(t, in, "sox", "sox", "-D", "-t", "s16", "-r", "8000", "-c", "1", "-", "-t", l.sox, "-"),
		} {
			if len(got) != len(want) {
				t.Errorf("%s: %s made %d codes, want %d", l.name, name, len(got), len(want))
				continue
			}
			differ := 0
			for i := range got {
				d := l.rank(got[i]) - l.rank(want[i])
				if d != 0 {
					differ++
				}
				if d < -1 || d > 1 {
					t.Errorf("%s: code of %d is %#02x, %s has %#02x", l.name, pcm[i], want[i], name, got[i])
				}
			}
			t.Logf("%s: %d of %d codes differ from those of %s", l.name, differ, len(got), name)
			if differ > 1024 {
				t.Errorf("%s: %d codes differ from those of %s, want at most 1024", l.name, differ, name)
			}
		}
	}
}

// BenchmarkC measures the same loops in C, a thousand frames to a call.
func BenchmarkC(b *testing.B) {
	so := filepath.Join(b.TempDir(), "yardstick.so")
	if out, err := exec.Command("cc", "-O2", "-shared", "-fPIC", "-o", so, "testdata/yardstick.c").CombinedOutput(); err != nil {
		b.Fatalf("%v (Debian package gcc)\n%s", err, out)
	}
	lib, err := purego.Dlopen(so, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		b.Fatal(err)
	}
	var encode func(out *byte, in *int16, codes *byte, n, times int32)
	var decode func(out *int16, in *byte, samples *int16, n, times int32)
	purego.RegisterLibFunc(&encode, lib, "encode")
	purego.RegisterLibFunc(&decode, lib, "decode")

	const times = 1000
	pcm := frame()
	codes := g711.AppendMuLaw(nil, pcm)
	perFrame := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/times, "ns/frame")
	}
	b.Run("Encode", func(b *testing.B) {
		var all []int16
		for i := range 1 << 14 {
			all = append(all, int16(uint16(i)<<2))
		}
		table, out := g711.AppendMuLaw(nil, all), make([]byte, len(pcm))
		for b.Loop() {
			encode(&out[0], &pcm[0], &table[0], int32(len(pcm)), times)
		}
		if !slices.Equal(out, codes) {
			b.Error("the C loop makes other codes")
		}
		perFrame(b)
	})
	b.Run("Decode", func(b *testing.B) {
		var all []byte
		for i := range 256 {
			all = append(all, byte(i))
		}
		table, out := g711.AppendPCMFromMuLaw(nil, all), make([]int16, len(pcm))
		for b.Loop() {
			decode(&out[0], &codes[0], &table[0], int32(len(codes)), times)
		}
		if !slices.Equal(out, g711.AppendPCMFromMuLaw(nil, codes)) {
			b.Error("the C loop makes other samples")
		}
		perFrame(b)
	})
}
