package libopus

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
)

// A Decoder is a [codec.Decoder], [codec.Concealer] and [codec.FECDecoder] for
// one stream. It is not safe for concurrent use. Its memory in C is freed by
// Close, or when it is collected.
type Decoder struct {
	library *library
	state   uintptr
	format  audio.Format
	cleanup runtime.Cleanup
	in      []byte  // what C reads
	pcm     []int16 // what C writes
	args    []uintptr
}

// NewDecoder returns a decoder that gives PCM of a format that need not be that
// of the encoder: 8000, 12000, 16000, 24000 or 48000 Hz, mono or stereo. Errors
// are those of [NewEncoder].
func NewDecoder(f audio.Format) (*Decoder, error) {
	l, err := load()
	if err != nil {
		return nil, err
	}
	if err := checkFormat(f); err != nil {
		return nil, err
	}
	status := new(int32)
	state, _, _ := purego.SyscallN(l.decoderCreate, uintptr(f.Rate), uintptr(f.Channels), uintptr(unsafe.Pointer(status)))
	if err := l.check(*status); err != nil {
		return nil, err
	}
	d := &Decoder{
		library: l,
		state:   state,
		format:  f,
		in:      make([]byte, 0, maxPayload),
		pcm:     make([]int16, f.Samples(120*time.Millisecond)),
		args:    make([]uintptr, 0, 8),
	}
	d.cleanup = runtime.AddCleanup(d, func(state uintptr) { purego.SyscallN(l.decoderDestroy, state) }, state)
	return d, nil
}

// Format returns the PCM that Decode gives.
func (d *Decoder) Format() audio.Format { return d.format }

// Decode implements [codec.Decoder].
func (d *Decoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	if _, err := opus.Inspect(payload); err != nil {
		return dst, err
	}
	n, err := d.call(payload, len(d.pcm), 0)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", codec.ErrPayload, err)
	}
	return append(dst, d.pcm[:n]...), nil
}

// Conceal implements [codec.Concealer].
func (d *Decoder) Conceal(dst []int16, n int) ([]int16, error) {
	if n < 0 || n%d.format.Channels != 0 {
		return dst, fmt.Errorf("%w: %d samples of %v", audio.ErrFormat, n, d.format)
	}
	step := d.format.Rate / 400 * d.format.Channels // libopus conceals multiples of 2.5 ms
	for n > 0 {
		ask := min((n+step-1)/step*step, len(d.pcm))
		got, err := d.call(nil, ask, 0)
		if err != nil {
			return dst, err
		}
		got = min(got, n)
		dst = append(dst, d.pcm[:got]...)
		n -= got
	}
	return dst, nil
}

// DecodeFEC implements [codec.FECDecoder]. It covers n samples that are a
// multiple of 2.5 ms, up to 120 ms; of what the copy does not reach, libopus
// conceals the rest.
func (d *Decoder) DecodeFEC(dst []int16, payload []byte, n int) ([]int16, bool) {
	info, err := opus.Inspect(payload)
	step := d.format.Rate / 400 * d.format.Channels
	if err != nil || !info.FEC || n <= 0 || n > len(d.pcm) || n%step != 0 {
		return dst, false
	}
	got, err := d.call(payload, n, 1)
	if err != nil {
		return dst, false
	}
	return append(dst, d.pcm[:got]...), true
}

// call decodes payload, or conceals if it is nil, into d.pcm, up to n samples,
// and returns how many there are.
func (d *Decoder) call(payload []byte, n, fec int) (int, error) {
	if d.state == 0 {
		return 0, errClosed
	}
	d.in = append(d.in[:0], payload...)
	var data uintptr
	if payload != nil {
		data = uintptr(unsafe.Pointer(unsafe.SliceData(d.in)))
	}
	d.args = append(d.args[:0], d.state, data, uintptr(len(payload)),
		uintptr(unsafe.Pointer(&d.pcm[0])), uintptr(n/d.format.Channels), uintptr(fec))
	got, _, _ := purego.SyscallN(d.library.decode, d.args...)
	runtime.KeepAlive(d)
	if err := d.library.check(int32(got)); err != nil {
		return 0, err
	}
	return int(int32(got)) * d.format.Channels, nil
}

// Close frees the memory in C. It may be called more than once.
func (d *Decoder) Close() error {
	if d.state != 0 {
		d.cleanup.Stop()
		purego.SyscallN(d.library.decoderDestroy, d.state)
		d.state = 0
	}
	return nil
}
