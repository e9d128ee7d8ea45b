package stream

import (
	"cmp"
	"fmt"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/jitter"
)

// Playout is the way in which an [AudioReceiver] gives out its audio.
type Playout uint8

const (
	// Adaptive gives a frame per tick of a steady clock, behind the network by
	// no more than it needs, which it learns from the arrival of packets.
	Adaptive Playout = iota

	// Fixed gives a frame per tick of a steady clock, behind the fastest packets
	// by a constant time.
	Fixed

	// InOrder gives what was sent, in order, as soon as it is complete, with
	// what is lost as explicit frames: for recording and transcription, where
	// delay is cheap and loss is dear.
	InOrder
)

// String returns the name of the playout as on the command line.
func (p Playout) String() string {
	switch p {
	case Adaptive:
		return "adaptive"
	case Fixed:
		return "fixed"
	case InOrder:
		return "in-order"
	}
	return fmt.Sprintf("Playout(%d)", uint8(p))
}

// ReceiverConfig describes what an [AudioReceiver] accepts and how it gives it
// out.
type ReceiverConfig struct {
	// Codecs are the payload formats by payload type. One without a decoder can
	// only be taken coded. Three names are no codecs, but have a meaning of their
	// own: "CN" is comfort noise (RFC 3389), "telephone-event" are digits (RFC
	// 4733), which [AudioReceiver.PullDigit] gives out, and "red" is redundancy
	// (RFC 2198) for others of the list.
	Codecs  []codec.Params
	PTime   time.Duration // length of the frames that are given out, to a sample, 1 ms to 1 s; 0: 20 ms
	Playout Playout

	// MinDelay is the depth of Fixed (0: 60 ms) and the least one of Adaptive (0:
	// one PTime).
	MinDelay time.Duration

	// MaxDelay is the greatest depth of Adaptive, but for a greater MinDelay, how long
	// InOrder waits for a missing packet, and how far a reader may fall behind. 0:
	// 500 ms.
	MaxDelay time.Duration

	// PauseAfter is how long audio may be missing, with nothing received after
	// it, before the gap is taken for a pause of the sender instead of a loss. 0:
	// 120 ms.
	PauseAfter time.Duration

	// Preference is what Adaptive weighs: from near 0, least delay, to 1, least
	// loss. 0 means 0.5.
	Preference float64

	// LevelExtension is the identifier of the header extension with the audio
	// level of the sender (RFC 6464). 0: none.
	LevelExtension uint8
}

// ReceiverStats are counted since the receiver was made.
type ReceiverStats struct {
	Received   int64 // packets of the source that was heard when they came, duplicates included
	Octets     int64 // payload bytes of those that were understood
	Lost       int64 // expected less received; negative with many duplicates (RFC 3550, section 6.4.1): with Duplicated added, those that never came
	Late       int64 // received after their time, and so not heard
	Duplicated int64
	Reordered  int64
	Discarded  int64 // dropped for any other reason: type, source, overflow, undecodable
	Recovered  int64 // lost packets that were heard from redundancy: in-band FEC or RED
	Jitter     time.Duration

	Delay  time.Duration // from arrival to playout, smoothed
	Added  time.Duration // of the frame given out last: by how much later it is than if all packets came as fast as the fastest of the last second
	Target time.Duration // what Added should be

	// Emitted is the audio that has left the buffer, and Waited the sum of its delays
	// from arrival to playout, each times the length of its packet in seconds: their
	// quotient is the mean delay, over any time by what both have grown. Aimed is the
	// same for Target.
	Emitted, Waited, Aimed time.Duration

	Media        time.Duration // audio given out that was sent
	Concealed    time.Duration // audio given out in the place of lost or late media; what proves to be the beginning of a pause, or the end, is taken back
	Noise        time.Duration // comfort noise given out
	Stretched    time.Duration // by which media was made longer
	Compressed   time.Duration // by which media was made shorter
	Skipped      time.Duration // left out, to come back to the present: of the media, or what was due and nobody took in time
	Concealments int64         // how often Concealed began
	Interrupted  int64         // how often there was no media for 150 ms or more that was no pause

	Level      uint8 // of the packet received last, in -dBov, 0..127 (RFC 6464)
	Voice      bool  // the sender takes it for speech
	LevelKnown bool  // Level and Voice are valid
}

// An AudioReceiver turns the packets of one media line into frames.
//
// New sources (SSRC) have to show two packets in sequence before they are heard
// (RFC 3550, appendix A.1); these are kept and heard too. A source that proves
// itself while another is heard takes its place at once, on the same continuous
// timeline. From then on packets of the other one are dropped, until the new
// one has been silent for a while, or has said goodbye: see [AudioReceiver.Pause].
//
// An AudioReceiver is not safe for concurrent use.
type AudioReceiver struct {
	config   ReceiverConfig
	decoders decoders
	events   []*decoding // those of them that are telephone events

	intake
	buffer    jitter.Buffer
	queue     *PacketQueue // not nil when packets are taken coded
	diversion Diversion
	diverted  bool    // the speech that came last was
	brief     uint8   // packets in a row that began before the end of the one before; see tooBrief
	usual     int32   // from media time to arrival of what is diverted, in ms, but for stalls
	omitted   omitted // of those in queue, or diverted

	// Playout, in playout.go and inorder.go.
	clock    clock
	estimate jitter.Estimator
	pending  []int16       // decoded, not given out
	pendAt   time.Duration // media time of pending[0]
	pendMem  []int16       // memory behind pending
	current  *decoding     // codec of the audio given out last
	playSeq  int64         // number of the packet decoded last; valid if played
	patience time.Duration // see SetPatience
	span     time.Duration // media in a packet
	position time.Duration // media time of what is given out next; valid if played
	given    time.Duration // Time of the frame that is given out next; valid if giving
	sync     *Sync         // nil: on its own
	offset   time.Duration // from media time to Time, at the frame given out last
	pendMade bool          // pending is noise of a codec, not media
	played   bool
	broken   bool // the packet decoded last was none
	giving   bool
	ended    bool
	overlap  uint8 // packets until those in former formats are accepted no more
	digits   digits
	mender   mender
	noise    comfortNoise

	stats ReceiverStats
	taken Packet // by diversion, for the time of a call
}

// decoding is a payload format of this line with its state.
type decoding struct {
	params  codec.Params
	kind    formatKind
	format  audio.Format
	impl    *codec.Codec // nil if this build cannot decode it
	decoder codec.Decoder
	voice   *voice
	digits  *dtmf.Receiver // of a telephone event
	before  int64          // keys that were pressed before packets were diverted
	dtx     bool           // Opus: payloads of one or two bytes say that there is a pause
	former  bool           // no more accepted, but for what was on its way
}

// formatKind says what the packets of a payload type are.
type formatKind uint8

const (
	spoken formatKind = iota
	comfort
	event
	redundancy
)

// NewAudioReceiver returns a receiver for c. Two codecs with one payload type
// are an error; a codec that this build cannot decode is not. The error wraps
// [ErrConfig].
func NewAudioReceiver(c ReceiverConfig) (*AudioReceiver, error) {
	r := new(AudioReceiver)
	if err := r.Reset(c); err != nil {
		return nil, err
	}
	return r, nil
}

// Reset makes r what [NewAudioReceiver] returns. After an error it must not be used.
func (r *AudioReceiver) Reset(c ReceiverConfig) error {
	c.PTime = cmp.Or(c.PTime, 20*time.Millisecond)
	if c.Playout == Adaptive {
		c.MinDelay = cmp.Or(c.MinDelay, c.PTime)
	}
	c.MinDelay = cmp.Or(c.MinDelay, 60*time.Millisecond)
	c.MaxDelay = cmp.Or(c.MaxDelay, 500*time.Millisecond)
	c.PauseAfter = cmp.Or(c.PauseAfter, 120*time.Millisecond)
	if err := cmp.Or(checkPTime(c.PTime), c.check()); err != nil {
		return err
	}
	*r = AudioReceiver{config: c, span: c.PTime, patience: c.MaxDelay}
	r.estimate = r.newEstimate()
	return r.SetCodecs(c.Codecs)
}

func (c *ReceiverConfig) check() error {
	switch {
	case c.Playout > InOrder:
		return fmt.Errorf("%w: unknown %v", ErrConfig, c.Playout)
	case c.MinDelay < 0 || c.MaxDelay < 0 || c.PauseAfter < 0:
		return fmt.Errorf("%w: delays of %v to %v, and pauses after %v: less than nothing", ErrConfig, c.MinDelay, c.MaxDelay, c.PauseAfter)
	case !(c.Preference >= 0 && c.Preference <= 1): // nor what is no number
		return fmt.Errorf("%w: a preference of %v is outside 0..1", ErrConfig, c.Preference)
	}
	return nil
}

func checkPTime(d time.Duration) error {
	if d < time.Millisecond || d > time.Second {
		return fmt.Errorf("%w: ptime %v is not between 1ms and 1s", ErrConfig, d)
	}
	return nil
}

// TakeCoded makes the receiver put accepted packets into q instead of decoding
// them; nil undoes it. Telephone events are both put there and reported.
func (r *AudioReceiver) TakeCoded(q *PacketQueue) { r.queue = q }

// Decodes reports whether this build can decode packets of the payload type.
func (r *AudioReceiver) Decodes(payloadType uint8) bool {
	d := r.decoders.of(payloadType)
	return d != nil && d.impl != nil
}

// Push takes a packet that arrived at the given time. It does not keep p or its
// payload.
func (r *AudioReceiver) Push(arrival time.Time, p *rtp.Packet) Verdict {
	v := r.push(arrival, p)
	switch v {
	case TooLate:
		r.stats.Late++
	case WrongType, OtherSource, Malformed:
		r.stats.Discarded++
	}
	return v
}

func (r *AudioReceiver) push(arrival time.Time, p *rtp.Packet) Verdict {
	d := r.accepted(p.PayloadType)
	if d == nil {
		return r.pass(arrival, p)
	}
	if r.overlap > 0 {
		r.overlapped()
	}
	var t taken
	v, ok := r.take(&t, arrival, p, d.params.ClockRate, d.kind == spoken || d.kind == redundancy)
	if ok {
		if t.before != nil {
			r.accept(t.before, d)
		}
		v = r.accept(&t.packet, d)
		if t.after != nil {
			r.accept(t.after, d)
		}
	}
	if (v == Accepted || v == TooLate) && r.heard.ssrc == p.SSRC {
		r.level(p)
	}
	return v
}

// pass takes notice of a packet of a payload type that is not understood, as of
// telephone events that were not agreed upon: what has come is not lost.
func (r *AudioReceiver) pass(arrival time.Time, p *rtp.Packet) Verdict {
	if r.heard == nil || r.heard.ssrc != p.SSRC || !r.heard.reception.Fits(p.SequenceNumber) {
		return WrongType
	}
	var t taken
	switch v, ok := r.take(&t, arrival, p, 0, false); {
	case ok:
		r.line.number(&t.packet)
		r.omitted.add(t.packet.Seq, r.line.id)
	case v == Stray: // which is counted as that
		return v
	}
	return WrongType
}

// accept puts a validated packet of the source that is heard onto the timeline
// and into the buffer or the queue.
func (r *AudioReceiver) accept(p *jitter.Packet, d *decoding) Verdict {
	if len(p.Payload) == 0 { // padding, as a bandwidth probe
		r.line.number(p)
		r.omitted.add(p.Seq, r.line.id)
		return Malformed
	}
	r.stats.Octets += int64(len(p.Payload))
	if r.diverts(d) {
		return r.divert(p, d)
	}
	if d.kind == event {
		return r.acceptEvent(p, d)
	}
	if d.kind == redundancy && r.queue == nil {
		return r.acceptRedundant(p, d)
	}
	r.place(p, d)
	if r.queue != nil {
		return r.enqueue(p, d)
	}
	return r.store(p, d)
}

// place puts p onto the timeline.
func (r *AudioReceiver) place(p *jitter.Packet, d *decoding) {
	begins := !r.line.begun
	if d.kind == event {
		r.line.follow(p, d.params.ClockRate)
	} else {
		r.line.place(p, d.params.ClockRate, r.each(p))
	}
	if begins {
		r.offset = r.sync.begin()
	}
}

// tooBrief is after how many packets that overlap by their timestamps these are believed no
// more: they may count milliseconds, samples of another rate, or stand still.
const tooBrief = 10

// each returns the length of p if its timestamp does not tell, and 0 if it does.
func (r *AudioReceiver) each(p *jitter.Packet) time.Duration {
	if p.Restart {
		r.brief = 0
	}
	if r.brief < tooBrief {
		return 0
	}
	return r.span
}

func (r *AudioReceiver) enqueue(p *jitter.Packet, d *decoding) Verdict {
	packet, ok := r.coded(p, d)
	if !ok {
		return TooLate
	}
	r.queue.Push(&packet)
	return Accepted
}

// coded returns a packet with its place on the timeline as one that stays coded. It
// reports false if no number is left for it.
func (r *AudioReceiver) coded(p *jitter.Packet, d *decoding) (Packet, bool) {
	seq, ok := r.omitted.number(p.Seq, r.line.id)
	return Packet{
		Codec:     d.params,
		Timeline:  r.line.id,
		Seq:       seq,
		Timestamp: p.Timestamp,
		Marker:    p.Marker,
		Arrival:   p.Arrival,
		Time:      p.Time + r.offset,
		Payload:   p.Payload,
	}, ok
}

// store puts a packet with its place on the timeline into the buffer.
func (r *AudioReceiver) store(p *jitter.Packet, d *decoding) Verdict {
	if d.kind == spoken && d.impl == nil {
		return WrongType
	}
	evicted := r.buffer.Evicted
	v := r.buffer.Push(p)
	r.stats.Discarded += r.buffer.Evicted - evicted
	switch v {
	case jitter.Late:
		if !p.Copy && d.kind == spoken && r.config.Playout != InOrder && r.clock.started {
			r.estimate.Push(p.Arrival, p.Seq, p.Time) // that it was late is what there is to learn
		}
		return TooLate
	case jitter.Duplicate:
		return DuplicateSeen
	case jitter.Oversize:
		return Malformed
	}
	if !p.Copy {
		r.arrived(p, d)
	}
	return Accepted
}

// Pause says that the source has announced its end, though another may follow, also one
// that was heard before: what is missing from now on is no loss.
func (r *AudioReceiver) Pause() {
	r.clock.paused = true
	if r.heard != nil {
		r.heard.last = time.Time{}
	}
}

// End says that no more packets come: what is in the buffer is given out
// without waiting for what is missing. [AudioReceiver.Ended] tells when that is
// done.
func (r *AudioReceiver) End() {
	r.ended = true
	if r.buffer.Len() == 0 && len(r.pending) == 0 {
		r.takeBack()
	}
}

// Ended reports whether End was called and everything has been given out.
func (r *AudioReceiver) Ended() bool {
	return r.ended && r.buffer.Len() == 0 && len(r.pending) == 0
}

// Speech returns the codec of the speech that was given out last, and how much of it
// is in a packet. It reports false before there was any.
func (r *AudioReceiver) Speech() (p codec.Params, ptime time.Duration, ok bool) {
	if r.current == nil {
		return p, 0, false
	}
	return r.current.params, r.span, true
}

// Stats fills in s.
func (r *AudioReceiver) Stats(s *ReceiverStats) {
	*s = r.stats
	s.Target = r.estimate.Target()
	if r.queue != nil {
		s.Discarded += r.queue.Dropped
	}
	c := r.counted()
	s.Received, s.Lost = c.received, c.lost
	s.Duplicated, s.Reordered = c.duplicated, c.reordered
	s.Discarded += c.discarded
	if r.heard != nil {
		s.Jitter = r.heard.reception.Jitter()
	}
}
