package peer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// Each method of a channel says what its comment says, in each state.
func TestChannelMisuse(t *testing.T) {
	caller, called := dial(t, nil)
	pair := func(t *testing.T) (ours, theirs parley.Channel) {
		t.Helper()
		ours, err := caller.OpenChannel(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := ours.WriteMessage(t.Context(), &parley.Message{Data: []byte("first")}); err != nil {
			t.Fatal(err)
		}
		if theirs, err = called.AcceptChannel(t.Context()); err != nil {
			t.Fatal(err)
		}
		return ours, theirs
	}
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	read := func(ch parley.Channel, d time.Duration) error { return ch.ReadMessage(within(d), &parley.Message{}) }
	write := func(ch parley.Channel, m parley.Message) error { return ch.WriteMessage(within(5*time.Second), &m) }
	check := func(t *testing.T, what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	t.Run("open", func(t *testing.T) {
		ours, theirs := pair(t)
		check(t, "nothing to read", read(ours, 50*time.Millisecond), context.DeadlineExceeded)
		check(t, "an empty message", write(ours, parley.Message{}), nil)
		check(t, "an empty text", write(ours, parley.Message{Text: true}), nil)
		if err := write(ours, parley.Message{Text: true, Data: []byte{0xff}}); err == nil {
			t.Error("a text that is not UTF-8")
		}
		check(t, "too large", write(ours, parley.Message{Data: make([]byte, 64<<20)}), peer.ErrMessageTooLarge)
		check(t, "after all that", write(ours, parley.Message{Data: []byte("last")}), nil)
		var m parley.Message
		for _, want := range []string{"first", "", "", "last"} {
			if err := theirs.ReadMessage(within(5*time.Second), &m); err != nil || string(m.Data) != want {
				t.Fatalf("%q, %v, want %q", m.Data, err, want)
			}
		}
	})
	t.Run("closed by this end", func(t *testing.T) {
		ours, theirs := pair(t)
		check(t, "close", ours.Close(), nil)
		check(t, "close again", ours.Close(), nil)
		check(t, "read", read(ours, 5*time.Second), net.ErrClosed)
		check(t, "write", write(ours, parley.Message{Data: []byte{1}}), net.ErrClosed)
		if ours.Buffered() != 0 || ours.Config() != (parley.ChannelConfig{}) {
			t.Errorf("%d bytes wait, config %+v", ours.Buffered(), ours.Config())
		}
		check(t, "the far end reads what is left", read(theirs, 5*time.Second), nil)
		check(t, "the far end reads on", read(theirs, 5*time.Second), io.EOF)
		check(t, "the far end writes", write(theirs, parley.Message{Data: []byte{1}}), net.ErrClosed)
		check(t, "the far end closes", theirs.Close(), nil)
	})
	t.Run("refused", func(t *testing.T) {
		for what, c := range map[string]parley.ChannelConfig{
			"two bounds":        {MaxRetransmits: 1, MaxLifetime: time.Second},
			"negative lifetime": {MaxLifetime: -1},
			"ID":                {Negotiated: true, ID: 65535},
			"label":             {Label: string(make([]byte, 65536))},
		} {
			if ch, err := caller.OpenChannel(t.Context(), &c); err == nil {
				ch.Close()
				t.Errorf("%s: no error", what)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := caller.OpenChannel(ctx, nil)
		check(t, "cancelled", err, context.Canceled)
	})
	t.Run("after the call", func(t *testing.T) {
		ours, theirs := pair(t)
		caller.Close()
		check(t, "read", read(ours, 5*time.Second), caller.Err())
		check(t, "write", write(ours, parley.Message{Data: []byte{1}}), caller.Err())
		_, err := caller.OpenChannel(t.Context(), nil)
		check(t, "open", err, caller.Err())
		_, err = caller.AcceptChannel(t.Context())
		check(t, "accept", err, caller.Err())
		ours.Close()
		for err := error(nil); err == nil; {
			if err = read(theirs, 5*time.Second); errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the far end reads on: %v", err)
			}
		}
	})
}
