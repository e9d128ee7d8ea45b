package parley

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// VideoConfig describes the video of a [Call].
type VideoConfig struct {
	Leg     Leg
	Mid     string         // in session descriptions; may be empty
	Label   string         // of the far end's track; may be empty
	Send    codec.Params   // H264, VP8 or VP9
	Receive []codec.Params // by payload type
	Accepts []codec.Params // what the far end takes in place of Send at any time: see [Video.WriteFrame]

	Immediate bool          // send frames when written, all at once, not on the clock of their times
	Wait      time.Duration // how long a missing packet is waited for; 0: 200 ms
	Direction Direction

	// MaxPayload is how many bytes of a frame a packet has at most: less than the
	// path's MTU by what IP, UDP, RTP and SRTP take, up to 80. 0:
	// [payload.DefaultMaxPayload].
	MaxPayload int

	SSRC  uint32 // 0: random
	CNAME string // "": that of the audio, or random (RFC 7022)
	RTCP  RTCPConfig
}

// Video is one line of video of a [Call]: coded pictures, whole ones only. It implements
// [video.Reader] and [video.Writer]. One goroutine may read while another writes.
//
// What cannot be decoded for want of what was lost is left out, and the far end
// is asked for a key frame, at once and again until one comes. With NACK it is
// asked for the lost packets first.
type Video struct {
	line
	patience time.Duration // for a missing packet

	// Guarded by call.mu.
	receiver  *stream.VideoReceiver
	sync      *stream.Sync // nil without audio
	sound     *Audio       // with which sync is
	sender    *stream.VideoSender
	sending   stream.VideoSenderConfig
	past      stream.VideoSenderStats // of senders before this one
	sequence  uint16                  // of the next packet that is sent
	begun     bool                    // one was
	control   RTCPConfig
	codecs    []codec.Params // what is received
	accepts   []codec.Params // what may be sent in place of what is
	described describedSets
	frames    pictureQueue
	flushes   int  // a writer that waits gives up when it changes
	wanted    bool // the far end wants a key frame, and the writer was not told

	thin      thin
	requests  int64 // for key frames, of the far end
	bandwidth int64
	told      int64 // of that, by an event
	toldAt    time.Time
	arrived   int64 // packets, by transport-wide feedback
	missing   int64
}

// maxVideoAgain bounds the packets of video that wait to be sent again.
const maxVideoAgain = 256

func newVideo(call *Call, c *VideoConfig, cname string) (*Video, error) {
	v := &Video{
		line:     line{call: call, leg: c.Leg, name: "video", mid: c.Mid, label: c.Label, direction: c.Direction},
		patience: cmp.Or(c.Wait, 200*time.Millisecond),
	}
	var err error
	if v.receiver, err = stream.NewVideoReceiver(stream.VideoReceiverConfig{Codecs: c.Receive, Wait: c.Wait}); err != nil {
		return nil, err
	}
	v.sending = stream.VideoSenderConfig{
		Codec:      c.Send,
		Immediate:  c.Immediate,
		MaxPayload: c.MaxPayload,
		SSRC:       cmp.Or(c.SSRC, call.newSSRC()),
		Sequence:   randomSequence(),
		Timestamp:  rand.Uint32(),
	}
	v.sequence = v.sending.Sequence
	if v.sender, err = stream.NewVideoSender(v.sending); err != nil {
		return nil, err
	}
	if a := call.audioLocked(); a != nil {
		v.joinLocked(a)
	}
	v.of, v.in, v.out = v, v.receiver, v.sender
	v.batch, _ = c.Leg.(BatchLeg)
	v.setCodecs(c.Receive)
	v.accepts = slices.Clone(c.Accepts)
	v.pictures = &pictures{KeyFrameRequester: v.receiver.KeyFrames(), loss: true, full: c.RTCP.FIR}
	v.control = c.RTCP
	v.control.Bandwidth = cmp.Or(v.control.Bandwidth, 2_000_000)
	v.startLocked(time.Now(), v.control, rtcpctl.Config{CNAME: cname, ClockRate: c.Send.ClockRate})
	if c.RTCP.NACK {
		v.repair = newVideoRepair()
	}
	return v, nil
}

// joinLocked puts the video on one timeline with the first audio of the call.
func (v *Video) joinLocked(a *Audio) {
	v.sync, v.sound = stream.NewSync(&a.receiver, v.receiver), a
	v.sending.Sound = &a.sender
	v.sender.SetSound(&a.sender)
}

// Codec returns the payload format of what is sent.
func (v *Video) Codec() codec.Params {
	v.call.mu.Lock()
	defer v.call.mu.Unlock()
	return v.sender.Codec()
}

// Accepts reports whether frames of the codec of this name can be sent: it is that of
// [Video.Codec], or another one that was agreed on, to which a key frame goes over.
func (v *Video) Accepts(name string) bool {
	v.call.mu.Lock()
	defer v.call.mu.Unlock()
	f := video.Frame{Codec: name}
	_, ok := v.formatLocked(&f)
	return ok
}

// ReadFrame copies the next frame for which nothing is missing that was sent before it
// into f, reusing the memory of f.Data. It blocks until there is one. A reader that
// falls behind by 64 frames or 8 MiB goes on at a key frame. A key frame of H.264 for
// which the far end has stated the parameter sets in its description only
// (sprop-parameter-sets) has them ahead. While Width is 0 no parameter sets are known,
// and only a program that has them from elsewhere can decode H.264. Its Codec is that
// of the frame: the far end may use any that the call receives, and change it in
// mid-call.
//
// Its Time is on one timeline with that of [Audio.ReadFrame]. A recorder writes
// both at their Time. A frame comes as soon as it is whole, and its sound is given
// out later, by the playout delay of audio: a player shows a frame when the sound
// that is heard has come to its Time, or at once if that is past. With audio that
// is read in order, or not at all, a player goes by a clock of its own.
//
// After the far end has ended the call, or the line was removed, what is left
// comes at once, and then [io.EOF]. After any other end the error is an
// [*EndError], behind what is left. It is [os.ErrDeadlineExceeded] after the read
// deadline. While the far end may not send, it blocks.
func (v *Video) ReadFrame(f *video.Frame) error { return v.readFrame(context.Background(), f) }

func (v *Video) readFrame(ctx context.Context, f *video.Frame) error {
	c := v.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.frames.behind && v.frames.count == 0 && v.overLocked() == nil { // now that somebody looks
		v.receiver.KeyFrames().Want(time.Now())
	}
	return v.read(ctx, &v.waiting.frame, func() bool { return v.frames.pop(f) })
}

// WriteFrame queues a copy of a frame, which leaves at its time, its packets
// spread until the next one: when the sound of the same Time leaves, if there is
// some and the two are not more than half a second apart. It blocks while the
// queue is full: 16 frames or 8 MiB. While the direction does not let this end
// send, frames go by unsent; before the call is connected they leave and are lost.
// Where the network loses so much that the sound of the call goes with it
// ([CircuitBroken]), frames go by unsent too: for 10 s, and twice as long each time, up
// to 80 s, if that comes again soon, but once only if the sound was no better for it.
//
// A key frame that names another codec than [Video.Codec] makes that the codec of what
// is sent from then on, if it was agreed on too, as browsers mostly do with several.
//
// The error wraps [payload.ErrFrame] if f is of any other codec, or cannot be sent with
// its own: the frame is left out, and the next one may go. It is
// [os.ErrDeadlineExceeded] after the write deadline, and an [*EndError] after the end
// of the call or of the line.
func (v *Video) WriteFrame(f *video.Frame) error { return v.writeFrame(context.Background(), f) }

func (v *Video) writeFrame(ctx context.Context, f *video.Frame) error {
	c := v.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if end := v.overLocked(); end != nil {
		return end
	}
	late, flushes := false, v.flushes
	var refused error
	err := v.wait(ctx, &v.waiting.room, func() bool {
		if late = expired(v.writeDeadline); late || v.overLocked() != nil || v.flushes != flushes {
			return true
		}
		now := time.Now()
		if refused = v.followLocked(now, f); refused == nil {
			refused = v.sender.Write(now, f)
		}
		return !errors.Is(refused, stream.ErrFull)
	})
	switch {
	case err != nil:
		return err
	case late:
		return os.ErrDeadlineExceeded
	case v.overLocked() != nil:
		return v.overLocked()
	case v.flushes != flushes:
		return nil
	case refused != nil:
		return refused
	}
	if f.Key {
		v.wanted = false
	}
	c.schedule()
	return nil
}

// SkipUnread drops the frames that were received and not read, for a reader who wants to
// see what is live: after any, the next one is a key frame. [video.Relay] calls it when
// it begins to read.
func (v *Video) SkipUnread() {
	v.call.mu.Lock()
	defer v.call.mu.Unlock()
	v.frames.clear()
}

// RequestKeyframe asks the far end for a key frame, as for a new viewer or a
// recording that begins, and again until one comes. It does not wait for it.
func (v *Video) RequestKeyframe() {
	c := v.call
	c.mu.Lock()
	defer c.mu.Unlock()
	v.receiver.KeyFrames().Want(time.Now())
	c.schedule()
}

// KeyframeRequested reports whether the next frame that is written should be a
// key frame, because the far end has asked for one since this was reported or a
// key frame was written last. A writer with an encoder asks before each frame;
// others wait for the event [KeyframeRequested].
func (v *Video) KeyframeRequested() bool {
	v.call.mu.Lock()
	defer v.call.mu.Unlock()
	wanted := v.wanted
	v.wanted = false
	return wanted
}

// Flush drops the frames that wait to be sent, but for the rest of the one that
// is under way. A WriteFrame that waits for room returns, without an error. What
// is written next should be a key frame.
func (v *Video) Flush() {
	c := v.call
	c.mu.Lock()
	defer c.mu.Unlock()
	v.flushes++
	v.sender.Flush()
	c.cond.Broadcast()
	c.schedule()
}

// Drain blocks until every frame that was written has been sent. The error is that
// of ctx, or an [*EndError] if the call or the line ends before.
func (v *Video) Drain(ctx context.Context) error {
	c := v.call
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	return v.wait(ctx, &v.waiting.drain, func() bool { return v.sender.Queued() == 0 && !v.leaving })
}
