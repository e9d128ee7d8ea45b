package g722

import (
	"fmt"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

func init() {
	codec.Register(codec.Codec{
		Name:   "G722",
		Format: format,
		NewEncoder: func(p codec.Params) (codec.Encoder, error) {
			if _, err := format(p); err != nil {
				return nil, err
			}
			return NewEncoder(), nil
		},
		NewDecoder: func(p codec.Params) (codec.Decoder, error) {
			if _, err := format(p); err != nil {
				return nil, err
			}
			return NewDecoder(), nil
		},
	})
}

// format maps the clock rate that RFC 3551 section 4.5.2 keeps for reasons of
// history to the rate of the samples.
func format(p codec.Params) (audio.Format, error) {
	if p.ClockRate != 8000 || p.Channels > 1 || p.Channels < 0 {
		return audio.Format{}, fmt.Errorf("%w: %v: G.722 has a clock rate of 8000 Hz and one channel", audio.ErrFormat, p)
	}
	return audio.Format{Rate: 16000, Channels: 1}, nil
}
