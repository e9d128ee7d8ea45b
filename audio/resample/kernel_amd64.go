//go:build !purego

package resample

import "golang.org/x/sys/cpu"

var vectors = cpu.X86.HasAVX2 && cpu.X86.HasFMA

func step(dst, src, bank []float32, taps, start, row, rows, whole, part int) {
	if !vectors {
		stepGo(dst, src, bank, taps, start, row, rows, whole, part)
		return
	}
	// The checks of the Go version, once for all samples.
	n := len(dst)
	_ = src[start+(n-1)*whole+(row+(n-1)*part)/rows+taps-1]
	_ = bank[rows*taps-1]
	stepAVX2(&dst[0], &src[start], &bank[0], n, taps, row, rows, whole, part)
}

func slide(dst, src, bank []float32, taps int, pos, step uint64, rowBits uint) {
	if !vectors {
		slideGo(dst, src, bank, taps, pos, step, rowBits)
		return
	}
	n := len(dst)
	_ = src[int((pos+uint64(n-1)*step)>>fixedBits)+taps-1]
	_ = bank[taps<<rowBits+taps-1]
	slideAVX2(&dst[0], &src[0], &bank[0], n, taps, pos, step, rowBits)
}

func widen(dst []float32, src []int16) {
	n := 0
	if vectors && len(dst) >= 8 {
		n = len(dst) &^ 7
		_ = src[n-1]
		widenAVX2(&dst[0], &src[0], n)
	}
	widenGo(dst[n:], src[n:])
}

func narrow(dst []int16, src []float32) {
	n := 0
	if vectors && len(src) >= 8 {
		n = len(src) &^ 7
		_ = dst[n-1]
		narrowAVX2(&dst[0], &src[0], n)
	}
	narrowGo(dst[n:len(src)], src[n:])
}

// stepAVX2 is stepGo for n samples, at least one, with src at the first window.
//
//go:noescape
func stepAVX2(dst, src, bank *float32, n, taps, row, rows, whole, part int)

// slideAVX2 is slideGo for n samples, at least one.
//
//go:noescape
func slideAVX2(dst, src, bank *float32, n, taps int, pos, step uint64, rowBits uint)

// widenAVX2 and narrowAVX2 convert n samples, a multiple of eight.
//
//go:noescape
func widenAVX2(dst *float32, src *int16, n int)

//go:noescape
func narrowAVX2(dst *int16, src *float32, n int)
