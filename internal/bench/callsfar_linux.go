package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"runtime"
	"time"

	"github.com/parley-media/parley/transport"
)

// Far ends are bare ends that calls talk to, and that note when packets come.
type farEnds interface {
	address(i int) netip.AddrPort

	// begin makes them send to the calls, and measure makes them note when packets
	// come, from now on or no longer.
	begin(calls []netip.AddrPort) error
	measure(on bool) error

	counts() (sent, received int64)

	// finish closes them, and says what became of the packets of the calls.
	finish() (farReport, error)
}

// A farReport is of the packets of the calls.
type farReport struct {
	Lost   int64
	Silent int // calls that sent nothing while they were measured
	Late   *Lateness
}

// ownFarEnds are in this process.
type ownFarEnds struct {
	wheels
	watch   *watch
	sockets []*bareSocket
	ends    []*bareEnd
	shards  int // wheels
}

const (
	// farShare is how many far ends share a socket, where there are many of them, so
	// that the machine is left to the calls.
	farShare  = 64
	farBuffer = 4 << 20

	// farDrain is how many ends of a socket have their turn between two times that it
	// is drained.
	farDrain = 16

	farSSRC = 1 << 20 // of the first
)

// openFarEnds opens n of them. Few have sockets of their own and send at the same
// time; many share sockets, and their packets are spread over the 20 ms.
func openFarEnds(n int, measured time.Duration, keys *callKeys) (*ownFarEnds, error) {
	f := &ownFarEnds{watch: newWatch(n, measured), shards: 1}
	share, buffer := 1, callBuffer
	if n > farShare {
		share, buffer, f.shards = farShare, farBuffer, runtime.GOMAXPROCS(0)
	}
	speech := sound()
	for i := range n {
		if i%share == 0 {
			s, err := openBare(buffer, f.watch)
			if err != nil {
				f.close()
				return nil, err
			}
			f.sockets = append(f.sockets, s)
		}
		e := newBareEnd(i, n, farSSRC+uint32(i), speech)
		if share == 1 {
			e.due = 0
		}
		e.socket, e.drains = f.sockets[i/share], share == 1 || i%farDrain == 0
		if keys != nil {
			var err error
			if e.srtp, err = transport.NewSRTP(keys.end(i)); err != nil {
				f.close()
				return nil, err
			}
		}
		f.ends = append(f.ends, e)
	}
	return f, nil
}

func (f *ownFarEnds) address(i int) netip.AddrPort { return f.ends[i].socket.addr }

func (f *ownFarEnds) begin(calls []netip.AddrPort) error {
	for i, e := range f.ends {
		e.to = rawAddr(calls[i])
	}
	f.start(f.ends, f.shards, func(i int) int { return i / farShare })
	return nil
}

func (f *ownFarEnds) measure(on bool) error {
	f.watch.measuring.Store(on)
	return nil
}

func (f *ownFarEnds) counts() (sent, received int64) { return f.sent.Load(), f.watch.received() }

func (f *ownFarEnds) finish() (farReport, error) {
	f.close()
	return f.watch.result(), nil
}

func (f *ownFarEnds) close() {
	f.stop()
	for _, s := range f.sockets {
		s.close()
	}
}

// A farOrder is what a process of far ends is told, one after the other: how many
// there are, where the calls are, and whether to measure. The answer to the first are
// the ports of the sockets, and to the end of measuring a farReport.
type farOrder struct {
	Ends     int           `json:",omitempty"`
	Measured time.Duration `json:",omitempty"`
	Calls    []uint16      `json:",omitempty"` // ports
	Measure  *bool         `json:",omitempty"`
}

// FarEnds is the work of a process that has the far ends of [Calls], which writes
// orders to r and reads answers from w. It returns when r ends.
func FarEnds(r io.Reader, w io.Writer) error {
	orders, answers := json.NewDecoder(r), json.NewEncoder(w)
	var f *ownFarEnds
	defer func() {
		if f != nil {
			f.close()
		}
	}()
	for {
		var o farOrder
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		switch {
		case f == nil && o.Ends > 0 && o.Ends <= MaxCalls && o.Measured >= 0 && o.Measured <= time.Hour:
			var err error
			if f, err = openFarEnds(o.Ends, o.Measured, nil); err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			ports := make([]uint16, o.Ends)
			for i := range ports {
				ports[i] = f.address(i).Port()
			}
			if err := answers.Encode(ports); err != nil {
				return err
			}
		case f != nil && len(o.Calls) == len(f.ends):
			calls := make([]netip.AddrPort, len(o.Calls))
			for i, port := range o.Calls {
				calls[i] = netip.AddrPortFrom(loopback, port)
			}
			if err := f.begin(calls); err != nil {
				return err
			}
		case f != nil && o.Measure != nil && *o.Measure:
			f.measure(true) //nolint:errcheck // never fails
		case f != nil && o.Measure != nil:
			report, _ := f.finish()
			return answers.Encode(report)
		default:
			return fmt.Errorf("bench: an order that makes no sense: %+v", o)
		}
	}
}

// otherFarEnds are in another process.
type otherFarEnds struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	orders  *json.Encoder
	answers *json.Decoder
	stderr  *limited
	ports   []uint16
	report  farReport
}

// A limited keeps the beginning of what is written to it.
type limited struct{ text []byte }

func (l *limited) Write(b []byte) (int, error) {
	l.text = append(l.text, b[:min(len(b), 1000-min(len(l.text), 1000))]...)
	return len(b), nil
}

func startFarEnds(ctx context.Context, command []string, n int, measured time.Duration) (*otherFarEnds, error) {
	f := &otherFarEnds{cmd: exec.CommandContext(ctx, command[0], command[1:]...), stderr: &limited{}}
	f.cmd.Stderr = f.stderr
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if f.stdin, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := f.cmd.Start(); err != nil {
		return nil, err
	}
	f.orders, f.answers = json.NewEncoder(f.stdin), json.NewDecoder(stdout)
	if err = f.orders.Encode(farOrder{Ends: n, Measured: measured}); err == nil {
		err = f.answers.Decode(&f.ports)
	}
	if err == nil && len(f.ports) != n {
		err = fmt.Errorf("%d ports", len(f.ports))
	}
	if err != nil {
		return nil, f.failed(err)
	}
	return f, nil
}

// failed ends the process, and returns why it does not do what it should.
func (f *otherFarEnds) failed(err error) error {
	f.stdin.Close()
	f.cmd.Wait() //nolint:errcheck // its own words say more
	return fmt.Errorf("the process of the far ends: %w: %s", err, f.stderr.text)
}

func (f *otherFarEnds) address(i int) netip.AddrPort { return netip.AddrPortFrom(loopback, f.ports[i]) }

func (f *otherFarEnds) begin(calls []netip.AddrPort) error {
	ports := make([]uint16, len(calls))
	for i, a := range calls {
		ports[i] = a.Port()
	}
	return f.orders.Encode(farOrder{Calls: ports})
}

func (f *otherFarEnds) measure(on bool) error {
	err := f.orders.Encode(farOrder{Measure: &on})
	if err == nil && !on {
		err = f.answers.Decode(&f.report)
	}
	return err
}

// counts returns nothing: their packets are not of this process.
func (f *otherFarEnds) counts() (sent, received int64) { return 0, 0 }

func (f *otherFarEnds) finish() (farReport, error) {
	f.stdin.Close()
	if err := f.cmd.Wait(); err != nil {
		return farReport{}, fmt.Errorf("the process of the far ends: %w: %s", err, f.stderr.text)
	}
	return f.report, nil
}
