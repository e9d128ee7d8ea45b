package peer

// messageCost is what a message in a backlog counts beside its bytes, so that
// many empty ones are not free.
const messageCost = 16

// A backlog is a queue of messages, which it holds in one piece of memory. It is
// the caller's to bound it by its cost.
type backlog struct {
	data  []byte // of all messages, one after the other
	first int    // where in data the oldest begins
	sizes []size
	next  int // the oldest of sizes
}

// A size is twice the length of a message, and one more if it is text.
type size int

// cost returns the bytes of the messages and what each of them adds.
func (b *backlog) cost() int {
	return len(b.data) - b.first + messageCost*(len(b.sizes)-b.next)
}

// bytes returns the bytes of the messages.
func (b *backlog) bytes() int { return len(b.data) - b.first }

// push appends a copy of a message.
func (b *backlog) push(text bool, message []byte) {
	b.data, b.first = room(b.data, b.first, len(message))
	b.sizes, b.next = room(b.sizes, b.next, 1)
	b.data = append(b.data, message...)
	s := size(2 * len(message))
	if text {
		s++
	}
	b.sizes = append(b.sizes, s)
}

// room moves what is left of s, from first on, to its beginning if n more
// elements do not fit behind it.
func room[T any](s []T, first, n int) (_ []T, zero int) {
	if first == 0 || len(s)+n <= cap(s) {
		return s, first
	}
	return s[:copy(s, s[first:])], 0
}

// pop appends the bytes of the oldest message to dst. It reports false if there
// is none.
func (b *backlog) pop(dst []byte) (text bool, message []byte, ok bool) {
	if b.next == len(b.sizes) {
		return false, dst, false
	}
	s := b.sizes[b.next]
	n := int(s / 2)
	message = append(dst, b.data[b.first:b.first+n]...)
	b.next++
	b.first += n
	if b.next == len(b.sizes) {
		b.clear()
	}
	return s%2 == 1, message, true
}

// clear drops all messages, and the memory too if it is much for a channel that
// may have no more of them.
func (b *backlog) clear() {
	const keep = 64 << 10
	if cap(b.data) > keep {
		b.data = nil
	}
	if cap(b.sizes) > keep/messageCost {
		b.sizes = nil
	}
	b.data, b.first = b.data[:0], 0
	b.sizes, b.next = b.sizes[:0], 0
}
