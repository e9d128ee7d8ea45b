package transport

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNoPorts is the error of [Listen] when all ports of a range are in use.
var ErrNoPorts = errors.New("transport: no free ports")

// Ports is a range of UDP ports that calls share, as firewalls want it. It hands
// out pairs of an even port and the next one; the pair that has been free for
// longest comes first, so that late packets of a call do not reach the next. It
// is safe for concurrent use.
type Ports struct {
	mu   sync.Mutex
	free []uint16 // even ports, as a ring
	head int
	n    int
}

// NewPorts returns the pairs that lie wholly between first and last, both
// included. Port 0 cannot be among them, and there must be one pair at least.
func NewPorts(first, last uint16) (*Ports, error) {
	low := int(first) + int(first)%2
	pairs := (int(last) - low + 1) / 2
	if first == 0 || pairs <= 0 {
		return nil, fmt.Errorf("transport: no pair of ports from %d to %d", first, last)
	}
	p := &Ports{free: make([]uint16, pairs), n: pairs}
	for i := range p.free {
		p.free[i] = uint16(low + 2*i)
	}
	return p, nil
}

// Free returns how many pairs are not handed out. Other programs may hold some
// of them.
func (p *Ports) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

func (p *Ports) take() (even uint16, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		return 0, false
	}
	even = p.free[p.head]
	p.head = (p.head + 1) % len(p.free)
	p.n--
	return even, true
}

func (p *Ports) give(even uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free[(p.head+p.n)%len(p.free)] = even
	p.n++
}
