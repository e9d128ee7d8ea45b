package payload

// A VideoFrame is a frame as a [VideoDepacketizer] gives it out.
type VideoFrame struct {
	Data      []byte // valid until the next Push
	Timestamp uint32 // of its packets

	// Gap is that something is missing between the frame that came out before
	// and this one: packets, or frames that were dropped. Unless this one has
	// Key, a decoder may need what is missing.
	Gap bool

	VideoInfo
}

// A VideoDepacketizer makes frames of packets that come in order. It looks at
// their sequence numbers: a frame of which a packet is missing never comes out,
// nor does one of which it is not sure that it has the beginning. Whoever has
// to put packets in order, or waits for lost ones, uses the [VideoFormat]
// instead.
//
// Frames come as soon as they are whole, from the first one on: those before the
// first with Key can't be decoded.
//
// The zero value with a Format is ready. It is not safe for concurrent use, and
// allocates only until it has seen its largest frame.
type VideoDepacketizer struct {
	Format VideoFormat

	// MaxFrame is the most bytes that the payloads of a frame may have
	// together. 0 is 4 MiB. A larger frame is dropped.
	MaxFrame int

	stats VideoStats

	started   bool
	seq       uint16 // of the last packet
	lost      bool   // there is a gap before the next packet with content
	gap       bool   // there is one, or a dropped frame, before the next frame
	timestamp uint32 // of the last packet with content
	ended     bool   // which had the marker

	open   bool // a frame is being gathered
	broken bool // the frame of the last packet was dropped

	arena    []byte // payloads of the open frame
	ends     []int  // of each one in arena
	payloads [][]byte

	// A packet can end the frame before it, by its timestamp, and its own.
	frames [2]VideoFrame
	ready  int // how many of frames
	taken  int
}

// VideoStats count what a [VideoDepacketizer] did.
type VideoStats struct {
	Frames    uint64 // that came out
	Dropped   uint64 // frames of which something came, but not all, or too much
	Malformed uint64 // packets, and frames whose packets do not fit together
	Late      uint64 // packets that were behind in sequence, or there before
	Lost      uint64 // packets that were skipped in sequence; a late one counts here too
}

const (
	defaultMaxFrame = 4 << 20
	maxFramePackets = 1 << 14

	// A packet that is further behind is from a sender that began anew (RFC
	// 3550, A.1).
	maxMisorder = 100
)

// Stats returns the counters.
func (d *VideoDepacketizer) Stats() VideoStats { return d.stats }

// Push takes the next packet, of which it keeps nothing. Frames that no one took
// are dropped.
func (d *VideoDepacketizer) Push(seq uint16, timestamp uint32, marker bool, payload []byte) {
	d.ready, d.taken = 0, 0
	ahead := int16(seq - d.seq)
	if d.started && ahead <= 0 && ahead > -maxMisorder {
		d.stats.Late++
		return
	}
	if !d.started || ahead != 1 {
		if d.gap = d.started; d.gap && ahead > 0 {
			d.stats.Lost += uint64(ahead) - 1
		}
		d.started, d.lost = true, true
		if d.open {
			d.drop()
		}
	}
	d.seq = seq
	if len(payload) == 0 {
		return
	}
	fresh := timestamp != d.timestamp
	if fresh {
		d.finish()
	}
	part, err := d.Format.ParsePacket(payload)
	switch begins := part.Start || !d.lost && (fresh || d.ended); {
	case err != nil:
		d.stats.Malformed++
		d.drop()
	case d.open:
		d.add(payload)
	case begins:
		if d.broken { // what was missing of this frame it can do without
			d.stats.Dropped--
		}
		d.open, d.broken = true, false
		d.arena, d.ends = d.arena[:0], d.ends[:0]
		d.add(payload)
	default:
		d.drop()
	}
	d.lost, d.timestamp, d.ended = false, timestamp, marker
	if marker {
		d.finish()
	}
}

// add takes a payload of the open frame.
func (d *VideoDepacketizer) add(payload []byte) {
	limit := d.MaxFrame
	if limit == 0 {
		limit = defaultMaxFrame
	}
	if len(d.arena)+len(payload) > limit || len(d.ends) == maxFramePackets {
		d.drop()
		return
	}
	d.arena = append(d.arena, payload...)
	d.ends = append(d.ends, len(d.arena))
}

// drop gives the frame of the last packet up, which counts once.
func (d *VideoDepacketizer) drop() {
	if !d.broken {
		d.stats.Dropped++
	}
	d.open, d.broken, d.gap = false, true, true
}

// finish ends the frame of the last packet.
func (d *VideoDepacketizer) finish() {
	d.broken = false
	if !d.open {
		return
	}
	d.open = false
	d.payloads = d.payloads[:0]
	begin := 0
	for _, end := range d.ends {
		d.payloads = append(d.payloads, d.arena[begin:end:end])
		begin = end
	}
	f := &d.frames[d.ready]
	data, info, err := d.Format.AppendFrame(f.Data[:0], d.payloads)
	f.Data, f.Timestamp, f.VideoInfo = data, d.timestamp, info
	if err != nil {
		d.stats.Malformed++
		d.stats.Dropped++
		d.gap = true
		return
	}
	f.Gap, d.gap = d.gap, false
	d.stats.Frames++
	d.ready++
}

// Frame returns a frame that the last packet made whole, and false if there is
// none left. A packet can end two: the one before it, which had no marker, and
// its own.
func (d *VideoDepacketizer) Frame() (*VideoFrame, bool) {
	if d.taken == d.ready {
		return nil, false
	}
	d.taken++
	return &d.frames[d.taken-1], true
}
