package parley

import (
	"context"
	"errors"
	"io"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
)

// Copy sends to dst what src hears, until either call ends or ctx is cancelled.
// It returns nil when the far end of src has ended its call, else why it
// stopped. dst and src may be the same call.
//
// Where both ends agree on the codec the packets stay coded and leave at once;
// this needs no decoder for them. Otherwise they are decoded, played out and
// encoded again, live as [Audio.WriteLive] does it. Either way pauses stay pauses:
// nothing is sent for them. Only the first audio is copied, which both calls must
// have.
func Copy(ctx context.Context, dst, src *Call) error {
	to, from := dst.Audio(), src.Audio()
	if to == nil || from == nil {
		return errors.New("parley: a call to be copied has no audio")
	}
	return CopyAudio(ctx, to, from)
}

// CopyAudio does what [Copy] does with one line of audio, until either line or its
// call ends. dst and src may be the same line.
func CopyAudio(ctx context.Context, dst, src *Audio) error {
	defer dst.call.watch(ctx)()
	defer src.call.watch(ctx)()
	err := copyAudio(ctx, dst, src)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func copyAudio(ctx context.Context, dst, src *Audio) error {
	if p, decodes := src.first(); p.Same(dst.Codec()) {
		err := copyPackets(ctx, dst, src)
		if !errors.Is(err, audio.ErrFormat) || !decodes {
			return err
		}
		// The sender has gone over to another codec.
		src.decodeAgain()
	}
	return copyFrames(ctx, dst, src)
}

func copyPackets(ctx context.Context, dst, src *Audio) error {
	var p stream.Packet
	for {
		if err := src.readPacket(ctx, &p); err != nil {
			return err
		}
		if err := dst.WritePacket(&p); err != nil {
			return err
		}
	}
}

func copyFrames(ctx context.Context, dst, src *Audio) error {
	var f audio.Frame
	for {
		if err := src.readFrame(ctx, &f); err != nil {
			return err
		}
		if f.Kind == audio.Silence {
			continue
		}
		// What is left of a source that has ended comes at once.
		if err := dst.writeFrame(ctx, &f, !src.over()); err != nil {
			return err
		}
	}
}

// over reports whether the line or its call has ended.
func (a *Audio) over() bool {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return a.overLocked() != nil
}
