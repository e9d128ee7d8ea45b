package stream

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/video"
)

// VideoSenderConfig describes what a [VideoSender] sends.
type VideoSenderConfig struct {
	// Codec is one that [VideoFormat] knows. Of the parameters of H264 the
	// packetization-mode is heeded.
	Codec codec.Params

	// Immediate sends a frame when it is written, all at once, with the time of
	// that in its timestamp. Otherwise frames leave on the clock of their Time,
	// and the packets of each are spread over the time until the next one, in groups
	// of eight.
	Immediate bool

	// Sound is the audio of the same call: a frame leaves when the sound that was
	// written with the same Time does, so that sender reports of both put them at
	// the same instant. While the two differ by more than half a second, as when
	// only one of them has gone over to another recording, each goes on by itself.
	// Whatever guards one of the senders has to guard both. Nil: none.
	Sound *AudioSender

	Queue      int // frames that may wait; 0: 16
	MaxPayload int // bytes; 0: [payload.DefaultMaxPayload]

	// KeyFrameInterval is the least time between two requests for a key frame
	// that reach the encoder. 0: 300 ms.
	KeyFrameInterval time.Duration

	SSRC      uint32
	Sequence  uint16
	Timestamp uint32
}

const (
	maxVideoFrame = 4 << 20
	maxVideoQueue = 8 << 20 // bytes

	// A step of the times of frames that is larger is no pause, but another
	// recording; and a writer that is so much behind its times has stalled.
	videoJump  = 2 * time.Second
	videoStall = 500 * time.Millisecond

	// A frame's packets leave within this part of the time until the next frame.
	spreadNum, spreadDen = 3, 4
	maxSpread            = 100 * time.Millisecond

	// So many packets leave together, which saves a third of what sending and
	// receiving them costs: each time that a sender and a receiver wake up is
	// dearer than a packet. It is the largest burst of a sender that is not behind:
	// some 10 kB, 8 ms of a link of 10 Mbit/s.
	videoGroup = 8
)

// VideoSenderStats count what a [VideoSender] has sent.
type VideoSenderStats struct {
	Packets   int64
	Octets    int64 // of their payloads
	Frames    int64
	KeyFrames int64
	Skipped   int64 // frames, see Skip
	Limited   int64 // requests for key frames that were answered together with others
}

// A VideoSender turns coded frames into RTP packets, the last one of each frame
// with the marker. It is not safe for concurrent use.
//
// With B-frames, whose times do not ascend, a frame leaves at the least time of
// those that wait: no frame is later than its time, if the writer is ahead by as
// many frames as are reordered. A gap in the times is not waited for, and after a
// stall of the writer time goes on from then.
type VideoSender struct {
	config     VideoSenderConfig
	packetizer payload.VideoPacketizer
	check      payload.VideoPacketizer

	seq    uint16
	begun  bool
	origin time.Time     // when media time was 0
	shift  time.Duration // from the times of frames to media time
	latest time.Duration // highest media time so far
	left   time.Duration // and that of a frame which has begun to leave
	run    int           // of the sound that shift goes by; 0: none

	queue []queuedFrame // a ring
	first int
	count int
	bytes int

	under  bool // the first frame of the queue is under way
	held   bool
	skip   bool      // as Skip has it
	skips  bool      // frames go by: on skip, and after it until a key frame comes
	unsent bool      // the frame under way goes by, since it began on hold
	sent   int       // packets of it
	all    int       // about as many it will be
	start  time.Time // when it began
	spread time.Duration
	before time.Time // when the one before was due

	keys  rtcpctl.KeyFrameLimiter
	stats VideoSenderStats
}

type queuedFrame struct {
	data  []byte
	media time.Duration
	key   bool
}

// NewVideoSender returns a sender for c. The error wraps [ErrVideoFormat] or
// [ErrConfig].
func NewVideoSender(c VideoSenderConfig) (*VideoSender, error) {
	c.Queue = cmp.Or(c.Queue, 16)
	c.MaxPayload = cmp.Or(c.MaxPayload, payload.DefaultMaxPayload)
	switch {
	case c.Codec.PayloadType > 127 || c.Codec.ClockRate <= 0:
		return nil, fmt.Errorf("%w: %s with payload type %d", ErrConfig, c.Codec, c.Codec.PayloadType)
	case c.Queue < 1 || c.Queue > 1024:
		return nil, fmt.Errorf("%w: a queue of %d frames is outside 1..1024", ErrConfig, c.Queue)
	case c.MaxPayload < 64 || c.MaxPayload > 65000:
		return nil, fmt.Errorf("%w: payloads of %d bytes are outside 64..65000", ErrConfig, c.MaxPayload)
	}
	s := &VideoSender{config: c, seq: c.Sequence, queue: make([]queuedFrame, c.Queue)}
	s.keys.Interval = c.KeyFrameInterval
	var err error
	if s.packetizer, err = newVideoPacketizer(&c); err != nil {
		return nil, err
	}
	s.check, _ = newVideoPacketizer(&c)
	s.SetSound(c.Sound)
	return s, nil
}

// SetSound changes Sound of the configuration, as when a call gets audio later.
func (s *VideoSender) SetSound(a *AudioSender) {
	s.config.Sound = a
	if a != nil {
		a.written.paused = true
	}
}

// newVideoPacketizer returns a packetizer. Browsers work better with long picture
// IDs.
func newVideoPacketizer(c *VideoSenderConfig) (payload.VideoPacketizer, error) {
	format, err := VideoFormat(c.Codec.Name)
	if err != nil {
		return nil, err
	}
	switch format.(type) {
	case payload.VP8:
		d := payload.VP8Descriptor{PictureIDBits: 15, PictureID: c.Sequence & 0x7fff}
		return &payload.VP8Packetizer{MaxPayload: c.MaxPayload, Descriptor: d}, nil
	case payload.VP9:
		d := payload.VP9Descriptor{PictureIDBits: 15, PictureID: c.Sequence & 0x7fff}
		return &payload.VP9Packetizer{MaxPayload: c.MaxPayload, Descriptor: d}, nil
	}
	single := !strings.Contains(c.Codec.FMTP, "packetization-mode=1")
	return &payload.H264Packetizer{MaxPayload: c.MaxPayload, SingleUnits: single}, nil
}

// Write takes a frame, of which it keeps a copy. The error is [ErrFull] if the
// queue has no room for it, or wraps [payload.ErrFrame] if it cannot be sent at
// all, as when it is of another codec.
func (s *VideoSender) Write(now time.Time, f *video.Frame) error {
	if len(f.Data) > maxVideoFrame {
		return fmt.Errorf("%w: %d bytes", payload.ErrFrame, len(f.Data))
	}
	if !f.Fits(s.config.Codec.Name) {
		return fmt.Errorf("%w: %s where %s is sent", payload.ErrFrame, f.Codec, s.config.Codec.Name)
	}
	if s.count == len(s.queue) || s.bytes+len(f.Data) > maxVideoQueue {
		return ErrFull
	}
	if err := s.check.Begin(f.Data); err != nil {
		return err
	}
	media := s.place(now, f.Time)
	q := &s.queue[(s.first+s.count)%len(s.queue)]
	*q = queuedFrame{data: append(q.data[:0], f.Data...), media: media, key: f.Key}
	s.count++
	s.bytes += len(f.Data)
	if f.Key {
		s.keys.Sent(now)
	}
	return nil
}

// place returns the media time of a frame that is written at now.
func (s *VideoSender) place(now time.Time, at time.Duration) time.Duration {
	if !s.begun {
		s.begun, s.origin, s.shift = true, now, -at
		if with, run, ok := s.sound(at); ok && with <= videoStall && with >= -videoStall {
			s.origin, s.run = now.Add(with), run
		}
		return 0
	}
	s.align(now)
	clock := now.Sub(s.origin)
	media := at + s.shift
	switch ahead := media - s.latest; {
	case s.config.Immediate:
		media = clock
	case ahead > videoJump || ahead < -videoJump || clock-max(media, s.latest) > videoStall:
		media = max(clock, s.latest+time.Millisecond, s.recorded(clock))
		s.shift, s.run = media-at, 0
	}
	if with, run, ok := s.sound(at); ok && with-media <= videoStall && with-media >= -videoStall {
		// Timestamps must not go back.
		media = max(with, media-max(0, media-s.latest)/slowness)
		s.shift, s.run = media-at, run
	}
	s.latest = max(s.latest, media)
	return media
}

// sound returns the media time at which the sound of a time leaves.
func (s *VideoSender) sound(at time.Duration) (media time.Duration, run int, ok bool) {
	if s.config.Sound == nil || s.config.Immediate {
		return 0, 0, false
	}
	due, run, ok := s.config.Sound.due(at)
	return due.Sub(s.origin), run, ok
}

// recorded returns the media time at which the sound that was written ends, with
// which another recording may begin, if that is soon.
func (s *VideoSender) recorded(clock time.Duration) time.Duration {
	if s.config.Sound == nil {
		return clock
	}
	if end := s.config.Sound.end().Sub(s.origin); end <= clock+videoStall {
		return end
	}
	return clock
}

// align puts off what waits when the sound that belongs to it was put off, as
// after a stall, or begins later than its time says.
func (s *VideoSender) align(now time.Time) {
	with, run, ok := s.sound(0)
	by := with - s.shift
	waits := s.count
	if s.under {
		waits--
	}
	if !ok || waits == 0 || by < time.Millisecond || run != s.run && by > videoStall {
		return
	}
	first := s.queue[(s.first+s.count-waits)%len(s.queue)].media
	if first+by > max(first, now.Sub(s.origin))+videoStall {
		return
	}
	for i := s.count - waits; i < s.count; i++ {
		s.queue[(s.first+i)%len(s.queue)].media += by
	}
	s.shift, s.run = s.shift+by, run
	s.latest += by
}

// due returns when the first frame of the queue should leave.
func (s *VideoSender) due() time.Time {
	least := s.queue[s.first].media
	for i := 1; i < s.count; i++ {
		least = min(least, s.queue[(s.first+i)%len(s.queue)].media)
	}
	return s.origin.Add(least)
}

// Next returns when [VideoSender.AppendPacket] has the next packet, which may be
// in the past. The zero Time means not before the next Write.
func (s *VideoSender) Next() time.Time {
	switch {
	case s.count == 0:
		return time.Time{}
	case !s.under:
		return s.due()
	}
	return s.start.Add(s.spread * time.Duration(s.sent-s.sent%videoGroup) / time.Duration(s.all))
}

// AppendPacket appends the packet that is due at now to dst, and reports false if
// there is none. To send all that is due, call it until then.
func (s *VideoSender) AppendPacket(dst []byte, now time.Time) ([]byte, bool) {
	for {
		s.align(now)
		if next := s.Next(); next.IsZero() || next.After(now) {
			return dst, false
		}
		q := &s.queue[s.first]
		if !s.under && !s.begin(now, q) {
			return dst, false
		}
		b := appendHeader(dst, rtp.Header{
			PayloadType:    s.config.Codec.PayloadType,
			SequenceNumber: s.seq,
			Timestamp:      s.stamp(q.media),
			SSRC:           s.config.SSRC,
		})
		b, more := s.packetizer.AppendPayload(b)
		s.sent++
		s.all = max(s.all, s.sent)
		if !more {
			s.pop()
		}
		if s.unsent {
			continue
		}
		s.seq++
		s.stats.Packets++
		s.stats.Octets += int64(len(b) - len(dst) - headerSize)
		if !more {
			b[len(dst)+1] |= 0x80
			s.stats.Frames++
			if q.key {
				s.stats.KeyFrames++
			}
		}
		return b, true
	}
}

// Hold begins or ends a hold. What is due on hold is not sent and takes no sequence
// numbers (RFC 3550, section 5.1), but time goes on. A frame that is under way when a
// hold begins is sent to its end, and one that is when the hold ends is not sent.
func (s *VideoSender) Hold(on bool) { s.held = on }

// Skip begins or ends a time in which frames go by as on hold. It ends at a key frame.
func (s *VideoSender) Skip(on bool) { s.skip = on }

// begin begins to send the first frame of the queue.
func (s *VideoSender) begin(now time.Time, q *queuedFrame) bool {
	if err := s.packetizer.Begin(q.data); err != nil { // Write has found that it can be sent
		s.pop()
		return false
	}
	due := s.due()
	if s.skips = s.skip || s.skips && !q.key; s.skips && !s.held {
		s.stats.Skipped++
	}
	s.under, s.unsent, s.sent, s.start = true, s.held || s.skips, 0, now
	s.all = 1 + len(q.data)/s.config.MaxPayload
	s.spread = 0
	if !s.config.Immediate && !s.before.IsZero() {
		s.spread = min(max(0, due.Sub(s.before)), maxSpread)*spreadNum/spreadDen - max(0, now.Sub(due))
		s.spread = max(0, s.spread)
	}
	s.before = due
	s.left = max(s.left, q.media)
	return true
}

// pop removes the first frame of the queue.
func (s *VideoSender) pop() {
	s.under = false
	s.bytes -= len(s.queue[s.first].data)
	s.first = (s.first + 1) % len(s.queue)
	s.count--
}

// stamp returns the timestamp of a media time.
func (s *VideoSender) stamp(media time.Duration) uint32 {
	return s.config.Timestamp + uint32(timeToUnits(media, s.config.Codec.ClockRate))
}

// Timestamp returns the RTP timestamp of now, as a sender report needs it.
func (s *VideoSender) Timestamp(now time.Time) uint32 {
	if !s.begun {
		return s.config.Timestamp
	}
	return s.stamp(max(0, now.Sub(s.origin)))
}

// Flush drops what has not been sent, but for the rest of the frame under way,
// without which the far end would have to wait.
func (s *VideoSender) Flush() {
	keep := 0
	if s.under {
		keep = 1
	}
	for ; s.count > keep; s.count-- {
		s.bytes -= len(s.queue[(s.first+s.count-1)%len(s.queue)].data)
	}
	s.latest = s.left
}

// Queued returns how many frames have not been sent completely.
func (s *VideoSender) Queued() int { return s.count }

// Room reports whether a frame of the given size would find room in the queue.
func (s *VideoSender) Room(size int) bool {
	return s.count < len(s.queue) && s.bytes+size <= maxVideoQueue
}

// SSRC returns the synchronisation source of the packets.
func (s *VideoSender) SSRC() uint32 { return s.config.SSRC }

// Codec returns the payload format of the packets.
func (s *VideoSender) Codec() codec.Params { return s.config.Codec }

// SetSSRC goes over to another source, as after a collision (RFC 3550, section
// 8.2).
func (s *VideoSender) SetSSRC(ssrc uint32, sequence uint16) {
	s.config.SSRC, s.seq = ssrc, sequence
}

// KeyFrames returns what decides when the encoder has to make a key frame. What
// the far end asks for goes to its Ask; a key frame that is written answers it.
func (s *VideoSender) KeyFrames() *rtcpctl.KeyFrameLimiter { return &s.keys }

// Stats sets st to what was sent so far.
func (s *VideoSender) Stats(st *VideoSenderStats) {
	*st = s.stats
	st.Limited = s.keys.Limited()
}
