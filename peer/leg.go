package peer

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// A leg carries the packets of a call over a peer connection. It is the track
// that the connection sends.
//
// Writing to pion may block, so packets go through a bounded queue to a
// goroutine of the leg.
type leg struct {
	pc     *webrtc.PeerConnection
	name   string // of the stream, which pion makes the CNAME in the answer (RFC 5576, section 6.1)
	sender *webrtc.RTPSender
	call   *parley.Call

	mu     sync.Mutex
	track  webrtc.TrackLocalWriter // nil until pion has bound the track
	closed bool
	out    outbox
	wake   chan struct{} // capacity 1: the queue is no longer empty, or the leg is closed
	sent   chan struct{} // closed when the writing goroutine has ended

	goroutines sync.WaitGroup
}

func newLeg(pc *webrtc.PeerConnection) *leg {
	l := &leg{pc: pc, name: rand.Text(), wake: make(chan struct{}, 1), sent: make(chan struct{})}
	go l.write()
	return l
}

// watch connects the callbacks of the peer connection to the call.
func (l *leg) watch() {
	l.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			l.call.Connected()
		case webrtc.PeerConnectionStateFailed:
			l.call.EndWith(&parley.EndError{Reason: parley.Disconnected, Detail: "the browser is not to be reached any more"})
		case webrtc.PeerConnectionStateClosed:
			l.call.EndWith(&parley.EndError{Reason: parley.Disconnected, Detail: "the browser closed the connection"})
		}
	})
	l.pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		if track.Kind() != webrtc.RTPCodecTypeAudio {
			return
		}
		l.start(func() {
			read(func(b []byte) (int, error) { n, _, err := track.Read(b); return n, err }, l.call.Audio().DeliverRTP)
		})
		l.start(func() {
			read(func(b []byte) (int, error) { n, _, err := receiver.Read(b); return n, err }, l.call.Audio().DeliverRTCP)
		})
	})
	l.start(func() {
		read(func(b []byte) (int, error) { n, _, err := l.sender.Read(b); return n, err }, l.call.Audio().DeliverRTCP)
	})
}

// start runs fn on a goroutine that Close waits for, unless the leg is closed.
func (l *leg) start(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.goroutines.Go(fn)
	}
}

// read passes on packets until the connection is closed.
func read(next func([]byte) (int, error), deliver func(time.Time, netip.AddrPort, []byte)) {
	buf := make([]byte, 1600)
	for {
		n, err := next(buf)
		if err != nil {
			return
		}
		deliver(time.Now(), netip.AddrPort{}, buf[:n])
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
	if l.track == nil || l.closed {
		return errUnbound
	}
	dropped := l.out.push(b, control)
	l.signal()
	if dropped {
		return errCongested
	}
	return nil
}

func (l *leg) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write is the goroutine that sends.
func (l *leg) write() {
	defer close(l.sent)
	var buf []byte
	for range l.wake {
		for {
			l.mu.Lock()
			b, control, ok := l.out.pop(buf[:0])
			track, closed := l.track, l.closed
			l.mu.Unlock()
			if !ok && closed {
				return
			}
			if !ok {
				break
			}
			buf = b
			// An error means that the connection is gone, which its state tells.
			if control {
				l.pc.WriteRTCP([]rtcp.Packet{(*rtcp.RawPacket)(&b)}) //nolint:errcheck
			} else {
				track.Write(b) //nolint:errcheck
			}
		}
	}
}

// lastWords is how long Close waits for what is queued, such as a goodbye, to
// be sent.
const lastWords = 100 * time.Millisecond

// Close sends what is queued, closes the connection and waits for the leg's
// goroutines.
func (l *leg) Close() error {
	l.mu.Lock()
	l.closed = true
	l.signal()
	l.mu.Unlock()
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	select {
	case <-l.sent:
	case <-patience.C:
	}
	err := l.pc.GracefulClose()
	<-l.sent
	l.goroutines.Wait()
	return err
}

// Bind is called by pion when the track can be sent.
func (l *leg) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	codecs := ctx.CodecParameters()
	if len(codecs) == 0 {
		return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.track = ctx.WriteStream()
	return codecs[0], nil
}

// Unbind is called by pion when the track is no longer sent.
func (l *leg) Unbind(webrtc.TrackLocalContext) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.track = nil
	return nil
}

// ID, RID, StreamID and Kind name the track in the session description.
func (l *leg) ID() string                { return "audio" }
func (l *leg) RID() string               { return "" }
func (l *leg) StreamID() string          { return l.name }
func (l *leg) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }

// An outbox is a bounded queue of packets. When it is full the oldest makes
// room.
type outbox struct {
	ring         [32]outgoing
	first, count int
}

type outgoing struct {
	control bool
	b       []byte
}

// push appends a copy of b, and reports whether an older packet was dropped.
func (o *outbox) push(b []byte, control bool) (dropped bool) {
	if o.count == len(o.ring) {
		o.first = (o.first + 1) % len(o.ring)
		o.count--
		dropped = true
	}
	e := &o.ring[(o.first+o.count)%len(o.ring)]
	e.control, e.b = control, append(e.b[:0], b...)
	o.count++
	return dropped
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
