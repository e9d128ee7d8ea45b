package parley

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A forking leg is that of a call which may go on to another far end.
type forking struct{ *tap }

func (forking) Forks() bool { return true }

// A telephone with early media leaves, since nobody answers it, and the call is forwarded to
// another one, which rings in silence. The call goes on, and ends if nobody takes it: when
// proxies have given up, or at the deadline for silence if that is sooner. A call that has
// lasted longer than proxies wait ends as others do.
func TestGoodbyeOfAForkedCall(t *testing.T) {
	for _, tt := range []struct {
		silence time.Duration
		packets int // until the goodbye, of 20 ms each
		want    time.Duration
	}{
		{0, 100, 3 * time.Minute},
		{time.Minute, 100, 2*time.Second + time.Minute},
		{time.Hour, 100, 3 * time.Minute},
		{0, 180 * 50, 3*time.Minute + byeGrace},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(Config{
				Audio:     &AudioConfig{Leg: forking{&tap{}}, Send: pcmu},
				Deadlines: Deadlines{Silence: tt.silence},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Connected()
			agree := func() {
				t.Helper()
				if err := c.Audio().Update(&AudioUpdate{Send: pcmu}); err != nil {
					t.Fatal(err)
				}
			}
			agree()
			talk(c, 1, 0, 100, 0x90)
			c.Audio().DeliverRTCP(time.Now(), far, bye(1))
			time.Sleep(tt.want - 10*time.Second)
			begin := time.Now()
			agree()
			talk(c, 2, 0, tt.packets, 0x90)
			c.Audio().DeliverRTCP(time.Now(), far, bye(2))
			<-c.Done()
			end, ok := errors.AsType[*EndError](c.Err())
			if after := time.Since(begin); !ok || end.Reason != Bye || after != tt.want {
				t.Errorf("with a limit of %v for silence: after %v, %v", tt.silence, after, c.Err())
			}
		})
	}
}
