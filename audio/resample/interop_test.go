//go:build interop

package resample

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// A peer is another resampler in the same process.
type peer struct {
	name    string
	process func(dst, src []int16) int // samples it gave
}

func library(t testing.TB, file, debian string) uintptr {
	t.Helper()
	lib, err := purego.Dlopen(file, purego.RTLD_NOW)
	if err != nil {
		t.Fatalf("%v (Debian package %s)", err, debian)
	}
	return lib
}

func symbol(t testing.TB, lib uintptr, name string) uintptr {
	t.Helper()
	f, err := purego.Dlsym(lib, name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// soxr returns libsoxr at its default quality, HQ.
func soxr(t testing.TB, in, out int) peer {
	lib := library(t, "libsoxr.so.0", "libsoxr0")
	var create func(in, out float64, channels uint32, err *uintptr, io unsafe.Pointer, quality, runtime uintptr) uintptr
	purego.RegisterLibFunc(&create, lib, "soxr_create")
	process, del := symbol(t, lib, "soxr_process"), symbol(t, lib, "soxr_delete")
	io := struct {
		itype, otype int32
		scale        float64
		e            uintptr
		flags        uint64
	}{itype: 3, otype: 3, scale: 1} // SOXR_INT16_I
	var failure uintptr
	state := create(float64(in), float64(out), 1, &failure, unsafe.Pointer(&io), 0, 0)
	if state == 0 {
		t.Fatal("soxr_create failed")
	}
	t.Cleanup(func() { purego.SyscallN(del, state) })
	done := make([]uint64, 2)
	return peer{"soxr HQ", func(dst, src []int16) int {
		purego.SyscallN(process, state, address(src), uintptr(len(src)), address(done), address(dst), uintptr(len(dst)), address(done)+8)
		runtime.KeepAlive(src)
		runtime.KeepAlive(dst)
		return int(done[1])
	}}
}

func speex(t testing.TB, in, out, quality int) peer {
	lib := library(t, "libspeexdsp.so.1", "libspeexdsp1")
	var create func(channels, in, out uint32, quality int32, err *int32) uintptr
	purego.RegisterLibFunc(&create, lib, "speex_resampler_init")
	process, destroy := symbol(t, lib, "speex_resampler_process_int"), symbol(t, lib, "speex_resampler_destroy")
	var failure int32
	state := create(1, uint32(in), uint32(out), int32(quality), &failure)
	if state == 0 {
		t.Fatal("speex_resampler_init failed")
	}
	t.Cleanup(func() { purego.SyscallN(destroy, state) })
	n := make([]uint32, 2)
	return peer{fmt.Sprintf("speexdsp q%d", quality), func(dst, src []int16) int {
		n[0], n[1] = uint32(len(src)), uint32(len(dst))
		purego.SyscallN(process, state, 0, address(src), address(n), address(dst), address(n)+4)
		runtime.KeepAlive(src)
		runtime.KeepAlive(dst)
		return int(n[1])
	}}
}

func address[T any](s []T) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

func ours(t testing.TB, in, out int, quality Quality) peer {
	r := mustNew(t, Config{In: in, Out: out, Quality: quality})
	return peer{[...]string{"parley Default", "parley High"}[quality], func(dst, src []int16) int {
		return len(r.Append(dst[:0], src))
	}}
}

func peers(t testing.TB, in, out int) []peer {
	return []peer{ours(t, in, out, Default), ours(t, in, out, High), soxr(t, in, out), speex(t, in, out, 5), speex(t, in, out, 10)}
}

// TestCost prints the time per frame of 20 ms beside libsoxr and libspeexdsp,
// all interleaved in one run.
func TestCost(t *testing.T) {
	for _, pair := range [][2]int{{48000, 8000}, {8000, 48000}, {16000, 48000}, {44100, 48000}} {
		all := peers(t, pair[0], pair[1])
		src := noise(pair[0]/50, 10000)
		dst := make([]int16, 4000)
		best := make([]time.Duration, len(all))
		for round := range 60 {
			for i, p := range all {
				const frames = 50
				start := time.Now()
				for range frames {
					p.process(dst, src)
				}
				if d := time.Since(start) / frames; round == 0 || d < best[i] {
					best[i] = d
				}
			}
		}
		for i, p := range all {
			t.Logf("%d to %d: %-15s %6d ns, %.2f of soxr HQ, %.2f of speexdsp q5",
				pair[0], pair[1], p.name, best[i].Nanoseconds(), float64(best[i])/float64(best[2]), float64(best[i])/float64(best[3]))
		}
	}
}

// TestSweepBesidePeers sends the same tones through all of them and prints the
// strongest thing that comes out besides the tone, and the loss at 0.9 of the
// band.
func TestSweepBesidePeers(t *testing.T) {
	for _, pair := range [][2]int{{48000, 8000}, {8000, 48000}, {16000, 48000}, {44100, 48000}} {
		in, out := pair[0], pair[1]
		nyquist := float64(min(in, out)) / 2
		var names []string
		worst, loss := make([]float64, 5), make([]float64, 5)
		for x := 0.05; x*nyquist < 0.99*float64(in)/2; x += 0.05 {
			hz := x * nyquist
			for i, p := range peers(t, in, out) {
				if len(names) < 5 {
					names = append(names, p.name)
					worst[i] = -200
				}
				dst := make([]int16, 2*out)
				got := dst[:p.process(dst, tone(in, hz, in, 0.95*fullScale))]
				got = got[len(got)/2 : len(got)*9/10]
				if x > 1.001 {
					hz = 0
				}
				peak, rest := fit(got, hz, out)
				worst[i] = max(worst[i], rest)
				if math.Abs(x-0.9) < 0.001 {
					loss[i] = decibels(0.95) - peak
				}
			}
		}
		for i, name := range names {
			t.Logf("%d to %d: %-15s %6.1f dB besides the tone, %.3f dB lost at 0.9", in, out, name, worst[i], loss[i])
		}
		if worst[0] > -79 || worst[1] > -90 {
			t.Errorf("%d to %d: %.1f and %.1f dB, want -79 and -90", in, out, worst[0], worst[1])
		}
	}
}

// TestEqualsSox compares whole outputs, sample by sample: delay, gain and phase
// of SoX's rate effect, at high and very high quality, are ours.
func TestEqualsSox(t *testing.T) {
	if _, err := exec.LookPath("sox"); err != nil {
		t.Fatal("no sox (Debian package sox)")
	}
	for _, in := range usualRates {
		for _, out := range usualRates {
			if in == out {
				continue
			}
			// Five tones in the band, faded in and out.
			src := make([]int16, in)
			nyquist := float64(min(in, out)) / 2
			for i := range src {
				for k, x := range []float64{0.02, 0.11, 0.31, 0.57, 0.85} {
					src[i] += int16(math.Round(5000 * math.Sin(math.Pi*float64(i)/float64(in)) * math.Sin(float64(k)+math.Pi*x*nyquist*2*float64(i)/float64(in))))
				}
			}
			r := mustNew(t, Config{In: in, Out: out, Quality: High})
			got := r.Flush(r.Append(nil, src))[r.DelaySamples():]
			for _, quality := range []string{"-h", "-v"} {
				want := sox(t, src, in, out, quality)
				if d := len(got) - len(want); d < -2 || d > 2 {
					t.Errorf("%d to %d: %d samples, sox %s gives %d", in, out, len(got), quality, len(want))
				}
				power := 0.0
				n := min(len(got), len(want))
				for i := range n {
					d := float64(got[i]) - float64(want[i])
					power += d * d
				}
				if rms := decibels(math.Sqrt(2*power/float64(n)) / fullScale); rms > -85 {
					t.Errorf("%d to %d: %.1f dB off sox %s, want -85 at most", in, out, rms, quality)
				}
			}
		}
	}
}

func sox(t *testing.T, src []int16, in, out int, quality string) []int16 {
	t.Helper()
	raw, err := binary.Append(nil, binary.LittleEndian, src)
	if err != nil {
		t.Fatal(err)
	}
	format := []string{"-t", "raw", "-e", "signed", "-b", "16", "-L", "-c", "1", "-r"}
	args := slices.Concat([]string{"-D", "-V1"}, format, []string{strconv.Itoa(in), "-"}, format, []string{strconv.Itoa(out), "-", "rate", quality})
	cmd := exec.Command("sox", args...)
	cmd.Stdin = bytes.NewReader(raw)
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int16, len(b)/2)
	if _, err := binary.Decode(b, binary.LittleEndian, samples); err != nil {
		t.Fatal(err)
	}
	return samples
}
