package server

import "github.com/parley-media/parley/internal/loop"

// SetLoad makes the server believe what load returns. It must be called before the
// server is used.
func (s *Server) SetLoad(load func() loop.Load) { s.load = load }
