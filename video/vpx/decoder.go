package vpx

import (
	"cmp"
	"fmt"
	"image"
	"unsafe"

	"github.com/parley-media/parley/video"
)

// DecoderConfig are the settings of a [Decoder]. The zero value of all but the
// codec is good for calls.
type DecoderConfig struct {
	Codec     string // "VP8" or "VP9", in any case
	Threads   int    // up to 16; 0: 1
	MaxPixels int    // of one picture; 0: 1<<21, which is 1920x1088; no side is longer than 16384
}

// A Decoder is a [video.Decoder] for VP8 or VP9. A header that asks for a
// picture of more than MaxPixels is an error before memory is spent on it.
// Decoding begins at a key frame; after an error it begins again. The memory in C
// is freed by Close, or when the decoder is collected.
type Decoder struct {
	instance
	maxPixels int
	settings  decoderSettings
	ready     bool   // since a key frame
	in        []byte // what C reads
	iterator  uintptr
}

var _ video.Decoder = (*Decoder)(nil)

// NewDecoder returns a decoder. The error wraps [ErrUnavailable] if there is no
// library, and [errors.ErrUnsupported] for other codecs.
func NewDecoder(c DecoderConfig) (*Decoder, error) {
	codec, err := codecOf(c.Codec)
	if err != nil {
		return nil, err
	}
	threads, err := checkThreads(c.Threads)
	if err != nil {
		return nil, err
	}
	if c.MaxPixels < 0 {
		return nil, fmt.Errorf("vpx: %d pixels at most", c.MaxPixels)
	}
	l, err := load()
	if err != nil {
		return nil, err
	}
	d := &Decoder{maxPixels: cmp.Or(c.MaxPixels, 1<<21), settings: decoderSettings{threads: threads}}
	start(d, &d.instance, l, codec)
	return d, nil
}

// Decode implements [video.Decoder]. Of f it uses the data only.
func (d *Decoder) Decode(dst *image.YCbCr, f *video.Frame) error {
	if d.closed {
		return errClosed
	}
	err := d.decode(dst, f.Data)
	if err != nil && err != video.ErrNoPicture && d.ready {
		// Some errors leave pictures of libvpx in use for ever, so that after a
		// dozen it has none for a key frame either.
		d.call(d.library.destroy)
		d.ready = false
	}
	return err
}

func (d *Decoder) decode(dst *image.YCbCr, data []byte) error {
	key, indexed := false, true
	var err error
	if d.codec == vp8 {
		key, err = checkVP8(data, d.maxPixels)
	} else {
		key, indexed, err = checkVP9(data, d.maxPixels)
	}
	if err != nil {
		return err
	}
	if len(data) > maxFrame {
		return fmt.Errorf("%w: %d bytes", video.ErrFrame, len(data))
	}
	if !d.ready {
		if !key {
			return errNoKey
		}
		l := d.library
		if err := d.check(d.call(l.decoderInit, l.decoders[d.codec], address(&d.settings), 0, decoderABI)); err != nil {
			return fmt.Errorf("%w: %w", video.ErrFrame, err)
		}
		d.ready = true
	}
	n := d.load(data, indexed)
	if err := d.check(d.call(d.library.decode, address(&d.in[0]), uintptr(n), 0, 0)); err != nil {
		return fmt.Errorf("%w: %w", video.ErrFrame, err)
	}
	var picture *codecImage
	for d.iterator = 0; ; {
		p := d.call(d.library.getFrame, address(&d.iterator))
		if p == 0 {
			break
		}
		picture = at[codecImage](p)
	}
	if picture == nil {
		return video.ErrNoPicture
	}
	return d.copy(dst, picture)
}

var errNoKey = fmt.Errorf("%w: no key frame yet", video.ErrFrame)

// maxFrame is more bytes than any frame of an allowed picture needs.
const maxFrame = 1 << 29

// padding is what follows the data, for bit readers that look ahead.
const padding = 32

// load copies a frame to d.in and returns its length there.
func (d *Decoder) load(data []byte, indexed bool) int {
	d.in = append(d.in[:0], data...)
	if !indexed {
		d.in = appendIndex(d.in)
	}
	n := len(d.in)
	var zeros [padding]byte
	d.in = append(d.in, zeros[:]...)
	return n
}

// copy copies a picture of C to dst.
func (d *Decoder) copy(dst *image.YCbCr, p *codecImage) error {
	w, h := int(p.shownWidth), int(p.shownHeight)
	if p.format != formatI420 {
		return fmt.Errorf("%w: format %#x, want 8 bits of 4:2:0", video.ErrFrame, p.format)
	}
	if err := checkSize(w, h, d.maxPixels); err != nil {
		return err
	}
	if err := video.Reshape(dst, w, h); err != nil {
		return err
	}
	y, c := dst.YOffset(dst.Rect.Min.X, dst.Rect.Min.Y), dst.COffset(dst.Rect.Min.X, dst.Rect.Min.Y)
	copyPlane(dst.Y[y:], dst.YStride, p.planes[0], p.strides[0], w, h)
	copyPlane(dst.Cb[c:], dst.CStride, p.planes[1], p.strides[1], (w+1)/2, (h+1)/2)
	copyPlane(dst.Cr[c:], dst.CStride, p.planes[2], p.strides[2], (w+1)/2, (h+1)/2)
	return nil
}

func copyPlane(dst []byte, stride int, src uintptr, srcStride int32, w, h int) {
	for y := range h {
		copy(dst[y*stride:][:w], unsafe.Slice(at[byte](src+uintptr(y*int(srcStride))), w))
	}
}

// Close implements [video.Decoder].
func (d *Decoder) Close() error {
	d.close()
	return nil
}
