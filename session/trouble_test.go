package session

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/parley-media/parley"
)

// A broken socket fails to send as long as it is told to.
type broken struct {
	socket
	err atomic.Pointer[syscall.Errno]
}

func (s *broken) WriteTo(b []byte, to netip.AddrPort) error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return s.socket.WriteTo(b, to)
}

// What the network refuses for a time is counted, and afterwards the far end hears
// what is said then, on time, and counts the rest as lost.
func TestSendTrouble(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOBUFS, syscall.ECONNREFUSED, syscall.EPERM} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			far := open(t, Config{})
			near, err := prepare(t.Context(), &Config{Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: far.LocalAddr()}, path{}, path{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { near.Close() })
			trouble := &broken{socket: near.leg.rtp}
			near.leg.rtp = trouble
			near.start()

			stats := func(s *Session) (a parley.AudioStats) {
				s.Audio().Stats(&a)
				return a
			}
			stop := make(chan struct{})
			spoken := make(chan error, 1)
			go func() {
				for {
					select {
					case <-stop:
						spoken <- nil
						return
					default:
					}
					if err := near.Audio().WriteFrame(tone(1000)); err != nil {
						spoken <- err
						return
					}
				}
			}()
			until(t, "the far end hears", func() bool { return stats(far).Received > 10 })
			trouble.err.Store(&errno)
			until(t, "errors are counted", func() bool { return stats(near).SendErrors >= 10 })
			trouble.err.Store(nil)
			heard := stats(far).Received
			until(t, "the far end hears again", func() bool { return stats(far).Received > heard+10 })
			close(stop)
			if err := <-spoken; err != nil {
				t.Error(err)
			}
			refused, after := stats(near).SendErrors, stats(far)
			if lost := after.Lost; lost != refused {
				t.Errorf("%d packets lost, %d refused", lost, refused)
			}
			if after.Late != 0 {
				t.Errorf("%d packets came too late", after.Late)
			}
		})
	}
}
