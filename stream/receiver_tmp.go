package stream

import (
	"strings"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/rtcpctl"
)

// PullDigit returns the next report of a telephone event.
func (r *AudioReceiver) PullDigit(now time.Time) (dtmf.Report, bool) {
	for _, d := range r.decoders {
		if d != nil && d.events != nil {
			if rep, ok := d.events.Pull(now); ok {
				return rep, true
			}
		}
	}
	return dtmf.Report{}, false
}

// NextDigit returns when PullDigit has something.
func (r *AudioReceiver) NextDigit() (next time.Time) {
	for _, d := range r.decoders {
		if d != nil && d.events != nil {
			next = sooner(next, d.events.Next())
		}
	}
	return next
}

// SetCodecs changes the codecs.
func (r *AudioReceiver) SetCodecs(all []codec.Params) error {
	c := r.config
	c.Codecs = all
	n, err := NewAudioReceiver(c)
	if err != nil {
		return err
	}
	r.decoders = n.decoders
	return nil
}

func isEvent(p codec.Params) bool { return strings.EqualFold(p.Name, "telephone-event") }

// Reception returns what is known of the source that is heard, or nil.
func (r *AudioReceiver) Reception() *rtcpctl.Reception {
	if r.heard == nil {
		return nil
	}
	return &r.heard.reception
}
