package g711

import (
	"cmp"
	"fmt"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

func init() {
	register("PCMU", AppendMuLaw, AppendPCMFromMuLaw)
	register("PCMA", AppendALaw, AppendPCMFromALaw)
}

func register(name string, encode func([]byte, []int16) []byte, decode func([]int16, []byte) []int16) {
	codec.Register(codec.Codec{
		Name:   name,
		Format: format,
		NewEncoder: func(p codec.Params) (codec.Encoder, error) {
			f, err := format(p)
			if err != nil {
				return nil, err
			}
			return encoder{encode, f.Channels}, nil
		},
		NewDecoder: func(p codec.Params) (codec.Decoder, error) {
			f, err := format(p)
			if err != nil {
				return nil, err
			}
			return decoder{decode, f.Channels}, nil
		},
	})
}

// format allows for the rates and channels that a dynamic payload type may have
// (RFC 3551 section 4.5.14), not only the 8000 Hz of types 0 and 8.
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

type encoder struct {
	encode   func([]byte, []int16) []byte
	channels int
}

func (e encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm)%e.channels != 0 {
		return dst, fmt.Errorf("%w: %d samples do not divide by %d channels", audio.ErrFormat, len(pcm), e.channels)
	}
	return e.encode(dst, pcm), nil
}

func (e encoder) SampleSize() int { return e.channels }

type decoder struct {
	decode   func([]int16, []byte) []int16
	channels int
}

func (d decoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	if len(payload) > codec.MaxFrame {
		return dst, fmt.Errorf("%w: %d bytes of G.711, at most %d", codec.ErrPayload, len(payload), codec.MaxFrame)
	}
	if len(payload)%d.channels != 0 {
		return dst, fmt.Errorf("%w: %d bytes of G.711 do not divide by %d channels", codec.ErrPayload, len(payload), d.channels)
	}
	return d.decode(dst, payload), nil
}
