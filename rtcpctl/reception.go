package rtcpctl

import (
	"fmt"
	"time"
)

// An Order says what the sequence number of a packet means.
type Order uint8

const (
	// Probation: the source has not yet shown two packets in sequence. The
	// packet is worth keeping until the next one comes.
	Probation Order = iota

	// First: with this packet the source is valid. The packet of [Probation]
	// before it has the number one less than this one or, if the network has
	// swapped the two, one more, and has been counted as received.
	First

	// InOrder: the number follows the highest one so far.
	InOrder

	// Gap: numbers were skipped, as many as [Reception.Skipped] says. They are
	// lost, or come later.
	Gap

	// Reordered: an earlier number, not seen before.
	Reordered

	// Duplicate: a packet that has been seen.
	Duplicate

	// Restarted: the sender has begun a new sequence, which two packets in
	// sequence show. The first of them came as [Stray]; its number is one less
	// or, if the two were swapped, one more, and it has been counted as
	// received. All numbers of the new run are higher than those of before.
	Restarted

	// Stray: a number so far from the others that it can only be a mistake or
	// the first of a new sequence. The packet is not counted. It is worth
	// keeping until the next one comes.
	Stray
)

// String returns the name of the order in lower case.
func (o Order) String() string {
	switch o {
	case Probation:
		return "probation"
	case First:
		return "first"
	case InOrder:
		return "in order"
	case Gap:
		return "gap"
	case Reordered:
		return "reordered"
	case Duplicate:
		return "duplicate"
	case Restarted:
		return "restarted"
	case Stray:
		return "stray"
	}
	return fmt.Sprintf("Order(%d)", uint8(o))
}

// MaxDropout is the step forward from which on a [Reception] does not believe that
// packets were lost (RFC 3550, appendix A.1).
const MaxDropout = 3000

// maxMisorder is the step backward from which on it does not believe that one came
// late.
const maxMisorder = 100

// maxAge is how long ago what comes late was sent, at the most.
const maxAge = 2 * time.Second

// standstill is for how long nothing new has come where copies may be the beginning of
// another sequence: those of a network come sooner, also on a second path.
const standstill = 150 * time.Millisecond

// window is how many numbers up to the highest are remembered. It covers
// maxMisorder.
const window = 128

// none stands for no sequence number.
const none = -1

// A Reception is what is known of the packets received from one source: it is
// RFC 3550, appendices A.1 (validity), A.3 (loss) and A.8 (jitter), with numbers
// that do not wrap. [Reception.Init] makes it ready. It has no references to
// memory and may be copied. It is not safe for concurrent use.
//
// It differs from A.1 where that loses audio: two first packets that the network
// swapped are valid too; the packets of probation count as received; a restart
// by less than 100 numbers is told from duplicates by the timestamps; what was
// asked for again is no restart, however late it comes, and neither is anything
// else whose number and timestamp both are a little behind; and a number that is
// out of range is forgotten when the old sequence goes on, so that single rogue
// packets never add up to a restart.
type Reception struct {
	ssrc      uint32
	skipped   int32
	clockRate int

	seen        bool // there has been a packet
	valid       bool
	ordered     Order  // what the last Update returned
	repeats     bool   // see MayRepeat
	suspectMark uint16 // of suspect

	max    int64     // highest number
	base   int64     // lowest number of this run
	origin int64     // what numbers on the wire are counted from: a multiple of 2^16
	seq    int64     // number of the packet of the last Update
	last   time.Time // arrival of the last packet that was not stray

	suspect int64 // number of a stray packet, if the next one may prove it right
	awaited int64 // see Expect

	// The last numbers that were seen, by number modulo window, with the lower
	// bits of their timestamps.
	bitmap [window / 64]uint64
	marks  [window]uint16

	received      int64 // in this run
	pastReceived  int64 // in the runs before
	pastExpected  int64
	duplicates    int64
	reordered     int64
	strays        int64
	receivedPrior int64 // of this run, at the last report
	expectedPrior int64
	timing        timing
	lastReport    senderReport
}

// Init makes r ready for a source that has not been heard, and forgets all else.
// The clock rate is that of the timestamps, in Hz.
func (r *Reception) Init(ssrc uint32, clockRate int) {
	*r = Reception{ssrc: ssrc, clockRate: clockRate, suspect: none, awaited: none}
}

// MayRepeat says that a source of which nothing new comes any more begins again if what
// it has sent comes once more in its order, as from one that loops a recording shorter
// than 100 packets or 2 s. It is not for sources whose packets are sent again to probe
// the path, as video is.
func (r *Reception) MayRepeat() { r.repeats = true }

// SSRC returns the source.
func (r *Reception) SSRC() uint32 { return r.ssrc }

// Update takes the sequence number and the timestamp of a packet that arrived at
// the given time, and returns what the number means. It does not allocate.
func (r *Reception) Update(seq uint16, timestamp uint32, arrival time.Time) Order {
	order := r.order(seq, timestamp, arrival)
	r.ordered, r.awaited = order, none
	switch order {
	case Stray:
		return order
	case Restarted:
		r.lastReport.mapped = false // its timestamps have most likely begun anew too
		r.timing.rebase(timestamp, arrival, r.clockRate)
	case Probation:
		r.timing.rebase(timestamp, arrival, r.clockRate)
	case First, InOrder, Gap, Reordered:
		r.timing.update(timestamp, arrival, r.clockRate)
	}
	r.last = arrival
	return order
}

// Seq returns the extended sequence number of the packet that was given to
// [Reception.Update] last. It is never negative, does not wrap, and is equal to
// the number in the packet modulo 2^16. When the sender restarts, the numbers go
// on above all earlier ones, so a buffer may be keyed with them for as long as
// the source lives. The number of a [Stray] packet holds only if the next packet
// turns out to be [Restarted].
func (r *Reception) Seq() int64 { return r.seq }

// Order returns what the last [Reception.Update] returned.
func (r *Reception) Order() Order { return r.ordered }

// Expect says that the packet of the next [Reception.Update], if it has this number on
// the wire, is the one with this extended number, which was missing and was asked
// for: then it is [Reordered], however far the source has gone on meanwhile.
func (r *Reception) Expect(seq int64) { r.awaited = seq }

// Highest returns the highest extended sequence number so far.
func (r *Reception) Highest() int64 { return r.max }

// Fits reports whether a number on the wire is so close to the highest one that
// [Reception.Update] takes its packet for one of the sequence, or a copy, and not for a
// stray or the beginning of another sequence.
func (r *Reception) Fits(seq uint16) bool {
	step := int16(seq - uint16(r.max))
	return step > -maxMisorder && step < MaxDropout
}

// Skipped returns how many numbers the last [Reception.Update] left out if it
// returned [Gap], and 0 otherwise.
func (r *Reception) Skipped() int { return int(r.skipped) }

// Valid reports whether the source has shown two packets in sequence.
func (r *Reception) Valid() bool { return r.valid }

// order is RFC 3550, appendix A.1.
func (r *Reception) order(seq uint16, timestamp uint32, arrival time.Time) Order {
	r.skipped = 0
	mark := uint16(timestamp)
	step := seq - uint16(r.max)
	if !r.valid {
		return r.probe(seq, step, mark)
	}
	switch {
	case step > 0 && step < MaxDropout:
		r.suspect = none
		r.advance(r.max+int64(step), mark)
		r.received++
		r.seq = r.max
		if step == 1 {
			return InOrder
		}
		r.skipped = int32(step) - 1
		return Gap

	case -step < maxMisorder && !r.again(r.max-int64(-step), timestamp, arrival):
		at := r.max - int64(-step)
		switch {
		case !r.has(at):
			r.suspect = none
			r.put(at, mark)
			r.base = min(r.base, at)
			r.received++
			r.reordered++
			r.seq = at
			return Reordered
		case r.marks[at%window] == mark:
			r.received++
			r.duplicates++
			r.seq = at
			return Duplicate
		}
	}
	if r.awaited >= r.base && seq == uint16(r.awaited) {
		r.suspect = none
		r.received++
		r.reordered++
		r.seq = r.awaited
		return Reordered
	}
	return r.stray(seq, step, timestamp, arrival)
}

// probe handles a packet of a source that is not yet valid.
func (r *Reception) probe(seq, step, mark uint16) Order {
	switch {
	case !r.seen:
		r.seen = true
		// One cycle up, so that a number before the first is not negative.
		r.begin(1<<16+int64(seq), mark)
		return Probation
	case step == 0 && r.marks[r.max%window] == mark:
		r.received++
		r.duplicates++
		return Duplicate
	case step == 1:
		r.advance(r.max+1, mark)
		r.seq = r.max
	case -step == 1:
		r.base = r.max - 1
		r.put(r.base, mark)
		r.reordered++
		r.seq = r.base
	default:
		r.duplicates = 0
		r.begin(r.above(step), mark)
		return Probation
	}
	r.received++
	r.valid = true
	return First
}

// stray handles a number that does not fit into the sequence.
func (r *Reception) stray(seq, step uint16, timestamp uint32, arrival time.Time) Order {
	mark := uint16(timestamp)
	if r.old(step, timestamp) && !r.stands(arrival) {
		r.strays++
		r.seq = r.above(step)
		return Stray
	}
	if r.suspect != none {
		next := seq == uint16(r.suspect+1)
		if next || seq == uint16(r.suspect-1) {
			r.restart(next, mark)
			return Restarted
		}
	}
	r.strays++
	r.suspect, r.suspectMark = r.above(step), mark
	r.seq = r.suspect
	return Stray
}

// old reports whether a packet looks like one of this sequence that comes very late,
// as a copy that somebody has asked for: however many of them prove no restart.
func (r *Reception) old(step uint16, timestamp uint32) bool {
	age := r.age(timestamp)
	return -step >= maxMisorder && -step < MaxDropout && age >= 0 && age <= maxAge
}

// age returns how much earlier than the last packet one was sent; below 0, it was not.
func (r *Reception) age(timestamp uint32) time.Duration {
	if !r.timing.based || r.clockRate <= 0 {
		return -1
	}
	return fromUnits(int64(int32(r.timing.timestamp-timestamp)), r.clockRate)
}

// stands reports whether nothing new comes from a source that may repeat itself.
func (r *Reception) stands(arrival time.Time) bool {
	return r.repeats && r.timing.since(arrival, r.clockRate) >= standstill
}

// again reports whether a packet that looks like a copy, or like one that comes late, may
// be one of a repetition instead: nothing new comes, or it was sent long before this run,
// which is not the first.
func (r *Reception) again(at int64, timestamp uint32, arrival time.Time) bool {
	if r.has(at) {
		return r.stands(arrival)
	}
	return r.repeats && r.pastExpected > 0 && at < r.base && r.age(timestamp) >= standstill
}

// restart begins a new run with the stray packet of before and another one after
// or, if they were swapped, before it.
func (r *Reception) restart(next bool, mark uint16) {
	r.pastReceived += r.received
	r.pastExpected += r.max - r.base + 1
	r.strays--
	first := r.suspect
	r.suspect = none
	r.begin(first, r.suspectMark)
	r.received = 2
	if next {
		r.advance(first+1, mark)
		r.seq = r.max
		return
	}
	r.base = first - 1
	r.put(r.base, mark)
	r.reordered++
	r.seq = r.base
}

// above returns the lowest number above the highest one that is step ahead of it
// modulo 2^16.
func (r *Reception) above(step uint16) int64 {
	if step == 0 {
		return r.max + 1<<16
	}
	return r.max + int64(step)
}

// begin starts a run at a packet.
func (r *Reception) begin(seq int64, mark uint16) {
	r.max, r.base, r.seq = seq, seq, seq
	r.origin = seq &^ 0xffff
	r.received = 1
	r.receivedPrior, r.expectedPrior = 0, 0
	r.bitmap = [window / 64]uint64{}
	r.put(seq, mark)
}

// advance moves the window up to seq and puts it in.
func (r *Reception) advance(seq int64, mark uint16) {
	if seq-r.max >= window {
		r.bitmap = [window / 64]uint64{}
	} else {
		for i := r.max + 1; i < seq; i++ {
			r.bitmap[i%window/64] &^= 1 << (i % 64)
		}
	}
	r.max = seq
	r.put(seq, mark)
}

func (r *Reception) put(seq int64, mark uint16) {
	r.bitmap[seq%window/64] |= 1 << (seq % 64)
	r.marks[seq%window] = mark
}

func (r *Reception) has(seq int64) bool {
	return r.bitmap[seq%window/64]>>(seq%64)&1 != 0
}
