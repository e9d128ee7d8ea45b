package payload

import (
	"encoding/binary"
	"iter"
)

// H264 is the [VideoFormat] of H.264 (RFC 6184) in the packetization modes 0
// and 1: single NAL units, STAP-A and FU-A. What only the interleaved mode has,
// STAP-B, MTAP and FU-B, is malformed here.
//
// Frames are byte streams (ITU-T H.264, annex B) with start codes of four bytes.
// A packet with an access unit delimiter or a sequence parameter set ahead of any
// slice is a [VideoPart.Start]: nothing that a decoder needs is missing before it.
// Of other packets that cannot be told. As some senders repeat parameter sets
// between the slices of a picture too, a frame of which the first slice is not
// that of the first macroblock is malformed; so are, then, streams with arbitrary
// slice order, which nothing in use makes.
type H264 struct{}

const (
	fuHeader = 2
	fuStart  = 0x80
	fuEnd    = 0x40

	// first_mb_in_slice is 0 (ITU-T H.264, 7.3.3), in the byte after a header.
	firstMacroblock = 0x80

	stapHeader = 1
	stapLength = 2
)

// ParsePacket implements [VideoFormat].
func (H264) ParsePacket(payload []byte) (VideoPart, error) {
	var d h264Payload
	if err := d.parse(payload); err != nil {
		return VideoPart{}, err
	}
	var f h264Frame
	if d.fragment {
		if d.continues {
			return VideoPart{Continues: true, Picture: H264Type(d.header&h264TypeMask) <= H264IDR, VideoInfo: f.info()}, nil
		}
		f.add(d.header, nil)
		f.headless = f.coded && (len(d.body) == 0 || d.body[0]&firstMacroblock == 0)
	} else {
		for unit := range d.units() {
			f.add(unit[0], unit)
		}
	}
	return VideoPart{Start: f.start, Continues: f.headless, Picture: f.coded, VideoInfo: f.info()}, nil
}

// AppendFrame implements [VideoFormat].
func (H264) AppendFrame(dst []byte, payloads [][]byte) ([]byte, VideoInfo, error) {
	var f h264Frame
	out := dst
	open := -1 // where the unit begins that is being put together
	for _, p := range payloads {
		var d h264Payload
		if err := d.parse(p); err != nil {
			return dst, VideoInfo{}, err
		}
		if d.continues != (open >= 0) || d.continues && out[open] != d.header {
			return dst, VideoInfo{}, malformed("H.264 unit without one of its fragments")
		}
		if !d.fragment {
			for unit := range d.units() {
				out = AppendAnnexB(out, unit)
				f.add(unit[0], unit)
			}
			continue
		}
		if !d.continues {
			out = append(out, startCode[:]...)
			open = len(out)
			out = append(out, d.header)
		}
		out = append(out, d.body...)
		if d.ends {
			f.add(d.header, out[open:])
			open = -1
		}
	}
	if open >= 0 || len(payloads) == 0 {
		return dst, VideoInfo{}, malformed("H.264 unit without its last fragment")
	}
	if f.headless {
		return dst, VideoInfo{}, malformed("H.264 picture without its first slice")
	}
	return out, f.info(), nil
}

// Info implements [VideoFormat].
func (H264) Info(frame []byte) VideoInfo {
	var f h264Frame
	for unit := range AnnexB(frame) {
		f.add(unit[0], unit)
	}
	return f.info()
}

// h264Payload is a payload taken apart.
type h264Payload struct {
	header byte   // of the unit, or of the first one
	body   []byte // the unit, the lengths and units of a STAP-A, or what a fragment has of its unit

	aggregate bool // STAP-A

	fragment  bool // FU-A
	continues bool // not the first fragment
	ends      bool // the last one
}

func (d *h264Payload) parse(payload []byte) error {
	if len(payload) == 0 {
		return malformed("H.264 without content")
	}
	*d = h264Payload{header: payload[0], body: payload}
	switch H264TypeOf(payload) {
	case h264StapA:
		d.aggregate = true
		d.body = payload[stapHeader:]
		return d.parseAggregate()
	case h264FuA:
		if len(payload) < fuHeader {
			return malformed("FU-A cut short")
		}
		fu := payload[1]
		d.fragment, d.continues, d.ends = true, fu&fuStart == 0, fu&fuEnd != 0
		d.header = payload[0]&^h264TypeMask | fu&h264TypeMask
		d.body = payload[fuHeader:]
	}
	return checkH264Type(d.header)
}

// parseAggregate checks the lengths, so that units need not.
func (d *h264Payload) parseAggregate() error {
	if len(d.body) <= stapLength {
		return malformed("STAP-A without units")
	}
	d.header = d.body[stapLength]
	for rest := d.body; len(rest) > 0; {
		if len(rest) <= stapLength {
			return malformed("STAP-A cut short")
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[stapLength:]; n == 0 || n > len(rest) {
			return malformed("STAP-A with %d bytes for a unit of %d", len(rest), n)
		}
		if err := checkH264Type(rest[0]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func checkH264Type(header byte) error {
	if t := H264Type(header & h264TypeMask); t == 0 || t > h264LastType {
		return malformed("H.264 unit of type %d", t)
	}
	return nil
}

// units returns the units of what is no fragment.
func (d *h264Payload) units() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !d.aggregate {
			yield(d.body)
			return
		}
		for rest := d.body; len(rest) > 0; {
			n := stapLength + int(binary.BigEndian.Uint16(rest))
			if !yield(rest[stapLength:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// h264Frame gathers what the units of an access unit tell.
type h264Frame struct {
	start, key, recovery, referred, coded bool

	headless bool // the first slice is not that of the first macroblock

	width, height int
}

// add takes the header of a unit and, once it is whole, the unit.
func (f *h264Frame) add(header byte, unit []byte) {
	t := H264Type(header & h264TypeMask)
	f.start = f.start || !f.coded && (t == H264Delimiter || t == H264SPS)
	switch {
	case t <= H264IDR:
		if !f.coded {
			f.headless = len(unit) < 2 || unit[1]&firstMacroblock == 0
		}
		f.coded = true
		f.key = f.key || t == H264IDR
		f.referred = f.referred || header&h264RefMask != 0
	case t == H264SPS:
		f.referred = true
		if sps, err := ParseH264SPS(unit); err == nil {
			f.width, f.height = sps.Width, sps.Height
		}
	case t == H264PPS:
		f.referred = true
	case t == H264SEI:
		f.recovery = f.recovery || hasRecoveryPoint(unit)
	}
}

func (f *h264Frame) info() VideoInfo {
	return VideoInfo{
		Key: f.key, Recovery: f.recovery, Discardable: f.coded && !f.referred,
		Width: f.width, Height: f.height,
	}
}
