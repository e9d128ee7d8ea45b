package parley

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// A frozen leg holds up the loop, and what comes meanwhile, for as long as the machine
// stands still.
type frozen struct {
	wire
	mu    sync.Mutex
	until time.Time
}

func (f *frozen) freeze(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = time.Now().Add(d)
}

func (f *frozen) WriteRTP([]byte) error {
	f.mu.Lock()
	until := f.until
	f.mu.Unlock()
	time.Sleep(time.Until(until))
	return nil
}

// The time for which this machine stands still is not taken for the silence of the far
// end, whose packets wait to be read after it: there is up to a second to read them. A
// far end that has gone is missed after that.
func TestStandstillIsNotSilence(t *testing.T) {
	const limit = time.Second
	for _, tt := range []struct {
		name  string
		stall time.Duration
		talks bool // the far end, meanwhile and afterwards
	}{
		{"a far end that talks", 10 * time.Second, true},
		{"a far end that talks, after less than the limit", 600 * ms, true},
		{"a far end that has gone", 10 * time.Second, false},
		{"a far end that has gone, after less than the limit", 600 * ms, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leg := &frozen{}
				c, err := New(Config{
					Audio:     &AudioConfig{Leg: leg, Send: pcmu, Receive: []codec.Params{pcmu}},
					Deadlines: Deadlines{Silence: limit},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.Connected()
				var running sync.WaitGroup
				defer running.Wait()
				running.Go(func() {
					for c.Audio().WriteFrame(ramp(8)) == nil {
					}
				})
				running.Go(func() {
					var f audio.Frame
					for c.Audio().ReadFrame(&f) == nil {
					}
				})
				n := uint16(0)
				say := func() {
					n++
					b := []byte{0x80, 0, byte(n >> 8), byte(n), 0, byte(int(n) * 160 >> 16), byte(int(n) * 160 >> 8), byte(int(n) * 160), 0, 0, 0, 1}
					c.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, append(b, make([]byte, 160)...))
				}
				for range 50 {
					time.Sleep(20 * ms)
					say()
				}
				leg.freeze(tt.stall)
				time.Sleep(tt.stall + 20*ms) // the loop is first
				if tt.talks {
					for range int(tt.stall / (20 * ms)) {
						say()
					}
					for range 200 {
						time.Sleep(20 * ms)
						say()
					}
				} else {
					time.Sleep(limit - 100*ms)
					if err := c.Err(); err != nil {
						t.Errorf("ended before its time: %v", err)
					}
					time.Sleep(200 * ms)
				}
				switch end, _ := errors.AsType[*EndError](c.Err()); {
				case tt.talks && end != nil:
					t.Errorf("the call ended: %v", end)
				case !tt.talks && (end == nil || end.Reason != Silent):
					t.Errorf("the call ended: %v, want %v", end, Silent)
				}
				c.Close()
			})
		})
	}
}
