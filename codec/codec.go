// Package codec defines what an audio codec is to Parley, and keeps the
// registry in which a call finds one by its rtpmap name.
//
// Codecs are added with [Register], by the init function of a package that a
// program imports (as with image formats in the standard library) or by the
// program itself:
//
//	import _ "github.com/parley-media/parley/codec/opus/libopus"
//
// A payload format without a registered codec is still useful: its packets are
// passed on, recorded or relayed undecoded.
package codec

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-media/parley/audio"
)

var (
	// ErrUnknown is returned, wrapped with the encoding's name, when no codec
	// is registered for it.
	ErrUnknown = errors.New("codec: no such codec in this build")

	// ErrPayload is returned, wrapped with what was wrong, by a decoder for a
	// payload that it cannot decode.
	ErrPayload = errors.New("codec: malformed payload")
)

// Params name a payload format as SDP does: the rtpmap line, the payload type
// that stands for it in one session, and the fmtp line.
type Params struct {
	Name        string // encoding name, in any case: "PCMU", "opus"
	PayloadType uint8  // 0..127
	ClockRate   int    // of the RTP timestamp, in Hz; not always the sampling rate (G.722)
	Channels    int    // 0 means 1
	FMTP        string // format parameters as in SDP, without "a=fmtp:96 "; may be empty
}

// Same reports whether p and q name the same encoding, clock rate and number of
// channels. Payload type and format parameters do not matter.
func (p Params) Same(q Params) bool {
	return strings.EqualFold(p.Name, q.Name) && p.ClockRate == q.ClockRate &&
		cmp.Or(p.Channels, 1) == cmp.Or(q.Channels, 1)
}

// String returns p as in an rtpmap attribute, such as "opus/48000/2".
func (p Params) String() string {
	if p.Channels > 1 {
		return fmt.Sprintf("%s/%d/%d", p.Name, p.ClockRate, p.Channels)
	}
	return fmt.Sprintf("%s/%d", p.Name, p.ClockRate)
}

// An Encoder turns PCM into payloads. An encoder belongs to one stream and is
// not safe for concurrent use.
type Encoder interface {
	// Encode appends to dst the payload for the interleaved samples pcm, which
	// it does not keep; for one of no bytes nothing is sent, as in a pause. A
	// number of samples that the codec cannot code is an error that wraps
	// [audio.ErrFormat]; dst is then returned unchanged. A sender leaves out the
	// samples of any error, and counts it.
	Encode(dst []byte, pcm []int16) ([]byte, error)
}

// A Decoder turns payloads into PCM. A decoder belongs to one stream and is not
// safe for concurrent use.
type Decoder interface {
	// Decode appends to dst the interleaved samples of a payload, which it does
	// not keep. What it appends is bounded by [MaxFrame] for any input; an
	// error wraps [ErrPayload], and dst is then returned unchanged.
	Decode(dst []int16, payload []byte) ([]int16, error)
}

// A Concealer is a [Decoder] that can make up for lost packets itself.
type Concealer interface {
	// Conceal appends to dst n interleaved samples that continue what was
	// decoded last.
	Conceal(dst []int16, n int) ([]int16, error)
}

// An FECDecoder is a [Decoder] whose payloads may carry a coarser copy of the
// payload before them (Opus in-band FEC, RFC 6716 section 2.1.7).
type FECDecoder interface {
	// DecodeFEC appends to dst the n interleaved samples just before payload,
	// from the copy in it. It reports false, and appends nothing, if there is
	// none.
	DecodeFEC(dst []int16, payload []byte, n int) ([]int16, bool)
}

// A SampleCodec is an [Encoder] whose payload has the same number of bytes for
// each sample, so that a frame can be cut anywhere to fit a packet.
type SampleCodec interface {
	// SampleSize returns the bytes of one sample of all channels.
	SampleSize() int
}

// A FrameCodec is an [Encoder] that takes frames of certain lengths only.
type FrameCodec interface {
	// Takes reports whether Encode can code n interleaved samples at once.
	Takes(n int) bool
}

// A LossAdapter is an [Encoder] that can make what it codes robust against loss.
type LossAdapter interface {
	// SetLoss tells the part of the packets that gets lost, 0 to 1.
	SetLoss(fraction float64)
}

// MaxFrame is the largest number of interleaved samples that a decoder appends
// for one payload: 120 ms of 48 kHz stereo, and any 1500-byte payload of a
// codec with a byte per sample.
const MaxFrame = 48000 * 2 * 120 / 1000

// A Codec makes encoders and decoders of one encoding.
type Codec struct {
	// Name is the encoding name of the rtpmap attribute, in any case.
	Name string

	// Format returns the shape of the PCM that an encoder for p takes and a
	// decoder for p makes, or an error if the codec does not exist with these
	// parameters.
	Format func(p Params) (audio.Format, error)

	// NewEncoder and NewDecoder make the state for one stream. A nil function
	// means that this build has none.
	NewEncoder func(p Params) (Encoder, error)
	NewDecoder func(p Params) (Decoder, error)
}
