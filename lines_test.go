package parley

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
)

// addVideo adds a video to both calls.
func addVideo(t *testing.T, x, y *Call, mid string) (atX, atY *Video) {
	t.Helper()
	fromX, fromY := newPlug(nil), newPlug(nil)
	add := func(c *Call, leg *plug) *Video {
		v, err := c.AttachVideo(VideoConfig{Leg: leg, Mid: mid, Label: "screen", Send: vp8, Receive: []codec.Params{vp8}})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	toX, toY := &lateEnd{}, &lateEnd{}
	fromX.to, fromY.to = toY, toX
	atX, atY = add(x, fromX), add(y, fromY)
	toX.set(atX)
	toY.set(atY)
	t.Cleanup(func() {
		x.Close()
		y.Close()
		fromX.arrived.Wait()
		fromY.arrived.Wait()
	})
	return atX, atY
}

// expectEvent skips events until one of the given kind.
func expectEvent(t *testing.T, c *Call, kind EventKind) Event {
	t.Helper()
	for {
		e, err := c.ReadEvent(t.Context())
		if err != nil {
			t.Fatalf("no event %q: %v", kind, err)
		}
		if e.Kind == kind {
			return e
		}
	}
}

func TestLineAddedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{Mid: "0"}, nil, nil)
		screenX, screenY := addVideo(t, x, y, "7")
		if e := expectEvent(t, y, LineAdded); e.Mid != "7" || e.Media != "video" || e.Detail != "screen" {
			t.Errorf("event %+v", e)
		}
		if got := slices.Collect(y.Videos()); len(got) != 2 || got[0] != y.Video() || got[1] != screenY || screenY.Mid() != "7" || screenY.Label() != "screen" {
			t.Errorf("videos %v", got)
		}
		if a, b := x.Video().rtcp.CNAME(), screenX.rtcp.CNAME(); a != b {
			t.Errorf("one call is %q and %q", a, b)
		}
		for n := range 3 {
			if err := x.Video().WriteFrame(picture(n, n == 0, 100)); err != nil {
				t.Fatal(err)
			}
			if err := screenX.WriteFrame(picture(100+n, n == 0, 5000)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		var f video.Frame
		for n := range 3 {
			if err := screenY.ReadFrame(&f); err != nil || number(&f) != 100+n {
				t.Errorf("frame %d, %v", number(&f), err)
			}
			if err := y.Video().ReadFrame(&f); err != nil || number(&f) != n {
				t.Errorf("frame %d, %v", number(&f), err)
			}
		}

		// A reader that waits gets the end, and the rest of the call goes on.
		ended := make(chan error, 1)
		go func() { ended <- screenY.ReadFrame(&video.Frame{}) }()
		synctest.Wait()
		screenY.Remove()
		screenY.Remove()
		if err := <-ended; err != io.EOF {
			t.Errorf("read: %v", err)
		}
		err := screenY.WriteFrame(picture(0, true, 100))
		if end, ok := errors.AsType[*EndError](err); !ok || end.Reason != Removed {
			t.Errorf("write: %v", err)
		}
		if e := expectEvent(t, y, LineRemoved); e.Mid != "7" {
			t.Errorf("event %+v", e)
		}
		if got := slices.Collect(y.Videos()); len(got) != 1 || y.Err() != nil {
			t.Errorf("videos %v, call %v", got, y.Err())
		}
		if err := x.Video().WriteFrame(picture(3, false, 100)); err != nil {
			t.Fatal(err)
		}
		if err := y.Video().ReadFrame(&f); err != nil || number(&f) != 3 {
			t.Errorf("frame %d, %v", number(&f), err)
		}
		screenX.Remove()
	})
}

// All who wait for lines are told that they have come, gone, turned or got another label.
func TestWaitLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{Mid: "0"}, nil, nil)
		told := make(chan int, 2)
		var waiting sync.WaitGroup
		defer waiting.Wait()
		for range 2 {
			waiting.Go(func() {
				for n, err := x.WaitLines(t.Context(), 0); err == nil; n, err = x.WaitLines(t.Context(), n) {
					told <- n
				}
			})
		}
		synctest.Wait()
		var screen *Video
		for i, change := range []func(){
			func() { screen, _ = addVideo(t, x, y, "1") },
			func() { x.Video().SetDirection(SendOnly) },
			func() { x.Video().SetDirection(SendOnly) }, // which it is already
			func() { x.Video().SetLabel("camera") },
			func() { screen.Remove() },
		} {
			change()
			synctest.Wait()
			for range 2 {
				select {
				case n := <-told:
					if n > i+1 || i == 2 {
						t.Errorf("%d changes after change %d", n, i+1)
					}
				default:
					if i != 2 {
						t.Errorf("somebody is not told of change %d", i+1)
					}
				}
			}
		}
		x.Close()
	})
}

func TestLinesBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		for len(x.lines) < MaxLines {
			addVideo(t, x, y, "")
		}
		config := VideoConfig{Leg: newPlug(nil), Send: vp8, Receive: []codec.Params{vp8}}
		if _, err := x.AttachVideo(config); err != ErrManyLines {
			t.Error(err)
		}
		x.Close()
		config.Leg = newPlug(nil)
		if _, err := x.AttachVideo(config); !errors.Is(err, x.Err()) {
			t.Error(err)
		}
	})
}

func TestAudioAddedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := videoPair(t, VideoConfig{}, nil, nil)
		if x.Audio() != nil {
			t.Fatal("audio")
		}
		config := AudioConfig{Leg: newPlug(nil), Send: pcmu, Receive: []codec.Params{pcmu}}
		a, err := x.AttachAudio(config)
		if err != nil || x.Audio() != a {
			t.Fatal(err)
		}
		a.Remove()
		if x.Audio() != nil {
			t.Error("audio after its removal")
		}
		if err := a.WriteFrame(ramp(0)); err == nil {
			t.Error("written after its removal")
		}
	})
}

// Video that pauses is an event, and its return another.
func TestMuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{Immediate: true}, nil, nil)
		begin := time.Now()
		write := func(n int) {
			if err := x.Video().WriteFrame(picture(n, true, 100)); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second / 30)
		}
		for n := range 30 {
			write(n)
		}
		last := begin.Add(29*time.Second/30 + 10*ms)
		if e := expectEvent(t, y, Muted); e.Time.Sub(last.Add(1500*ms)).Abs() > 5*ms || e.Media != "video" {
			t.Errorf("muted %v after the last packet", e.Time.Sub(last))
		}
		time.Sleep(3 * time.Second)
		back := time.Now().Add(10 * ms)
		write(30)
		write(31)
		if e := expectEvent(t, y, Unmuted); e.Time.Sub(back).Abs() > 5*ms {
			t.Errorf("back %v after the first packet", e.Time.Sub(back))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
		defer cancel()
		if e, err := y.ReadEvent(ctx); err == nil {
			t.Errorf("event %+v", e)
		}
	})
}

// A camera that shows a still picture each second, or somewhat later, is there all the time.
func TestStillPictureIsNotMuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{Immediate: true}, nil, nil)
		for n := range 5 {
			if err := x.Video().WriteFrame(picture(n, true, 100)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1010 * ms)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
		defer cancel()
		for e, err := y.ReadEvent(ctx); err == nil; e, err = y.ReadEvent(ctx) {
			if e.Kind != FirstMedia {
				t.Errorf("event %+v", e)
			}
		}
	})
}

// A call may consist of channels only.
func TestChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opener := &opener{}
		c, err := New(Config{Channels: opener})
		if err != nil {
			t.Fatal(err)
		}
		ch, err := c.OpenChannel(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range maxAccepted {
			if !c.OfferChannel(ch) {
				t.Error("refused")
			}
		}
		if c.OfferChannel(ch) {
			t.Error("more than there is room for")
		}
		if got, err := c.AcceptChannel(t.Context()); got != ch || err != nil {
			t.Errorf("accepted %v, %v", got, err)
		}
		if e := expectEvent(t, c, ChannelOpen); e.Detail != "a label" {
			t.Errorf("event %+v", e)
		}
		c.Close()
		if !opener.closed {
			t.Error("channels are open after the call")
		}
		if _, err := c.OpenChannel(t.Context(), nil); !errors.Is(err, c.Err()) {
			t.Error(err)
		}
		if c.OfferChannel(ch) {
			t.Error("accepted after the end")
		}
		x, _ := videoPair(t, VideoConfig{}, nil, nil)
		if _, err := x.OpenChannel(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "channels") {
			t.Error(err)
		}
	})
}

type opener struct{ closed bool }

func (o *opener) OpenChannel(context.Context, *ChannelConfig) (Channel, error) {
	return silentChannel{}, nil
}

func (o *opener) Close() error {
	o.closed = true
	return nil
}

type silentChannel struct{ Channel }

func (silentChannel) Config() ChannelConfig { return ChannelConfig{Label: "a label"} }

// A line without a leg is refused at once, and the legs of the others are closed.
func TestNoLeg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leg := &wire{}
		sound, pictures := AudioConfig{Send: pcmu, Receive: []codec.Params{pcmu}}, VideoConfig{Send: vp8, Receive: []codec.Params{vp8}}
		with := sound
		with.Leg = leg
		for _, c := range []Config{{Audio: &sound}, {Video: &pictures}, {Audio: &with, Video: &pictures}} {
			if _, err := New(c); !errors.Is(err, errNoLeg) {
				t.Errorf("New: %v", err)
			}
		}
		if n := leg.closes.Load(); n != 1 {
			t.Errorf("the other leg was closed %d times", n)
		}
		c, err := New(Config{Audio: &with})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 2 {
			if _, err := c.AttachAudio(sound); err == nil {
				t.Error("AttachAudio takes no leg")
			}
			if _, err := c.AttachVideo(pictures); err == nil {
				t.Error("AttachVideo takes no leg")
			}
			c.Close() // after that they fail for another reason
		}
	})
}
