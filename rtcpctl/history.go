package rtcpctl

import "time"

// HistoryConfig describes a [History]. The zero value is fit for audio.
type HistoryConfig struct {
	Packets int           // kept at most; rounded up to a power of two up to 32768; 0: 128
	Bytes   int           // kept at most; 0: 16 KiB
	Age     time.Duration // how long a packet is kept, and Share is saved up; 0: 1 s

	// Share is the largest part of the packets sent, and of their bytes, that is
	// spent on sending them again. 0 means 0.25; a negative value means nothing.
	Share float64
}

// A History keeps the packets that were sent last, to send them again when the
// far end asks for it (RFC 4585, section 6.2.1). Whatever is asked for, no packet
// is given out twice within a round trip, and all together are no more than a
// share of what was sent, saved up over no more than the age of a packet or, if that is
// less, to no more than four packets. Memory is bounded and allocated once. It is not safe
// for concurrent use.
//
//	// for each packet sent
//	h.Sent(now, seq, packet)
//	// for each event of kind Nacked, which is for our source only
//	for seq := range e.Member.Lost() {
//		if packet, ok := h.Again(now, session.RTT(), seq); ok {
//			conn.Write(packet)
//		}
//	}
type History struct {
	config HistoryConfig
	slots  []kept // by sequence number modulo their number
	bytes  []byte // a ring; packets do not wrap around its end
	end    int64  // of the newest packet, counted without the wrap

	last    time.Time // when the last packet was sent
	octets  allowance
	packets allowance
	stats   HistoryStats
}

// An allowance is how much may be sent again.
type allowance struct {
	recent float64 // sent in about the last second
	left   float64
}

// earn takes notice of what is sent, when a part of a second has passed. As much as
// least may be saved up in any case, and otherwise for as long as saved.
func (a *allowance) earn(amount, share, passed, least float64, saved time.Duration) {
	a.recent += amount - a.recent*passed
	a.left = min(a.left+share*amount, max(share*a.recent*saved.Seconds(), least))
}

type kept struct {
	seq    uint16
	size   int // 0: none
	start  int64
	sent   time.Time
	resent time.Time
}

// HistoryStats are counted since a history was made.
type HistoryStats struct {
	Resent, ResentBytes int64

	// Why others that were asked for were not given out.
	Gone     int64 // not kept any more, or never sent
	TooSoon  int64 // given out less than a round trip ago
	TooDear  int64 // over the budget
	TooLarge int64 // packets sent that were not kept because of their size
}

const (
	minResend   = 20 * time.Millisecond
	blindResend = 100 * time.Millisecond // while the round trip is unknown

	// What a slow stream may save up.
	leastPackets = 4
	leastOctets  = leastPackets * 1500
)

// NewHistory returns an empty history.
func NewHistory(c HistoryConfig) *History {
	if c.Packets <= 0 {
		c.Packets = 128
	}
	if c.Bytes <= 0 {
		c.Bytes = 16 << 10
	}
	if c.Age <= 0 {
		c.Age = time.Second
	}
	if c.Share == 0 {
		c.Share = 0.25
	}
	slots := 1
	for slots < min(c.Packets, 1<<15) {
		slots *= 2
	}
	return &History{config: c, slots: make([]kept, slots), bytes: make([]byte, c.Bytes)}
}

// Sent keeps a copy of a packet that is sent at now.
func (h *History) Sent(now time.Time, seq uint16, packet []byte) {
	size := len(packet)
	passed := min(1, max(0, now.Sub(h.last).Seconds()))
	h.last = now
	share := max(0, h.config.Share)
	h.octets.earn(float64(size), share, passed, leastOctets, h.config.Age)
	h.packets.earn(1, share, passed, leastPackets, h.config.Age)
	slot := &h.slots[int(seq)%len(h.slots)]
	slot.size = 0
	if size > len(h.bytes) {
		h.stats.TooLarge++
		return
	}
	ring := int64(len(h.bytes))
	if at := h.end % ring; at+int64(size) > ring {
		h.end += ring - at
	}
	*slot = kept{seq: seq, size: size, start: h.end, sent: now}
	copy(h.bytes[h.end%ring:], packet)
	h.end += int64(size)
}

// Again returns a packet to send again at now, and reports false if it is gone
// or may not be sent. The round trip is 0 if it is unknown. The packet is the
// history's, and stays the same until Sent is called.
func (h *History) Again(now time.Time, rtt time.Duration, seq uint16) ([]byte, bool) {
	slot := &h.slots[int(seq)%len(h.slots)]
	ring := int64(len(h.bytes))
	if slot.size == 0 || slot.seq != seq || slot.start < h.end-ring || now.Sub(slot.sent) > h.config.Age {
		h.stats.Gone++
		return nil, false
	}
	wait := max(rtt, minResend)
	if rtt <= 0 {
		wait = blindResend
	}
	if !slot.resent.IsZero() && now.Sub(slot.resent) < wait {
		h.stats.TooSoon++
		return nil, false
	}
	if float64(slot.size) > h.octets.left || h.packets.left < 1 {
		h.stats.TooDear++
		return nil, false
	}
	h.octets.left -= float64(slot.size)
	h.packets.left--
	slot.resent = now
	h.stats.Resent++
	h.stats.ResentBytes += int64(slot.size)
	at := slot.start % ring
	return h.bytes[at : at+int64(slot.size) : at+int64(slot.size)], true
}

// Reset forgets all packets, as when the source gets a new SSRC.
func (h *History) Reset() { clear(h.slots) }

// Stats returns what was counted.
func (h *History) Stats() HistoryStats { return h.stats }
