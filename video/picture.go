package video

import (
	"errors"
	"fmt"
	"image"
	"time"
)

var (
	// ErrFrame is wrapped by what a [Decoder] says of a frame that it cannot
	// decode: it is damaged, needs one that is missing, or is larger than is
	// allowed. Decoding goes on at the next key frame.
	ErrFrame = errors.New("video: frame cannot be decoded")

	// ErrPicture is wrapped by the errors for a picture that is not 4:2:0, that
	// has planes too short for its size, or a size that is refused.
	ErrPicture = errors.New("video: unusable picture")

	// ErrNoPicture is returned for a frame that is coded for the sake of others
	// and shows nothing, and for a picture that an encoder drops. It is not a
	// fault.
	ErrNoPicture = errors.New("video: no picture")
)

// A Decoder makes pictures of coded frames. It is for one stream and not safe
// for concurrent use.
type Decoder interface {
	// Decode fills dst with the picture of f, 4:2:0. The memory of dst is reused;
	// see [Reshape] for what happens when the size changes. It keeps neither dst
	// nor f. With an error, which is ErrNoPicture or wraps ErrFrame or
	// [net.ErrClosed], dst is as it was.
	Decode(dst *image.YCbCr, f *Frame) error

	// Close frees what the decoder holds. It may be called more than once.
	Close() error
}

// An Encoder makes coded frames of pictures. It is for one stream and not safe
// for concurrent use.
type Encoder interface {
	// Encode fills f with the frame that codes img, which lies at a position on
	// the stream's timeline; key asks for a key frame. The first frame is one,
	// and so is the one at which the size of img changes. The memory of f.Data is
	// reused, f.Captured and f.Timestamp are left as they are. It keeps neither f
	// nor img. With an error, which is ErrNoPicture or wraps ErrPicture or
	// [net.ErrClosed] or tells what the codec said, f is as it was.
	Encode(f *Frame, img *image.YCbCr, at time.Duration, key bool) error

	// SetBitrate sets the rate that the following frames aim at, in bits per
	// second.
	SetBitrate(bps int) error

	// Close frees what the encoder holds. It may be called more than once.
	Close() error
}

// CheckPicture returns an error that wraps [ErrPicture] unless img is 4:2:0, has
// a pixel or more, and planes that are as long as its size and strides say.
func CheckPicture(img *image.YCbCr) error {
	if img == nil {
		return fmt.Errorf("%w: none", ErrPicture)
	}
	if img.SubsampleRatio != image.YCbCrSubsampleRatio420 {
		return fmt.Errorf("%w: %v, not 4:2:0", ErrPicture, img.SubsampleRatio)
	}
	// The limits keep every product below 1<<31.
	const most = 1 << 15
	r := img.Rect
	if r.Min.X < 0 || r.Min.Y < 0 || r.Max.X <= r.Min.X || r.Max.Y <= r.Min.Y || r.Max.X > most || r.Max.Y > most {
		return fmt.Errorf("%w: %v", ErrPicture, r)
	}
	cw, ch := (r.Max.X+1)/2-r.Min.X/2, (r.Max.Y+1)/2-r.Min.Y/2
	if !holds(img.Y, img.YStride, r.Dx(), r.Dy()) || !holds(img.Cb, img.CStride, cw, ch) || !holds(img.Cr, img.CStride, cw, ch) {
		return fmt.Errorf("%w: %v in planes of %d, %d and %d bytes with strides of %d and %d",
			ErrPicture, r, len(img.Y), len(img.Cb), len(img.Cr), img.YStride, img.CStride)
	}
	return nil
}

func holds(pix []byte, stride, w, h int) bool {
	return stride >= w && stride <= 1<<16 && len(pix) >= (h-1)*stride+w
}

// Reshape makes dst a 4:2:0 picture of the given size, which is 1 to 32768 each
// way. If it is one already, whatever its strides, it is left alone; else its
// memory is reused as far as it goes. The pixels are undefined. An error wraps
// [ErrPicture].
func Reshape(dst *image.YCbCr, width, height int) error {
	if width < 1 || height < 1 || width > 1<<15 || height > 1<<15 {
		return fmt.Errorf("%w: %dx%d", ErrPicture, width, height)
	}
	if dst.Rect.Dx() == width && dst.Rect.Dy() == height && CheckPicture(dst) == nil {
		return nil
	}
	cw, ch := (width+1)/2, (height+1)/2
	dst.Y = reshaped(dst.Y, width*height)
	dst.Cb = reshaped(dst.Cb, cw*ch)
	dst.Cr = reshaped(dst.Cr, cw*ch)
	dst.YStride, dst.CStride = width, cw
	dst.SubsampleRatio = image.YCbCrSubsampleRatio420
	dst.Rect = image.Rect(0, 0, width, height)
	return nil
}

func reshaped(pix []byte, n int) []byte {
	if cap(pix) < n {
		return make([]byte, n)
	}
	return pix[:n]
}

// A plane is one component of a picture.
type plane struct {
	pix    []byte
	stride int
	w, h   int
}

func (p plane) row(y int) []byte { return p.pix[y*p.stride:][:p.w] }

// fill gives all pixels one value.
func (p plane) fill(v byte) {
	for y := range p.h {
		row := p.row(y)
		for x := range row {
			row[x] = v
		}
	}
}

// planes returns the components of a checked picture. Those of chroma have half
// the size, rounded up.
func planes(img *image.YCbCr) (y, cb, cr plane) {
	r := img.Rect
	w, h := r.Dx(), r.Dy()
	at := img.COffset(r.Min.X, r.Min.Y)
	return plane{img.Y[img.YOffset(r.Min.X, r.Min.Y):], img.YStride, w, h},
		plane{img.Cb[at:], img.CStride, (w + 1) / 2, (h + 1) / 2},
		plane{img.Cr[at:], img.CStride, (w + 1) / 2, (h + 1) / 2}
}
