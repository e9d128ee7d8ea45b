package peer

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// A leg carries the packets of one line over a peer connection. It is the track
// that the connection sends.
//
// Writing to pion may block, and many packets of video take their time, so packets
// go through a bounded queue to a goroutine of the leg. Sound that leaves through a
// socket that never blocks is written at once.
type leg struct {
	c      *connection
	kind   webrtc.RTPCodecType
	id     string // of the track
	sender *webrtc.RTPSender
	line   line // what packets are delivered to; nil if the call has none for the leg

	// to is line for those who deliver. pion keeps each stream until the connection ends,
	// with whoever takes it, and a line that has gone is not to stay for that.
	to atomic.Pointer[line]

	remote   *webrtc.TrackRemote // what the far end sends; nil: nothing so far
	receiver *webrtc.RTPReceiver

	direction parley.Direction // as agreed last
	named     bool             // the far end has told the SSRC of what it sends
	codecs    []codec.Params

	own     parley.Direction // that this end wants
	said    parley.Direction // that it has said in its last description
	before  parley.Direction // the same before its last offer
	settled bool             // both ends have described the line
	removed bool             // this end does without the line
	kept    bool             // but it stays in the descriptions
	buried  bool             // and has said so in its last offer
	off     bool             // turned down for good

	mu      sync.Mutex
	track   webrtc.TrackLocalWriter // nil unless pion has bound the track
	closed  bool
	writing bool // somebody is, and nobody else may
	out     outbox
	wake    chan struct{} // capacity 1: the queue is no longer empty, or the leg is closed; nil: there is no goroutine that writes
	sent    chan struct{} // closed when that goroutine has ended

	packet rtp.Packet // for whoever is writing media
	buf    []byte     // for the writing goroutine
}

// A line is the audio or a video of the call.
type line interface {
	DeliverRTP(arrival time.Time, from netip.AddrPort, b []byte)
	DeliverRTCP(arrival time.Time, from netip.AddrPort, b []byte)
	Mid() string
	Remove()
}

// The packets that wait to be sent: of audio half a second, of video a large key
// frame.
const (
	audioOutbox = 32
	videoOutbox = 1024
)

func newLeg(c *connection, kind webrtc.RTPCodecType, id string) *leg {
	l := &leg{c: c, kind: kind, id: id}
	l.out.limit = audioOutbox
	if kind == webrtc.RTPCodecTypeVideo {
		l.out.limit = videoOutbox
	}
	return l
}

// read passes on packets until the source of them ends.
func read(next func([]byte) (int, error), deliver deliverer) {
	buf := make([]byte, 1600)
	for {
		n, err := next(buf)
		if err != nil {
			return
		}
		deliver(time.Now(), netip.AddrPort{}, buf[:n])
	}
}

// listen has what the far end sends delivered, until it is stopped, once there is a
// line for it. Sound goes past the interceptors, of which none is for it.
func (l *leg) listen() {
	track := l.remote
	if track == nil || l.line == nil {
		return
	}
	ssrc := uint32(track.SSRC())
	l.c.intake.takeRTCP(ssrc, l.deliverRTCP)
	if l.kind == webrtc.RTPCodecTypeAudio {
		l.c.intake.takeRTP(ssrc, func(b []byte) (int, error) { n, _, err := track.Read(b); return n, err }, l.deliverRTP)
		return
	}
	next := mends(track, l.receiver)
	l.c.start(func() { read(next, l.deliverRTP) })
}

// heed has what the far end reports of what we send delivered.
func (l *leg) heed(ssrc uint32) {
	l.c.intake.takeRTCP(ssrc, l.deliverRTCP)
}

// serve has the call's line for the leg; nil: it has none any more.
func (l *leg) serve(of line) {
	if l.line = of; of == nil {
		l.to.Store(nil)
	} else {
		l.to.Store(&of)
	}
}

func (l *leg) deliverRTP(arrival time.Time, from netip.AddrPort, b []byte) {
	if to := l.to.Load(); to != nil {
		(*to).DeliverRTP(arrival, from, b)
	}
}

func (l *leg) deliverRTCP(arrival time.Time, from netip.AddrPort, b []byte) {
	if to := l.to.Load(); to != nil {
		(*to).DeliverRTCP(arrival, from, b)
	}
}

var (
	errCongested = errors.New("peer: the connection does not keep up")
	errUnbound   = errors.New("peer: not connected yet")
)

func (l *leg) WriteRTP(b []byte) error  { return l.enqueue(b, false) }
func (l *leg) WriteRTCP(b []byte) error { return l.enqueue(b, true) }

func (l *leg) enqueue(b []byte, control bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.track == nil && !control {
		return errUnbound
	}
	if l.kind == webrtc.RTPCodecTypeAudio && !l.writing && l.out.count == 0 && l.c.direct.Load() {
		l.writeLocked(l.track, b, control)
		if l.wake != nil && (l.out.count > 0 || l.closed) {
			l.signalLocked()
		}
		return nil
	}
	dropped := l.out.push(b, control)
	l.signalLocked()
	if dropped {
		return errCongested
	}
	return nil
}

// writeLocked sends a packet, without the lock meanwhile. An error means that the
// connection is gone, which its state tells.
func (l *leg) writeLocked(track webrtc.TrackLocalWriter, b []byte, control bool) {
	l.writing = true
	l.mu.Unlock()
	switch {
	case control:
		writeControl(l.c.pc, b)
	case track != nil && l.packet.Unmarshal(b) == nil:
		track.WriteRTP(&l.packet.Header, l.packet.Payload) //nolint:errcheck
		l.packet.Payload = nil
	}
	l.mu.Lock()
	l.writing = false
}

func writeControl(pc *webrtc.PeerConnection, b []byte) {
	pc.WriteRTCP([]rtcp.Packet{(*rtcp.RawPacket)(&b)}) //nolint:errcheck // as for media
}

// signalLocked wakes up the goroutine that writes, of which there is none before it
// is needed.
func (l *leg) signalLocked() {
	if l.wake == nil {
		l.wake, l.sent = make(chan struct{}, 1), make(chan struct{})
		go l.write()
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write is the goroutine that sends what could not be sent at once.
func (l *leg) write() {
	defer close(l.sent)
	for range l.wake {
		if l.drain() {
			return
		}
	}
}

// drain sends what is queued, and reports whether there will be no more.
func (l *leg) drain() (ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.writing { // or else whoever is writing wakes this goroutine again
		b, control, ok := l.out.pop(l.buf[:0])
		if !ok {
			return l.closed
		}
		l.buf = b
		l.writeLocked(l.track, b, control)
	}
	return false
}

// lastWords is how long Close waits for what is queued, such as a goodbye, to
// be sent.
const lastWords = 100 * time.Millisecond

// Close sends what is queued. Readers end with the connection, or when pion
// stops them; nobody listens to what they deliver meanwhile.
func (l *leg) Close() error {
	l.mu.Lock()
	l.closed = true
	sent := l.sent
	if sent != nil {
		l.signalLocked()
	}
	l.mu.Unlock()
	if sent == nil {
		return nil
	}
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	select {
	case <-sent:
	case <-patience.C: // it ends with the connection
	}
	return nil
}

// wait returns when everything has ended that Close may have left.
func (l *leg) wait() {
	l.mu.Lock()
	sent := l.sent
	l.mu.Unlock()
	if sent != nil {
		<-sent
	}
}

// Bind is called by pion when the track can be sent.
func (l *leg) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	p, ok := plain(ctx.CodecParameters())
	if !ok {
		return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.track = ctx.WriteStream()
	return p, nil
}

// Unbind is called by pion when the track is no longer sent.
func (l *leg) Unbind(webrtc.TrackLocalContext) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.track = nil
	return nil
}

// ID, RID, StreamID and Kind name the track in the session description. The
// stream is what pion makes the CNAME (RFC 5576, section 6.1).
func (l *leg) ID() string                { return l.id }
func (l *leg) RID() string               { return "" }
func (l *leg) StreamID() string          { return l.c.name }
func (l *leg) Kind() webrtc.RTPCodecType { return l.kind }

// An outbox is a bounded queue of packets. When it is full the oldest makes
// room. Its memory grows as it is needed.
type outbox struct {
	limit        int
	ring         []outgoing
	first, count int
}

type outgoing struct {
	control bool
	b       []byte
}

// push appends a copy of b, and reports whether an older packet was dropped.
func (o *outbox) push(b []byte, control bool) (dropped bool) {
	switch {
	case o.count < len(o.ring):
	case len(o.ring) < o.limit:
		o.grow()
	default:
		o.first = (o.first + 1) % len(o.ring)
		o.count--
		dropped = true
	}
	e := &o.ring[(o.first+o.count)%len(o.ring)]
	e.control, e.b = control, append(e.b[:0], b...)
	o.count++
	return dropped
}

func (o *outbox) grow() {
	ring := make([]outgoing, min(max(8, 2*len(o.ring)), o.limit))
	for i := range o.ring {
		ring[i] = o.ring[(o.first+i)%len(o.ring)]
	}
	o.ring, o.first = ring, 0
}

// pop appends the oldest packet to dst.
func (o *outbox) pop(dst []byte) (b []byte, control, ok bool) {
	if o.count == 0 {
		return dst, false, false
	}
	e := &o.ring[o.first]
	o.first = (o.first + 1) % len(o.ring)
	o.count--
	return append(dst, e.b...), e.control, true
}
