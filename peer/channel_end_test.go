package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// E7: what was written leaves before the channel closes, whoever closes it.
func TestChannelCloseFlushes(t *testing.T) {
	const count, message = 30, 60_000
	t.Run("ours", func(t *testing.T) {
		p := newPair(t)
		p.connect(t)
		ch, f := p.open(t, nil)
		for i := range count {
			check(t, ch.WriteMessage(soon(t), &parley.Message{Data: pattern(i, message)}))
		}
		check(t, ch.Close())
		if n := p.browser.SCTP().Stats().BytesReceived; n < count*message {
			t.Errorf("after Close the far end has %d bytes of %d", n, count*message)
		}
		await(t, "the close event", f.closed)
		for i := range count {
			if m := <-f.got; !bytes.Equal(m.Data, pattern(i, message)) {
				t.Fatalf("message %d is another", i)
			}
		}
	})
	t.Run("ours before open", func(t *testing.T) {
		p := newPair(t)
		ch, err := p.call.OpenChannel(t.Context(), nil)
		check(t, err)
		for i := range 4 {
			check(t, ch.WriteMessage(soon(t), &parley.Message{Data: pattern(i, message)}))
		}
		closed := make(chan error, 1)
		go func() { closed <- ch.Close() }()
		eventually(t, "Close has begun", func() bool {
			return errors.Is(ch.WriteMessage(soon(t), &parley.Message{}), net.ErrClosed)
		})
		p.connect(t)
		check(t, <-closed)
		f := <-p.offered
		await(t, "the close event", f.closed)
		for i := range 4 {
			if m := <-f.got; !bytes.Equal(m.Data, pattern(i, message)) {
				t.Fatalf("message %d is another", i)
			}
		}
	})
	t.Run("theirs", func(t *testing.T) {
		p := newPair(t)
		p.connect(t)
		ch, f := p.accept(t, "theirs", nil)
		await(t, "the open event", f.opened)
		for i := range count {
			check(t, f.Send(pattern(i, message)))
		}
		check(t, f.Close())
		var m parley.Message
		for i := range count {
			check(t, ch.ReadMessage(soon(t), &m))
			if !bytes.Equal(m.Data, pattern(i, message)) {
				t.Fatalf("message %d is another", i)
			}
		}
		for range 2 {
			if err := ch.ReadMessage(soon(t), &m); err != io.EOF {
				t.Errorf("after the last message: %v", err)
			}
		}
		await(t, "the close event", f.closed)
	})
}

// A channel that is closed before it opens is never heard of.
func TestChannelCloseBeforeOpen(t *testing.T) {
	p := newPair(t)
	ch, err := p.call.OpenChannel(t.Context(), &parley.ChannelConfig{Label: "never"})
	check(t, err)
	check(t, ch.Close())
	check(t, ch.Close())
	p.connect(t)
	_, f := p.open(t, &parley.ChannelConfig{Label: "next"})
	if f.Label() != "next" {
		t.Errorf("the far end is told of %q", f.Label())
	}
	if err := ch.ReadMessage(soon(t), &parley.Message{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading what was closed: %v", err)
	}
}

// Whoever waits in a method is woken by the context, by Close, and by the end of
// the call, with an error that says which.
func TestChannelUnblocks(t *testing.T) {
	ends := []struct {
		name string
		end  func(*pair, parley.Channel, context.CancelFunc)
		is   func(*pair, error) bool
	}{
		{
			"context", func(_ *pair, _ parley.Channel, cancel context.CancelFunc) { cancel() },
			func(_ *pair, err error) bool { return err == context.Canceled },
		},
		{
			"close", func(_ *pair, ch parley.Channel, _ context.CancelFunc) { go ch.Close() },
			func(p *pair, err error) bool { return errors.Is(err, net.ErrClosed) && p.call.Err() == nil },
		},
		{"call", func(p *pair, _ parley.Channel, _ context.CancelFunc) {
			p.call.EndWith(&parley.EndError{Reason: parley.Silent})
		}, func(p *pair, err error) bool { return err != nil && err == p.call.Err() }},
	}
	for _, state := range []string{"connecting", "open"} {
		for _, tt := range ends {
			t.Run(state+"/"+tt.name, func(t *testing.T) {
				p := newPair(t)
				ch, err := p.call.OpenChannel(t.Context(), nil)
				check(t, err)
				if state == "open" {
					p.connect(t)
					f := <-p.offered
					f.OnMessage(func(webrtc.DataChannelMessage) { <-p.call.Done() }) // does not read on
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var errs []error
				var mu sync.Mutex
				var blocked sync.WaitGroup
				note := func(err error) {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
				for range 3 {
					blocked.Go(func() { note(ch.ReadMessage(ctx, &parley.Message{})) })
					blocked.Go(func() {
						for {
							if err := ch.WriteMessage(ctx, &parley.Message{Data: make([]byte, 60_000)}); err != nil {
								note(err)
								return
							}
						}
					})
				}
				for before := -1; before != ch.Buffered() || before < maxUnread/2; <-time.After(50 * time.Millisecond) {
					before = ch.Buffered()
				}
				begin := time.Now()
				tt.end(p, ch, cancel)
				blocked.Wait()
				if took := time.Since(begin); took > time.Second {
					t.Errorf("after %v", took)
				}
				if len(errs) != 6 || slices.ContainsFunc(errs, func(err error) bool { return !tt.is(p, err) }) {
					t.Errorf("got %v", errs)
				}
			})
		}
	}
}

// The far end's leaving ends the channels with the call's reason, after what was
// received.
func TestChannelFarEndLeaves(t *testing.T) {
	p := newPair(t)
	p.ours.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateClosed {
			p.call.EndWith(&parley.EndError{Reason: parley.Disconnected})
		}
	})
	p.connect(t)
	ch, f := p.accept(t, "theirs", nil)
	await(t, "the open event", f.opened)
	check(t, f.SendText("last words"))
	var m parley.Message
	check(t, ch.ReadMessage(soon(t), &m))
	check(t, f.SendText("no, these"))
	eventually(t, "all has arrived", func() bool { return f.BufferedAmount() == 0 })
	check(t, p.browser.Close())
	<-p.call.Done()
	check(t, ch.ReadMessage(soon(t), &m))
	if string(m.Data) != "no, these" {
		t.Errorf("got %q", m.Data)
	}
	if err := ch.ReadMessage(soon(t), &m); err != p.call.Err() {
		t.Errorf("reading: %v, the call: %v", err, p.call.Err())
	}
	if err := ch.WriteMessage(soon(t), &m); err != p.call.Err() {
		t.Errorf("writing: %v, the call: %v", err, p.call.Err())
	}
	if _, err := p.call.OpenChannel(t.Context(), nil); err != p.call.Err() {
		t.Errorf("opening: %v", err)
	}
}

// Channels come, go, and break off in the middle of anything, and nothing is left
// (which TestMain sees to).
func TestChannelTurmoil(t *testing.T) {
	p := newPair(t)
	var parts sync.WaitGroup
	stop := make(chan struct{})
	stopped := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	for i := range 4 {
		parts.Go(func() {
			for n := 0; !stopped(); n++ {
				ch, err := p.call.OpenChannel(t.Context(), &parley.ChannelConfig{Label: fmt.Sprint(i), Unordered: n%2 == 0})
				if err != nil {
					return
				}
				var users sync.WaitGroup
				users.Go(func() {
					for ch.WriteMessage(t.Context(), &parley.Message{Data: pattern(n, n*100%5000)}) == nil {
					}
				})
				users.Go(func() {
					var m parley.Message
					for ch.ReadMessage(t.Context(), &m) == nil {
					}
				})
				<-time.After(time.Duration(n%7) * time.Millisecond)
				ch.Close()
				users.Wait()
			}
		})
	}
	parts.Go(func() {
		for {
			ch, err := p.call.AcceptChannel(t.Context())
			if err != nil {
				return
			}
			parts.Go(func() {
				var m parley.Message
				for ch.ReadMessage(t.Context(), &m) == nil && ch.WriteMessage(t.Context(), &m) == nil {
				}
				ch.Close()
			})
		}
	})
	connected := make(chan struct{})
	parts.Go(func() {
		<-connected
		for !stopped() {
			dc, err := p.browser.CreateDataChannel("theirs", nil)
			if err != nil {
				return
			}
			f := newFar(dc)
			select {
			case <-f.opened:
				for i := range 20 {
					f.Send(pattern(i, 3000)) //nolint:errcheck
				}
				f.Close()
			case <-stop:
			}
		}
	})
	parts.Go(func() {
		for !stopped() {
			select {
			case f := <-p.offered:
				f.SendText("hello") //nolint:errcheck
			case <-stop:
			}
		}
	})
	p.connect(t)
	close(connected)
	<-time.After(time.Second)
	close(stop)
	<-time.After(50 * time.Millisecond)
	p.end(t)
	parts.Wait()
}
