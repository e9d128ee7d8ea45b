package rtcpctl

import "time"

// A Remote is what a far end has reported last on what we send.
type Remote struct {
	SSRC  uint32        // of who reports
	At    time.Time     // when it arrived; zero if there was none
	Block ReportBlock   // what it says
	RTT   time.Duration // last known round trip; 0 if unknown
}

// FractionLost returns the part of our packets that was lost on their way, from
// 0 to 1, in the last interval that was reported on, which is 0.5 s or more: reports
// that come sooner are taken together.
func (r *Remote) FractionLost() float64 { return float64(r.Block.FractionLost) / 256 }

// Stats are counted since a session was made.
type Stats struct {
	Members int // participants, ourselves included
	Senders int // of those, the ones that sent lately, as of the last report

	Reports   int64 // compounds sent, but for goodbyes
	Feedback  int64 // datagrams with feedback sent
	Compounds int64 // datagrams received with at least one valid packet

	Malformed   int64 // packets that could not be parsed, wholly or in part
	Bare        int64 // datagrams that did not begin with SR or RR
	Suspicious  int64 // packets of others that speak in our name
	UnknownByes int64 // goodbyes of sources that are not present
	TimedOut    int64 // members that fell silent
	Overflow    int64 // packets of newcomers for whom the table had no room
	Collisions  int64 // times that our SSRC was heard from a new address
	Loops       int64 // and from one of which that was known, or too soon after

	Tripped Trip // the circuit breaker
	Remote  Remote
}

// Stats fills in st.
func (s *Session) Stats(st *Stats) {
	*st = s.stats
	st.Members = s.present + 1
	st.Senders = s.senders
	if s.sending() {
		st.Senders++
	}
	st.Reports = s.reports
	st.Tripped = s.breaker.trip
	st.Remote = s.remote
}

// RTT returns the last known round trip to the far end, or 0 if none is known.
func (s *Session) RTT() time.Duration { return s.remote.RTT }

// Name returns the CNAME of a source, or "" if it is not known.
func (s *Session) Name(ssrc uint32) string {
	if m := s.member(ssrc); m != nil {
		return m.cname
	}
	return ""
}
