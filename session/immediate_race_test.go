package session

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
)

// Packets that come while forwarding begins are read by one goroutine at a time.
func TestForwardingBeginsAmidPackets(t *testing.T) {
	for range 8 {
		near := open(t, Config{})
		c := from(t, "127.0.0.1:0")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			b := make([]byte, 12+160)
			b[0], b[11] = 0x80, 9
			for n := uint16(0); ctx.Err() == nil; n++ { // so many that the loop is always at them
				binary.BigEndian.PutUint16(b[2:], n)
				binary.BigEndian.PutUint16(b[6:], n)
				c.WriteToUDPAddrPort(b, near.LocalAddr()) //nolint:errcheck // some are too many
			}
		})
		hears := func(more int64) bool {
			var s parley.AudioStats
			near.Audio().Stats(&s)
			for begin, until := s.Received, time.Now().Add(5*time.Second); s.Received < begin+more; near.Audio().Stats(&s) {
				if time.Now().After(until) {
					return false
				}
				time.Sleep(time.Millisecond)
			}
			return true
		}
		if !hears(100) {
			t.Fatal("nothing is heard")
		}
		running.Go(func() { parley.CopyAudio(ctx, near.Audio(), near.Audio()) }) //nolint:errcheck // until the end
		if !hears(1000) {
			t.Error("nothing is heard any more")
		}
		cancel()
		running.Wait()
		near.Close()
	}
}
