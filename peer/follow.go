package peer

import (
	"cmp"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
)

// attach gives each line a sender, whether or not there is something to send yet. One
// without a codec is turned down; with a sender, pion would refuse the whole offer.
func (c *connection) attach(wanted []section) error {
	for i, s := range wanted {
		t := c.transceiver(s.mid)
		if t == nil || s.off {
			continue
		}
		l := c.legs[t]
		if (l == nil || l.sender == nil) && len(negotiated(t, s.formats)) == 0 && !prefer(t, s.formats) {
			wanted[i].off = true
			continue
		}
		if l == nil {
			l = c.newLeg(t.Kind())
			c.legs[t] = l
		}
		if l.sender != nil {
			if err := c.takeOver(t, l, s.direction); err != nil {
				return err
			}
			continue
		}
		sender, err := c.api.NewRTPSender(l, c.pc.SCTP().Transport())
		if err == nil {
			err = t.SetSender(sender, l)
		}
		if err != nil {
			return err
		}
		l.sender = sender
	}
	return nil
}

// prefer has a line use the payload types of its offer, and reports whether there is a codec
// among them. pion takes those that were agreed on for another line first, which Firefox
// does not.
func prefer(t *webrtc.RTPTransceiver, formats []string) bool {
	if t.SetCodecPreferences(nil) != nil {
		return false
	}
	offered := slices.DeleteFunc(slices.Clone(known(t)), func(p webrtc.RTPCodecParameters) bool {
		return !slices.Contains(formats, strconv.Itoa(int(p.PayloadType)))
	})
	return len(offered) > 0 && t.SetCodecPreferences(offered) == nil && len(negotiated(t, formats)) > 0
}

// takeOver has a new line of the far end for which pion has taken one that this end
// was going to offer. If it cannot be sent on, what was asked for is offered all the
// same, as another line.
func (c *connection) takeOver(t *webrtc.RTPTransceiver, l *leg, d parley.Direction) error {
	if l.settled {
		return nil
	}
	if l.removed { // nobody waits for it any more
		l.removed = false
		return nil
	}
	if d.Sends() {
		return nil
	}
	own := c.newLeg(l.kind)
	if err := l.sender.ReplaceTrack(own); err != nil {
		return err
	}
	own.sender, c.legs[t] = l.sender, own
	t, err := c.pc.AddTransceiverFromTrack(l, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendrecv})
	if err != nil {
		return err
	}
	l.sender, c.legs[t] = t.Sender(), l
	return nil
}

// unnamed returns the leg of a stream whose SSRC no description has, or nil. pion makes
// a transceiver for each, which must not become that of a line that is offered later.
func (c *connection) unnamed(t *webrtc.RTPTransceiver, ssrc webrtc.SSRC) (l *leg) {
	if t == nil || t.SetMid(rand.Text()) != nil { // it was that of a line
		return nil
	}
	for _, s := range c.layout {
		of := c.legs[c.transceiver(s.mid)]
		switch {
		case of == nil || of.kind != t.Kind() || of.named || of.line == nil:
		case of.remote != nil && of.remote.SSRC() == ssrc: // pion begins anew with each offer
			return of
		case l == nil, l.remote != nil && of.remote == nil: // all have one: there is another source now
			l = of
		}
	}
	return l
}

// transceiver returns the line of that name, or nil.
func (c *connection) transceiver(mid string) *webrtc.RTPTransceiver {
	for _, t := range c.pc.GetTransceivers() {
		if t.Mid() == mid && mid != "" {
			return t
		}
	}
	return nil
}

// follow makes the lines of the call those that were agreed on, and turns down
// those that cannot be.
func (c *connection) follow(wanted []section) (err error) {
	usable := 0
	for i, s := range wanted {
		t := c.transceiver(s.mid)
		if t == nil {
			if s.kind == 0 && !s.off {
				usable++ // channels
			}
			continue
		}
		l := c.legs[t]
		if l == nil {
			continue
		}
		l.settled, l.named = true, s.named
		switch {
		case l.removed:
			usable++ // so it was
			if s.off {
				c.drop(t, l)
			}
			continue
		case s.off:
			c.drop(t, l)
			continue
		}
		codecs := negotiated(t, s.formats)
		if len(codecs) == 0 && t.SetCodecPreferences(nil) == nil { // which were those of its first offer
			codecs = negotiated(t, s.formats)
		}
		if len(codecs) == 0 {
			wanted[i].off = true
			continue
		}
		wrong := c.agree(l, s, codecs)
		if errors.Is(wrong, parley.ErrManyLines) {
			wanted[i].off = true
			c.drop(t, l)
			continue
		}
		err = errors.Join(err, wrong)
		usable++
	}
	if usable == 0 {
		return errNoCodec
	}
	return err
}

// agree adds a line to the call, or changes it.
func (c *connection) agree(l *leg, s section, codecs []codec.Params) error {
	var ssrc uint32
	if l.sender != nil {
		if e := l.sender.GetParameters().Encodings; len(e) > 0 {
			ssrc = uint32(e[0].SSRC)
		}
	}
	send, event := toSend(codecs)
	receive := slices.Clone(codecs)
	for i, p := range receive {
		receive[i] = opus.Sent(p)
	}
	if l, ok := l.line.(interface{ SetLabel(string) }); ok && s.label != "" {
		l.SetLabel(s.label)
	}
	if l.line != nil && l.direction == s.direction && slices.Equal(l.codecs, codecs) {
		return nil
	}
	l.direction, l.codecs = s.direction, codecs
	switch line := l.line.(type) {
	case *parley.Audio:
		return line.Update(&parley.AudioUpdate{Send: send, Event: event, Receive: receive, Direction: s.direction})
	case *parley.Video:
		return line.Update(&parley.VideoUpdate{Send: send, Receive: codecs, Accepts: codecs, Direction: s.direction, Feedback: s.feedback})
	}
	if l.kind == webrtc.RTPCodecTypeAudio {
		a, err := c.call.AttachAudio(parley.AudioConfig{
			Leg:       l,
			Mid:       s.mid,
			Label:     s.label,
			Send:      send,
			Event:     event,
			Receive:   receive,
			PTime:     c.config.PTime,
			Playout:   c.config.Playout,
			MinDelay:  c.config.MinDelay,
			MaxDelay:  c.config.MaxDelay,
			Silence:   cmp.Or(c.config.Silence, 40*time.Millisecond),
			Direction: s.direction,
			SSRC:      ssrc,
			CNAME:     c.name,
		})
		if err != nil {
			return err
		}
		l.serve(a)
	} else {
		v, err := c.call.AttachVideo(parley.VideoConfig{
			Leg:       l,
			Mid:       s.mid,
			Label:     s.label,
			Send:      send,
			Receive:   codecs,
			Accepts:   codecs,
			Direction: s.direction,
			SSRC:      ssrc,
			CNAME:     c.name,
			RTCP:      parley.RTCPConfig{NACK: s.feedback.NACK, FIR: s.feedback.FIR && !s.feedback.PLI},
		})
		if err != nil {
			return err
		}
		l.serve(v)
	}
	l.heed(ssrc)
	l.listen()
	return nil
}

// negotiated returns the codecs of a line that both ends know, in the order of
// the far end and with its payload types, which are formats. pion has those of
// other lines where there are none. Repair formats are left out.
func negotiated(t *webrtc.RTPTransceiver, formats []string) []codec.Params {
	var codecs []codec.Params
	for _, p := range known(t) {
		kind, name, ok := strings.Cut(p.MimeType, "/")
		if !ok || !strings.EqualFold(kind, t.Kind().String()) || p.PayloadType > 127 || !slices.Contains(formats, strconv.Itoa(int(p.PayloadType))) {
			continue
		}
		if strings.EqualFold(p.MimeType, webrtc.MimeTypeRTX) {
			continue
		}
		c := codec.Params{Name: name, PayloadType: uint8(p.PayloadType), ClockRate: int(p.ClockRate), FMTP: p.SDPFmtpLine}
		if t.Kind() == webrtc.RTPCodecTypeAudio {
			c.Channels = int(max(p.Channels, 1))
			if strings.EqualFold(name, "opus") && c.Channels == 1 {
				c.Channels = 2 // as it always is (RFC 7587, section 7): some pipelines of GStreamer leave it out
			}
		}
		codecs = append(codecs, c)
	}
	if send, _ := toSend(codecs); send.Name == "" {
		return nil
	}
	return codecs
}

// known returns what pion has of the codecs of a line.
func known(t *webrtc.RTPTransceiver) []webrtc.RTPCodecParameters {
	if s := t.Sender(); s != nil {
		return s.GetParameters().Codecs
	}
	if r := t.Receiver(); r != nil {
		return r.GetParameters().Codecs
	}
	return nil
}

// toSend returns the first codec, and the telephone events to send beside it: in its clock
// rate, as RFC 4733 wants, or else those of 8000 Hz, which is all that many far ends have.
func toSend(codecs []codec.Params) (send, event codec.Params) {
	for _, p := range codecs {
		if isMedia(p) {
			send = p
			break
		}
	}
	for _, rate := range []int{send.ClockRate, 8000} {
		for _, p := range codecs {
			if isEvent(p) && p.ClockRate == rate {
				return send, p
			}
		}
	}
	return send, codec.Params{}
}

func isEvent(p codec.Params) bool { return strings.EqualFold(p.Name, eventName) }

// isMedia reports whether p is more than a companion of a codec.
func isMedia(p codec.Params) bool {
	return !isEvent(p) && !strings.EqualFold(p.Name, "red") && !strings.EqualFold(p.Name, "CN")
}
