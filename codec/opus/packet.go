package opus

import (
	"fmt"
	"time"

	"github.com/parley-media/parley/codec"
)

// A Mode is the part of the codec that a packet was coded with (RFC 6716,
// section 2).
type Mode uint8

const (
	SILK   Mode = iota // speech, up to 8 kHz
	Hybrid             // speech, up to 20 kHz
	CELT               // anything, at a low delay
)

var modes = [...]string{"SILK", "hybrid", "CELT"}

// String returns the name of the mode.
func (m Mode) String() string {
	if int(m) < len(modes) {
		return modes[m]
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Info is what a packet says of itself without being decoded.
type Info struct {
	Mode      Mode
	Bandwidth int           // highest audio frequency in Hz: 4000, 6000, 8000, 12000 or 20000
	Frame     time.Duration // of one frame, 2.5 ms to 60 ms
	Frames    int           // 1 to 48
	Channels  int           // as coded, 1 or 2; a decoder gives what it was asked for
	DTX       bool          // all frames are empty or of one byte: nothing was sent for them
	FEC       bool          // the packet carries a copy of the one before it (in-band FEC)
}

// Duration returns how much audio is in the packet, 2.5 ms to 120 ms.
func (i Info) Duration() time.Duration { return time.Duration(i.Frames) * i.Frame }

// Samples returns the duration in samples of each channel at 48 kHz, the unit of
// RTP timestamps (RFC 7587, section 4.2).
func (i Info) Samples() int { return int(i.Duration() * 48 / time.Millisecond) }

// maxFrames is the number of frames of 2.5 ms in 120 ms.
const maxFrames = 48

// Inspect reads the framing of a packet (RFC 6716, section 3). The error wraps
// [codec.ErrPayload] if it breaks one of the rules of section 3.4.
func Inspect(packet []byte) (Info, error) {
	var bounds [maxFrames + 1]int
	return inspect(packet, &bounds)
}

// AppendFrames appends to dst the frames of a packet, which point into it. The
// error wraps [codec.ErrPayload].
func AppendFrames(dst [][]byte, packet []byte) ([][]byte, error) {
	var bounds [maxFrames + 1]int
	info, err := inspect(packet, &bounds)
	if err != nil {
		return dst, err
	}
	for i := range info.Frames {
		dst = append(dst, packet[bounds[i]:bounds[i+1]])
	}
	return dst, nil
}

// inspect sets bounds to where the frames begin and the last one ends.
func inspect(packet []byte, bounds *[maxFrames + 1]int) (Info, error) {
	if len(packet) == 0 {
		return Info{}, malformed("no table-of-contents byte") // R1
	}
	info := contents(packet[0])
	rest := packet[1:]
	sizes := [maxFrames]int{}
	var err error
	switch packet[0] & 3 {
	case 0:
		info.Frames = 1
		sizes[0] = len(rest)
	case 1:
		info.Frames = 2
		if len(rest)%2 != 0 {
			return Info{}, malformed("two equal frames in an odd number of bytes") // R3
		}
		sizes[0], sizes[1] = len(rest)/2, len(rest)/2
	case 2:
		info.Frames = 2
		if sizes[0], rest, err = frameSize(rest); err != nil {
			return Info{}, err
		}
		sizes[1] = len(rest) - sizes[0]
		if sizes[1] < 0 {
			return Info{}, malformed("first frame longer than the packet") // R4
		}
	case 3:
		if info.Frames, rest, err = manyFrames(rest, &sizes, info.Frame); err != nil {
			return Info{}, err
		}
	}
	info.DTX = true
	at := len(packet) - len(rest)
	for i := range info.Frames {
		if sizes[i] > maxFrameBytes {
			return Info{}, malformed("frame of more than 1275 bytes") // R2
		}
		info.DTX = info.DTX && sizes[i] <= 1
		bounds[i] = at
		at += sizes[i]
	}
	bounds[info.Frames] = at
	info.FEC = redundant(info, packet[bounds[0]:bounds[1]])
	return info, nil
}

const maxFrameBytes = 1275

// contents reads the table-of-contents byte (section 3.1).
func contents(toc byte) Info {
	var info Info
	info.Channels = 1 + int(toc>>2&1)
	switch config := toc >> 3; {
	case config < 12:
		info.Mode = SILK
		info.Bandwidth = []int{4000, 6000, 8000}[config/4]
		info.Frame = []time.Duration{10, 20, 40, 60}[config%4] * time.Millisecond
	case config < 16:
		info.Mode = Hybrid
		info.Bandwidth = []int{12000, 20000}[(config-12)/2]
		info.Frame = []time.Duration{10, 20}[config%2] * time.Millisecond
	default:
		info.Mode = CELT
		info.Bandwidth = []int{4000, 8000, 12000, 20000}[(config-16)/4]
		info.Frame = 2500 * time.Microsecond << (config % 4)
	}
	return info
}

// frameSize reads the length of a frame (section 3.2.1).
func frameSize(b []byte) (size int, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return 0, b, malformed("frame length missing")
	case b[0] < 252:
		return int(b[0]), b[1:], nil
	case len(b) < 2:
		return 0, b, malformed("frame length cut off")
	}
	return int(b[1])*4 + int(b[0]), b[2:], nil
}

// manyFrames reads the header of a packet with a signalled number of frames
// (section 3.2.5). What it returns as rest are the frames without the padding.
func manyFrames(b []byte, sizes *[maxFrames]int, frame time.Duration) (n int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, malformed("frame count missing") // R6, R7
	}
	count := b[0]
	b = b[1:]
	n = int(count & 63)
	if n == 0 || time.Duration(n)*frame > 120*time.Millisecond {
		return 0, nil, malformed("not between one frame and 120 ms") // R5
	}
	if count&0x40 != 0 {
		if b, err = cutPadding(b); err != nil {
			return 0, nil, err
		}
	}
	if count&0x80 == 0 {
		if len(b)%n != 0 {
			return 0, nil, malformed("equal frames that do not divide the packet") // R6
		}
		for i := range n {
			sizes[i] = len(b) / n
		}
		return n, b, nil
	}
	total := 0
	for i := range n - 1 {
		if sizes[i], b, err = frameSize(b); err != nil {
			return 0, nil, err
		}
		total += sizes[i]
	}
	if total > len(b) {
		return 0, nil, malformed("frames longer than the packet") // R7
	}
	sizes[n-1] = len(b) - total
	return n, b, nil
}

func cutPadding(b []byte) ([]byte, error) {
	padding := 0
	for {
		if len(b) == 0 {
			return nil, malformed("padding length cut off")
		}
		p := int(b[0])
		b = b[1:]
		if p < 255 {
			padding += p
			break
		}
		padding += 254
	}
	if padding > len(b) {
		return nil, malformed("padding longer than the packet")
	}
	return b[:len(b)-padding], nil
}

// redundant reports whether a SILK frame has the flag for redundancy (LBRR) of
// its first channels set. The flags follow those for voice activity, one per
// 20 ms, and are coded with even odds, so that they are plain bits at the
// beginning of the frame (sections 4.2.3 and 4.2.4).
func redundant(info Info, frame []byte) bool {
	if info.Mode == CELT || len(frame) < 2 {
		return false
	}
	spans := max(1, int(info.Frame/(20*time.Millisecond)))
	flag := frame[0] >> (7 - spans) & 1
	if info.Channels == 2 {
		flag |= frame[0] >> (6 - 2*spans) & 1
	}
	return flag != 0
}

func malformed(what string) error {
	return fmt.Errorf("opus: %w: %s", codec.ErrPayload, what)
}
