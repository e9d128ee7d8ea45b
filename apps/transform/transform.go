// Package transform is the application that lets callers see themselves in another
// way: as outlines, painted, or turning.
package transform

import (
	"context"
	"errors"
	"image"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/lines"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
	"github.com/parley-media/parley/video/vpx"
)

// Handler sends back what it hears, and what it sees with an effect, on each line
// of video that the call has or gets. Whoever films faster than this machine draws
// sees fewer pictures, but not old ones.
//
// Pictures that cannot be decoded or encoded come back as they are, and the event
// [Unchanged] says why: they are H.264, or there is no libvpx.
type Handler struct {
	Effect string // of [video.NewTransform]: "", "edges", "cartoon" or "rotate"

	// Codec returns what decodes and encodes the pictures of an rtpmap name; nil:
	// libvpx, for VP8 and VP9.
	Codec func(name string) (video.Decoder, video.Encoder, error)
}

// Unchanged is the event that the pictures of a line come back as they are. Its
// Detail says why.
const Unchanged parley.EventKind = "unchanged"

// ServeCall serves one call.
func (h Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	if _, err := video.NewTransform(h.Effect); err != nil {
		return err
	}
	return lines.Serve(ctx, c,
		func(a *parley.Audio) error { return parley.CopyAudio(ctx, a, a) },
		func(v *parley.Video) error { return h.film(ctx, c, v) })
}

// film sends back the pictures of a line until it ends.
func (h Handler) film(ctx context.Context, c *parley.Call, line *parley.Video) error {
	effect, err := video.NewTransform(h.Effect)
	if err != nil {
		return err
	}
	open := h.Codec
	if open == nil {
		open = library
	}
	if _, none := effect.(video.None); none {
		return parley.CopyVideo(ctx, line, line)
	}
	for {
		name := line.Codec().Name
		d, e, err := open(name)
		if err != nil {
			c.Emit(parley.Event{Kind: Unchanged, Media: "video", Mid: line.Mid(), Detail: err.Error()})
			return parley.CopyVideo(ctx, line, line)
		}
		err = draw(ctx, line, effect, &decoder{d, name, open}, e, name)
		e.Close()
		if err != errOther {
			return err
		}
	}
}

// errOther is for a line that sends another codec by now.
var errOther = errors.New("another codec")

// A decoder decodes each frame by the codec that it names.
type decoder struct {
	video.Decoder
	codec string
	open  func(name string) (video.Decoder, video.Encoder, error)
}

// Decode leaves out frames of a codec that cannot be opened.
func (d *decoder) Decode(dst *image.YCbCr, f *video.Frame) error {
	if !f.Fits(d.codec) {
		next, unused, err := d.open(f.Codec)
		if err != nil {
			return video.ErrNoPicture
		}
		unused.Close()
		d.Close()
		d.Decoder, d.codec = next, f.Codec
	}
	return d.Decoder.Decode(dst, f)
}

// library is the codec of libvpx.
func library(name string) (video.Decoder, video.Encoder, error) {
	d, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: name})
	if err != nil {
		return nil, nil, err
	}
	e, err := vpx.NewEncoder(vpx.EncoderConfig{Codec: name})
	if err != nil {
		d.Close()
		return nil, nil, err
	}
	return d, e, nil
}

// draw draws the newest picture, again and again, until the line ends, or sends
// another codec than that of e.
func draw(ctx context.Context, line *parley.Video, effect video.Transform, d video.Decoder, e video.Encoder, codec string) error {
	pictures := video.NewPictures(line, d)
	defer pictures.Close()
	defer context.AfterFunc(ctx, func() { pictures.Close() })()
	line.RequestKeyframe()
	var (
		seen, drawn image.YCbCr
		f           video.Frame
		stats       parley.VideoStats
		bandwidth   int64
	)
	for {
		at, err := pictures.ReadPicture(&seen)
		if err != nil {
			return err
		}
		if line.Stats(&stats); stats.Bandwidth != bandwidth {
			bandwidth = stats.Bandwidth
			if err := e.SetBitrate(int(min(max(bandwidth*4/5, minBitrate), maxBitrate))); err != nil {
				return err
			}
		}
		if err := effect.Draw(&drawn, &seen, at); err != nil {
			return err
		}
		if line.Codec().Name != codec {
			return errOther
		}
		err = e.Encode(&f, &drawn, at, line.KeyframeRequested())
		if errors.Is(err, video.ErrNoPicture) {
			continue
		}
		if err == nil {
			err = line.WriteFrame(&f)
		}
		if err != nil && !errors.Is(err, payload.ErrFrame) {
			return err
		}
	}
}

// The bit rates that an encoder is asked for, when the far end says how much it can
// take.
const (
	minBitrate = 100_000
	maxBitrate = 2_000_000
)
