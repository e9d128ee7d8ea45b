package parley

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// A line is what the audio and the video of a call have in common: the way of
// packets between the leg and the streams, RTCP, repair, and the goodbye.
type line struct {
	call       *Call
	leg        Leg
	of         medium
	name       string // for events
	mid, label string
	sendErrors atomic.Int64
	forwarder  atomic.Pointer[Forwarder]   // of audio: that sends on what is heard; nil: none
	sends      atomic.Pointer[sentFormats] // of audio; nil: nobody has ever forwarded to it

	// Guarded by call.mu. What is small is together, for the sake of the memory of a call.
	removed   *EndError // not nil once the call has gone on without the line
	life      *life     // nil: nobody waits for its end
	in        receiver
	out       sender
	repair    *repair // nil without NACK
	pictures  *pictures
	waiting   waiters
	direction Direction
	leaving   bool         // a packet taken from the sender is on its way through the leg
	passed    bool         // packets of the source that is heard went by on hold
	direct    bool         // from the goroutine that wrote it: no other packet may leave meanwhile
	known     bool         // the far end has said something on this line
	muted     bool         // fresh was long ago
	off       bool         // turned down: only other lines count for the end of the call
	trip      rtcpctl.Trip // of the circuit breaker
	heard     uint32       // SSRC, once there is media
	former    uint32       // SSRC that was heard when the line was updated last
	bye       *goodbye     // of the source that is heard; nil: it has said none
	expected  time.Time    // from when on media is expected again, after a hold
	woken     time.Time    // when goroutines that wait were told last to look
	fresh     time.Time    // the last packet of media
	updated   time.Time    // last
	batch     BatchLeg     // leg, if it takes several packets at once
	sizes     []int        // of the packets on their way through batch
	packet    rtp.Packet
	claimed   *Forwarder   // that has to send what the packet being delivered has brought; nil: none
	control   ring[[]byte] // RTCP that has to leave at once

	malformed                   int64
	unwanted                    int64 // packets that came although the direction does not let the far end send
	readDeadline, writeDeadline time.Time

	rtcp rtcpctl.Session
}

// waiters counts the goroutines in cond.Wait by what they wait for.
type waiters struct{ frame, forward, packet, turn, room, drain, digits int }

// A receiver is what receiving audio and video have in common.
type receiver interface {
	Push(arrival time.Time, p *rtp.Packet) stream.Verdict
	Heard() (ssrc uint32, ok bool)
	Reception() *rtcpctl.Reception
	AppendReceptions(dst []*rtcpctl.Reception) []*rtcpctl.Reception
	End()
}

// A sender is what sending audio and video have in common.
type sender interface {
	SSRC() uint32
	Timestamp(now time.Time) uint32
	Next() time.Time
}

// A medium is what is different in audio and video. Its methods are called with
// the lock held.
type medium interface {
	// pushed looks at the packet that was given to the receiver last.
	pushed(now time.Time, v stream.Verdict)

	// hole says until when n packets that are missing have to come.
	hole(now time.Time, n int, r *rtcpctl.Reception) rtcpctl.Hole

	// resume is called before the first packet after a hold in which others went by.
	resume()

	heed(now time.Time, e rtcpctl.Event)
	broken(now time.Time, t rtcpctl.Trip)               // the circuit breaker has tripped
	goodbye()                                           // of the source that is heard
	rename(now time.Time, ssrc uint32, sequence uint16) // the source of what is sent

	// appendMedia appends the packet of media that is due at now to dst, in which
	// others may be, and idle does what else is due when there is none.
	appendMedia(dst []byte, now time.Time) ([]byte, bool)
	idle(now time.Time)

	// next is when idle has something to do, and readers when a goroutine that
	// waits has to look again for itself.
	next() time.Time
	readers() time.Time
}

// A goodbye is that of a source, after which the call goes on for a while.
type goodbye struct {
	at     time.Time
	source uint32
	reason string
	grace  time.Duration
}

// byeGrace is how long a call goes on after the goodbye of its source, so that
// another source may take over, as in a transfer.
const byeGrace = 200 * time.Millisecond

// renewal is how long after an update a goodbye may be that of the stream which the far
// end closes for it. Softphones do so at each re-INVITE that changes anything, and the
// stream that they open then may have nothing to say, as on hold or in a pause, but
// reports, which are 7.5 s apart at most. So the call goes on for renewalGrace.
const (
	renewal      = time.Second
	renewalGrace = 10 * time.Second
)

// forkGrace is for how long after what was agreed on last a call may have another far end
// after a goodbye, as one that rings elsewhere when a telephone with early media was given
// up. After more than three minutes a proxy gives up too (RFC 3261, section 16.6, timer C).
const forkGrace = 3 * time.Minute

// newSSRC returns a source that no line of the call has: with SRTP, two lines may
// have one key, and then their sources must differ (RFC 3711, section 9.1).
func (c *Call) newSSRC() uint32 {
	for {
		ssrc := rand.Uint32() | 1
		if !slices.ContainsFunc(c.lines, func(l *line) bool { return l.out.SSRC() == ssrc }) {
			return ssrc
		}
	}
}

// randomSequence returns a number below 32768, so that the first wrap is far off
// (RFC 3711, section 3.3.1).
func randomSequence() uint16 { return uint16(rand.Uint32() >> 17) }

// SSRC returns the synchronisation source of what is sent.
func (l *line) SSRC() uint32 {
	l.call.mu.Lock()
	defer l.call.mu.Unlock()
	return l.out.SSRC()
}

// SetReadDeadline makes reads that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (l *line) SetReadDeadline(t time.Time) { l.setDeadline(&l.readDeadline, t) }

// SetWriteDeadline makes writes that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (l *line) SetWriteDeadline(t time.Time) { l.setDeadline(&l.writeDeadline, t) }

func (l *line) setDeadline(d *time.Time, t time.Time) {
	c := l.call
	c.mu.Lock()
	defer c.mu.Unlock()
	*d = t
	c.cond.Broadcast()
	c.schedule()
}

func expired(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// read blocks until take has taken something, which it tries with the lock held. It ends
// by the read deadline too.
func (l *line) read(ctx context.Context, waiting *int, take func() bool) error {
	late := false
	err := l.wait(ctx, waiting, func() bool {
		late = expired(l.readDeadline)
		return late || take()
	})
	if late {
		return os.ErrDeadlineExceeded
	}
	return endOfRead(err)
}

// endOfRead turns the end of a call, or of a line, by the far end into io.EOF.
func endOfRead(err error) error {
	if end, ok := err.(*EndError); ok && (end.Reason == Bye || end.Reason == Removed) {
		return io.EOF
	}
	return err
}

// startLocked begins to report, and to repair if that is configured.
func (l *line) startLocked(now time.Time, c RTCPConfig, r rtcpctl.Config) {
	r.Bandwidth, r.MinInterval = c.Bandwidth, c.Interval
	r.XR, r.ReducedSize = c.XR, c.ReducedSize
	r.SSRC, r.Sources = l.out.SSRC(), l.in.AppendReceptions
	l.rtcp.Reset(r)
	l.rtcp.Start(now)
	l.control.limit = 4
}

// protocol says what has to be done: mostly, what a packet is that has to leave.
type protocol uint8

const (
	nothing protocol = iota
	media
	batch // of media: line.sizes tells the packets
	control
	received // a frame, which is for the function
)

const (
	maxBatch  = 64   // packets
	maxPacket = 1500 // bytes, of packets in a batch
)

// dueLocked appends to dst the packet that has to leave at now, and says what
// it is.
func (l *line) dueLocked(now time.Time, dst []byte) ([]byte, protocol) {
	if b, ok := l.control.pop(); ok {
		return append(dst, b...), control
	}
	if !l.call.connected.IsZero() {
		if b, what := l.repairLocked(now, dst); what != nothing {
			return b, what
		}
	}
	if b, what := l.mediaLocked(now, dst); what != nothing {
		l.leaving = true
		return b, what
	}
	if next := l.rtcp.Next(); !l.call.connected.IsZero() && !next.IsZero() && !now.Before(next) {
		if b, ok := l.rtcp.AppendReport(dst, now); ok {
			l.breakerLocked()
			return b, control
		}
		l.breakerLocked()
	}
	if at := l.muteAtLocked(); !at.IsZero() && !now.Before(at) {
		l.muted = true
		l.emitLocked(Event{Kind: Muted, SSRC: l.heard})
	}
	l.of.idle(now)
	if at := l.wakeAtLocked(); !at.IsZero() && !now.Before(at) {
		l.woken = now
		l.call.cond.Broadcast()
	}
	return dst, nothing
}

// mediaLocked appends the packet of media that is due at now, or as many as are if
// the leg takes several and they fit into dst.
func (l *line) mediaLocked(now time.Time, dst []byte) ([]byte, protocol) {
	l.sizes = l.sizes[:0]
	for !l.direct {
		begin := len(dst)
		b, ok := l.of.appendMedia(dst, now)
		if !ok {
			break
		}
		dst = b
		l.sentLocked(now, dst[begin:])
		if l.batch == nil {
			return dst, media
		}
		l.sizes = append(l.sizes, len(dst)-begin)
		if len(l.sizes) == maxBatch || cap(dst)-len(dst) < maxPacket {
			break
		}
	}
	if len(l.sizes) == 0 {
		return dst, nothing
	}
	return dst, batch
}

// send sends what was due, without the lock.
func (l *line) send(b []byte, p protocol) {
	if p == batch {
		sent, _ := l.batch.WriteBatch(b, l.sizes)
		l.sendErrors.Add(int64(len(l.sizes) - sent))
		return
	}
	var err error
	if p == control {
		err = l.leg.WriteRTCP(b)
	} else {
		err = l.leg.WriteRTP(b)
	}
	if err != nil {
		l.sendErrors.Add(1)
	}
}

// sentLocked counts a packet that is about to leave.
func (l *line) sentLocked(now time.Time, b []byte) {
	l.rtcp.Sent(now, l.out.Timestamp(now), rtpPayload(b))
	if l.repair != nil {
		l.repair.history.Sent(now, binary.BigEndian.Uint16(b[2:]), b)
	}
}

// rtpPayload returns the length of the payload of a packet of ours, which has no
// CSRC and at most one header extension.
func rtpPayload(b []byte) int {
	n := len(b) - 12
	if b[0]&0x10 != 0 {
		n -= 4 + 4*int(binary.BigEndian.Uint16(b[14:]))
	}
	return n
}

// nextLocked returns when dueLocked has something to do.
func (l *line) nextLocked() time.Time {
	next := earliest(l.out.Next(), l.wakeAtLocked())
	next = earliest(next, l.of.next())
	next = earliest(next, l.muteAtLocked())
	if len(l.control.items) > 0 {
		next = l.call.opened
	}
	if !l.call.connected.IsZero() {
		next = earliest(next, l.rtcp.Next())
		next = earliest(next, l.nextRepairLocked())
	}
	return next
}

// lookAgain is how long goroutines have that were told to look. A reader of frames
// wants to be told of the next one then, for which no other run has to be asked for.
const lookAgain = 20 * time.Millisecond

// wakeAtLocked returns when goroutines that wait have to be told to look. Those that
// were, and have not come to it yet, are left alone for a while: a machine that is late
// with them would be later still.
func (l *line) wakeAtLocked() time.Time {
	at := l.of.readers()
	if at.IsZero() || at.After(l.woken) {
		return at
	}
	if next := at.Add(lookAgain); next.After(l.woken) {
		return next
	}
	return l.woken.Add(lookAgain)
}

// muteAfter is how long nothing comes from a source that is heard until that is
// an event. Comfort noise of Opus comes more often, and so does a camera that is off, of
// which linphone shows a still picture each second.
const muteAfter = 1500 * time.Millisecond

// muteAtLocked returns when the line counts as muted if nothing comes.
func (l *line) muteAtLocked() time.Time {
	if l.muted || l.heard == 0 || !l.direction.Receives() || l.bye != nil {
		return time.Time{}
	}
	return later(l.fresh, l.expected).Add(muteAfter)
}

// freshLocked takes notice of a packet of media.
func (l *line) freshLocked(arrival time.Time) {
	l.fresh = arrival
	if l.muted {
		l.muted = false
		l.emitLocked(Event{Kind: Unmuted, SSRC: l.packet.SSRC})
	}
}

// deadlinesLocked returns the deadlines of reads and writes that wait.
func (l *line) deadlinesLocked() time.Time {
	var next time.Time
	if l.waiting.frame > 0 || l.waiting.packet > 0 {
		next = l.readDeadline
	}
	if l.waiting.room > 0 || l.waiting.turn > 0 {
		next = earliest(next, l.writeDeadline)
	}
	return next
}

// endLocked ends what is received, and returns the goodbye to send.
func (l *line) endLocked(now time.Time) []byte {
	l.in.End()
	l.of.idle(now)
	if l.call.connected.IsZero() {
		return nil
	}
	b, _ := l.rtcp.AppendBye(nil, "", now)
	return b
}

// collidedLocked takes notice of a packet in our own name, and takes another
// source if that is a collision (RFC 3550, section 8.2). It reports whether it is an
// echo instead.
func (l *line) collidedLocked(now time.Time, from netip.AddrPort) (echo bool) {
	if !l.rtcp.Collided(now, from) {
		return l.rtcp.Looped(from)
	}
	ssrc := l.call.newSSRC()
	if bye, ok := l.rtcp.AppendRename(nil, ssrc, now); ok {
		l.control.push(bye)
	}
	l.of.rename(now, ssrc, randomSequence())
	if l.repair != nil {
		l.repair.history.Reset()
	}
	l.emitLocked(Event{Kind: Collision, SSRC: ssrc, Addr: from})
	return false
}

// breakerLocked tells when the circuit breaker has tripped, or another reason
// for it has come up.
func (l *line) breakerLocked() {
	trip, at := l.rtcp.Tripped()
	if trip == l.trip {
		return
	}
	l.trip = trip
	if trip != rtcpctl.NotTripped {
		l.emitLocked(Event{Kind: CircuitBroken, Time: at, Detail: trip.String()})
		l.of.broken(at, trip)
	}
}
