package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A relayLoad sends packets through a relay, from both ends of each call.
type relayLoad struct {
	process *process
	ends    [][2]int // ports
}

// A relayTurn is what came of packets that were sent for a while.
type relayTurn struct {
	Sent, Received int64
	Delay          [4]float64 // µs from one end to the other: percentiles 50, 99, 99.9 and 100
}

func startRelayLoad(ctx context.Context, program string, calls int) (*relayLoad, error) {
	p, err := launchCommand(ctx, program, strconv.Itoa(calls))
	if err != nil {
		return nil, err
	}
	l := &relayLoad{process: p}
	if l.ends, err = readPorts(p, calls); err != nil {
		err = fmt.Errorf("%w: %s", err, p.stop())
	}
	return l, err
}

// sendTo says where each end has to send to.
func (l *relayLoad) sendTo(ports [][2]int) error {
	for _, p := range ports {
		if _, err := fmt.Fprintf(l.process.stdin, "%d %d\n", p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

func (l *relayLoad) run(d time.Duration) (r relayTurn, err error) {
	if _, err := fmt.Fprintf(l.process.stdin, "run %d\n", d.Milliseconds()); err != nil {
		return r, err
	}
	if !l.process.replies.Scan() {
		return r, errors.Join(l.process.replies.Err(), io.ErrUnexpectedEOF)
	}
	return parseRelayTurn(l.process.replies.Text())
}

// parseRelayTurn reads "3000 3000 80 190 400 900".
func parseRelayTurn(line string) (r relayTurn, err error) {
	d := &r.Delay
	n, err := fmt.Sscanf(line, "%d %d %g %g %g %g", &r.Sent, &r.Received, &d[0], &d[1], &d[2], &d[3])
	if err != nil || n != 6 || r.Sent < 0 || r.Received < 0 || r.Received > r.Sent {
		return relayTurn{}, fmt.Errorf("bench: what sends through a relay said %q", line)
	}
	return r, nil
}

// readPorts reads a line with the two ports of each call.
func readPorts(p *process, calls int) ([][2]int, error) {
	ports := make([][2]int, calls)
	for i := range ports {
		if !p.replies.Scan() {
			return nil, errors.Join(p.replies.Err(), io.ErrUnexpectedEOF)
		}
		var err error
		if ports[i], err = parsePorts(p.replies.Text()); err != nil {
			return nil, err
		}
	}
	return ports, nil
}

func parsePorts(line string) (ports [2]int, err error) {
	x, y, _ := strings.Cut(line, " ")
	for i, text := range []string{x, y} {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return ports, fmt.Errorf("bench: %q is not two ports", line)
		}
		ports[i] = int(port)
	}
	return ports, nil
}
