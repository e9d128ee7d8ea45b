//go:build !amd64 || purego

package resample

func step(dst, src, bank []float32, taps, start, row, rows, whole, part int) {
	stepGo(dst, src, bank, taps, start, row, rows, whole, part)
}

func slide(dst, src, bank []float32, taps int, pos, step uint64, rowBits uint) {
	slideGo(dst, src, bank, taps, pos, step, rowBits)
}

func widen(dst []float32, src []int16) { widenGo(dst, src) }

func narrow(dst []int16, src []float32) { narrowGo(dst, src) }
