package file

import "time"

const (
	// playRing bounds what is between the reading of a file and the slowest line.
	maxPlayItems = 512
	maxPlayBytes = 16 << 20

	// playPast is how long what is due is kept for a line that is late.
	playPast = 500 * time.Millisecond

	// What is kept of the memory of items, for those to come: so many pieces, and how
	// large one may be.
	keptItems = 64
	keptItem  = 256 << 10
)

// A playItem is a packet with its place in play time.
type playItem struct {
	at, duration time.Duration // of what is heard of it
	skip         time.Duration // of its beginning, which is before that
	key          bool
	data         []byte
}

// A playRing has the packets of one kind that are about to be played. Each line
// reads it from a number of its own.
type playRing struct {
	items [maxPlayItems]playItem
	base  int64 // number of the first
	count int
	bytes int
	free  [][]byte // memory of items that have gone
}

// at returns the item of a number from base to base+count-1.
func (r *playRing) at(number int64) *playItem { return &r.items[number%maxPlayItems] }

func (r *playRing) end() int64 { return r.base + int64(r.count) }

// push appends a copy of a packet, the beginning of which may be one to skip. What is
// past goes, and what has no room.
func (r *playRing) push(p *Packet, at, skip, now time.Duration) {
	for r.count > 0 && r.at(r.base).at+r.at(r.base).duration < now-playPast {
		r.drop()
	}
	for r.count == maxPlayItems || r.count > 0 && r.bytes+len(p.Data) > maxPlayBytes {
		r.drop()
	}
	var data []byte
	if n := len(r.free) - 1; n >= 0 {
		data, r.free = r.free[n], r.free[:n]
	}
	*r.at(r.end()) = playItem{at, p.Duration - skip, skip, p.Key, append(data[:0], p.Data...)}
	r.count++
	r.bytes += len(p.Data)
}

func (r *playRing) drop() {
	i := r.at(r.base)
	r.bytes -= len(i.data)
	if cap(i.data) <= keptItem && len(r.free) < keptItems {
		r.free = append(r.free, i.data)
	}
	i.data = nil
	r.base++
	r.count--
}

func (r *playRing) clear() {
	for r.count > 0 {
		r.drop()
	}
}
