package stream

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/video"
)

// ErrVideoFormat is wrapped by the error for a video codec that is not known.
var ErrVideoFormat = errors.New("stream: unknown video codec")

// VideoFormat returns how the frames of a codec travel: H264, VP8 or VP9, in any
// case. Any other name is an error that wraps [ErrVideoFormat].
func VideoFormat(name string) (payload.VideoFormat, error) {
	switch strings.ToUpper(name) {
	case "H264":
		return payload.H264{}, nil
	case "VP8":
		return payload.VP8{}, nil
	case "VP9":
		return payload.VP9{}, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrVideoFormat, name)
}

// VideoReceiverConfig describes what a [VideoReceiver] accepts.
type VideoReceiverConfig struct {
	// Codecs are the payload formats by payload type, of the names that
	// [VideoFormat] knows. If the parameters of H264 have sprop-parameter-sets,
	// a key frame needs none of its own, until the source sends some.
	Codecs []codec.Params

	// Wait is how long what has come after a missing packet is held back for it,
	// because it may be reordered or sent again. 0 means 200 ms.
	Wait time.Duration

	// MaxFrame is the most bytes that the packets of a frame may have together.
	// Twice as much may be held back. 0 means 4 MiB.
	MaxFrame int
}

// VideoReceiverStats are counted since the receiver was made.
type VideoReceiverStats struct {
	Received   int64 // packets of the source that was heard when they came, duplicates included
	Octets     int64 // payload bytes of those that were understood
	Lost       int64 // expected less received; negative with many duplicates (RFC 3550, section 6.4.1): with Duplicated added, those that never came
	Late       int64 // received when their frame had been given up
	Duplicated int64
	Reordered  int64
	Discarded  int64 // dropped for any other reason: type, source, overflow
	Jitter     time.Duration

	Frames    int64 // given out
	KeyFrames int64 // of these
	Broken    int64 // frames of which a packet was missing or made no sense
	Skipped   int64 // whole frames that could not be decoded, for want of a key frame or of what was broken

	Codec string // of the frame that was given out last
}

// A VideoReceiver turns the packets of one media line into frames. It gives out
// whole frames only, in the order in which they are decoded, each as soon as its
// last packet is there, and only such as can be decoded with those before it, and for
// H.264 with parameter sets, which may come on another way than in packets: it begins
// at a key frame, and after a loss or a change of the codec it goes on at the next one,
// unless all that was lost belonged to a frame that no other one needs. What is missing
// between two frames of VP8 or VP9 that follow each other by their picture IDs was
// padding: it is not waited for and breaks nothing.
//
// For sources (SSRC) the rules of an [AudioReceiver] hold. A VideoReceiver is
// not safe for concurrent use.
type VideoReceiver struct {
	intake
	config  VideoReceiverConfig
	formats [128]videoFormat
	buffer  jitter.Buffer
	request rtcpctl.KeyFrameRequester
	sync    *Sync // nil: on its own

	begun    bool
	next     int64             // number of the packet that is given out next
	boundary bool              // the packet before it ended a frame
	before   payload.VideoPart // of that frame, with its number
	kind     uint8             // its payload type
	marked   bool              // a packet has shown the start of its frame
	stamp    uint32            // timestamp of the frame before
	unmarked bool              // markers end units, and not frames
	blind    bool              // frames before were lost that later ones need
	blindAt  time.Time

	head  videoHead
	gap   int64     // number that was missing first when something after it came
	until time.Time // when it is given up

	payloads      [][]byte
	width, height int
	ended         bool
	stats         VideoReceiverStats
}

type videoFormat struct {
	format payload.VideoFormat
	params codec.Params

	// described is that the parameter sets of H.264 are in the description of the
	// session, so that a key frame needs none of its own.
	described bool
}

// NewVideoReceiver returns a receiver for c. Two codecs with one payload type
// are an error, and so is a codec that is not known. The error for what nothing can be
// received with wraps [ErrConfig].
func NewVideoReceiver(c VideoReceiverConfig) (*VideoReceiver, error) {
	c.Wait = cmp.Or(c.Wait, 200*time.Millisecond)
	c.MaxFrame = cmp.Or(c.MaxFrame, 4<<20)
	if c.Wait < 0 || c.MaxFrame < 0 {
		return nil, fmt.Errorf("%w: to wait for %v, frames of up to %d bytes: less than nothing", ErrConfig, c.Wait, c.MaxFrame)
	}
	r := &VideoReceiver{config: c}
	r.line.unordered = true
	r.buffer.Limits = jitter.Limits{Packets: 1 << 14, Bytes: 2 * c.MaxFrame}
	if err := r.SetCodecs(c.Codecs); err != nil {
		return nil, err
	}
	return r, nil
}

// SetCodecs changes the payload formats that are accepted, all at once. After an
// error nothing has changed.
func (r *VideoReceiver) SetCodecs(codecs []codec.Params) error {
	var formats [128]videoFormat
	for _, p := range codecs {
		f, err := VideoFormat(p.Name)
		switch {
		case err != nil:
			return err
		case p.PayloadType > 127:
			return fmt.Errorf("%w: payload type %d of %s is not in 0..127", ErrConfig, p.PayloadType, p)
		case p.ClockRate <= 0:
			return fmt.Errorf("%w: %s has no clock rate", ErrConfig, p.Name)
		case formats[p.PayloadType].format != nil:
			return fmt.Errorf("%w: payload type %d stands for %s and for %s", ErrConfig, p.PayloadType, formats[p.PayloadType].params, p)
		}
		formats[p.PayloadType] = videoFormat{format: f, params: p, described: described(f, p)}
	}
	r.formats = formats
	return nil
}

func described(f payload.VideoFormat, p codec.Params) bool {
	if _, ok := f.(payload.H264); !ok {
		return false
	}
	parameters, err := payload.ParseH264FMTP(p.FMTP)
	return err == nil && len(parameters.ParameterSets) > 0
}

// Push takes a packet that arrived at the given time. It does not keep p or its
// payload. Frames that are ready then are for [VideoReceiver.Pull].
func (r *VideoReceiver) Push(arrival time.Time, p *rtp.Packet) Verdict {
	f := r.formats[p.PayloadType&127]
	if f.format == nil {
		r.stats.Discarded++
		return WrongType
	}
	if paddedTwice(p) {
		empty := *p
		empty.Payload = nil
		p = &empty
	}
	var t taken
	v, ok := r.take(&t, arrival, p, f.params.ClockRate, true)
	if ok {
		if t.before != nil {
			r.accept(t.before, f.params.ClockRate)
		}
		v = r.accept(&t.packet, f.params.ClockRate)
		if t.after != nil {
			r.accept(t.after, f.params.ClockRate)
		}
	}
	switch v {
	case TooLate:
		r.stats.Late++
	case OtherSource, Malformed:
		r.stats.Discarded++
	}
	return v
}

// accept puts a validated packet onto the timeline and into the buffer.
func (r *VideoReceiver) accept(p *jitter.Packet, clockRate int) Verdict {
	r.stats.Octets += int64(len(p.Payload))
	r.line.place(p, clockRate, 0)
	return r.store(p)
}

// store puts a packet with its number on the timeline into the buffer.
func (r *VideoReceiver) store(p *jitter.Packet) Verdict {
	if !r.begun {
		r.begun, r.next = true, p.Seq
		r.head.end = p.Seq
	}
	if p.Seq < r.next {
		return TooLate
	}
	evicted := r.buffer.Evicted
	v := r.buffer.Push(p)
	if n := r.buffer.Evicted - evicted; n > 0 { // even if there was no room in the end
		r.stats.Discarded += n
		r.lose(p.Arrival) // all of the head, or each packet more would cost as much as all before
	}
	switch v {
	case jitter.Late:
		return TooLate
	case jitter.Duplicate:
		return DuplicateSeen
	case jitter.Oversize:
		return Malformed
	}
	r.look()
	return Accepted
}

// Next returns when [VideoReceiver.Pull] has something to do: a frame, or a
// packet that is given up. It may be in the past. The zero Time means not before
// the next Push.
func (r *VideoReceiver) Next() time.Time {
	switch {
	case r.buffer.Len() == 0:
		return time.Time{}
	case r.head.whole || r.ended:
		return r.buffer.First().Arrival
	case r.stuck():
		return r.until
	}
	return time.Time{}
}

// Pull fills f with the next frame if there is one at now, and reports whether
// there was. A reader pulls until there is none.
func (r *VideoReceiver) Pull(now time.Time, f *video.Frame) bool {
	for {
		r.look()
		switch {
		case r.head.whole:
			if r.give(now, f) {
				return true
			}
		case r.stuck() && (r.ended || !now.Before(r.until)):
			r.lose(now)
		case r.ended && r.head.end > r.next:
			r.head.whole, r.head.broken = true, true // as before a restart
		default:
			return false
		}
	}
}

// give gives out the frame at the head, and reports whether it can be decoded.
func (r *VideoReceiver) give(now time.Time, f *video.Frame) bool {
	h := r.head
	var first *jitter.Packet
	r.payloads = r.payloads[:0]
	for seq := r.next; seq < h.end; seq++ {
		p := r.buffer.At(seq)
		if len(p.Payload) == 0 {
			continue
		}
		if first == nil || first.Timestamp != h.timestamp {
			first = p
		}
		r.payloads = append(r.payloads, p.Payload)
	}
	var data []byte
	var info payload.VideoInfo
	err := codec.ErrPayload
	format := r.formats[h.kind].format // nil: of a codec that is no more
	if h.begins && !h.broken && first != nil && format != nil {
		data, info, err = format.AppendFrame(f.Data[:0], r.payloads)
	}
	name := r.formats[h.kind].params.Name
	if err == nil && !r.blind && r.stats.Codec != "" && !strings.EqualFold(name, r.stats.Codec) {
		r.blind, r.blindAt = true, now
	}
	given := false
	switch {
	case first == nil:
	case err != nil:
		if !h.rest {
			r.stats.Broken++
		}
		r.missed(now, h.harmless || h.begins && h.info.Discardable)
	case r.blind && !info.Key && !(info.Recovery && now.Sub(r.blindAt) >= patience):
		f.Data = data[:0]
		r.stats.Skipped++
		r.missed(now, false)
	default:
		given = true
		r.blind = false
		if info.Key || info.Recovery {
			r.stats.KeyFrames++
			r.request.Arrived()
		}
		if info.Width > 0 {
			r.width, r.height = info.Width, info.Height
		}
		*f = video.Frame{
			Data: data, Key: info.Key || info.Recovery, Codec: name, Time: r.sync.place(now, first.Time), Timestamp: first.Timestamp,
			Captured: r.captured(first.Time),
			Width:    r.width, Height: r.height,
		}
		r.stats.Frames++
		r.stats.Codec = name
	}
	r.drop(h.end)
	r.boundary, r.before, r.kind, r.stamp = true, h.picture, h.kind, h.timestamp
	return given
}

// patience is how long a key frame is waited for before a recovery point of
// H.264, from which it takes some frames until the picture is right, is better
// than nothing.
const patience = time.Second

// missed notes that a frame cannot be had. If no other one needs it, that is
// all.
func (r *VideoReceiver) missed(now time.Time, harmless bool) {
	if harmless && !r.blind {
		return
	}
	if !r.blind || !r.request.Wanted() {
		r.blindAt = now
	}
	r.blind = true
	r.request.Want(now)
}

// lose gives up what is missing behind the head, and the head.
func (r *VideoReceiver) lose(now time.Time) {
	h := r.head
	seq := r.afterGap()
	p := r.buffer.At(seq)
	inside := h.used && p.Timestamp == h.timestamp && !p.Restart
	harmless := inside && (h.harmless || h.begins && h.info.Discardable)
	if h.used && !h.rest {
		r.stats.Broken++
	}
	r.missed(now, harmless)
	r.drop(seq)
	r.boundary = false
	r.head.rest, r.head.harmless = inside, harmless
	r.look()
}

// drop removes the packets before the given number, from which on nothing is
// known then.
func (r *VideoReceiver) drop(end int64) {
	for p := r.buffer.First(); p != nil && p.Seq < end; p = r.buffer.First() {
		r.buffer.Pop()
	}
	r.next = end
	r.head = videoHead{end: end}
}

// KeyFrames returns what asks for key frames. Whoever sends feedback looks at
// its Next, and tells it what was asked.
func (r *VideoReceiver) KeyFrames() *rtcpctl.KeyFrameRequester { return &r.request }

// End says that no more packets come: frames are given out without waiting for
// what is missing.
func (r *VideoReceiver) End() { r.ended = true }

// Ended reports whether End was called and everything has been given out.
func (r *VideoReceiver) Ended() bool { return r.ended && r.buffer.Len() == 0 }

// Stats fills in s.
func (r *VideoReceiver) Stats(s *VideoReceiverStats) {
	*s = r.stats
	c := r.counted()
	s.Received, s.Lost = c.received, c.lost
	s.Duplicated, s.Reordered = c.duplicated, c.reordered
	s.Discarded += c.discarded
	if r.heard != nil {
		s.Jitter = r.heard.reception.Jitter()
	}
}
