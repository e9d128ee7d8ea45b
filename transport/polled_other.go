//go:build !linux || portable

package transport

import (
	"errors"
	"net/netip"
	"time"
)

// A Polled socket is one that no goroutine waits for. There is none on this system.
type Polled struct{}

// Poll fails with [errors.ErrUnsupported].
func (p *Pair) Poll() (rtp, rtcp *Polled, err error) { return nil, nil, errors.ErrUnsupported }

// Watch fails.
func (p *Polled) Watch(func()) error { return errors.ErrUnsupported }

// Prefetch does nothing.
func (p *Polled) Prefetch() {}

// Immediate fails.
func (p *Polled) Immediate(func(), func(time.Time, netip.AddrPort, []byte)) error {
	return errors.ErrUnsupported
}

// Read does nothing.
func (p *Polled) Read(bool, []byte, func(time.Time, netip.AddrPort, []byte)) (more bool) {
	return false
}

// WriteTo fails.
func (p *Polled) WriteTo([]byte, netip.AddrPort) error { return errors.ErrUnsupported }

// Close does nothing.
func (p *Polled) Close() error { return nil }
