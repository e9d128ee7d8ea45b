package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/video"
)

// A videoCall is both ends of a call over loopback, whole but for the network.
type videoCall struct {
	from, to *session.Session
	frame    video.Frame // what is sent
	got      video.Frame
}

// openVideoCall makes a path for frames of the given number of packets, all of them
// full.
func openVideoCall(ctx context.Context, packets int) (*videoCall, error) {
	p := &videoCall{}
	local := netip.MustParseAddrPort("127.0.0.1:0")
	v := session.VideoConfig{
		Codecs:    []codec.Params{vp8},
		Immediate: true,
	}
	var err error
	if p.to, err = session.Open(ctx, &session.Config{Local: local, Video: &v}); err != nil {
		return nil, err
	}
	far := v
	far.Remote = p.to.LocalVideo()
	if p.from, err = session.Open(ctx, &session.Config{Local: local, Remote: p.to.LocalAddr(), Video: &far}); err != nil {
		p.to.Close()
		return nil, err
	}
	p.frame = videoFrame(packets)
	if err := p.meet(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// meet sends frames until the receiving end has made up its mind that this is whom
// it hears.
func (p *videoCall) meet() error {
	sent, err := 0, error(nil)
	for range 100 {
		if err = p.from.Video().WriteFrame(&p.frame); err != nil {
			return err
		}
		sent++
		p.to.Video().SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if err = p.to.Video().ReadFrame(&p.got); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("nothing was received: %w", err)
	}
	return p.read(sent - 1)
}

func (p *videoCall) Close() error { return errors.Join(p.from.Close(), p.to.Close()) }

// run sends n frames, a burst at a time, and waits for all of them.
func (p *videoCall) run(n int) error {
	window := videoBurst * vp8Content / len(p.frame.Data)
	for done := 0; done < n; done += window {
		some := min(window, n-done)
		for range some {
			if err := p.from.Video().WriteFrame(&p.frame); err != nil {
				return err
			}
		}
		if err := p.read(some); err != nil {
			return err
		}
	}
	if !bytes.Equal(p.got.Data, p.frame.Data) {
		return errors.New("a frame was received that was not sent")
	}
	return nil
}

func (p *videoCall) read(n int) error {
	p.to.Video().SetReadDeadline(time.Now().Add(2 * time.Second))
	for range n {
		if err := p.to.Video().ReadFrame(&p.got); err != nil {
			return fmt.Errorf("a frame was not received: %w", err)
		}
	}
	return nil
}
