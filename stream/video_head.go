package stream

import (
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/payload"
)

// A videoHead is what is known of the packets from the next one on.
type videoHead struct {
	end       int64 // number behind the last one that was looked at
	whole     bool  // they are a frame, though perhaps without its beginning
	begins    bool  // with its beginning
	used      bool  // one of them has content
	pictured  bool  // and one some of the picture
	broken    bool
	rest      bool   // of a frame that was counted as broken
	harmless  bool   // and that no other one needs
	timestamp uint32 // of those with content
	kind      uint8  // payload type
	bytes     int
	info      payload.VideoInfo
	picture   payload.VideoPart // the first one with content
}

// look extends what is known of the head by the packets that follow it without
// a gap, until its frame ends.
func (r *VideoReceiver) look() {
	h := &r.head
	for !h.whole {
		p := r.buffer.At(h.end)
		if p == nil {
			if !r.stuck() {
				return
			}
			if seq, ok := r.afterPadding(); ok {
				r.drop(seq)
				continue
			}
			if r.gap != h.end {
				r.gap, r.until = h.end, r.waiting().Arrival.Add(r.config.Wait)
			}
			return
		}
		if h.used && (p.Restart || len(p.Payload) > 0 && (p.Timestamp != h.timestamp && h.pictured || p.Type != h.kind)) {
			h.whole = true
			h.broken = h.broken || p.Restart // nothing will show that there was no more of it
			return
		}
		if p.Restart {
			r.boundary, r.marked, r.unmarked = false, false, false
			r.blind, r.blindAt = true, p.Arrival
		}
		h.end++
		if len(p.Payload) > 0 {
			r.examine(p)
		}
		h.whole = h.pictured && p.Marker && !r.unmarked
	}
}

// stuck reports whether a packet is missing behind the head that something with
// content, or that may have some, waits for.
func (r *VideoReceiver) stuck() bool {
	if r.head.whole || r.buffer.Len() == 0 || r.buffer.Last() <= r.head.end {
		return false
	}
	if r.ended || !r.between() {
		return true
	}
	seq, p := r.content()
	return p != nil || seq <= r.buffer.Last()
}

// waiting returns the first packet that waits for what is missing behind the head.
func (r *VideoReceiver) waiting() *jitter.Packet {
	if r.between() {
		if _, p := r.content(); p != nil {
			return p
		}
	}
	return r.buffer.At(r.afterGap())
}

// afterGap returns the number of the first packet from the end of the head on.
func (r *VideoReceiver) afterGap() int64 {
	seq := r.head.end
	for r.buffer.At(seq) == nil {
		seq++
	}
	return seq
}

// examine takes a packet with content into the head.
func (r *VideoReceiver) examine(p *jitter.Packet) {
	h := &r.head
	format := &r.formats[p.Type]
	part, err := format.parse(p.Payload)
	if !h.used {
		h.used, h.kind = true, p.Type
		h.picture = part
		r.unmarked = r.unmarked || part.Continues && r.boundary && p.Timestamp == r.stamp && p.Type == r.kind
		h.begins = r.boundary || format.described && !r.marked && !h.rest
	}
	h.timestamp = p.Timestamp // parameter sets may have that of the picture before
	h.pictured = h.pictured || part.Picture || err != nil
	r.marked = r.marked || part.Start
	// What H.264 has ahead of the parameter sets, no decoder needs.
	h.begins = h.begins || part.Start && !h.info.Key
	h.info.Key = h.info.Key || part.Key
	h.bytes += len(p.Payload)
	h.broken = h.broken || err != nil || h.bytes > r.config.MaxFrame
	h.info.Discardable = h.info.Discardable || part.Discardable
}

func (f videoFormat) parse(b []byte) (payload.VideoPart, error) {
	if f.format == nil { // of a codec that is no more
		return payload.VideoPart{}, codec.ErrPayload
	}
	return f.format.ParsePacket(b)
}
