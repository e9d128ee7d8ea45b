package session

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/transport"
)

// A session whose packets are forwarded is what it was: encrypted, with its port, its
// answers to STUN and its counters, until it is closed and the port can be used again.
func TestForwardedSession(t *testing.T) {
	ports := portsOf(t, 190, 191)
	var keys [2]transport.SRTPKey
	for i := range keys {
		c, err := NewCrypto(transport.AEAD_AES_128_GCM)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = c[0].Key
	}
	for range 2 {
		near := open(t, Config{Ports: ports, SRTP: &SRTP{Local: keys[0], Remote: keys[1]}})
		far := open(t, Config{Remote: near.LocalAddr(), SRTP: &SRTP{Local: keys[1], Remote: keys[0]}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := parley.CopyAudio(ctx, near.Audio(), near.Audio()); !errors.Is(err, context.Canceled) {
				t.Errorf("copied until %v", err)
			}
		})
		running.Go(func() {
			for far.Audio().WriteFrame(tone(1000)) == nil && ctx.Err() == nil {
			}
		})
		if v := hear(t, far); v < 900 || v > 1100 {
			t.Errorf("heard %d", v)
		}
		asker := from(t, "127.0.0.1:0")
		send(t, asker, near, unhex("00010000 2112a442 b7e7a701 bc34d686 fa87dfae"))
		b := make([]byte, 100)
		if n, err := asker.Read(b); err != nil || n < 20 || b[0] != 1 || b[1] != 1 {
			t.Errorf("STUN is answered by %x, %v", b[:n], err)
		}
		var n NetworkStats
		if near.NetworkStats(&n); n.STUN != 1 || n.Unauthenticated != 0 {
			t.Errorf("%+v", n)
		}
		cancel()
		running.Wait()
		if err := near.leg.Close(); err != nil {
			t.Error(err)
		}
		near.Close()
		far.Close()
		if ports.Free() != 1 {
			t.Errorf("%d pairs of ports are free, want 1", ports.Free())
		}
	}
}
