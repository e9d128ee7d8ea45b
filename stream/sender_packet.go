package stream

import (
	"math"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/payload"
)

const headerSize = 12 // of RTP without CSRC and extension (RFC 3550, section 5.1)

func appendHeader(dst []byte, h rtp.Header) []byte {
	h.Version = 2
	var space [headerSize]byte
	at := len(dst)
	dst = append(dst, space[:]...)
	h.MarshalTo(dst[at:]) //nolint:errcheck // the header has its fixed size
	return dst
}

// noLevel is the level of what was not heard as PCM.
const noLevel = -1

// appendMedia appends the packet of a coded frame, or of a part of one, with
// the redundancy that fits.
func (s *AudioSender) appendMedia(dst []byte, coded []byte, timestamp uint32, level int) []byte {
	if s.marker {
		s.history.count = 0 // what came before a pause is no use now
	}
	begin := len(dst)
	dst = s.appendHeader(dst, s.config.Codec.PayloadType, timestamp, s.marker)
	s.marker = false
	if level != noLevel && s.config.LevelExtension > 0 {
		// One-byte form (RFC 8285, section 4.2); the voice bit is not used.
		dst[begin] |= 0x10
		dst = append(dst, 0xbe, 0xde, 0, 1, s.config.LevelExtension<<4, byte(level), 0, 0)
	}
	header := len(dst)
	dst = s.appendRedundant(dst, begin, coded, timestamp)
	return s.count(dst, begin, header, s.clock.next)
}

// appendRedundant appends a payload, as redundant audio if that is on. The
// packet begins at begin.
func (s *AudioSender) appendRedundant(dst []byte, begin int, coded []byte, timestamp uint32) []byte {
	c := &s.config
	if c.RED.Name == "" || payload.REDSize(payload.REDBlock{Payload: coded}) > c.MaxPayload {
		return append(dst, coded...)
	}
	var space [payload.MaxREDBlocks]payload.REDBlock
	blocks := space[:1]
	blocks[0] = payload.REDBlock{PayloadType: c.Codec.PayloadType, Payload: coded}
	for i := range s.history.count { // from the latest one on
		old := s.history.back(i)
		offset := timestamp - old.timestamp
		if offset > payload.MaxREDOffset || len(old.payload) > payload.MaxREDLength {
			break
		}
		blocks = append(blocks, payload.REDBlock{
			PayloadType: c.Codec.PayloadType, Offset: uint16(offset), Payload: old.payload,
		})
		if payload.REDSize(blocks...) > c.MaxPayload {
			blocks = blocks[:len(blocks)-1]
			break
		}
	}
	for i, j := 0, len(blocks)-1; i < j; i, j = i+1, j-1 {
		blocks[i], blocks[j] = blocks[j], blocks[i]
	}
	out, err := payload.AppendRED(dst, blocks...)
	if err != nil {
		return append(dst, coded...)
	}
	out[begin+1] = out[begin+1]&0x80 | c.RED.PayloadType
	s.history.push(coded, timestamp, c.Generations)
	return out
}

// appendHeader appends the header of the next packet.
func (s *AudioSender) appendHeader(dst []byte, payloadType uint8, timestamp uint32, marker bool) []byte {
	dst = appendHeader(dst, rtp.Header{
		Marker:         marker,
		PayloadType:    payloadType,
		SequenceNumber: s.seq,
		Timestamp:      timestamp,
		SSRC:           s.config.SSRC,
	})
	s.seq++
	s.relay.on = false
	return dst
}

// count counts the packet dst[begin:], whose payload begins at header, and
// keeps a copy of it that has to leave at again.
func (s *AudioSender) count(dst []byte, begin, header int, again time.Time) []byte {
	s.stats.Packets++
	s.stats.Octets += int64(len(dst) - header)
	if s.config.Duplicate {
		s.copies.push(dst[begin:], len(dst)-header, again)
	}
	return dst
}

// level returns the power of pcm in -dBov, 0..127 (RFC 6464, section 3).
func level(pcm []int16) int {
	var sum int64
	for _, v := range pcm {
		sum += int64(v) * int64(v)
	}
	if sum == 0 {
		return 127
	}
	mean := float64(sum) / float64(len(pcm))
	return int(min(max(math.Round(-10*math.Log10(mean/(32767*32767))), 0), 127))
}

// A history has the frames that were sent last, for redundancy.
type history struct {
	frames      []oldFrame // ring; nil before there is any
	last, count int
}

type oldFrame struct {
	timestamp uint32
	payload   []byte
}

// push keeps a copy of a payload, and no more than limit of them.
func (h *history) push(coded []byte, timestamp uint32, limit int) {
	if h.frames == nil {
		h.frames = make([]oldFrame, payload.MaxREDBlocks-1)
	}
	h.last = (h.last + 1) % len(h.frames)
	f := &h.frames[h.last]
	f.timestamp = timestamp
	f.payload = append(f.payload[:0], coded...)
	h.count = min(h.count+1, limit)
}

// back returns a frame, 0 being the latest one.
func (h *history) back(i int) *oldFrame {
	return &h.frames[(h.last-i+len(h.frames))%len(h.frames)]
}

// maxCopies is how many packets can wait for their second time; more than that
// leave once.
const maxCopies = 16

// copies are packets that have to leave a second time.
type copies struct {
	ring         []packetCopy
	first, count int
}

type packetCopy struct {
	due    time.Time
	octets int
	packet []byte
}

func (c *copies) push(packet []byte, octets int, due time.Time) {
	if c.ring == nil {
		c.ring = make([]packetCopy, maxCopies)
	}
	if c.count == len(c.ring) {
		return
	}
	p := &c.ring[(c.first+c.count)%len(c.ring)]
	p.due, p.octets, p.packet = due, octets, append(p.packet[:0], packet...)
	c.count++
}

func (c *copies) next() time.Time {
	if c.count == 0 {
		return time.Time{}
	}
	return c.ring[c.first].due
}

// appendCopy appends the copy that is due at now, if any.
func (s *AudioSender) appendCopy(dst []byte, now time.Time) ([]byte, bool) {
	c := &s.copies
	if c.count == 0 || now.Before(c.next()) {
		return dst, false
	}
	p := &c.ring[c.first]
	c.first = (c.first + 1) % len(c.ring)
	c.count--
	s.stats.Packets++
	s.stats.Octets += int64(p.octets)
	s.stats.Duplicates++
	return append(dst, p.packet...), true
}
