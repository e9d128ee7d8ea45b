package file

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/parley-media/parley/codec/g711"
)

// sampleDecoder returns the function that turns samples of width bytes into
// 16-bit ones, or nil if there is none.
func sampleDecoder(tag, width int) func(dst []int16, src []byte) []int16 {
	switch tag {
	case tagPCM:
		switch width {
		case 1:
			return appendPCM8
		case 2:
			return appendPCM16
		case 3:
			return appendPCM24
		case 4:
			return appendPCM32
		}
	case tagFloat:
		switch width {
		case 4:
			return appendFloat32
		case 8:
			return appendFloat64
		}
	case tagALaw:
		return g711.AppendPCMFromALaw
	case tagMuLaw:
		return g711.AppendPCMFromMuLaw
	}
	return nil
}

// extend returns dst with room for n more samples, and that room.
func extend(dst []int16, n int) (all, room []int16) {
	all = slices.Grow(dst, n)[:len(dst)+n]
	return all, all[len(dst):]
}

// appendPCM8 takes unsigned samples: 128 is silence.
func appendPCM8(dst []int16, src []byte) []int16 {
	dst, out := extend(dst, len(src))
	for i, b := range src {
		out[i] = (int16(b) - 128) << 8
	}
	return dst
}

func appendPCM16(dst []int16, src []byte) []int16 {
	dst, out := extend(dst, len(src)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(src[2*i:]))
	}
	return dst
}

func appendPCM24(dst []int16, src []byte) []int16 {
	dst, out := extend(dst, len(src)/3)
	for i := range out {
		s := src[3*i:][:3]
		out[i] = round16(int64(int32(s[0])<<8 | int32(s[1])<<16 | int32(s[2])<<24))
	}
	return dst
}

func appendPCM32(dst []int16, src []byte) []int16 {
	dst, out := extend(dst, len(src)/4)
	for i := range out {
		out[i] = round16(int64(int32(binary.LittleEndian.Uint32(src[4*i:]))))
	}
	return dst
}

func appendFloat32(dst []int16, src []byte) []int16 {
	dst, out := extend(dst, len(src)/4)
	for i := range out {
		out[i] = roundFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))))
	}
	return dst
}

func appendFloat64(dst []int16, src []byte) []int16 {
	dst, out := extend(dst, len(src)/8)
	for i := range out {
		out[i] = roundFloat(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
	return dst
}

// round16 returns the upper 16 bits of a 32-bit sample, rounded half up.
func round16(v int64) int16 {
	return int16(min((v+1<<15)>>16, math.MaxInt16))
}

// roundFloat maps -1..1 to full scale and clips what is beyond. What is not a
// number becomes silence.
func roundFloat(x float64) int16 {
	x = math.Floor(x*(1<<15) + 0.5)
	switch {
	case x >= math.MaxInt16:
		return math.MaxInt16
	case x <= math.MinInt16:
		return math.MinInt16
	case x != x:
		return 0
	}
	return int16(x)
}
