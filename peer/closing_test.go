package peer_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/stream"
)

// prompt checks that something comes back, and soon for a machine that may be busy.
func prompt(t *testing.T, what string, do func()) {
	t.Helper()
	const within = 2 * time.Second
	done := make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: stuck", what)
	}
	if took := time.Since(begin); took > within {
		t.Errorf("%s took %v", what, took)
	}
}

// A call may be closed by anybody at any time, from whatever it has called, and
// more than once.
func TestCloseFromAnywhere(t *testing.T) {
	e := listen(t, nil)
	talk := func(t *testing.T) (*browser, *peer.Peer) {
		b := newBrowser(t, pcmuCapability, 0, sendrecv)
		p, _ := b.call(t, e, nil)
		if err := p.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.talk(t, 160, 160)
		return b, p
	}
	closed := func(t *testing.T, closing func(context.Context, *peer.Peer) error) time.Duration {
		b, p := talk(t)
		asked := make(chan time.Time, 1)
		err := parley.Serve(t.Context(), p.Call, parley.HandlerFunc(func(ctx context.Context, _ *parley.Call) error {
			asked <- time.Now()
			return closing(ctx, p)
		}))
		took := time.Since(<-asked)
		if stuck, ok := errors.AsType[*parley.StuckError](err); ok {
			t.Errorf("%v\n%s", stuck, stuck.Stack)
		}
		prompt(t, "another Close", func() { p.Close() })
		select {
		case <-b.closed:
		case <-time.After(5 * time.Second):
			t.Error("the far end does not know of it")
		}
		return took
	}
	for name, closing := range map[string]func(ctx context.Context, p *peer.Peer) error{
		"handler": func(_ context.Context, p *peer.Peer) error { return p.Close() },
		"reader": func(_ context.Context, p *peer.Peer) error {
			var f audio.Frame
			if err := p.Audio().ReadFrame(&f); err != nil {
				return err
			}
			return p.Close()
		},
		"packet": func(_ context.Context, p *peer.Peer) error {
			var q stream.Packet
			if err := p.Audio().ReadPacket(&q); err != nil {
				return err
			}
			return p.Close()
		},
		"event": func(ctx context.Context, p *peer.Peer) error {
			for {
				e, err := p.ReadEvent(ctx)
				if err != nil {
					return err
				}
				if e.Kind == parley.FirstMedia {
					return p.Close()
				}
			}
		},
		"panic": func(_ context.Context, p *peer.Peer) error {
			defer p.Close()
			panic("as the test wants")
		},
		"writer": func(_ context.Context, p *peer.Peer) error {
			writing := make(chan error, 1)
			tone := &audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 80000)}
			go func() { writing <- p.Audio().WriteFrame(tone) }()
			p.Close()
			if err := <-writing; !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		},
		"digits": func(ctx context.Context, p *peer.Peer) error {
			time.AfterFunc(20*time.Millisecond, func() { p.Close() })
			if _, err := p.ReadDigit(ctx); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		},
		"twice": func(_ context.Context, p *peer.Peer) error {
			var closing sync.WaitGroup
			for range 10 {
				closing.Go(func() { p.Close() })
			}
			closing.Wait()
			return p.Close()
		},
		"connection": func(_ context.Context, p *peer.Peer) error {
			return errors.Join(p.Connection().Close(), p.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			var took time.Duration
			for range 3 { // the machine may be busy
				if took = closed(t, closing); took < 500*time.Millisecond {
					return
				}
			}
			t.Errorf("the end took %v", took)
		})
	}
	t.Run("channel", func(t *testing.T) {
		_, p := talk(t)
		ch, err := p.OpenChannel(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			var m parley.Message
			ended <- ch.ReadMessage(t.Context(), &m)
		}()
		prompt(t, "Close", func() { p.Close() })
		prompt(t, "the reader", func() { <-ended })
		prompt(t, "Close of the channel", func() { ch.Close() })
	})
}

// A call may be closed while an offer is on its way, in either direction, and what
// comes then is refused.
func TestCloseWhileOffering(t *testing.T) {
	e := listen(t, nil)
	t.Run("ours", func(t *testing.T) {
		p, offer, err := e.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		b := newBrowser(t, pcmuCapability, 0, sendrecv)
		if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
			t.Fatal(err)
		}
		answer, err := b.pc.CreateAnswer(nil)
		if err != nil {
			t.Fatal(err)
		}
		prompt(t, "Close", func() { p.Close() })
		prompt(t, "SetAnswer", func() {
			if err := p.SetAnswer(t.Context(), answer.SDP); !errors.Is(err, net.ErrClosed) {
				t.Errorf("an answer after the end: %v", err)
			}
		})
	})
	t.Run("theirs", func(t *testing.T) {
		b := newBrowser(t, pcmuCapability, 0, sendrecv)
		p, _ := b.call(t, e, nil)
		if err := p.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		offer := b.offer(t)
		answered := make(chan error, 1)
		go func() {
			_, err := p.Answer(t.Context(), offer)
			answered <- err
		}()
		prompt(t, "Close", func() { p.Close() })
		prompt(t, "Answer", func() { <-answered }) // answered, or refused
		prompt(t, "Answer after the end", func() {
			if _, err := p.Answer(t.Context(), offer); !errors.Is(err, net.ErrClosed) {
				t.Errorf("an offer after the end: %v", err)
			}
			if _, err := p.Offer(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("an offer of ours after the end: %v", err)
			}
		})
	})
	t.Run("exchange", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		prompt(t, "Dial", func() {
			_, err := e.Dial(ctx, func(ctx context.Context, _ string) (string, error) {
				cancel()
				<-ctx.Done()
				return "", ctx.Err()
			}, nil)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	})
}
