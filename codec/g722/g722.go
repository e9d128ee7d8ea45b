// Package g722 is the 7 kHz wideband codec of ITU-T G.722 at 64 kbit/s: 16 kHz
// PCM, two samples to a byte.
//
//	enc, dec := g722.NewEncoder(), g722.NewDecoder()
//	payload, err := enc.Encode(nil, pcm) // an even number of samples
//	pcm, err = dec.Decode(pcm[:0], payload)
//
// Both ends agree bit for bit with the ITU-T reference software (G.191), with
// every saturation of the Recommendation. libavcodec and spandsp leave out that
// of the encoder's sub-bands to 15 bits, and so make other codes for signals
// that overdrive it, such as full-scale square waves; both decode well.
//
// Importing the package registers "G722" with package codec. Its RTP clock rate
// is 8000 Hz, half the sampling rate (RFC 3551 section 4.5.2).
//
// The 56 and 48 kbit/s modes, which no RTP payload type has, and the loss
// concealment of Appendices III and IV are not in here.
package g722

import (
	"fmt"
	"slices"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// history is what the filters need of the past: all taps but the newest pair.
const history = taps - 2

// block is the number of codes that are worked on at a time, 20 ms.
const block = 160

// An Encoder turns 16 kHz PCM into G.722. The zero value is in the reset state.
// It is the state of one stream, and not safe for concurrent use.
type Encoder struct {
	low, high band
	past      [history]int32 // samples
}

// NewEncoder returns an encoder in the reset state.
func NewEncoder() *Encoder { return new(Encoder) }

// Encode appends a byte to dst for each two samples of pcm, of which there must
// be an even number: else the error wraps [audio.ErrFormat], and dst and the
// encoder are as they were.
func (e *Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm)%2 != 0 {
		return dst, fmt.Errorf("%w: %d samples, G.722 takes pairs", audio.ErrFormat, len(pcm))
	}
	n := len(dst)
	dst = slices.Grow(dst, len(pcm)/2)[:n+len(pcm)/2]
	out := dst[n:]
	for len(pcm) > 0 {
		k := min(len(out), block)
		e.encode(out[:k], pcm[:2*k])
		out, pcm = out[k:], pcm[2*k:]
	}
	return dst, nil
}

// Takes implements [codec.FrameCodec].
func (*Encoder) Takes(n int) bool { return n%2 == 0 }

func (e *Encoder) encode(out []byte, pcm []int16) {
	var x [history + 2*block]int32
	copy(x[:], e.past[:])
	for i, s := range pcm {
		x[history+i] = int32(s)
	}
	for i := range out {
		older, newer := filter((*[taps]int32)(x[2*i:]))
		low := e.low.encodeLow(limit((newer + older) >> 14))
		high := e.high.encodeHigh(limit((newer - older) >> 14))
		out[i] = high<<6 | low
	}
	copy(e.past[:], x[len(pcm):])
}

// A Decoder turns G.722 into 16 kHz PCM. The zero value is in the reset state.
// It is the state of one stream, and not safe for concurrent use. After a loss
// it goes on from where it was, and comes into step again by itself.
type Decoder struct {
	low, high band
	past      [history]int32 // differences and sums of the two bands, in turn
}

// NewDecoder returns a decoder in the reset state.
func NewDecoder() *Decoder { return new(Decoder) }

// Decode appends two samples to dst for each byte of payload. Any bytes are
// valid; more than [codec.MaxFrame]/2 of them are an error that wraps
// [codec.ErrPayload], and dst and the decoder are then as they were.
func (d *Decoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	if len(payload) > codec.MaxFrame/2 {
		return dst, fmt.Errorf("%w: %d bytes of G.722, at most %d", codec.ErrPayload, len(payload), codec.MaxFrame/2)
	}
	n := len(dst)
	dst = slices.Grow(dst, 2*len(payload))[:n+2*len(payload)]
	out := dst[n:]
	for len(payload) > 0 {
		k := min(len(payload), block)
		d.decode(out[:2*k], payload[:k])
		out, payload = out[2*k:], payload[k:]
	}
	return dst, nil
}

func (d *Decoder) decode(out []int16, payload []byte) {
	var x [history + 2*block]int32
	copy(x[:], d.past[:])
	for i, c := range payload {
		low := d.low.decodeLow(c & 63)
		high := d.high.decodeHigh(c >> 6)
		x[history+2*i], x[history+2*i+1] = low+high, low-high
		older, newer := filter((*[taps]int32)(x[2*i:]))
		out[2*i] = int16(saturate(newer >> 11))
		out[2*i+1] = int16(saturate(older >> 11))
	}
	copy(d.past[:], x[2*len(payload):])
}
