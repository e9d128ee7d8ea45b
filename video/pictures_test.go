package video_test

import (
	"errors"
	"image"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/video"
)

// A camera gives a frame each 33 ms, on the clock, until it is told to stop.
type camera struct {
	frames   int // 0: for ever
	n        int
	next     time.Time
	deadline chan time.Time
	asked    atomic.Int64
}

func newCamera(frames int) *camera {
	return &camera{frames: frames, next: time.Now(), deadline: make(chan time.Time, 1)}
}

func (c *camera) ReadFrame(f *video.Frame) error {
	if c.frames > 0 && c.n == c.frames {
		return io.EOF
	}
	select {
	case <-time.After(time.Until(c.next)):
	case <-c.deadline:
		return os.ErrDeadlineExceeded
	}
	c.next = c.next.Add(33 * time.Millisecond)
	f.Data = append(f.Data[:0], byte(c.n))
	f.Time = time.Duration(c.n) * 33 * time.Millisecond
	c.n++
	return nil
}

func (c *camera) RequestKeyframe() { c.asked.Add(1) }

func (c *camera) SetReadDeadline(t time.Time) {
	if !t.IsZero() {
		c.deadline <- t
	}
}

// A painter makes pictures in the colour of the frame's first byte; each tenth
// frame is damaged, and each tenth after that shows nothing.
type painter struct {
	decoded int
	closed  bool
}

func (p *painter) Decode(dst *image.YCbCr, f *video.Frame) error {
	p.decoded++
	switch f.Data[0] % 10 {
	case 3:
		return video.ErrFrame
	case 4:
		return video.ErrNoPicture
	}
	if err := video.Reshape(dst, 64, 48); err != nil {
		return err
	}
	for i := range dst.Y {
		dst.Y[i] = f.Data[0]
	}
	return nil
}

func (p *painter) Close() error { p.closed = true; return nil }

// Who takes 200 ms for a picture is never behind by more than the time between
// two, and every frame was decoded.
func TestPicturesSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c, d := newCamera(0), &painter{}
		p := video.NewPictures(c, d)
		var img image.YCbCr
		read := 0
		for ; read < 25; read++ {
			at, err := p.ReadPicture(&img)
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(begin) - at; age > 100*time.Millisecond {
				t.Errorf("picture %d is %v old", read, age)
			}
			if want := byte(at / (33 * time.Millisecond)); img.Y[0] != want || img.Y[len(img.Y)-1] != want {
				t.Errorf("picture of %v is %d", at, img.Y[0])
			}
			time.Sleep(200 * time.Millisecond)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if _, err := p.ReadPicture(&img); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if !d.closed || d.decoded < 5000/33 {
			t.Errorf("%d frames decoded, decoder closed: %v", d.decoded, d.closed)
		}
		if asked := c.asked.Load(); asked != p.Faults() || asked < 14 {
			t.Errorf("%d faults, %d key frames asked for", p.Faults(), asked)
		}
		if got := p.Missed() + int64(read); got < int64(d.decoded)*8/10-2 || got > int64(d.decoded)*8/10+2 {
			t.Errorf("%d read or missed, of %d frames", got, d.decoded)
		}
	})
}

// Closing waits for the next frame of a source that cannot be interrupted, which need
// not be a good one.
func TestPicturesCloseAtDamagedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFeed()
		p := video.NewPictures(c, &painter{})
		closed := false
		go func() {
			p.Close()
			closed = true
		}()
		synctest.Wait()
		c.frames <- picture(3, true)
		synctest.Wait()
		if !closed {
			t.Error("it is not closed")
			c.frames <- picture(5, true)
		}
	})
}

// Who reads the source after Close is not disturbed by another Close.
func TestPicturesCloseTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera(0)
		p := video.NewPictures(c, &painter{})
		synctest.Wait()
		p.Close()
		p.Close()
		var f video.Frame
		if err := c.ReadFrame(&f); err != nil {
			t.Error(err)
		}
	})
}

func TestPicturesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := video.NewPictures(newCamera(3), &painter{})
		var img image.YCbCr
		for n := range 3 {
			if _, err := p.ReadPicture(&img); err != nil || img.Y[0] != byte(n) {
				t.Errorf("picture %d: %v", n, err)
			}
		}
		if _, err := p.ReadPicture(&img); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		p.Close()
	})
}

func TestPicturesReuseMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := video.NewPictures(newCamera(0), &painter{})
		defer p.Close()
		var img image.YCbCr
		p.ReadPicture(&img)
		p.ReadPicture(&img)
		y := &img.Y[0]
		p.ReadPicture(&img)
		p.ReadPicture(&img)
		p.ReadPicture(&img)
		if &img.Y[0] != y {
			t.Error("memory of pictures is not used again")
		}
	})
}
