// Package video has coded pictures, and raw ones, which are [image.YCbCr] with
// 4:2:0. A [Decoder] and an [Encoder] lead from one to the other; those for VP8
// and VP9 are in package vpx. A [Transform] draws a raw picture from another.
package video

import (
	"strings"
	"time"
)

// A Frame is what one RTP timestamp names: an access unit of H.264, a frame of
// VP8, or a picture of VP9 with all its spatial layers. It is coded.
type Frame struct {
	// Data is the frame in the form that files and decoders take: H.264 in Annex
	// B with start codes, VP8 and VP9 as they are, the layers of VP9 one behind
	// the other. A reader that fills a Frame reuses its memory.
	Data []byte

	Key bool // decoding can begin here

	// Codec is the name of the codec, such as "VP8", in any case; "": that of where
	// the frame goes. Calls name that of each frame they receive, because the far
	// end may change it at any time.
	Codec string

	// Time is the position on a continuous timeline, which is not in order with
	// B-frames. In a call with audio it is that of audio: what is heard and what is
	// seen with the same Time belong together, read or written. While that becomes
	// known better, time goes by up to 1/8 faster or slower for received frames; where
	// the far end has stood still, it leaps: back, if it reports that only its sound has.
	Time time.Duration

	// Captured is the time by the sender's own clock, from its reports; zero while
	// it is unknown. That clock may be wrong by years, or be set: align by Time.
	Captured  time.Time
	Timestamp uint32 // as received, or as to be sent

	// Width and Height are the size of the picture in pixels. They are 0 if it is
	// not known yet.
	Width, Height int
}

// Fits reports whether the frame is of the codec of this name, or does not name one.
// Whoever sends or records frames leaves out those that do not fit.
func (f *Frame) Fits(codec string) bool { return f.Codec == "" || strings.EqualFold(f.Codec, codec) }

// A Reader gives out frames in the order in which they are decoded. At the end
// the error is io.EOF.
type Reader interface{ ReadFrame(*Frame) error }

// A Writer takes frames. It does not keep them.
type Writer interface{ WriteFrame(*Frame) error }
