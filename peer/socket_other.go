//go:build !linux

package peer

import (
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

const unblocking = false

func newSockets() (transport.Net, error) { return stdnet.NewNet() }
