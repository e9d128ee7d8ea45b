package peer

import (
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5/packetio"
)

// An intake is where pion puts the packets of a connection once they are decrypted,
// by stream. From there they go to the lines at once, on the goroutine that has
// decrypted them: one that waits for them would have to be woken up for each. What
// nobody takes yet, and video, which pion mends on its way, waits until it is read.
type intake struct {
	mu     sync.Mutex
	inlets map[inletKey]*inlet
	takers map[inletKey]deliverer // of inlets that do not exist yet, or will again
	full   func()                 // told once that there are maxStreams; nil: nobody, or told

	early atomic.Int64 // bytes of RTP that wait where nobody reads
}

// maxStreams is how many streams a connection may bring: as a rule there are two for
// each source, of RTP and of RTCP. pion keeps each until the connection ends, so that
// one which brings more has to end.
const maxStreams = 512

type inletKey struct {
	kind packetio.BufferPacketType
	ssrc uint32
}

// A deliverer takes packets as [parley.Audio.DeliverRTP] does.
type deliverer func(arrival time.Time, from netip.AddrPort, b []byte)

func newIntake() *intake {
	return &intake{inlets: map[inletKey]*inlet{}, takers: map[inletKey]deliverer{}}
}

// open is called by pion for each stream.
func (in *intake) open(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	in.mu.Lock()
	defer in.mu.Unlock()
	key := inletKey{kind, ssrc}
	i := &inlet{in: in, key: key, deliver: in.takers[key]}
	if len(in.inlets) >= maxStreams {
		i.closed = true
		if in.full != nil {
			go in.full() // pion waits for this goroutine
			in.full = nil
		}
		return i
	}
	in.inlets[key] = i
	return i
}

// onFull sets who is told when there are too many streams, if there are not already.
func (in *intake) onFull(fn func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.full = fn
}

// takeRTP has a stream delivered, after what read returns of it, which is what pion
// has looked at already.
func (in *intake) takeRTP(ssrc uint32, read func([]byte) (int, error), deliver deliverer) {
	in.mu.Lock()
	i := in.inlets[inletKey{packetio.RTPBufferPacket, ssrc}]
	in.mu.Unlock()
	if i == nil {
		return // it has ended
	}
	b := make([]byte, maxDatagram)
	for range i.waits() {
		n, err := read(b)
		if err != nil {
			break
		}
		deliver(time.Now(), netip.AddrPort{}, b[:n])
	}
	i.take(deliver, b)
}

// takeRTCP has what is said about a source delivered, also if nothing was yet, and when
// pion begins anew with the stream, as it does with each offer where no description names
// the source: reports that waited for its next sound would be late ones.
func (in *intake) takeRTCP(ssrc uint32, deliver deliverer) {
	key := inletKey{packetio.RTCPBufferPacket, ssrc}
	in.mu.Lock()
	i := in.inlets[key]
	in.takers[key] = deliver
	in.mu.Unlock()
	if i != nil {
		i.take(deliver, make([]byte, maxDatagram))
	}
}

// maxDatagram is the largest packet that pion takes.
const maxDatagram = 8192

// An inlet takes the packets of one stream.
type inlet struct {
	in  *intake
	key inletKey

	mu      sync.Mutex       // held while a packet is delivered
	deliver deliverer        // nil: packets wait to be read
	queue   *packetio.Buffer // nil: nothing has waited yet
	waiting int              // packets that were put there
	looked  bool             // pion has looked at the first packet, as it does with each stream
	read    bool             // and somebody has read on, or takes what comes
	early   int              // bytes that count in those of the intake
	closed  bool
}

// What may wait to be read, in bytes. Before a line is there for it, all that a
// connection brings may be as much as one stream later, and the first packet of each
// stream, by which pion finds its line.
const (
	maxEarly       = 1000 * 1000
	maxWaitingRTP  = 1000 * 1000
	maxWaitingRTCP = 16 * 1000
)

func (i *inlet) queueLocked() *packetio.Buffer {
	if i.queue == nil {
		i.queue = packetio.NewBuffer()
		i.queue.SetLimitSize(maxWaitingRTP)
		if i.key.kind == packetio.RTCPBufferPacket {
			i.queue.SetLimitSize(maxWaitingRTCP)
		}
		if i.closed {
			i.queue.Close()
		}
	}
	return i.queue
}

// Write is called by pion with each packet.
func (i *inlet) Write(b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.closed:
		return 0, io.ErrClosedPipe
	case i.deliver == nil:
		return i.waitLocked(b)
	}
	i.deliver(time.Now(), netip.AddrPort{}, b)
	return len(b), nil
}

// waitLocked keeps a packet until it is read.
func (i *inlet) waitLocked(b []byte) (int, error) {
	early := !i.read && i.key.kind == packetio.RTPBufferPacket
	if early && i.early > 0 && i.in.early.Load()+int64(len(b)) > maxEarly {
		return 0, packetio.ErrFull
	}
	n, err := i.queueLocked().Write(b, nil)
	if err != nil {
		return n, err
	}
	i.waiting++
	if early {
		i.early += n
		i.in.early.Add(int64(n))
	}
	return n, nil
}

// readLocked notes that what waits will not do so for long.
func (i *inlet) readLocked() {
	i.read = true
	i.in.early.Add(-int64(i.early))
	i.early = 0
}

// Read is for what is not delivered.
func (i *inlet) Read(b []byte) (int, error) {
	i.mu.Lock()
	if i.looked && !i.read {
		i.readLocked()
	}
	i.looked = true
	if i.deliver != nil {
		i.mu.Unlock()
		return 0, io.EOF
	}
	queue := i.queueLocked()
	i.mu.Unlock()
	n, _, err := queue.Read(b, nil)
	return n, err
}

// SetReadDeadline limits how long Read may wait.
func (i *inlet) SetReadDeadline(t time.Time) error {
	i.mu.Lock()
	queue := i.queueLocked()
	i.mu.Unlock()
	return queue.SetReadDeadline(t)
}

// waits returns how many packets there are to read, where nobody has read on yet:
// whoever reads one more waits for it in pion, from which nothing calls him back.
func (i *inlet) waits() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.deliver != nil {
		return 0
	}
	return i.waiting
}

// take delivers what waits, and from then on what comes. b is scratch memory.
func (i *inlet) take(deliver deliverer, b []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.queue != nil {
		i.queue.Close() // for whoever waits
		for {
			n, _, err := i.queue.Read(b, nil)
			if err != nil {
				break
			}
			deliver(time.Now(), netip.AddrPort{}, b[:n])
		}
	}
	i.deliver, i.queue = deliver, nil
	i.readLocked()
}

// Close is called by pion when the stream has ended.
func (i *inlet) Close() error {
	i.in.mu.Lock()
	if i.in.inlets[i.key] == i {
		delete(i.in.inlets, i.key)
	}
	i.in.mu.Unlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	i.readLocked()
	if i.queue != nil {
		return i.queue.Close()
	}
	return nil
}
