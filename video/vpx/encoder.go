package vpx

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"runtime"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/parley-media/parley/video"
)

// EncoderConfig are the settings of an [Encoder]. The zero value of all but the
// codec is good for calls: a constant bit rate without delay, in frames that
// survive loss as far as they can.
type EncoderConfig struct {
	Codec       string // "VP8" or "VP9", in any case
	Bitrate     int    // bits per second, 1000 to 1e9; 0: a tenth of a bit per pixel, which is 920 kb/s for 640x480
	FPS         int    // about, up to 1000: the times of the pictures are what counts; 0: 30
	KeyInterval int    // pictures between key frames at most; 0: only those that are asked for
	Speed       int    // 1 (best) to 16 for VP8, to 9 for VP9; 0: 6 for VP8, 7 for VP9
	Threads     int    // up to 16; 0: 1
}

// An Encoder is a [video.Encoder] for VP8 or VP9. It learns the size from the
// pictures, which have up to 16383 pixels each way; odd sizes are coded as they
// are. The memory in C is freed by Close, or when the encoder is collected.
type Encoder struct {
	instance
	config   EncoderConfig
	bitrate  int // 0: by the size
	settings encoderSettings
	ready    bool
	image    codecImage   // what C reads
	picture  *image.YCbCr // what image points to, during a call
	iterator uintptr
	began    time.Duration // the time of the first picture
	last     int64         // the time of the last picture since then, in ticks
}

var _ video.Encoder = (*Encoder)(nil)

// clock is how many ticks a second has: those of RTP video.
const clock = 90000

const maxBitrate = 1e9

// NewEncoder returns an encoder. The error wraps [ErrUnavailable] if there is no
// library, and [errors.ErrUnsupported] for other codecs.
func NewEncoder(c EncoderConfig) (*Encoder, error) {
	codec, err := codecOf(c.Codec)
	if err != nil {
		return nil, err
	}
	threads, err := checkThreads(c.Threads)
	if err != nil {
		return nil, err
	}
	c.Threads = int(threads)
	c.FPS = cmp.Or(c.FPS, 30)
	c.Speed = cmp.Or(c.Speed, [...]int{6, 7}[codec])
	if c.Bitrate != 0 {
		err = checkBitrate(c.Bitrate)
	}
	if c.FPS < 1 || c.FPS > 1000 || c.KeyInterval < 0 || c.KeyInterval > 1e6 ||
		c.Speed < 1 || c.Speed > [...]int{16, 9}[codec] {
		err = errors.Join(err, fmt.Errorf("vpx: %d pictures per second, a key frame in %d, speed %d", c.FPS, c.KeyInterval, c.Speed))
	}
	if err != nil {
		return nil, err
	}
	l, err := load()
	if err != nil {
		return nil, err
	}
	e := &Encoder{config: c, bitrate: c.Bitrate}
	start(e, &e.instance, l, codec)
	return e, nil
}

func checkBitrate(bps int) error {
	if bps < 1000 || bps > maxBitrate {
		return fmt.Errorf("vpx: %d bits per second, want 1000 to %d", bps, int(maxBitrate))
	}
	return nil
}

// begin starts over with pictures of a size. The next frame is a key frame.
func (e *Encoder) begin(width, height int) error {
	e.stop()
	codec := e.library.encoders[e.codec]
	e.settings = encoderSettings{}
	status, _, _ := purego.SyscallN(e.library.encoderDefaults, codec, address(&e.settings), 0)
	if err := e.check(status); err != nil {
		return err
	}
	s := &e.settings
	s.width, s.height = uint32(width), uint32(height)
	s.threads = uint32(e.config.Threads)
	s.timebaseNum, s.timebaseDen = 1, clock
	s.errorResilient = 1
	s.lag = 0
	s.dropThreshold, s.resizeAllowed = 0, 0
	s.endUsage = constantBitrate
	s.targetBitrate = e.kilobits()
	s.minQuantizer, s.maxQuantizer = 2, 56
	s.undershoot, s.overshoot = 100, 15
	s.buffer, s.bufferInitial, s.bufferOptimal = 1000, 500, 600
	s.keyMode, s.keyMin, s.keyMax = keyDisabled, 0, 0
	if e.config.KeyInterval > 0 {
		s.keyMode, s.keyMax = keyAutomatic, uint32(e.config.KeyInterval)
	}
	if err := e.check(e.call(e.library.encoderInit, codec, address(s), 0, e.library.encoderABI)); err != nil {
		return err
	}
	e.ready = true
	if err := e.tune(); err != nil {
		e.stop()
		return err
	}
	return nil
}

// stop makes the next picture begin anew.
func (e *Encoder) stop() {
	if e.ready {
		e.call(e.library.destroy)
		e.ready = false
	}
}

// tune sets what is not in the settings.
func (e *Encoder) tune() error {
	// A key frame may take half of the optimal buffer.
	const keyPercent = 600 / 2 / 10
	errs := []error{e.set(setMaxKeySize, int32(max(300, keyPercent*e.config.FPS)))}
	if e.codec == vp8 {
		// A positive speed would go by how busy the machine is.
		return errors.Join(append(errs, e.set(setSpeed, -int32(e.config.Speed)), e.set(setStaticThreshold, 1))...)
	}
	const cyclicRefresh = 3
	columns := int32(0) // the library has no more than the width allows
	for n := e.config.Threads; n > 1; n /= 2 {
		columns++
	}
	return errors.Join(append(errs, e.set(setSpeed, int32(e.config.Speed)), e.set(setStaticThreshold, 1),
		e.set(setAQMode, cyclicRefresh), e.set(setTileColumns, columns), e.set(setRowThreads, min(columns, 1)))...)
}

// kilobits returns the bit rate in the unit of the library.
func (e *Encoder) kilobits() uint32 {
	bps := e.bitrate
	if bps == 0 {
		bps = min(int(e.settings.width)*int(e.settings.height)*e.config.FPS/10, maxBitrate)
	}
	return uint32(max(bps/1000, 1))
}

// SetBitrate implements [video.Encoder]. The rate is 1000 to 1e9.
func (e *Encoder) SetBitrate(bps int) error {
	if e.closed {
		return errClosed
	}
	if err := checkBitrate(bps); err != nil {
		return err
	}
	e.bitrate = bps
	if !e.ready {
		return nil
	}
	e.settings.targetBitrate = e.kilobits()
	return e.check(e.call(e.library.encoderChange, address(&e.settings)))
}

// Encode implements [video.Encoder]. Times may jump; those that do not
// grow count as one picture more at the usual rate.
func (e *Encoder) Encode(f *video.Frame, img *image.YCbCr, at time.Duration, key bool) error {
	if e.closed {
		return errClosed
	}
	if err := video.CheckPicture(img); err != nil {
		return err
	}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	if w >= maxSide || h >= maxSide {
		return fmt.Errorf("%w: %dx%d, want up to %d each way", video.ErrPicture, w, h, maxSide-1)
	}
	if !e.ready || w != int(e.settings.width) || h != int(e.settings.height) {
		if err := e.begin(w, h); err != nil {
			return err
		}
		key = true
		e.began, e.last = at, -1
	}
	e.tick(at)
	flags := uintptr(0)
	if key {
		flags = encodeKey
	}
	e.point(img)
	status := e.call(e.library.encode, address(&e.image), uintptr(e.last), uintptr(clock/e.config.FPS), flags, encodeRealtime)
	runtime.KeepAlive(img)
	e.picture = nil
	if err := e.check(status); err != nil {
		e.stop()
		return err
	}
	return e.take(f, at)
}

// tick moves e.last on to a time. A time that is not behind the last one begins
// a new count, one usual step on: the rate control goes by the steps.
func (e *Encoder) tick(at time.Duration) {
	now := int64((at-e.began)/time.Microsecond) * 9 / 100
	if now <= e.last {
		now = e.last + int64(clock/e.config.FPS)
		e.began = at - time.Duration(now*100/9)*time.Microsecond
	}
	e.last = now
}

// point makes e.image the picture. Having e.picture lead there keeps the pixels
// on the heap.
func (e *Encoder) point(img *image.YCbCr) {
	e.picture = img
	r := img.Rect
	y, c := img.YOffset(r.Min.X, r.Min.Y), img.COffset(r.Min.X, r.Min.Y)
	w, h := uint32(r.Dx()), uint32(r.Dy())
	e.image = codecImage{
		format: formatI420, width: w, height: h, bitDepth: 8, shownWidth: w, shownHeight: h,
		chromaShiftX: 1, chromaShiftY: 1, bitsPerSample: 12,
		planes:  [4]uintptr{address(&img.Y[y]), address(&img.Cb[c]), address(&img.Cr[c])},
		strides: [4]int32{int32(img.YStride), int32(img.CStride), int32(img.CStride)},
	}
}

// take copies to f what the encoder has made.
func (e *Encoder) take(f *video.Frame, when time.Duration) error {
	found := false
	for e.iterator = 0; ; {
		p := e.call(e.library.getData, address(&e.iterator))
		if p == 0 {
			break
		}
		packet := at[codecPacket](p)
		if packet.kind != packetFrame || packet.size == 0 {
			continue
		}
		if !found {
			f.Data, f.Key = f.Data[:0], false
			found = true
		}
		f.Data = append(f.Data, unsafe.Slice(at[byte](packet.data), packet.size)...)
		f.Key = f.Key || packet.flags&packetKey != 0
	}
	if !found {
		return video.ErrNoPicture
	}
	f.Codec = [...]string{"VP8", "VP9"}[e.codec]
	f.Time, f.Width, f.Height = when, int(e.settings.width), int(e.settings.height)
	return nil
}

// Close implements [video.Encoder].
func (e *Encoder) Close() error {
	e.close()
	return nil
}
