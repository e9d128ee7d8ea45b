// Package l16 is uncompressed 16-bit PCM in network byte order, the L16 payload
// format of RFC 3551 section 4.5.11 (RFC 2586 for dynamic payload types).
//
//	payload := l16.Append(nil, pcm)
//	pcm, err := l16.AppendPCM(pcm[:0], payload)
//
// Importing the package registers "L16" with package codec, for 8000 to 48000
// Hz and one or two channels (interleaved, left first). All functions are safe
// for concurrent use.
package l16

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// Append appends pcm to dst, two bytes per sample.
func Append(dst []byte, pcm []int16) []byte {
	dst = slices.Grow(dst, 2*len(pcm))
	for _, s := range pcm {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s))
	}
	return dst
}

// AppendPCM appends the samples of payload to dst. An odd number of bytes is an
// error that wraps [codec.ErrPayload]; dst is then returned unchanged.
func AppendPCM(dst []int16, payload []byte) ([]int16, error) {
	if len(payload)%2 != 0 {
		return dst, fmt.Errorf("%w: %d bytes of L16", codec.ErrPayload, len(payload))
	}
	dst = slices.Grow(dst, len(payload)/2)
	for ; len(payload) >= 2; payload = payload[2:] {
		dst = append(dst, int16(binary.BigEndian.Uint16(payload)))
	}
	return dst, nil
}

func init() {
	codec.Register(codec.Codec{
		Name:   "L16",
		Format: format,
		NewEncoder: func(p codec.Params) (codec.Encoder, error) {
			f, err := format(p)
			if err != nil {
				return nil, err
			}
			return coder{f.Channels}, nil
		},
		NewDecoder: func(p codec.Params) (codec.Decoder, error) {
			f, err := format(p)
			if err != nil {
				return nil, err
			}
			return coder{f.Channels}, nil
		},
	})
}

func format(p codec.Params) (audio.Format, error) {
	f := audio.Format{Rate: p.ClockRate, Channels: cmp.Or(p.Channels, 1)}
	if f.Rate < 8000 || f.Rate > 48000 {
		return audio.Format{}, fmt.Errorf("%w: %v: clock rate is outside 8000..48000", audio.ErrFormat, p)
	}
	if f.Channels != 1 && f.Channels != 2 {
		return audio.Format{}, fmt.Errorf("%w: %v: want 1 or 2 channels", audio.ErrFormat, p)
	}
	return f, nil
}

type coder struct{ channels int }

func (c coder) SampleSize() int { return 2 * c.channels }

func (c coder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm)%c.channels != 0 {
		return dst, fmt.Errorf("%w: %d samples do not divide by %d channels", audio.ErrFormat, len(pcm), c.channels)
	}
	return Append(dst, pcm), nil
}

func (c coder) Decode(dst []int16, payload []byte) ([]int16, error) {
	if len(payload) > 2*codec.MaxFrame {
		return dst, fmt.Errorf("%w: %d bytes of L16, at most %d", codec.ErrPayload, len(payload), 2*codec.MaxFrame)
	}
	if len(payload)%c.SampleSize() != 0 {
		return dst, fmt.Errorf("%w: %d bytes of L16 do not divide by %d", codec.ErrPayload, len(payload), c.SampleSize())
	}
	return AppendPCM(dst, payload)
}
