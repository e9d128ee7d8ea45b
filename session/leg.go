package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

var (
	// errNobody is the error for packets that have nowhere to go yet.
	errNobody = errors.New("session: the far end is not known yet")

	errKeys = errors.New("session: no keys yet")
	errLong = errors.New("session: packet too long to encrypt")
)

// A medium is the audio or the video of a call.
type medium interface {
	DeliverRTP(arrival time.Time, from netip.AddrPort, b []byte)
	DeliverRTCP(arrival time.Time, from netip.AddrPort, b []byte)
}

// A leg carries the packets of a medium over its sockets: it decides whom it hears
// and where it sends, encrypts and decrypts, answers STUN and captures.
type leg struct {
	call     *parley.Call
	medium   medium
	pair     *transport.Pair
	rtp      socket
	rtcp     socket            // nil with one port for both
	sender   *transport.Sender // of video: for WriteBatch, as coded
	coded    *batch            // nil until there is something to encrypt
	capture  *Capture
	secure   bool
	mux      atomic.Bool
	remote   atomic.Pointer[remote]         // nil: nobody
	srtp     atomic.Pointer[transport.SRTP] // nil: no keys yet
	former   atomic.Pointer[former]         // what it was; nil: of no use any more
	polls    []*polled                      // rtp and rtcp, if they are read on the loop
	reserved [2]polled                      // memory for them
	started  atomic.Bool                    // which may begin with it
	reported atomic.Bool                    // RTCP may have come in
	hurry    atomic.Bool                    // RTP is to be received as soon as it comes
	reading  sync.WaitGroup

	mu         sync.Mutex // guards what follows; never held across I/O or a call's lock
	latch      transport.Latch
	stun       *transport.STUNResponder // nil: nobody has asked
	formats    []codec.Params           // what is received
	expected   bool                     // one of them has come since they were agreed on
	waiting    []waiting
	maxWaiting int
	counts     NetworkStats
	known      netip.AddrPort   // the last remote.rtp there was
	direction  parley.Direction // stated by this end
	agreed     bool             // on anything so far
	called     bool             // by this end: the first offer was its own
	crypto     []Crypto         // what was offered
}

type remote struct{ rtp, rtcp netip.AddrPort }

// A former protection is for what was on its way when keys were agreed on: a far end
// sends under its last key until it has the answer to its offer (RFC 3264, section 8.3).
type former struct {
	srtp, next *transport.SRTP
	until      time.Time
}

// underWay is how long the answer and the last packet before it may take together.
const underWay = 2 * time.Second

// A waiting packet is from a source that has not proved itself yet. If it does,
// the beginning of what it says is not lost, nor its first report.
type waiting struct {
	from    netip.AddrPort
	arrival time.Time
	packet  []byte
	rtcp    bool
}

// Bounds of the packets of sources that have not proved themselves. Video begins
// with a key frame, which takes some hundreds.
const (
	maxWaitingAudio = 16
	maxWaitingVideo = 512
)

func newLeg(c *Config, p path, receive []codec.Params, video bool) (*leg, error) {
	l := &leg{capture: c.Capture, secure: p.secure, maxWaiting: maxWaitingAudio}
	protect, err := l.protect(c.SRTP)
	if err != nil {
		return nil, err
	}
	l.srtp.Store(protect)
	mode := c.Latch
	if mode == transport.LatchSignalled && !c.Remote.IsValid() {
		mode = transport.LatchFirst
	}
	l.latch.Reset(transport.LatchConfig{
		Mode:          mode,
		Mux:           p.mux,
		ClockRate:     func(payloadType uint8) int { return l.format(payloadType).ClockRate },
		Event:         func(payloadType uint8) bool { return isEvent(l.format(payloadType)) },
		AllowLoopback: !c.Local.Addr().IsValid() || c.Local.Addr().IsUnspecified() || c.Local.Addr().IsLoopback(),
	})
	l.setCodecs(receive)
	l.mux.Store(p.mux)
	if c.Remote.IsValid() {
		l.setRemote(c.Remote, c.RemoteRTCP)
	}
	// An offer of one port for both may be turned down.
	one := p.mux && c.Remote.IsValid()
	if l.pair, err = transport.Listen(transport.ListenConfig{Local: c.Local, Ports: c.Ports, Mux: one}); err != nil {
		return l, err
	}
	l.openSockets(video)
	return l, nil
}

// localAddr returns the address of the RTP socket; the zero AddrPort without a
// leg.
func (l *leg) localAddr() netip.AddrPort {
	if l == nil {
		return netip.AddrPort{}
	}
	return l.pair.LocalAddr()
}

// remoteAddr returns where RTP is sent to; the zero AddrPort if nobody is known,
// or without a leg.
func (l *leg) remoteAddr() netip.AddrPort {
	if l == nil {
		return netip.AddrPort{}
	}
	if r := l.remote.Load(); r != nil {
		return r.rtp
	}
	return netip.AddrPort{}
}

func (l *leg) Close() error {
	if l.rtp != nil {
		l.rtp.Close()
	}
	if l.rtcp != nil {
		l.rtcp.Close()
	}
	err := l.pair.Close()
	l.reading.Wait()
	return err
}

// knownRemote returns where RTP is sent to, or was before the far end took none, as one
// does that holds the call with the address 0.0.0.0. It is the zero AddrPort if nobody
// was ever known, or without a leg.
func (l *leg) knownRemote() netip.AddrPort {
	if l == nil {
		return netip.AddrPort{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// setCodecs tells which payload types the far end may send.
func (l *leg) setCodecs(receive []codec.Params) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.formats, l.expected = receive, false
}

// format returns what a payload type means; the zero Params if nothing.
func (l *leg) format(payloadType uint8) codec.Params {
	for _, p := range l.formats {
		if p.PayloadType == payloadType {
			return p
		}
	}
	return codec.Params{}
}

// setRemote tells where the far end is said to be.
func (l *leg) setRemote(rtp, rtcp netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latch.SetMux(l.mux.Load())
	if l.latch.SetSignalled(time.Now(), rtp, rtcp) {
		l.former.Store(nil) // of one that was replaced
	}
	l.waiting = nil
	l.follow()
}

// follow sends to where the latch says.
func (l *leg) follow() {
	if rtp, rtcp, ok := l.latch.Remote(); ok {
		l.remote.Store(&remote{rtp, rtcp})
		l.known = rtp
	} else {
		l.remote.Store(nil)
	}
}

// encrypts reports whether nothing is sent or heard in the clear: what began with keys
// does not go on without.
func (l *leg) encrypts() bool { return l.secure || l.srtp.Load() != nil }

// protect returns the protection to go on with under these keys; nil for none.
func (l *leg) protect(keys *SRTP) (*transport.SRTP, error) {
	last := l.srtp.Load()
	switch {
	case keys == nil:
		return nil, nil
	case last == nil:
		return transport.NewSRTP(keys.Local, keys.Remote)
	}
	return last.Rekey(keys.Local, keys.Remote)
}

// setProtection goes on with s, which protect has returned.
func (l *leg) setProtection(now time.Time, s *transport.SRTP) {
	if last := l.srtp.Load(); last != nil && last != s {
		l.former.Store(&former{last, s, now.Add(underWay)})
	}
	l.srtp.Store(s)
}

func (l *leg) WriteRTP(b []byte) error {
	r := l.remote.Load()
	if r == nil {
		return errNobody
	}
	return l.write(l.rtp, r.rtp, b, (*transport.SRTP).EncryptRTP)
}

func (l *leg) WriteRTCP(b []byte) error {
	r := l.remote.Load()
	if r == nil || !r.rtcp.IsValid() {
		return nil // a report to nobody
	}
	s := l.rtcp
	if l.mux.Load() {
		s = l.rtp
	}
	return l.write(s, r.rtcp, b, (*transport.SRTP).EncryptRTCP)
}

// buffers are for packets on their way out.
var buffers = sync.Pool{New: func() any { return new([2048]byte) }}

func (l *leg) write(s socket, to netip.AddrPort, b []byte, encrypt func(*transport.SRTP, []byte, []byte) ([]byte, error)) error {
	plain := b
	if protect := l.srtp.Load(); protect != nil {
		buf := buffers.Get().(*[2048]byte)
		defer buffers.Put(buf)
		if len(b) > len(buf)-64 {
			return errLong
		}
		var err error
		if b, err = encrypt(protect, buf[:0], b); err != nil {
			return err
		}
	} else if l.secure {
		return errKeys
	}
	if l.capture != nil {
		l.record(time.Now(), s, to, plain, b, true)
	}
	return s.WriteTo(b, to)
}

// record captures a datagram that is sent to, or was received from, an address.
func (l *leg) record(at time.Time, s socket, far netip.AddrPort, plain, coded []byte, sent bool) {
	if l.capture == nil || l.capture.To == nil {
		return
	}
	b := plain
	if l.capture.Secret {
		b = coded
	}
	near := l.pair.LocalAddr()
	if s == l.rtcp {
		near = netip.AddrPortFrom(near.Addr(), near.Port()+1)
	}
	if sent {
		l.capture.To.Write(at, near, far, b)
	} else {
		l.capture.To.Write(at, far, near, b)
	}
}

func (l *leg) receiveRTP(arrival time.Time, from netip.AddrPort, b []byte) {
	l.mu.Lock()
	d := l.latch.RTP(arrival, from, transport.LatchHeader{
		PayloadType: b[1] & 0x7f,
		Seq:         binary.BigEndian.Uint16(b[2:]),
		Timestamp:   binary.BigEndian.Uint32(b[4:]),
		SSRC:        binary.BigEndian.Uint32(b[8:]),
	})
	early := l.decided(d, arrival, from, b)
	if d.Deliver && !l.expected {
		l.expect(b[1] & 0x7f)
	}
	l.mu.Unlock()
	if d.Moved {
		l.call.Emit(parley.Event{Kind: parley.RemoteChanged, Time: arrival, Addr: from})
	}
	for _, w := range early {
		if w.rtcp {
			l.medium.DeliverRTCP(w.arrival, w.from, w.packet)
		} else {
			l.medium.DeliverRTP(w.arrival, w.from, w.packet)
		}
	}
	if d.Deliver {
		l.medium.DeliverRTP(arrival, from, b)
	}
}

// expect counts what the far end sends, until it is something that was agreed on.
func (l *leg) expect(payloadType uint8) {
	if l.expected = l.format(payloadType).Name != ""; !l.expected {
		l.counts.Unexpected++
		l.counts.UnexpectedType = payloadType
	}
}

// decided follows the latch, and returns the packets that waited for its
// decision and are to be heard now.
func (l *leg) decided(d transport.Decision, arrival time.Time, from netip.AddrPort, b []byte) []waiting {
	if d.Moved {
		l.follow()
	}
	switch {
	case d.Reason == transport.LatchUnexpected:
		l.counts.UnexpectedType = b[1] & 0x7f
	case d.Deliver && l.waiting != nil:
		var early []waiting
		for _, w := range l.waiting {
			if w.from == from || w.rtcp && w.from.Addr() == from.Addr() {
				early = append(early, w)
			}
		}
		l.waiting = nil
		l.counts.Foreign -= int64(len(early)) // the latch has counted them
		return early
	case d.Reason == transport.LatchCandidate:
		l.wait(waiting{from, arrival, b, false})
	}
	return nil
}

// wait keeps a packet while nobody is known, in the place of the oldest if there are
// too many.
func (l *leg) wait(w waiting) {
	if l.remote.Load() != nil {
		return
	}
	if len(l.waiting) == l.maxWaiting {
		l.waiting = append(l.waiting[:0], l.waiting[1:]...)
	}
	w.packet = bytes.Clone(w.packet)
	l.waiting = append(l.waiting, w)
}

func (l *leg) receiveRTCP(arrival time.Time, from netip.AddrPort, b []byte) {
	l.mu.Lock()
	d := l.latch.RTCP(arrival, from)
	if d.Moved {
		l.follow()
	}
	if d.Reason == transport.LatchForeign {
		l.wait(waiting{from, arrival, b, true})
	}
	l.mu.Unlock()
	if d.Deliver {
		l.medium.DeliverRTCP(arrival, from, b)
	}
}

func (l *leg) stats(n *NetworkStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n = l.counts
	s := l.latch.Stats()
	for reason, count := range s.Decisions {
		if transport.LatchReason(reason) != transport.LatchHeard {
			n.Foreign += count
		}
	}
	n.Unexpected += s.Decisions[transport.LatchUnexpected]
	n.Moves = s.Moves
}

// Forks reports whether another far end may follow the one that has left, as when a call
// of this end is forwarded while it rings.
func (l *leg) Forks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.called
}

// Unheard says what came as if it were for the call, and was not.
func (l *leg) Unheard() string {
	var n NetworkStats
	switch l.stats(&n); {
	case n.Unexpected > 0:
		return fmt.Sprintf("%d packets of a payload type that was not agreed on, the last of %d", n.Unexpected, n.UnexpectedType)
	case n.Unauthenticated > 0:
		return fmt.Sprintf("%d packets without the key", n.Unauthenticated)
	}
	return ""
}
