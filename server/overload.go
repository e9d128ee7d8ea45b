package server

import "time"

const (
	// fewRuns is how many runs a second are too few to tell anything: those of a
	// handful of calls, which any other program can disturb.
	fewRuns = 250

	// stall is for how long the work of calls may stand still.
	stall = time.Second
)

// A refusedCall says why there cannot be one more call now.
type refusedCall struct {
	reason string // for the metrics
	retry  string // seconds after which it may be otherwise
	detail string
}

func (r *refusedCall) Error() string { return r.detail }

// tooLate says why one more call would harm those that there are, or nil.
func (s *Server) tooLate() *refusedCall {
	if s.config.MaxLate < 0 {
		return nil
	}
	l := s.load()
	if l.Lateness < stall && (l.Runs < fewRuns || l.Share() <= s.config.MaxLate) {
		return nil
	}
	return &refusedCall{reason: "late", retry: "2", detail: "this machine is too busy with the calls that it has"}
}
