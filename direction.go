package parley

// A Direction says which ways media goes, seen from this end (RFC 3264, section
// 5.1).
type Direction uint8

const (
	SendRecv Direction = iota
	SendOnly           // the far end listens: it is on hold
	RecvOnly           // we listen
	Inactive
)

// DirectionOf returns the direction in which this end and the far end may send, or
// not.
func DirectionOf(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

// Sends reports whether this end may send.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives reports whether the far end may send.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

// String returns the attribute of SDP.
func (d Direction) String() string {
	return [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}[d&3]
}
