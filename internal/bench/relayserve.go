package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/bridge"
	"github.com/parley-media/parley/session"
)

// ServeRelay is our relay in [Relay]: for each of a number of calls it reads a line
// with the ports of the two ends on this machine, joins a session with each of them,
// and answers with the ports of these sessions. To a line "memory" it answers with the
// number of objects that it has allocated and the bytes in use for its calls. It runs
// until r ends.
func ServeRelay(ctx context.Context, calls int, r io.Reader, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	in, out := bufio.NewScanner(r), bufio.NewWriter(w)
	_, without := allocated()
	for range calls {
		if !in.Scan() {
			return fmt.Errorf("bench: the ports of %d calls are wanted: %w", calls, io.ErrUnexpectedEOF)
		}
		ends, err := parsePorts(in.Text())
		if err != nil {
			return err
		}
		var legs [2]*session.Session
		for i := range legs {
			loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
			legs[i], err = session.Open(ctx, &session.Config{
				Local:  netip.AddrPortFrom(loopback, 0),
				Remote: netip.AddrPortFrom(loopback, uint16(ends[i])),
			})
			if err != nil {
				return err
			}
			defer legs[i].Close()
		}
		running.Go(func() { join(ctx, legs[0].Call, legs[1].Call) })
		fmt.Fprintf(out, "%d %d\n", legs[0].LocalAddr().Port(), legs[1].LocalAddr().Port())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for in.Scan() {
			objects, bytes := allocated()
			fmt.Fprintf(out, "%d %d\n", objects, max(0, bytes-without))
			out.Flush() //nolint:errcheck // whoever reads it may have gone
		}
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return nil
}

func join(ctx context.Context, a, b *parley.Call) {
	bridge.Join(ctx, a, b, nil) //nolint:errcheck // until the calls end
}

// allocated returns how many objects were allocated, and the bytes of those in use.
func allocated() (objects, bytes int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.Mallocs), int64(m.HeapAlloc)
}
