package stream

import (
	"github.com/pion/rtp"

	"github.com/parley-media/parley/jitter"
)

// What follows tells padding from loss: senders put packets without content between
// frames, and do not send them again.

// paddedTwice reports whether the payload of p is padding too, as long as the
// padding behind it, as LiveKit sends it to start a video and to look for bandwidth.
// As content it would break a frame, after which only a key frame is good.
func paddedTwice(p *rtp.Packet) bool {
	n := len(p.Payload)
	if !p.Padding || n == 0 || n != int(p.Header.PaddingSize) || int(p.Payload[n-1]) != n {
		return false
	}
	for _, b := range p.Payload[:n-1] {
		if b != 0 {
			return false
		}
	}
	return true
}

// maxPadding is how many numbers of padding are looked through for what is behind.
const maxPadding = 512

// afterPadding returns the number of the next packet with content, if what is
// missing before it can only have been padding: it begins the frame that follows
// the one before, of which nothing is missing. As many missing frames as there are
// picture IDs would look the same, so fewer numbers have to be missing.
func (r *VideoReceiver) afterPadding() (seq int64, ok bool) {
	if !r.between() {
		return 0, false
	}
	seq, p := r.content()
	if p == nil || p.Restart || p.Type != r.kind || seq-r.head.end >= 1<<r.before.PictureIDBits {
		return 0, false
	}
	part, err := r.formats[p.Type].parse(p.Payload)
	return seq, err == nil && part.Start && part.Follows(r.before)
}

// between reports whether the head is at the end of a frame that has a picture ID.
func (r *VideoReceiver) between() bool {
	return r.boundary && !r.head.used && r.before.PictureIDBits != 0
}

// content returns the first packet with content from the end of the head on, and
// its number; nil and the number behind the last one that was looked at if there is
// none.
func (r *VideoReceiver) content() (seq int64, p *jitter.Packet) {
	end := min(r.buffer.Last()+1, r.head.end+maxPadding)
	for seq = r.head.end; seq < end; seq++ {
		if p := r.buffer.At(seq); p != nil && (len(p.Payload) > 0 || p.Restart) {
			return seq, p
		}
	}
	return seq, nil
}
