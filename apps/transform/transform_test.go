package transform_test

import (
	"context"
	"errors"
	"image"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/transform"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// painter decodes a frame to a picture as bright as its last byte.
type painter struct{ closed *int }

func (p painter) Decode(dst *image.YCbCr, f *video.Frame) error {
	if err := video.Reshape(dst, 64, 48); err != nil {
		return err
	}
	for i := range dst.Y {
		dst.Y[i] = f.Data[len(f.Data)-1]
	}
	for i := range dst.Cb {
		dst.Cb[i], dst.Cr[i] = 128, 128
	}
	return nil
}

func (p painter) Close() error { *p.closed++; return nil }

// writer encodes a picture as its brightness in the middle, and takes its time.
type writer struct {
	takes   time.Duration
	closed  *int
	bitrate int
	codec   string // "": VP8
}

func (w *writer) Encode(f *video.Frame, img *image.YCbCr, at time.Duration, key bool) error {
	time.Sleep(w.takes)
	shoot := calltest.Picture
	if w.codec == "VP9" {
		shoot = calltest.PictureVP9
	}
	*f = *shoot(img.Y[24*img.YStride+32], at, key)
	f.Codec = w.codec
	return nil
}

func (w *writer) SetBitrate(bps int) error { w.bitrate = bps; return nil }
func (w *writer) Close() error             { *w.closed++; return nil }

// see returns the pictures that are seen for a time.
func see(t *testing.T, c *parley.Call, d time.Duration) (seen []byte) {
	t.Helper()
	var f video.Frame
	c.Video().SetReadDeadline(time.Now().Add(d))
	for {
		err := c.Video().ReadFrame(&f)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return seen
		}
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, calltest.Shown(&f))
	}
}

// film sends a key frame each 20 ms, whose number goes up by one.
func film(c *parley.Call) {
	for i := 0; ; i++ {
		if c.Video().WriteFrame(calltest.Picture(byte(i), time.Duration(i)*20*ms, true)) != nil {
			return
		}
		select {
		case <-time.After(20 * ms):
		case <-c.Done():
			return
		}
	}
}

// A picture that is even has no outlines: it comes back black. The handler is slow,
// and what it sends is the newest all the same.
func TestNewestPictureWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			effect string
			black  bool
		}{{"edges", true}, {"rotate", false}} {
			closed := 0
			c, far := calltest.New(t, codec.Params{}, calltest.VP8())
			served := calltest.Serve(t, far, transform.Handler{Effect: tt.effect, Codec: func(name string) (video.Decoder, video.Encoder, error) {
				if name != "VP8" {
					t.Errorf("a codec for %s", name)
				}
				return painter{&closed}, &writer{takes: 200 * ms, closed: &closed}, nil
			}})
			go film(c)
			seen := see(t, c, 4*time.Second)
			if len(seen) < 15 || len(seen) > 21 {
				t.Errorf("%s: %d pictures in 4 s, each of which takes 200 ms", tt.effect, len(seen))
			}
			last := seen[len(seen)-1]
			if now := byte(199); tt.black && last > 16 || !tt.black && now-last > 400/20 {
				t.Errorf("%s: the last is %d", tt.effect, last)
			}
			c.Close()
			<-served
			if closed != 2 {
				t.Errorf("%d of 2 codecs are closed", closed)
			}
		}
	})
}

// Without a codec pictures come back as they are, and an event says so.
func TestUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		for _, effect := range []string{"", "none", "edges"} {
			c, far := calltest.New(t, calltest.PCMU(), calltest.VP8())
			calltest.Serve(t, far, transform.Handler{Effect: effect, Codec: func(string) (video.Decoder, video.Encoder, error) {
				asked++
				return nil, nil, errors.New("no library")
			}})
			go film(c)
			seen := see(t, c, 2*time.Second)
			if len(seen) < 90 || seen[len(seen)-1] < 90 {
				t.Errorf("%q: %d pictures came back, the last is %d", effect, len(seen), seen[len(seen)-1])
			}
		}
		if asked != 1 {
			t.Errorf("%d codecs were asked for", asked)
		}
	})
}

// The caller goes over to another codec, is drawn in that too, and comes back in the
// one that the caller sees.
func TestOtherCodecIsDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened []string
		closed := 0
		c, far := calltest.New(t, codec.Params{}, calltest.VP8())
		served := calltest.Serve(t, far, transform.Handler{Effect: "rotate", Codec: func(name string) (video.Decoder, video.Encoder, error) {
			opened = append(opened, name)
			return painter{&closed}, &writer{closed: &closed}, nil
		}})
		go film(c)
		see(t, c, time.Second)
		calltest.Switch(t, c, far, calltest.VP9())
		if seen := see(t, c, time.Second); len(seen) < 40 {
			t.Errorf("%d pictures come back", len(seen))
		}
		c.Close()
		<-served
		if want := []string{"VP8", "VP9"}; !slices.Equal(opened, want) || closed != 4 {
			t.Errorf("opened %v, and closed %d of 4", opened, closed)
		}
	})
}

// The caller wants to see another codec from now on, and does.
func TestOtherCodecIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened, closed := 0, 0
		c, far := calltest.New(t, codec.Params{}, calltest.VP8())
		served := calltest.Serve(t, far, transform.Handler{Effect: "rotate", Codec: func(name string) (video.Decoder, video.Encoder, error) {
			opened += 2
			return painter{&closed}, &writer{closed: &closed, codec: name}, nil
		}})
		go film(c)
		see(t, c, time.Second)
		calltest.Switch(t, far, c, calltest.VP9())
		if seen := see(t, c, time.Second); len(seen) < 40 {
			t.Errorf("%d pictures come back", len(seen))
		}
		c.Close()
		<-served
		if closed != opened {
			t.Errorf("closed %d of %d", closed, opened)
		}
	})
}

func TestUnknownEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, far := calltest.New(t, calltest.PCMU(), codec.Params{})
		if err := <-calltest.Serve(t, far, transform.Handler{Effect: "blur"}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	})
}

// A caller who is cancelled has not failed.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			_, far := calltest.New(t, calltest.PCMU(), calltest.VP8())
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- parley.Serve(ctx, far, transform.Handler{}) }()
			time.Sleep(time.Second)
			cancel()
			if end, ok := errors.AsType[*parley.EndError](<-ended); !ok || end.Reason != parley.Canceled {
				t.Errorf("ended by %v", end)
			}
		}
	})
}

// The drawing ends when its context is cancelled, while pictures come.
func TestCanceledWhileDrawing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		c, far := calltest.New(t, codec.Params{}, calltest.VP8())
		go film(c)
		calltest.Cancel(t, far, transform.Handler{Effect: "rotate", Codec: func(string) (video.Decoder, video.Encoder, error) {
			return painter{&closed}, &writer{closed: &closed}, nil
		}})
	})
}
