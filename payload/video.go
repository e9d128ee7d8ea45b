package payload

import (
	"errors"
	"fmt"

	"github.com/parley-media/parley/codec"
)

// DefaultMaxPayload is how many bytes of payload a packetizer puts into a
// packet if nothing else is asked for. With the headers of RTP, SRTP, UDP and
// IPv6 it fits through a tunnel with an MTU of 1280.
const DefaultMaxPayload = 1200

// ErrFrame is wrapped by the error for a frame that a packetizer cannot send.
var ErrFrame = errors.New("payload: cannot be sent as a frame")

// A VideoFormat is how the frames of one codec travel in RTP: [H264], [VP8] or
// [VP9]. It has no state, so one value serves any number of streams, from any
// goroutine.
//
// What is called a frame is what a packet's timestamp names: an access unit of
// H.264, a frame of VP8, and a picture of VP9 with all its spatial layers.
//
// A packet without payload, as some senders use for padding, belongs to no
// frame: whoever orders packets has to count it as received and leave it out.
type VideoFormat interface {
	// ParsePacket says what a payload has of its frame. An error wraps
	// [codec.ErrPayload]; the frame then cannot be made whole.
	ParsePacket(payload []byte) (VideoPart, error)

	// AppendFrame appends to dst the frame that payloads make together: all
	// those of one timestamp in the order of their sequence numbers. They are
	// only read. An error wraps [codec.ErrPayload], dst is then returned
	// unchanged: what comes out is a whole frame or nothing. What it appends is
	// at most five times as long as the payloads together (single bytes, each
	// with a start code).
	//
	// Packets that are missing between two others show in their sequence
	// numbers alone; that there is none is for the caller to see to.
	AppendFrame(dst []byte, payloads [][]byte) ([]byte, VideoInfo, error)

	// Info returns what a frame tells of itself. Of one that makes no sense it
	// tells nothing.
	Info(frame []byte) VideoInfo
}

// A VideoPart is what one packet tells of its frame.
type VideoPart struct {
	// Start is that the packet is the first one of its frame, whatever was lost
	// before it. It can be false for a first packet too, as H.264 has no mark
	// for it; then that the packet before it ended a frame, by its marker or by
	// its timestamp, is what shows the start.
	Start bool

	// Continues is that it is not the first one, though the packet before it may have the
	// marker of a last one: some senders of H.264 set that at the end of each unit.
	Continues bool

	// Picture is that it has some of the picture itself, and not only what H.264 sends
	// along: parameter sets, messages, delimiters. Without any there is no frame yet.
	Picture bool

	// PictureID is the number of the frame, of 7 or 15 bits, if the sender of VP8
	// or VP9 numbers its frames; PictureIDBits is 0 if it does not.
	PictureID     uint16
	PictureIDBits uint8

	// VideoInfo is what this packet has to tell. The frame has what any of its
	// packets has.
	VideoInfo
}

// Follows reports whether the frame of p is the next one after that of q, by the
// picture IDs of both, which repeat after 1<<PictureIDBits frames. Without them
// nobody knows, and it is false.
func (p VideoPart) Follows(q VideoPart) bool {
	return p.PictureIDBits != 0 && p.PictureIDBits == q.PictureIDBits && p.PictureID == nextPictureID(q.PictureIDBits, q.PictureID)
}

// A VideoInfo is what a frame tells of itself.
type VideoInfo struct {
	// Key is that decoding can begin at the frame: an IDR picture, a key frame,
	// or a picture of VP9 whose base layer is one.
	Key bool

	// Recovery is that an H.264 frame has a recovery point message: decoding
	// can begin here too, and gives correct pictures after some frames.
	Recovery bool

	// Discardable is that no later frame needs this one. For a part, it is
	// what the packet knows.
	Discardable bool

	// Width and Height are the size of the picture in pixels, 0 if the frame
	// does not tell, as most that are no key frames. For VP9 with spatial
	// layers they are those of the highest layer that the frame has and, for a
	// part, that the stream has.
	Width, Height int
}

// A VideoPacketizer makes the payloads of one stream: [H264Packetizer],
// [VP8Packetizer] or [VP9Packetizer]. It is not safe for concurrent use, and
// allocates nothing.
type VideoPacketizer interface {
	// Begin begins a frame, which the packetizer reads until its last payload
	// has been made. What was left of the frame before is dropped. An error
	// wraps [ErrFrame]; there is then nothing to send.
	Begin(frame []byte) error

	// AppendPayload appends the next payload of the frame to dst and reports
	// whether there are more: the packet with the last one has the marker bit.
	// Without a frame, dst is returned as it is, with false.
	AppendPayload(dst []byte) (payload []byte, more bool)
}

// maxPayload returns what the option of a packetizer means. A length in a STAP-A
// has 16 bits, and a datagram is no larger.
func maxPayload(option int) int {
	if option == 0 {
		return DefaultMaxPayload
	}
	return min(option, 1<<16-1)
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{codec.ErrPayload}, args...)...)
}

func unsendable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFrame}, args...)...)
}
