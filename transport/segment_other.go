//go:build !linux

package transport

import (
	"errors"
	"net/netip"
)

// segmentation says that the system can send runs.
const segmentation = false

func (s *Sender) writeRun([]byte, int, netip.AddrPort) error { return errors.ErrUnsupported }

func refusal(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
