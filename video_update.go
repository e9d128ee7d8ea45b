package parley

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// VideoFeedback says what a receiver of video may ask its source for.
type VideoFeedback struct {
	NACK bool // lost packets (RFC 4585, section 6.2.1)
	PLI  bool // a key frame, by a picture loss indication (RFC 4585, section 6.3.1)
	FIR  bool // a key frame, by a full intra request (RFC 5104, section 4.3.1)
}

// And returns what is in f and in g.
func (f VideoFeedback) And(g VideoFeedback) VideoFeedback {
	return VideoFeedback{NACK: f.NACK && g.NACK, PLI: f.PLI && g.PLI, FIR: f.FIR && g.FIR}
}

// A VideoUpdate is what a new agreement with the far end may change in the video
// of a call, as after a re-INVITE. It says all of it anew; [Video.SetDirection] is for a
// hold alone.
type VideoUpdate struct {
	Send      codec.Params   // without a name: as before; unchanged: pictures stay in the one of Accepts that they went over to
	Receive   []codec.Params // nil: as before
	Accepts   []codec.Params // as in [VideoConfig]
	Feedback  VideoFeedback  // that both ends have; NACK is heeded if [RTCPConfig] has it too
	Bandwidth int64          // what the far end says it can take, in bits per second; 0: as before
	Direction Direction
	Off       bool // one end has turned the video down: it is on hold, and its goodbye is not waited for

	onlyDirection bool
}

// Update changes the first audio and the first video of the call, all at once, or
// nothing if there is an error. What is nil stays as it is.
//
// Of the video, what waits to be sent is dropped if the format changes: a writer
// looks at [Video.Codec] before each key frame. While the direction does not let
// this end send, frames go by unsent; while it does not let the far end send, what
// comes is not heard, and the deadlines for media and silence do not count the
// video. After a hold, the end that sends again is asked for a key frame.
func (c *Call) Update(a *AudioUpdate, v *VideoUpdate) error {
	line, picture := c.Audio(), c.Video()
	switch {
	case a != nil && line == nil:
		return errors.New("parley: update of the audio of a call that has none")
	case v != nil && picture == nil:
		return errors.New("parley: update of the video of a call that has none")
	}
	return c.update(line, a, picture, v)
}

// SetDirection puts the video on hold, or takes it from it, and leaves the rest as it
// was agreed; see [Audio.SetDirection]. The error is that of [Video.Update].
func (v *Video) SetDirection(d Direction) error {
	return v.call.update(nil, nil, v, &VideoUpdate{Direction: d, onlyDirection: true})
}

// Update changes the video, or nothing if there is an error, which wraps
// [stream.ErrConfig] or [stream.ErrVideoFormat], or is an [*EndError] after the end
// of the call or of the line. See [Call.Update].
func (v *Video) Update(u *VideoUpdate) error { return v.call.update(nil, nil, v, u) }

func (c *Call) update(a *Audio, au *AudioUpdate, v *Video, vu *VideoUpdate) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if au != nil && a.overLocked() != nil {
		return a.overLocked()
	}
	if vu != nil && v.overLocked() != nil {
		return v.overLocked()
	}
	now := time.Now()
	var sender *stream.VideoSender
	if vu != nil {
		var err error
		if sender, err = v.prepareLocked(now, vu); err != nil {
			return err
		}
	}
	if au != nil {
		if err := a.updateLocked(now, au); err != nil {
			if vu != nil {
				v.receiver.SetCodecs(v.codecs) //nolint:errcheck // they were right before
			}
			return err
		}
	}
	if vu != nil {
		v.updateLocked(now, vu, sender)
	}
	c.cond.Broadcast()
	c.schedule()
	return nil
}

// prepareLocked does of an update what can fail, and returns the sender to go on
// with.
func (v *Video) prepareLocked(now time.Time, u *VideoUpdate) (*stream.VideoSender, error) {
	sender := v.sender
	send, p := u.Send, sender.Codec()
	if send.Same(v.sending.Codec) && !send.Same(p) {
		// Nothing else was agreed on than when pictures went over to their own codec.
		if i := slices.IndexFunc(u.Accepts, p.Same); i >= 0 {
			send = u.Accepts[i]
		}
	}
	if send.Name != "" && !(send.Same(p) && send.PayloadType == p.PayloadType && send.FMTP == p.FMTP) {
		var err error
		if sender, err = v.senderOf(now, send); err != nil {
			return nil, err
		}
	}
	if u.Receive != nil {
		if err := v.receiver.SetCodecs(u.Receive); err != nil {
			return nil, err
		}
	}
	return sender, nil
}

// senderOf returns a sender that goes on, in p, where the present one is.
func (v *Video) senderOf(now time.Time, p codec.Params) (*stream.VideoSender, error) {
	c := v.sending
	c.Codec = p
	c.SSRC, c.Sequence, c.Timestamp = v.sender.SSRC(), v.sequence, v.sender.Timestamp(now)
	return stream.NewVideoSender(c)
}

// useLocked puts a sender in the place of the present one.
func (v *Video) useLocked(now time.Time, sender *stream.VideoSender) {
	v.past = v.sentStats()
	if rate := sender.Codec().ClockRate; rate != v.sender.Codec().ClockRate {
		v.rtcp.SetClockRate(now, rate, sender.Timestamp(now))
	}
	sender.Skip(!v.thin.until.IsZero())
	v.sender, v.out = sender, sender
}

// formatLocked returns the format in which f would be sent, and false if there is none.
func (v *Video) formatLocked(f *video.Frame) (p codec.Params, ok bool) {
	if p = v.sender.Codec(); f.Fits(p.Name) {
		return p, true
	}
	for _, p = range v.accepts {
		if f.Fits(p.Name) {
			return p, true
		}
	}
	return p, false
}

// followLocked goes over to the codec of f if decoding can begin there. Whoever passes
// pictures on cannot choose their codec, so that it need not be the one that the far end
// likes best.
func (v *Video) followLocked(now time.Time, f *video.Frame) error {
	if !f.Key || f.Fits(v.sender.Codec().Name) {
		return nil
	}
	p, ok := v.formatLocked(f)
	if !ok {
		return nil // the sender says so
	}
	sender, err := v.senderOf(now, p)
	if err == nil {
		v.useLocked(now, sender)
	}
	return err
}

func (v *Video) updateLocked(now time.Time, u *VideoUpdate, sender *stream.VideoSender) {
	direction, off := u.Direction, u.Off || u.onlyDirection && v.off
	if off {
		direction = Inactive
	}
	resumes := direction.Sends() && !v.direction.Sends()
	if sender != v.sender {
		resumes = true
		v.useLocked(now, sender)
	}
	if resumes && v.begun {
		v.sender.KeyFrames().Ask()
	}
	if u.Receive != nil {
		v.setCodecs(u.Receive)
	}
	if direction.Receives() && !v.direction.Receives() {
		v.expected = now
		if v.heard != 0 {
			v.receiver.KeyFrames().Want(now)
		}
	}
	if u.Send.Name != "" {
		v.sending.Codec = u.Send
	}
	v.renewLocked(now, direction, off)
	v.bandwidth = cmp.Or(u.Bandwidth, v.bandwidth)
	if !u.onlyDirection {
		v.accepts = slices.Clone(u.Accepts)
		v.agreeLocked(u.Feedback)
	}
	v.rtcp.ResetBreaker(now)
}

// agreeLocked keeps to the feedback that both ends have.
func (v *Video) agreeLocked(f VideoFeedback) {
	v.pictures.loss = f.PLI
	v.pictures.full = f.FIR && (v.control.FIR || !f.PLI)
	switch nack := f.NACK && v.control.NACK; {
	case !nack:
		v.repair = nil
	case v.repair == nil:
		v.repair = newVideoRepair()
	}
}

// setCodecs notes what is received.
func (v *Video) setCodecs(codecs []codec.Params) {
	v.codecs = slices.Clone(codecs)
	v.described.set(codecs)
}

// sentStats returns what was sent so far, by senders of formats before this one
// too.
func (v *Video) sentStats() stream.VideoSenderStats {
	var s stream.VideoSenderStats
	v.sender.Stats(&s)
	s.Packets += v.past.Packets
	s.Octets += v.past.Octets
	s.Frames += v.past.Frames
	s.KeyFrames += v.past.KeyFrames
	s.Skipped += v.past.Skipped
	return s
}

// newVideoRepair returns a repair with a history of a second of 10 Mbit/s in
// packets of 1200 bytes. What a second without a network takes away is sent again as a
// whole, if nothing was in the four seconds before; browsers wait for three seconds until
// they ask for a key frame in the place of what does not come.
func newVideoRepair() *repair {
	return newRepair(rtcpctl.HistoryConfig{Packets: 1024, Bytes: 2 << 20, Age: 4 * time.Second}, maxVideoAgain)
}
