package session

import (
	"net"
	"net/netip"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/internal/prefetch"
	"github.com/parley-media/parley/transport"
)

// A socket is one of a leg's.
type socket interface {
	WriteTo(b []byte, to netip.AddrPort) error
	Close() error
}

// A blocking socket has a goroutine that waits for packets.
type blocking struct{ conn *net.UDPConn }

func (s blocking) WriteTo(b []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(b, to)
	return err
}

// Close leaves the connection to the pair.
func (blocking) Close() error { return nil }

// A polled socket is read on the loop of the call.
type polled struct {
	*transport.Polled
	reader reader
	fn     func(arrival time.Time, from netip.AddrPort, b []byte)
}

func (l *leg) addPolled(s *transport.Polled) *polled {
	p := &l.reserved[len(l.polls)]
	p.Polled = s
	p.reader = reader{leg: l, socket: p}
	p.fn = p.reader.receive
	l.polls = append(l.polls, p)
	return p
}

// videoBuffer is what is asked of the kernel for a socket of video, in bytes: some
// senders, as ffmpeg, send a picture at once, and the first one has hundreds of packets.
const videoBuffer = 2 << 20

// openSockets decides how the sockets are read: those of video by goroutines, since
// pictures come in runs, which are best taken at once as they come.
func (l *leg) openSockets(video bool) {
	if !video {
		if rtp, rtcp, err := l.pair.Poll(); err == nil {
			l.rtp = l.addPolled(rtp)
			if rtcp != nil {
				l.rtcp = l.addPolled(rtcp)
			}
			return
		}
	}
	l.rtp = blocking{l.pair.RTP}
	if l.pair.RTCP != nil {
		l.rtcp = blocking{l.pair.RTCP}
	}
	if video {
		l.pair.RTP.SetReadBuffer(videoBuffer) //nolint:errcheck // a wish; the kernel has its own limit
		l.sender = transport.NewSender(l.pair.RTP)
	}
}

// start begins to receive. The call and its medium are known by now.
func (l *leg) start() {
	for i, p := range l.polls {
		ready := l.call.Wake
		if i > 0 {
			ready = func() { l.reported.Store(true); l.call.Wake() }
		}
		if err := p.Watch(ready); err != nil {
			l.call.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
			return
		}
	}
	if l.polls != nil {
		l.started.Store(true)
		l.call.Wake() // for what was told of meanwhile
		return
	}
	receive := transport.Receive
	if l.sender != nil {
		receive = transport.ReceiveRuns
	}
	l.read(l.rtp, l.pair.RTP, receive)
	if l.rtcp != nil {
		l.read(l.rtcp, l.pair.RTCP, transport.Receive)
	}
}

// read receives by a goroutine.
func (l *leg) read(s socket, conn *net.UDPConn, receive func(*net.UDPConn, func(time.Time, netip.AddrPort, []byte))) {
	r := &reader{leg: l, socket: s, plain: make([]byte, packetSize)}
	l.reading.Go(func() { receive(conn, r.receive) })
}

// Prefetch asks the processor for what Poll needs.
func (l *leg) Prefetch() {
	prefetch.Value(l)
	if len(l.polls) > 0 {
		l.reserved[0].Prefetch()
	}
}

// Poll reads what has come in, on the loop. RTCP waits for nobody's clock.
func (l *leg) Poll(clocked bool, scratch []byte) (more bool) {
	if !l.started.Load() {
		return false
	}
	if l.hurry.CompareAndSwap(true, false) {
		l.hasten()
	}
	more = l.polls[0].read(clocked, scratch)
	if l.reported.Load() && len(l.polls) > 1 {
		l.reported.Store(false)
		if l.polls[1].read(false, scratch) {
			l.reported.Store(true)
			more = true
		}
	}
	return more
}

func (p *polled) read(clocked bool, scratch []byte) (more bool) {
	p.reader.plain = scratch[packetSize : 2*packetSize]
	return p.Read(clocked, scratch[:packetSize], p.fn)
}

// packetSize is longer than any packet is that a leg takes.
const packetSize = 2048

// A reader receives from one of the sockets.
type reader struct {
	leg    *leg
	socket socket
	plain  []byte // for a decrypted packet
}

// receive takes a datagram: what it is decides, not where it came in, since some
// far ends send RTCP to the RTP port.
func (r *reader) receive(arrival time.Time, from netip.AddrPort, b []byte) {
	l := r.leg
	kind := transport.Classify(b)
	if kind == transport.RTCP && r.expects(b[1]&0x7f) {
		kind = transport.RTP
	}
	switch {
	case kind == transport.STUN:
		r.answer(arrival, from, b)
	case kind == transport.RTP && len(b) >= 12:
		if plain, ok := r.decrypt(arrival, kind, b); ok && len(plain) >= 12 {
			l.receiveRTP(arrival, from, plain)
			l.record(arrival, r.socket, from, plain, b, false)
		}
	case kind == transport.RTCP && len(b) >= 8:
		if plain, ok := r.decrypt(arrival, kind, b); ok {
			l.receiveRTCP(arrival, from, plain)
			l.record(arrival, r.socket, from, plain, b, false)
		}
	default:
		l.mu.Lock()
		l.counts.Unknown++
		l.mu.Unlock()
	}
}

// expects reports whether a payload type is one that was agreed on, of those that look
// like RTCP when there is a marker. On a port for both there is none (RFC 5761, section 4).
func (r *reader) expects(payloadType uint8) bool {
	l := r.leg
	if l.mux.Load() || r.socket != l.rtp {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.format(payloadType).Name != ""
}

// decrypt returns the plain packet. With SRTP only what is authenticated gets any
// further, so that nobody else can be taken for the far end. After new keys that is
// what comes under the last ones too, until RTP has come under these.
func (r *reader) decrypt(arrival time.Time, kind transport.Kind, b []byte) ([]byte, bool) {
	l := r.leg
	protect := l.srtp.Load()
	if protect == nil && !l.secure {
		return b, true
	}
	decrypt := (*transport.SRTP).DecryptRTP
	if kind == transport.RTCP {
		decrypt = (*transport.SRTP).DecryptRTCP
	}
	if protect != nil {
		plain, err := decrypt(protect, r.plain, b)
		last := l.former.Load()
		if last != nil && last.next == protect {
			switch {
			case !arrival.Before(last.until) || err == nil && kind == transport.RTP:
				l.former.CompareAndSwap(last, nil)
			case err != nil:
				plain, err = decrypt(last.srtp, r.plain, b)
			}
		}
		if err == nil {
			return plain, true
		}
	}
	l.mu.Lock()
	l.counts.Unauthenticated++
	l.mu.Unlock()
	return nil, false
}

func (r *reader) answer(arrival time.Time, from netip.AddrPort, b []byte) {
	l := r.leg
	buf := buffers.Get().(*[2048]byte)
	defer buffers.Put(buf)
	l.mu.Lock()
	if l.stun == nil {
		l.stun = new(transport.STUNResponder)
	}
	reply, ok := l.stun.Answer(buf[:0], arrival, from, b)
	if ok {
		l.counts.STUN++
	} else {
		l.counts.STUNRefused++
	}
	l.mu.Unlock()
	if ok {
		r.socket.WriteTo(reply, from) //nolint:errcheck // who asks can ask again
	}
}
