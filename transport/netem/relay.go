package netem

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// RelayConfig says between whom a relay is, and what it does to packets.
type RelayConfig struct {
	// Listen is where packets come in. With port 0 the system chooses, and an
	// invalid address means all IPv4 addresses of this machine.
	Listen netip.AddrPort

	// To is the far end: where packets from Listen go.
	To netip.AddrPort

	// RTCP relays the ports after those of Listen and To as well. Both ports of a
	// direction share its path.
	RTCP bool

	Forward Config // from Listen to To
	Back    Config // from To to whoever sent to Listen last
}

// A Relay passes UDP packets on, in both directions, through a [Path] each.
//
// It stands between one far end and one near end. The far end is sent packets
// from a port of the relay, and its packets to that port go back to the near
// end, which is whoever sent to the relay last; until somebody has, they are
// thrown away when they come through. Packets to that port from other
// addresses than that of the far end are ignored, but any of its ports will do.
//
// Its methods are safe for concurrent use.
type Relay struct {
	to    netip.AddrPort
	lines []line // RTP, and RTCP

	mu    sync.Mutex
	paths [2]*Path // forward, back
	kick  chan struct{}

	once   sync.Once
	closed chan struct{}
	done   sync.WaitGroup
	err    error
}

// A line is the sockets for one port of the ends.
type line struct {
	near, far *net.UDPConn
	last      netip.AddrPort // who sent to near last; guarded by Relay.mu
}

// The directions.
const (
	forward = iota
	back
)

// RelayStats are the counts of both directions.
type RelayStats struct {
	Forward, Back Stats
}

// maxDatagram is what a datagram may be at most.
const maxDatagram = 65535

// OpenRelay opens the sockets of a relay and starts it. Errors of the config
// wrap [ErrConfig].
func OpenRelay(c RelayConfig) (*Relay, error) {
	c.To = netip.AddrPortFrom(c.To.Addr().Unmap(), c.To.Port())
	switch {
	case !c.To.Addr().IsValid() || c.To.Addr().IsUnspecified() || c.To.Port() == 0:
		return nil, fmt.Errorf("%w: %v is nowhere to send to", ErrConfig, c.To)
	case c.RTCP && (c.To.Port() == 65535 || c.Listen.Port() == 65535):
		return nil, fmt.Errorf("%w: no port for RTCP above 65535", ErrConfig)
	}
	for _, p := range []*Config{&c.Forward, &c.Back} {
		if err := p.Check(); err != nil {
			return nil, err
		}
	}
	ports := 1
	if c.RTCP {
		ports = 2
	}
	near, err := listen(c.Listen, ports)
	if err != nil {
		return nil, err
	}
	anywhere := netip.IPv4Unspecified()
	if c.To.Addr().Is6() {
		anywhere = netip.IPv6Unspecified()
	}
	far, err := listen(netip.AddrPortFrom(anywhere, 0), ports)
	if err != nil {
		closeAll(near) //nolint:errcheck // the error above says more
		return nil, err
	}
	r := &Relay{
		to:     c.To,
		paths:  [2]*Path{forward: newPath(c.Forward), back: newPath(c.Back)},
		lines:  make([]line, ports),
		kick:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	for i := range r.lines {
		r.lines[i] = line{near: near[i], far: far[i]}
	}
	if r.circular() {
		closeAll(near, far) //nolint:errcheck // the error below says more
		return nil, fmt.Errorf("%w: %v would be relayed to itself", ErrConfig, c.To)
	}
	r.done.Go(r.deliver)
	for i := range r.lines {
		r.done.Go(func() { r.receive(r.lines[i].near, forward, i) })
		r.done.Go(func() { r.receive(r.lines[i].far, back, i) })
	}
	return r, nil
}

// LocalAddr returns the address of the relay for the near end.
func (r *Relay) LocalAddr() netip.AddrPort { return localAddr(r.lines[0].near) }

// Change makes the relay do other things to packets from now on. What is inside
// goes on as it was, and stays in front of what comes, unless that may overtake: a
// delay that is there for one packet only holds up all that come in its time. The
// seeds and traces begin with the relay and not with the change. The error wraps
// [ErrConfig], and then nothing has changed.
func (r *Relay) Change(forward, back Config) error {
	for _, c := range []*Config{&forward, &back} {
		if err := c.Check(); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths[0].config, r.paths[1].config = forward, back
	return nil
}

// Stats returns the counts until now.
func (r *Relay) Stats() RelayStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return RelayStats{Forward: r.paths[forward].Stats(), Back: r.paths[back].Stats()}
}

// Close ends the relay. What is still inside is thrown away. It returns when
// nothing of the relay runs any more, and may be called more than once.
func (r *Relay) Close() error {
	r.once.Do(func() {
		close(r.closed)
		for i := range r.lines {
			l := &r.lines[i] // a copy would read what the lock guards
			r.err = errors.Join(r.err, l.near.Close(), l.far.Close())
		}
	})
	r.done.Wait()
	return r.err
}

// circular is true if a far end is a near socket of the relay. It does not know
// all addresses of this machine.
func (r *Relay) circular() bool {
	for i := range r.lines {
		near := localAddr(r.lines[i].near)
		for j := range r.lines {
			to := r.farEnd(j)
			here := near.Addr() == to.Addr() || near.Addr().IsUnspecified() && to.Addr().IsLoopback()
			if here && near.Port() == to.Port() {
				return true
			}
		}
	}
	return false
}

// farEnd returns where the packets of a line go.
func (r *Relay) farEnd(i int) netip.AddrPort {
	return netip.AddrPortFrom(r.to.Addr(), r.to.Port()+uint16(i))
}

// nearEnd returns where the answers of a line go: to who sent last, or, if this
// was on the line of RTP only, to the port after that.
func (r *Relay) nearEnd(i int) netip.AddrPort {
	if a := r.lines[i].last; i == 0 || a.IsValid() {
		return a
	}
	rtp := r.lines[0].last
	if rtp.Port() == 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)
}

// receive pushes what comes to a socket, until it is closed.
func (r *Relay) receive(c *net.UDPConn, direction, i int) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // what the network reports of earlier packets
			continue
		}
		now := time.Now()
		if direction == back && from.Addr().Unmap() != r.to.Addr() {
			continue
		}
		r.mu.Lock()
		if direction == forward {
			r.lines[i].last = from
		}
		p := r.paths[direction]
		next := p.Next()
		p.push(now, buf[:n], uint8(i))
		sooner := !p.Next().Equal(next)
		r.mu.Unlock()
		if sooner {
			select {
			case r.kick <- struct{}{}:
			default: // deliver is about to look
			}
		}
	}
}

// deliver sends what has come through the paths, until the relay is closed.
func (r *Relay) deliver() {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	buf := make([]byte, 0, maxDatagram)
	for {
		for direction := range r.paths {
			for r.sendOne(direction, buf) {
			}
		}
		if next := r.next(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-r.closed:
			return
		case <-r.kick:
		case <-timer.C:
		}
	}
}

// next returns when there is something to do, or the zero time.
func (r *Relay) next() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, b := r.paths[forward].Next(), r.paths[back].Next()
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// sendOne sends a packet that is due, and is false if there is none. Errors are
// passed over, as the network does.
func (r *Relay) sendOne(direction int, buf []byte) bool {
	r.mu.Lock()
	b, tag, ok := r.paths[direction].pull(time.Now(), buf)
	near := r.nearEnd(int(tag))
	r.mu.Unlock()
	switch l := &r.lines[tag]; {
	case !ok:
	case direction == forward:
		l.far.WriteToUDPAddrPort(b, r.farEnd(int(tag))) //nolint:errcheck // see above
	case near.IsValid():
		l.near.WriteToUDPAddrPort(b, near) //nolint:errcheck // see above
	}
	return ok
}
