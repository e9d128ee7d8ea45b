package server

import (
	"net/netip"
	"sync"
	"time"
)

// What one client may ask about one call.
const (
	perSecond = 20
	burst     = 100
)

// A bucket limits what happens to so many in a second, with bursts. The zero value
// is full.
type bucket struct {
	spent float64
	at    time.Time
}

// take reports whether there may be one more at now.
func (b *bucket) take(now time.Time, perSecond, burst float64) bool {
	if now.After(b.at) {
		b.spent = max(0, b.spent-perSecond*now.Sub(b.at).Seconds())
		b.at = now
	}
	if b.spent+1 > burst {
		return false
	}
	b.spent++
	return true
}

// maxAddresses bounds the addresses that are remembered.
const maxAddresses = 4096

// addresses limit how often each address may ask for a call.
type addresses struct {
	perMinute int // and at once; 0: no limit

	mu   sync.Mutex
	seen map[netip.Prefix]*bucket
}

func newAddresses(perMinute int) *addresses {
	return &addresses{perMinute: perMinute, seen: map[netip.Prefix]*bucket{}}
}

// take reports whether there may be one more from that address, HOST:PORT, at now.
// Those that cannot be told from one another share one limit.
func (a *addresses) take(remote string, now time.Time) bool {
	if a.perMinute <= 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	who := network(remote)
	b := a.seen[who]
	if b == nil {
		if len(a.seen) >= maxAddresses {
			a.forgetLocked(now)
		}
		b = &bucket{}
		a.seen[who] = b
	}
	return b.take(now, float64(a.perMinute)/60, float64(a.perMinute))
}

// forgetLocked makes room: those that have not asked for a minute may ask for all
// again, so that nothing needs to be known of them. If there are none, it is any.
func (a *addresses) forgetLocked(now time.Time) {
	for who, b := range a.seen {
		if now.Sub(b.at) >= time.Minute {
			delete(a.seen, who)
		}
	}
	for who := range a.seen {
		if len(a.seen) < maxAddresses {
			return
		}
		delete(a.seen, who)
	}
}

// network returns what one client has: an address of IPv4, or 64 bits of one of
// IPv6 (RFC 4291, section 2.5.4).
func network(remote string) netip.Prefix {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr := from.Addr().Unmap().WithZone("")
	p, _ := addr.Prefix(min(64, addr.BitLen()))
	return p
}
