// Package opus knows the Opus codec (RFC 6716) and its use in RTP (RFC 7587)
// without needing a library: it inspects packets, reads and writes the format
// parameters of SDP, and decodes in pure Go.
//
//	info, err := opus.Inspect(payload)
//	fmt.Println(info.Mode, info.Duration(), info.FEC)
//
// Importing it registers "opus" for decoding, with 48 kHz PCM in mono, or in
// stereo where the format parameters say stereo=1. For encoding, and for
// decoding with concealment and in-band FEC at twice the speed, import
// codec/opus/libopus, which uses the system's libopus if it is there.
//
// Known limit: after a switch from SILK to narrow-band CELT, the next two to five
// packets are decoded badly (by pion/opus v0.1.0; libopus has no such limit).
package opus

import (
	"fmt"

	pion "github.com/pion/opus"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

func init() {
	codec.Register(codec.Codec{
		Name:       "opus",
		Format:     Format,
		NewDecoder: func(p codec.Params) (codec.Decoder, error) { return newDecoder(p) },
	})
}

// Format returns the PCM that p stands for: always 48 kHz, since RTP timestamps
// count that, and in stereo if the format parameters ask for it. The error wraps
// [audio.ErrFormat] for an rtpmap other than opus/48000/2.
func Format(p codec.Params) (audio.Format, error) {
	if p.ClockRate != 48000 || p.Channels != 2 {
		return audio.Format{}, fmt.Errorf("%w: %s, opus is always 48000/2 in RTP (RFC 7587, section 7)", audio.ErrFormat, p)
	}
	if ParseFMTP(p.FMTP).Stereo {
		return audio.Format{Rate: 48000, Channels: 2}, nil
	}
	return audio.Format{Rate: 48000, Channels: 1}, nil
}

// decoder decodes in pure Go, without concealment.
type decoder struct {
	pion   pion.Decoder
	format audio.Format
	pcm    []int16
}

func newDecoder(p codec.Params) (*decoder, error) {
	f, err := Format(p)
	if err != nil {
		return nil, err
	}
	d := &decoder{format: f, pcm: make([]int16, codec.MaxFrame)}
	if d.pion, err = pion.NewDecoderWithOutput(f.Rate, f.Channels); err != nil {
		return nil, fmt.Errorf("opus: %w", err)
	}
	return d, nil
}

// Decode implements [codec.Decoder]. Frames that were not sent (DTX) are
// silence.
func (d *decoder) Decode(dst []int16, payload []byte) (out []int16, err error) {
	info, err := Inspect(payload)
	if err != nil {
		return dst, err
	}
	want := info.Samples() * d.format.Channels
	if info.DTX {
		clear(d.pcm[:want])
		return append(dst, d.pcm[:want]...), nil
	}
	defer func() {
		// What comes from the network must not end a call, whatever the decoder
		// makes of it.
		if recover() != nil {
			out, err = dst, malformed("the decoder failed")
		}
	}()
	n, err := d.pion.DecodeToInt16(payload, d.pcm)
	if err != nil {
		return dst, fmt.Errorf("opus: %w: %w", codec.ErrPayload, err)
	}
	n *= d.format.Channels
	if n > len(d.pcm) {
		return dst, malformed("more samples than fit")
	}
	return append(dst, d.pcm[:n]...), nil
}
