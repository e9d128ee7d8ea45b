package session

import (
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/transport"
)

// files returns what files and sockets this program has open, where the system
// tells, but for the two with which it asks and waits for the network.
func files() (open []string) {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, f := range all {
		to, err := os.Readlink("/proc/self/fd/" + f.Name())
		if err == nil && !strings.HasPrefix(to, "/proc/") && !strings.HasPrefix(to, "anon_inode:") {
			open = append(open, to)
		}
	}
	return open
}

// Five hundred sessions with everything that a session can have, opened and
// closed by many at once, in the midst of talking or before anybody spoke, leave
// nothing behind.
func TestManySessionsLeaveNothing(t *testing.T) {
	const sessions, workers = 500, 25
	ports := portsOf(t, 99, 99+4*workers)
	capture := transport.NewCapture(io.Discard)
	free, opened, goroutines := ports.Free(), files(), runtime.NumGoroutine()
	ours, theirs := key(t), key(t)
	work := make(chan int)
	var (
		all     sync.WaitGroup
		mu      sync.Mutex // guards closing
		closing []time.Duration
	)
	for range workers {
		all.Go(func() {
			for i := range work {
				a := Config{
					Local:     local,
					Ports:     ports,
					Mux:       i%2 == 0,
					Latch:     transport.LatchMode(i % 4),
					Capture:   &Capture{To: capture, Secret: i%3 == 0},
					Deadlines: parley.Deadlines{Connect: patience, FirstMedia: time.Minute, Silence: time.Minute},
					Audio:     &AudioConfig{Codecs: everyCodec, ComfortNoise: true, Redundancy: 1, RTCP: parley.RTCPConfig{NACK: true, XR: true, ReducedSize: true}},
				}
				b := a
				if i%3 == 0 {
					a.SRTP = &SRTP{Local: ours, Remote: theirs}
					b.SRTP = &SRTP{Local: theirs, Remote: ours}
				}
				if i%7 == 0 { // one that fails
					b.Remote = netip.MustParseAddrPort("192.0.2.1:0")
				}
				d, err := openAndClose(t, &a, &b, i)
				switch {
				case err != nil && i%7 != 0:
					t.Error(err)
				case err == nil:
					mu.Lock()
					closing = append(closing, d)
					mu.Unlock()
				}
			}
		})
	}
	begin := time.Now()
	for i := range sessions / 2 {
		work <- i
	}
	close(work)
	all.Wait()
	// The fastest ones tell of the session, the slowest of this machine too.
	slices.Sort(closing)
	fastest, slowest := closing[len(closing)/10], closing[len(closing)-1]
	t.Logf("%d sessions in %v, closed in %v to %v", sessions, time.Since(begin).Round(time.Millisecond), fastest, slowest)
	if fastest > 100*time.Millisecond || slowest > 20*time.Second {
		t.Errorf("closing took from %v to %v", fastest, slowest)
	}
	if err := capture.Close(); err != nil {
		t.Error(err)
	}
	if n := ports.Free(); n != free {
		t.Errorf("%d pairs of ports are free, want %d", n, free)
	}
	until(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	if now := files(); len(now) != len(opened) {
		t.Errorf("open are %v, want %v", now, opened)
	}
}

// openAndClose opens two sessions that talk with each other, and closes them
// while readers and writers are in the midst of their work. It returns how long
// closing took.
func openAndClose(t *testing.T, a, b *Config, i int) (time.Duration, error) {
	x, err := Open(t.Context(), a)
	if err != nil {
		return 0, err
	}
	defer x.Close()
	if !b.Remote.IsValid() {
		b.Remote = x.LocalAddr()
	}
	y, err := Open(t.Context(), b)
	if err != nil {
		return 0, err
	}
	defer y.Close()
	var busy sync.WaitGroup
	defer busy.Wait()
	if i%5 != 0 { // the others close before anybody speaks
		for _, s := range []*Session{x, y} {
			busy.Go(func() {
				for s.Audio().WriteFrame(tone(ownLevel)) == nil {
				}
			})
			busy.Go(func() { s.ReadDigit(t.Context()) }) //nolint:errcheck // ends with the call
			busy.Go(func() {
				f := tone(0)
				for s.Audio().ReadFrame(f) == nil {
				}
			})
		}
		time.Sleep(time.Duration(i%4) * 15 * time.Millisecond)
	}
	begin := time.Now()
	if i%2 == 0 {
		x, y = y, x
	}
	if err := x.Close(); err != nil {
		return 0, err
	}
	if err := y.Close(); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}
