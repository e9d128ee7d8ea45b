package rtcpctl

import "github.com/parley-media/parley/internal/prefetch"

// Prefetch asks the processor for the memory of the session, which changes with each
// packet sent.
func (s *Session) Prefetch() { prefetch.Until(s, &s.remote) }
