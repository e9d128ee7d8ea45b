package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/transport"
)

// A bareEnd sends a packet of PCMU every 20 ms.
type bareEnd struct {
	due     time.Duration // of the next packet, since the begin
	packet  []byte
	srtp    *transport.SRTP // nil: plain
	coded   []byte
	socket  *bareSocket // nil: conn
	drains  bool        // the socket, before each packet
	to      unix.RawSockaddrInet4
	conn    *net.UDPConn
	address netip.AddrPort // to send to
}

// newBareEnd returns an end that sends nothing yet, number i of n, so that the packets
// of all are spread over the 20 ms.
func newBareEnd(i, n int, ssrc uint32, sound []byte) *bareEnd {
	e := &bareEnd{due: time.Duration(i) * callPeriod / time.Duration(n), packet: make([]byte, 12, callPacket)}
	e.packet[0] = 2 << 6
	binary.BigEndian.PutUint32(e.packet[8:], ssrc)
	at := i * 17 * callSamples % (len(sound) - callSamples)
	e.packet = append(e.packet, sound[at:at+callSamples]...)
	return e
}

// sound returns the speech that all ends send, as PCMU.
func sound() []byte { return g711.AppendMuLaw(nil, speech(8000)) }

// tick does what is due: it takes what has come, and sends a packet.
func (e *bareEnd) tick(d *drain) {
	if e.drains {
		d.empty(e.socket)
	}
	binary.BigEndian.PutUint16(e.packet[2:], binary.BigEndian.Uint16(e.packet[2:])+1)
	binary.BigEndian.PutUint32(e.packet[4:], binary.BigEndian.Uint32(e.packet[4:])+callSamples)
	b := e.packet
	if e.srtp != nil {
		var err error
		if e.coded, err = e.srtp.EncryptRTP(e.coded[:0], b); err != nil {
			return
		}
		b = e.coded
	}
	if e.socket != nil {
		e.socket.send(b, &e.to)
	} else {
		e.conn.WriteToUDPAddrPort(b, e.address) //nolint:errcheck // it shows as lost
	}
}

// wheels do what is due of ends, on a few goroutines that wake up at whole
// milliseconds at the most.
type wheels struct {
	stopped atomic.Bool
	running sync.WaitGroup
	sent    atomic.Int64
}

// start begins with ends, which are in the order in which they are due, on n wheels.
func (w *wheels) start(ends []*bareEnd, n int, wheel func(i int) int) {
	begin := time.Now()
	for k := range n {
		var own []*bareEnd
		for i, e := range ends {
			if wheel(i)%n == k {
				own = append(own, e)
			}
		}
		if len(own) > 0 {
			w.running.Go(func() { w.turn(begin, own) })
		}
	}
}

func (w *wheels) turn(begin time.Time, ends []*bareEnd) {
	d := newDrain()
	for i := 0; !w.stopped.Load(); {
		slot := (ends[i].due + time.Millisecond - 1).Truncate(time.Millisecond)
		time.Sleep(slot - time.Since(begin))
		now, sent := time.Since(begin), int64(0)
		for ; ends[i].due <= now; i = (i + 1) % len(ends) {
			ends[i].tick(d)
			ends[i].due += callPeriod
			sent++
		}
		w.sent.Add(sent)
	}
}

func (w *wheels) stop() {
	w.stopped.Store(true)
	w.running.Wait()
}

// bareCalls are calls without anything but their sockets.
type bareCalls struct {
	wheels
	ends    []*bareEnd
	got     []*reception
	sockets []*bareSocket
	reading sync.WaitGroup
}

// openBareCalls opens sockets that are drained when it is their turn to send.
func openBareCalls(_ context.Context, setup *callSetup) (callWay, error) {
	c, speech := &bareCalls{}, sound()
	for i := range setup.n {
		s, err := openBare(callBuffer, nil)
		if err != nil {
			c.finish()
			return nil, err
		}
		e := newBareEnd(i, setup.n, uint32(i+1), speech)
		e.socket, e.drains, s.got.ssrc = s, true, setup.partner(i)
		c.sockets, c.ends, c.got = append(c.sockets, s), append(c.ends, e), append(c.got, &s.got)
	}
	for i, e := range c.ends {
		if i < len(setup.far) {
			e.to = rawAddr(setup.far[i])
		} else {
			e.to = rawAddr(c.sockets[i^1].addr)
		}
	}
	return c, nil
}

// openBlockingCalls opens sockets with a goroutine each, which waits for packets.
func openBlockingCalls(_ context.Context, setup *callSetup) (callWay, error) {
	c, speech := &bareCalls{}, sound()
	for i := range setup.n {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
		if err != nil {
			c.finish()
			return nil, err
		}
		conn.SetReadBuffer(callBuffer) //nolint:errcheck // as the calls
		e, r := newBareEnd(i, setup.n, uint32(i+1), speech), &reception{ssrc: setup.partner(i)}
		e.conn = conn
		c.ends, c.got = append(c.ends, e), append(c.got, r)
		c.reading.Go(func() { readAll(conn, r) })
	}
	for i, e := range c.ends {
		if i < len(setup.far) {
			e.address = setup.far[i]
		} else {
			e.address = c.address(i ^ 1)
		}
	}
	return c, nil
}

func readAll(conn *net.UDPConn, r *reception) {
	b := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			r.packet(b[:n])
		}
	}
}

func (c *bareCalls) address(i int) netip.AddrPort {
	if e := c.ends[i]; e.conn != nil {
		return e.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	return c.sockets[i].addr
}

func (c *bareCalls) begin(context.Context) error {
	c.start(c.ends, runtime.GOMAXPROCS(0), func(i int) int { return i / 2 }) // both of a pair on one
	return nil
}

func (c *bareCalls) least() int64 {
	least := c.got[0].count.Load()
	for _, r := range c.got {
		least = min(least, r.count.Load())
	}
	return least
}

func (c *bareCalls) counts() (sent, received int64) {
	for _, r := range c.got {
		received += r.count.Load()
	}
	return c.sent.Load(), received
}

func (c *bareCalls) finish() (lost int64) {
	c.stop()
	for _, s := range c.sockets {
		s.close()
	}
	for _, e := range c.ends {
		if e.conn != nil {
			e.conn.Close()
		}
	}
	c.reading.Wait()
	for _, r := range c.got {
		lost += r.lost()
	}
	return lost
}
