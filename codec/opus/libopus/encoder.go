package libopus

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
)

// An Application tells the encoder what to care for.
type Application int

const (
	VoIP     Application = 2048 // that speech is understood
	Audio    Application = 2049 // that music sounds like the original
	LowDelay Application = 2051 // delay; without the modes for speech
)

// A Bandwidth is the highest audio frequency that is coded.
type Bandwidth int

const (
	Automatic     Bandwidth = 0 // by the bit rate
	Narrowband    Bandwidth = 1101
	Mediumband    Bandwidth = 1102
	Wideband      Bandwidth = 1103
	Superwideband Bandwidth = 1104
	Fullband      Bandwidth = 1105
)

// EncoderConfig are the settings of an [Encoder]. The zero value is 48 kHz mono
// speech at a rate that libopus chooses.
type EncoderConfig struct {
	Format       audio.Format // rate 8000, 12000, 16000, 24000 or 48000; zero: 48000 mono
	Application  Application  // 0: VoIP
	Bitrate      int          // bits per second, 6000 to 510000; 0: automatic
	Complexity   int          // 1 to 10; 0: the library's default (9); negative: 0, the fastest
	Bandwidth    Bandwidth
	FEC          bool // send a coarse copy of each packet with the next one
	ExpectedLoss int  // per cent of packets, 0 to 100; FEC spends bits by it
	DTX          bool // nearly nothing is sent in silence
	CBR          bool // packets of equal size, instead of a variable bit rate
}

// encoderFor returns an encoder with the settings that the far end asks for by
// its format parameters.
func encoderFor(p codec.Params) (*Encoder, error) {
	format, err := opus.Format(p)
	if err != nil {
		return nil, err
	}
	f := opus.ParseFMTP(p.FMTP)
	e, err := NewEncoder(EncoderConfig{
		Format: format, Bitrate: f.MaxAverageBitrate,
		FEC: f.UseInbandFEC, DTX: f.UseDTX, CBR: f.CBR,
	})
	if err != nil {
		return nil, err
	}
	if err := e.control(setMaxBandwidth, int(heard(f.MaxPlaybackRate))); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// heard returns the bandwidth that is played out whole at a rate; zero is any.
func heard(rate int) Bandwidth {
	switch {
	case rate == 0 || rate > 24000:
		return Fullband
	case rate > 16000:
		return Superwideband
	case rate > 12000:
		return Wideband
	case rate > 8000:
		return Mediumband
	}
	return Narrowband
}

// An Encoder is a [codec.Encoder] for one stream. It is not safe for concurrent
// use. Its memory in C is freed by Close, or when it is collected.
type Encoder struct {
	library *library
	state   uintptr
	format  audio.Format
	cleanup runtime.Cleanup
	pcm     []int16 // what C reads
	out     []byte  // what C writes
	args    []uintptr
}

// maxPayload bounds an encoded packet; no setting needs more (RFC 6716, section
// 3.2.1: 1275 bytes a frame, three frames of 20 ms in the longest that is coded
// at once).
const maxPayload = 4000

// NewEncoder returns an encoder. The error wraps [ErrUnavailable] if there is no
// library, and [audio.ErrFormat] for a format that Opus does not have.
func NewEncoder(c EncoderConfig) (*Encoder, error) {
	l, err := load()
	if err != nil {
		return nil, err
	}
	c.Format = cmp.Or(c.Format, audio.Format{Rate: 48000, Channels: 1})
	if err := checkFormat(c.Format); err != nil {
		return nil, err
	}
	status := new(int32)
	state, _, _ := purego.SyscallN(l.encoderCreate, uintptr(c.Format.Rate), uintptr(c.Format.Channels),
		uintptr(cmp.Or(c.Application, VoIP)), uintptr(unsafe.Pointer(status)))
	if err := l.check(*status); err != nil {
		return nil, err
	}
	e := &Encoder{
		library: l,
		state:   state,
		format:  c.Format,
		pcm:     make([]int16, c.Format.Samples(120*time.Millisecond)),
		out:     make([]byte, maxPayload),
		args:    make([]uintptr, 0, 16),
	}
	e.cleanup = runtime.AddCleanup(e, func(state uintptr) { purego.SyscallN(l.encoderDestroy, state) }, state)
	if err := e.apply(c); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Encoder) apply(c EncoderConfig) error {
	var errs []error
	if c.Bitrate != 0 {
		errs = append(errs, e.SetBitrate(c.Bitrate))
	}
	if c.Complexity != 0 {
		errs = append(errs, e.SetComplexity(max(0, c.Complexity)))
	}
	if c.Bandwidth != Automatic {
		errs = append(errs, e.SetBandwidth(c.Bandwidth))
	}
	return errors.Join(append(errs,
		e.SetFEC(c.FEC), e.SetExpectedLoss(c.ExpectedLoss), e.SetDTX(c.DTX), e.SetCBR(c.CBR))...)
}

// checkFormat returns an error that wraps [audio.ErrFormat] for what libopus
// does not code.
func checkFormat(f audio.Format) error {
	switch f.Rate {
	case 8000, 12000, 16000, 24000, 48000:
		return f.Check()
	}
	return fmt.Errorf("%w: opus has no %v", audio.ErrFormat, f)
}

// Format returns the PCM that Encode takes.
func (e *Encoder) Format() audio.Format { return e.format }

// Encode implements [codec.Encoder]. The samples must last 2.5, 5, 10, 20, 40,
// 60, 80, 100 or 120 ms. With DTX, dst comes back as it was for a frame that
// needs no packet.
func (e *Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if e.state == 0 {
		return dst, errClosed
	}
	if !frameLength(len(pcm), e.format) {
		return dst, fmt.Errorf("%w: %v of %v is no opus frame", audio.ErrFormat, e.format.Duration(len(pcm)), e.format)
	}
	n := e.pcm[:copy(e.pcm, pcm)]
	e.args = append(e.args[:0], e.state, uintptr(unsafe.Pointer(&n[0])), uintptr(len(pcm)/e.format.Channels),
		uintptr(unsafe.Pointer(&e.out[0])), uintptr(len(e.out)))
	size, _, _ := purego.SyscallN(e.library.encode, e.args...)
	runtime.KeepAlive(e)
	if err := e.library.check(int32(size)); err != nil {
		return dst, err
	}
	if int32(size) <= 2 { // DTX (RFC 7587, section 3.1.3)
		return dst, nil
	}
	return append(dst, e.out[:int32(size)]...), nil
}

// Takes implements [codec.FrameCodec].
func (e *Encoder) Takes(n int) bool { return frameLength(n, e.format) }

// frameLength reports whether n interleaved samples are 2.5, 5, 10, 20, 40, 60,
// 80, 100 or 120 ms.
func frameLength(n int, f audio.Format) bool {
	for _, units := range [...]int{1, 2, 4, 8, 16, 24, 32, 40, 48} { // of 2.5 ms
		if n == f.Rate/400*units*f.Channels {
			return true
		}
	}
	return false
}

// Requests of opus_encoder_ctl.
const (
	setBitrate      = 4002
	setMaxBandwidth = 4004
	setVBR          = 4006
	setBandwidth    = 4008
	setComplexity   = 4010
	setInbandFEC    = 4012
	setPacketLoss   = 4014
	setDTX          = 4016
	resetState      = 4028
)

// SetBitrate sets the bit rate in bits per second, 6000 to 510000 (libopus takes
// 500 and up). It may be called between any two frames, like the other settings.
func (e *Encoder) SetBitrate(bps int) error { return e.control(setBitrate, bps) }

// SetComplexity sets how much work goes into a frame, 0 to 10.
func (e *Encoder) SetComplexity(c int) error { return e.control(setComplexity, c) }

// SetBandwidth sets the audio bandwidth.
func (e *Encoder) SetBandwidth(b Bandwidth) error {
	if b == Automatic {
		return e.control(setBandwidth, -1000)
	}
	return e.control(setBandwidth, int(b))
}

// SetFEC turns redundancy on or off. At 16 kb/s and below the encoder has no
// bits for it and sends none.
func (e *Encoder) SetFEC(on bool) error { return e.control(setInbandFEC, toInt(on)) }

// SetExpectedLoss sets the part of the packets that will be lost, in per cent.
func (e *Encoder) SetExpectedLoss(percent int) error { return e.control(setPacketLoss, percent) }

// SetLoss implements [codec.LossAdapter]: it is SetExpectedLoss for a fraction of
// 1, which is limited to 0..1.
func (e *Encoder) SetLoss(fraction float64) {
	percent := math.Round(100 * min(max(fraction, 0), 1))
	e.SetExpectedLoss(int(percent)) //nolint:errcheck // a closed encoder has no use for it
}

// SetDTX turns discontinuous transmission on or off.
func (e *Encoder) SetDTX(on bool) error { return e.control(setDTX, toInt(on)) }

// SetCBR makes packets of equal size.
func (e *Encoder) SetCBR(on bool) error { return e.control(setVBR, toInt(!on)) }

// Reset forgets the audio so far.
func (e *Encoder) Reset() error { return e.control(resetState, 0) }

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// control calls a function with a variable number of arguments, which on Apple's
// arm64 are passed on the stack: the arguments in between fill the registers.
func (e *Encoder) control(request, value int) error {
	if e.state == 0 {
		return errClosed
	}
	e.args = append(e.args[:0], e.state, uintptr(request))
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" {
		e.args = append(e.args, 0, 0, 0, 0, 0, 0)
	}
	e.args = append(e.args, uintptr(int32(value)))
	status, _, _ := purego.SyscallN(e.library.encoderCtl, e.args...)
	runtime.KeepAlive(e)
	if err := e.library.check(int32(status)); err != nil {
		return fmt.Errorf("%w (request %d, value %d)", err, request, value)
	}
	return nil
}

var errClosed = fmt.Errorf("libopus: %w", net.ErrClosed)

// Close frees the memory in C. It may be called more than once.
func (e *Encoder) Close() error {
	if e.state != 0 {
		e.cleanup.Stop()
		purego.SyscallN(e.library.encoderDestroy, e.state)
		e.state = 0
	}
	return nil
}
