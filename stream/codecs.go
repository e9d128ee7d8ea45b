package stream

import (
	"fmt"
	"strings"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/jitter"
)

// decoders are the payload formats of a line.
type decoders struct {
	places [128]uint8 // in list, from 1 on, by payload type; 0: none
	list   []*decoding
}

// of returns the format of a payload type, or nil.
func (d *decoders) of(payloadType uint8) *decoding {
	if at := d.places[payloadType&127]; at > 0 {
		return d.list[at-1]
	}
	return nil
}

// add adds a format whose payload type has none.
func (d *decoders) add(of *decoding) {
	d.list = append(d.list, of)
	d.places[of.params.PayloadType] = uint8(len(d.list))
}

// overlap is how many packets may come before those in a former format are accepted no
// more: 2 s of packets of 20 ms.
const overlap = 100

// SetCodecs changes the payload formats that are accepted, all at once, as after
// a new offer and answer. A format that stays what it was, at its payload type,
// goes on without a break. One that is no more, and whose payload type no other has,
// is still accepted for 100 packets, since the far end sends it until it hears of the
// change (RFC 3264, section 8.3.2), and played. After an error nothing has changed.
func (r *AudioReceiver) SetCodecs(codecs []codec.Params) error {
	var next decoders
	for _, p := range codecs {
		if p.PayloadType > 127 {
			return fmt.Errorf("%w: payload type %d of %s is not in 0..127", ErrConfig, p.PayloadType, p)
		}
		if p.ClockRate <= 0 {
			return fmt.Errorf("%w: %s has no clock rate", ErrConfig, p.Name)
		}
		if d := next.of(p.PayloadType); d != nil {
			return fmt.Errorf("%w: payload type %d stands for %s and for %s", ErrConfig, p.PayloadType, d.params, p)
		}
		if d := r.decoders.of(p.PayloadType); d != nil && d.params == p {
			next.add(d)
			continue
		}
		d, err := r.newDecoding(p)
		if err != nil {
			return err
		}
		next.add(d)
	}
	agreed := len(next.list)
	for _, d := range r.decoders.list {
		if !d.former && next.of(d.params.PayloadType) == nil {
			next.add(d)
		}
	}
	// What is in the buffer was accepted, but may have no decoder any more.
	for _, d := range r.decoders.list {
		if next.of(d.params.PayloadType) != d {
			r.forget(&next)
			break
		}
	}
	r.decoders, r.overlap = next, 0
	for i, d := range next.list {
		if d.former = i >= agreed; d.former {
			r.overlap = overlap
		}
	}
	r.events = nil
	for payloadType := range uint8(128) {
		if d := next.of(payloadType); d != nil && d.digits != nil {
			r.events = append(r.events, d)
		}
	}
	return nil
}

// accepted returns the format of a payload type, or nil if it is none, or no more.
func (r *AudioReceiver) accepted(payloadType uint8) *decoding {
	if d := r.decoders.of(payloadType); d != nil && (!d.former || r.overlap > 0) {
		return d
	}
	return nil
}

// overlapped counts a packet after SetCodecs. After the last one, former formats need no
// decoder, but what is in the buffer may get another.
func (r *AudioReceiver) overlapped() {
	if r.overlap--; r.overlap > 0 {
		return
	}
	for _, d := range r.decoders.list {
		if d.former && d != r.current {
			d.decoder = nil
		}
	}
}

func (r *AudioReceiver) newDecoding(p codec.Params) (*decoding, error) {
	d := &decoding{params: p, kind: kindOf(p.Name), dtx: strings.EqualFold(p.Name, "opus")}
	switch d.kind {
	case event:
		var err error
		d.digits, err = dtmf.NewReceiver(dtmf.ReceiverConfig{ClockRate: p.ClockRate})
		return d, err
	case comfort, redundancy:
		return d, nil
	}
	impl, err := codec.Lookup(p)
	if err != nil || impl.NewDecoder == nil {
		return d, nil
	}
	if d.format, err = impl.Format(p); err != nil {
		return nil, err
	}
	d.impl = impl
	d.voice = r.newVoice(d.format)
	return d, nil
}

// newVoice returns what a stream of the given format needs, which is shared by
// the codecs that have it.
func (r *AudioReceiver) newVoice(f audio.Format) *voice {
	for _, d := range r.decoders.list {
		if d.voice != nil && d.voice.format == f {
			return d.voice
		}
	}
	return newVoice(f)
}

// forget drops the packets whose payload type is about to change its meaning.
func (r *AudioReceiver) forget(next *decoders) {
	var kept []jitter.Packet
	for {
		p := r.buffer.Pop()
		if p == nil {
			break
		}
		if d := next.of(p.Type); d == nil || d != r.decoders.of(p.Type) {
			r.stats.Discarded++
			continue
		}
		kept = append(kept, *p)
		kept[len(kept)-1].Payload = append([]byte(nil), p.Payload...)
	}
	if len(kept) > 0 {
		r.buffer.Reset()
	}
	for i := range kept {
		r.buffer.Push(&kept[i])
	}
}

func kindOf(name string) formatKind {
	switch {
	case strings.EqualFold(name, "CN"):
		return comfort
	case strings.EqualFold(name, "telephone-event"):
		return event
	case strings.EqualFold(name, "red"):
		return redundancy
	}
	return spoken
}
