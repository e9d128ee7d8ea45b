package peer

import (
	"cmp"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley/codec"
)

// Packets that are sent again may come in a stream of their own (RFC 4588), which
// browsers fill with padding too when they look for bandwidth. Without it they put
// the padding among the pictures, and what is lost of that never comes again.

// repairFormats returns a repair format for each codec of video, as far as there
// are payload types left (RFC 3551, section 6; RFC 5761, section 4).
func repairFormats(codecs []codec.Params) (formats []webrtc.RTPCodecParameters) {
	var taken [128]bool
	for _, p := range codecs {
		taken[p.PayloadType&127] = true
	}
	free := func(from int, to int) int {
		for n := from; n <= to; n++ {
			if !taken[n] {
				return n
			}
		}
		return 0
	}
	for _, p := range codecs {
		if !isVideo(p) {
			continue
		}
		n := cmp.Or(free(max(96, int(p.PayloadType)), 127), free(96, 127), free(35, 63))
		if n == 0 {
			break
		}
		taken[n] = true
		formats = append(formats, webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{
				MimeType:    webrtc.MimeTypeRTX,
				ClockRate:   uint32(p.ClockRate),
				SDPFmtpLine: "apt=" + strconv.Itoa(int(p.PayloadType)),
			},
			PayloadType: webrtc.PayloadType(n),
		})
	}
	return formats
}

// originals returns the payload type that each repair format stands for.
func originals(codecs []webrtc.RTPCodecParameters) map[uint8]uint8 {
	all := map[uint8]uint8{}
	for _, c := range codecs {
		if !strings.EqualFold(c.MimeType, webrtc.MimeTypeRTX) {
			continue
		}
		for parameter := range strings.SplitSeq(c.SDPFmtpLine, ";") {
			if value, ok := strings.CutPrefix(strings.TrimSpace(parameter), "apt="); ok {
				if n, err := strconv.ParseUint(value, 10, 7); err == nil {
					all[uint8(c.PayloadType)] = uint8(n)
				}
			}
		}
	}
	return all
}

// A source is where a [mender] reads: a track of pion, which gives back the header
// and the payload of what was sent again, but for the payload type.
type source interface {
	Read(b []byte) (n int, a interceptor.Attributes, err error)
	SetReadDeadline(t time.Time) error
}

// A mender reads a track and its repair stream. Of the latter it gives out only
// what is missing, as a packet of the track that came later shows: what was asked
// for. It is for one goroutine.
type mender struct {
	track     source
	originals map[uint8]uint8

	seen    sequence
	until   time.Time // something was found missing shortly before
	hurried bool      // the track has a deadline
}

// pion looks at the repair stream only when a packet of the track comes or the
// deadline of a read has passed, so that is soon while something is missing: for
// as long as a line waits for it.
const (
	repairPause    = 5 * time.Millisecond
	repairPatience = 250 * time.Millisecond
)

// next reads a packet into b.
func (m *mender) next(b []byte) (int, error) {
	for {
		m.pace(time.Now())
		n, attributes, err := m.track.Read(b)
		if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
			continue
		}
		if err != nil || n < 12 {
			return n, err
		}
		number := uint16(b[2])<<8 | uint16(b[3])
		repair, ok := attributes.Get(webrtc.AttributeRtxPayloadType).(uint8)
		if !ok {
			if m.seen.add(number) {
				m.until = time.Now().Add(repairPatience)
			}
			return n, nil
		}
		original, ok := m.originals[repair]
		if !ok || !m.seen.lacks(number) {
			continue // browsers send again what is not missing, in the place of padding
		}
		m.seen.add(number)
		b[1] = b[1]&0x80 | original
		return n, nil
	}
}

// pace limits how long the next read may block.
func (m *mender) pace(now time.Time) {
	hurry := now.Before(m.until) && m.seen.holes()
	if !hurry && !m.hurried {
		return
	}
	var deadline time.Time
	if hurry {
		deadline = now.Add(repairPause)
	}
	if m.track.SetReadDeadline(deadline) == nil {
		m.hurried = hurry
	}
}

// A sequence is which of the last numbers of a stream were seen.
type sequence struct {
	begun  bool
	newest uint16
	bits   [2]uint64 // the newest number is bit 0, the ones before it follow
	length uint16    // how many of these the stream has had
}

// reach is how many numbers a sequence knows: fewer than those (RFC 3550, appendix
// A.1) by which a packet may be late and still belong to its stream.
const reach = 96

// add notes a number, and reports whether others before it were left out. One far
// from all before begins anew.
func (s *sequence) add(number uint16) (gap bool) {
	ahead := number - s.newest
	switch {
	case s.begun && -ahead < s.length:
		s.bits[-ahead/64] |= 1 << (-ahead % 64)
		return false
	case !s.begun || ahead >= 1<<12:
		*s = sequence{begun: true, newest: number, bits: [2]uint64{1}, length: 1}
		return false
	}
	for range min(ahead, reach) {
		s.bits[1] = s.bits[1]<<1 | s.bits[0]>>63
		s.bits[0] <<= 1
	}
	s.bits[0] |= 1
	s.newest = number
	s.length = min(s.length+min(ahead, reach), reach)
	return ahead > 1
}

// lacks reports whether a number is of those that are known, and was not seen.
func (s *sequence) lacks(number uint16) bool {
	back := s.newest - number
	return s.begun && back < s.length && s.bits[back/64]>>(back%64)&1 == 0
}

// holes reports whether any of the numbers is missing.
func (s *sequence) holes() bool {
	if s.length <= 64 {
		return s.bits[0]<<(64-s.length) != ^uint64(0)<<(64-s.length)
	}
	return s.bits[0] != ^uint64(0) || s.bits[1]<<(128-s.length) != ^uint64(0)<<(128-s.length)
}

// mends returns what reads a track of video, with its repair stream if it has one.
func mends(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) func([]byte) (int, error) {
	repairs := originals(receiver.GetParameters().Codecs)
	if len(repairs) == 0 || !track.HasRTX() {
		return func(b []byte) (int, error) { n, _, err := track.Read(b); return n, err }
	}
	m := &mender{track: track, originals: repairs}
	return m.next
}

// plain returns the first of the codecs that is no repair format.
func plain(codecs []webrtc.RTPCodecParameters) (p webrtc.RTPCodecParameters, ok bool) {
	i := slices.IndexFunc(codecs, func(c webrtc.RTPCodecParameters) bool { return !strings.EqualFold(c.MimeType, webrtc.MimeTypeRTX) })
	if i < 0 {
		return p, false
	}
	return codecs[i], true
}
