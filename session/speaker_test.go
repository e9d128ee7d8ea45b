package session

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/transport"
)

// What the two ends of a tested call and the attacker say. A sample's sign and
// size tell whose it is, whatever the playout does to it.
const (
	peerLevel = 1000
	evilLevel = -16000
	ownLevel  = 300
)

// A speaker sends 20 ms packets of PCMU at one level.
type speaker struct {
	t       *testing.T
	to      netip.AddrPort
	protect *transport.SRTP // nil: plain

	mu   sync.Mutex // guards what follows
	conn *net.UDPConn
	ssrc uint32
	seq  uint16
	ts   uint32
	body []byte
	sent int64
	last []byte // as it was on the wire
}

func newSpeaker(t *testing.T, to netip.AddrPort, address string, ssrc uint32, level int16) *speaker {
	t.Helper()
	return &speaker{
		t: t, to: to, conn: from(t, address), ssrc: ssrc, seq: 65500, ts: 1<<32 - 4000,
		body: bytes.Repeat(g711.AppendMuLaw(nil, []int16{level}), 160),
	}
}

func (p *speaker) addr() netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// next returns the next packet, before encryption.
func (p *speaker) next() []byte {
	p.seq++
	p.ts += 160
	b := binary.BigEndian.AppendUint16([]byte{0x80, 0}, p.seq)
	b = binary.BigEndian.AppendUint32(b, p.ts)
	b = binary.BigEndian.AppendUint32(b, p.ssrc)
	return append(b, p.body...)
}

// say sends the next packet.
func (p *speaker) say() {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.next()
	if p.protect != nil {
		var err error
		if b, err = p.protect.EncryptRTP(nil, b); err != nil {
			p.t.Error(err)
		}
	}
	p.last = b
	p.sent++
	p.writeLocked(b)
}

func (p *speaker) write(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writeLocked(b)
}

func (p *speaker) writeLocked(b []byte) {
	if _, err := p.conn.WriteToUDPAddrPort(b, p.to); err != nil {
		p.t.Error(err)
	}
}

// report sends an RTCP compound to the port for it, or to that of RTP.
func (p *speaker) report(b []byte, port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := netip.AddrPortFrom(p.to.Addr(), p.to.Port()+uint16(port))
	if _, err := p.conn.WriteToUDPAddrPort(b, to); err != nil {
		p.t.Error(err)
	}
}

func (p *speaker) count() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// every calls fn each 20 ms for a while, on a clock that does not drift, and
// returns by how much it was late at most.
func every(d time.Duration, fn func()) (late time.Duration) {
	begin := time.Now()
	for at := time.Duration(0); at < d; at += 20 * time.Millisecond {
		time.Sleep(time.Until(begin.Add(at)))
		late = max(late, time.Since(begin.Add(at)))
		fn()
	}
	return late
}

// punctual is how late a speaker may be for a test that measures time. Where this
// machine has so much else to do that one is later, it measures nothing.
const punctual = 8 * time.Millisecond

// timely runs what measures time, of which the best of three counts: the machine
// may have been busy where no speaker notices it.
func timely(t *testing.T, run func() (problem string)) {
	t.Helper()
	for try := 1; ; try++ {
		problem := run()
		if problem == "" || t.Failed() {
			return
		}
		if try == 3 {
			t.Fatal(problem)
		}
		t.Log(problem)
	}
}

// received counts the datagrams that wait on a socket.
func received(t *testing.T, conn *net.UDPConn) int {
	t.Helper()
	n, _ := drain(t, conn)
	return n
}

// drain reads the datagrams that wait on a socket, up to one that it sends to
// itself. It returns how many there were, and the bytes of the longest one.
func drain(t *testing.T, conn *net.UDPConn) (n, size int) {
	t.Helper()
	here := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	conn.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // a socket has deadlines
	if _, err := conn.WriteToUDPAddrPort([]byte("the last one"), here); err != nil {
		t.Error(err)
		return 0, 0
	}
	var b [2048]byte
	for {
		k, from, err := conn.ReadFromUDPAddrPort(b[:])
		if err != nil {
			t.Error(err)
			return n, size
		}
		if from == here {
			return n, size
		}
		n, size = n+1, max(size, k)
	}
}
