package file

import (
	"errors"
	"fmt"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// opusBlock is 20 ms of Opus, of one channel.
const opusBlock = opusRate / 50

// A recorderEncoder makes packets of Opus of the frames of a track.
type recorderEncoder struct {
	encoder codec.Encoder
	block   []int16 // samples that do not fill a packet yet
	at      int64   // where in the file they are
	next    int64   // where those belong that follow
}

// encodesOpus reports whether this build can.
func encodesOpus() bool {
	c, err := codec.Lookup(opusParams)
	return err == nil && c.NewEncoder != nil
}

// encodeLocked makes a track of Opus take frames.
func (a *AudioRecording) encodeLocked() error {
	switch {
	case a.codec != Opus || a.order.begun:
		return errors.ErrUnsupported
	case !encodesOpus():
		return fmt.Errorf("%w: an encoder for %s", codec.ErrUnknown, a.codec)
	}
	params := opusParams
	if a.channels != 1 { // 0 is what a track of Opus has without a word
		a.channels, params.FMTP = 2, "stereo=1"
	}
	c, err := codec.Lookup(params)
	if err != nil {
		return err
	}
	encoder, err := c.NewEncoder(params)
	if err != nil {
		return err
	}
	a.rate = opusRate
	if a.adapter, err = audio.NewAdapter(audio.Format{Rate: a.rate, Channels: a.channels}); err != nil {
		return err
	}
	a.encoder = &recorderEncoder{encoder: encoder}
	return nil
}

// write encodes samples that belong at the given place. Where they do not follow
// those before, these are filled up with silence.
func (e *recorderEncoder) write(a *AudioRecording, at int64, samples []int16) error {
	if at != e.next {
		if err := e.flush(a); err != nil {
			return err
		}
		e.at = max(at, e.at)
	}
	e.next = at + int64(len(samples)/a.channels)
	for len(samples) > 0 {
		n := min(opusBlock*a.channels-len(e.block), len(samples))
		e.block = append(e.block, samples[:n]...)
		samples = samples[n:]
		if len(e.block) == opusBlock*a.channels {
			if err := e.encode(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush encodes what there is.
func (e *recorderEncoder) flush(a *AudioRecording) error {
	if len(e.block) == 0 {
		return nil
	}
	e.block = appendSilence(e.block, opusBlock*a.channels-len(e.block))
	return e.encode(a)
}

func (e *recorderEncoder) encode(a *AudioRecording) error {
	var err error
	if a.packet.Data, err = e.encoder.Encode(a.packet.Data[:0], e.block); err != nil {
		return err
	}
	a.packet.Time, a.packet.Key = samplesToTime(e.at, opusRate), true
	e.at += opusBlock
	e.block = e.block[:0]
	return a.writeLocked()
}
