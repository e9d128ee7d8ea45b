package conference

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// Who is asked to leave a room may join another one, and the end of a call ends its
// membership without anybody's context.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := NewRoom(), NewRoom()
		defer first.Close()
		defer second.Close()
		c := newCall(t)
		ctx, leave := context.WithCancel(t.Context())
		joined := make(chan error)
		go func() { joined <- first.Join(ctx, c) }()
		time.Sleep(time.Second)
		leave()
		synctest.Wait()
		select {
		case err := <-joined:
			if err != context.Canceled || c.Err() != nil {
				t.Errorf("left with %v, the call ended with %v", err, c.Err())
			}
		default:
			t.Fatal("still in the room")
		}
		go func() { joined <- second.Join(context.Background(), c) }()
		time.Sleep(time.Second)
		members := func(r *Room) int {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.members)
		}
		if members(first) != 0 || members(second) != 1 {
			t.Errorf("%d and %d members", members(first), members(second))
		}
		c.Close()
		if err := <-joined; err != nil {
			t.Error(err)
		}
	})
}

// Who is in a room when it is closed, and who comes later, is told, and may go on with
// the call elsewhere.
func TestClosedRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, other := NewRoom(), NewRoom()
		defer other.Close()
		c := newCall(t)
		joined := make(chan error, 1)
		go func() { joined <- r.Join(t.Context(), c) }()
		time.Sleep(time.Second)
		r.Close()
		synctest.Wait()
		select {
		case err := <-joined:
			if !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		default:
			t.Error("still in a room that is closed")
			c.Close()
			<-joined
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Join(late, c); !errors.Is(err, os.ErrClosed) {
			t.Errorf("joined a room that is closed: %v", err)
		}
		if c.Err() != nil {
			t.Errorf("the call has ended with %v", c.Err())
		}
		go func() { joined <- other.Join(t.Context(), c) }()
		time.Sleep(time.Second)
		c.Close()
		if err := <-joined; err != nil {
			t.Error(err)
		}
	})
}

// A call in which nothing can be said is told so, and goes on.
func TestNoAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRoom()
		defer r.Close()
		c, err := parley.New(parley.Config{Channels: noChannels{}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := r.Join(t.Context(), c); err != ErrNoAudio || c.Err() != nil {
			t.Errorf("joined with %v, the call ended with %v", err, c.Err())
		}
	})
}

type noChannels struct{}

func (noChannels) OpenChannel(context.Context, *parley.ChannelConfig) (parley.Channel, error) {
	return nil, errors.ErrUnsupported
}
func (noChannels) Close() error { return nil }

// A line that fails ends the call, and Join says why.
func TestLineFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRoom()
		defer r.Close()
		mu, _ := codec.Static(0)
		unknown := codec.Params{Name: "nobody", PayloadType: 97, ClockRate: 8000}
		c, err := parley.New(parley.Config{Audio: &parley.AudioConfig{Leg: nowhere{}, Send: unknown, Receive: []codec.Params{mu}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Connected()
		err = r.Join(t.Context(), c)
		if end, ok := errors.AsType[*parley.EndError](c.Err()); !errors.Is(err, codec.ErrUnknown) || !ok || end.Reason != parley.Failed {
			t.Errorf("%v, the call ended with %v", err, c.Err())
		}
	})
}
