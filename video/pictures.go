package video

import (
	"errors"
	"image"
	"os"
	"sync"
	"time"
)

// Pictures decodes what a source gives, and hands out the newest picture: whoever
// is slow misses pictures, but is not behind. Its methods may be used from any
// goroutine.
//
// Every frame is decoded, as those after it need it, on a goroutine of its own. A
// frame that cannot be decoded makes the source be asked for a key frame, if it has
// a method RequestKeyframe, as the video of a call does.
type Pictures struct {
	source  Reader
	decoder Decoder

	mu     sync.Mutex
	cond   sync.Cond
	newest image.YCbCr
	at     time.Duration
	fresh  bool // newest was not read yet
	missed int64
	faults int64
	err    error // of the source
	closed bool
	close  sync.Once
	ended  chan struct{}
}

// NewPictures begins to read source. It must be closed, which closes d.
func NewPictures(source Reader, d Decoder) *Pictures {
	p := &Pictures{source: source, decoder: d, ended: make(chan struct{})}
	p.cond.L = &p.mu
	go p.run()
	return p
}

func (p *Pictures) run() {
	defer close(p.ended)
	defer p.decoder.Close() //nolint:errcheck // frees memory
	var f Frame
	var work image.YCbCr
	for {
		err := p.source.ReadFrame(&f)
		decoded := false
		if err == nil {
			fault := p.decoder.Decode(&work, &f)
			if decoded = fault == nil; !decoded {
				p.failed(fault)
			}
		}
		p.mu.Lock()
		if err != nil || p.closed {
			p.err = err
			p.cond.Broadcast()
			p.mu.Unlock()
			return
		}
		if !decoded {
			p.mu.Unlock()
			continue
		}
		if p.fresh {
			p.missed++
		}
		work, p.newest = p.newest, work
		p.at, p.fresh = f.Time, true
		p.cond.Broadcast()
		p.mu.Unlock()
	}
}

// failed takes notice of a frame without a picture.
func (p *Pictures) failed(err error) {
	if errors.Is(err, ErrNoPicture) {
		return
	}
	p.mu.Lock()
	p.faults++
	p.mu.Unlock()
	if k, ok := p.source.(interface{ RequestKeyframe() }); ok {
		k.RequestKeyframe()
	}
}

// ReadPicture waits for a picture that was not read before, puts it into dst, and
// returns its time. The memory of dst is taken for another picture in exchange,
// so that nothing is copied. The error is that of the source, once the last picture
// has been read, or wraps [os.ErrClosed].
func (p *Pictures) ReadPicture(dst *image.YCbCr) (at time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, os.ErrClosed
		case p.fresh:
			*dst, p.newest = p.newest, *dst
			p.fresh = false
			return p.at, nil
		case p.err != nil:
			return 0, p.err
		}
		p.cond.Wait()
	}
}

// Missed returns how many pictures nobody read.
func (p *Pictures) Missed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.missed
}

// Faults returns how many frames could not be decoded.
func (p *Pictures) Faults() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// Close ends the reading of the source, which may be read by others afterwards. If
// the source has no method SetReadDeadline, as the video of a call does, Close
// waits for its next frame.
func (p *Pictures) Close() error {
	p.close.Do(p.end)
	return nil
}

func (p *Pictures) end() {
	p.mu.Lock()
	p.closed = true
	p.cond.Broadcast()
	p.mu.Unlock()
	d, ok := p.source.(interface{ SetReadDeadline(time.Time) })
	if ok {
		d.SetReadDeadline(time.Unix(1, 0))
	}
	<-p.ended
	if ok {
		d.SetReadDeadline(time.Time{})
	}
}
