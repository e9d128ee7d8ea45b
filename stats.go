package parley

import (
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// Stats is a snapshot of a call.
type Stats struct {
	Duration      time.Duration // since the call was made
	Connected     bool
	EventsDropped int64 // that nobody read
	DigitsDropped int64 // reports of keys that nobody read
	Audio         AudioStats
}

// AudioStats is a snapshot of the audio of a call. What the far end reports is
// zero until it has.
type AudioStats struct {
	PacketsSent   int64 // copies included, those sent on request not
	OctetsSent    int64 // payload bytes of those
	Retransmitted int64 // packets sent again because the far end asked for them
	SendErrors    int64 // packets that the network refused
	Queued        time.Duration

	stream.ReceiverStats
	Malformed  int64 // datagrams that were no RTP packet, and broken parts of RTCP
	Unwanted   int64 // packets that came on hold
	Requested  int64 // packets that the far end was asked for
	Collisions int64 // of our SSRC with that of the far end

	// How a listener would rate what is heard, by the E-model (ITU-T G.107): R
	// from 0 to 93.2, and the mean opinion score from 1 to 4.4 that follows.
	RFactor, MOS float64

	RoundTrip    time.Duration
	RemoteLoss   float64       // 0..1, of what we sent, in the far end's last report interval
	RemoteLost   int64         // packets of ours that the far end misses
	RemoteJitter time.Duration // of our packets at the far end
}

// Stats fills in s without allocating.
func (c *Call) Stats(s *Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.audio
	*s = Stats{Duration: time.Since(c.opened), Connected: !c.connected.IsZero()}
	a.receiver.Stats(&s.Audio.ReceiverStats)
	s.EventsDropped, s.DigitsDropped = c.events.Dropped, a.digits.Dropped
	var sent stream.SenderStats
	a.sender.Stats(&sent)
	s.Audio.PacketsSent, s.Audio.OctetsSent = sent.Packets, sent.Octets
	s.Audio.SendErrors = a.sendErrors.Load()
	s.Audio.Queued = a.sender.Queued()
	s.Audio.Unwanted = a.unwanted
	if a.repair != nil {
		s.Audio.Requested = a.repair.requester.Stats().Requests
		s.Audio.Retransmitted = a.repair.history.Stats().Resent
	}
	s.Audio.RFactor, s.Audio.MOS = a.rate()

	var control rtcpctl.Stats
	a.rtcp.Stats(&control)
	s.Audio.Malformed = a.malformed + control.Malformed
	s.Audio.Collisions = control.Collisions
	remote := &control.Remote
	s.Audio.RoundTrip = remote.RTT
	s.Audio.RemoteLoss = remote.FractionLost()
	s.Audio.RemoteLost = int64(remote.Block.Lost)
	if rate := a.sender.Codec().ClockRate; rate > 0 {
		s.Audio.RemoteJitter = time.Duration(remote.Block.Jitter) * time.Second / time.Duration(rate)
	}
}
