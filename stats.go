package parley

import (
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// Stats is a snapshot of a call.
type Stats struct {
	Duration  time.Duration // since the call was made
	Connected bool
	Audio     AudioStats
}

// AudioStats is a snapshot of the audio of a call. What the far end reports is
// zero until it has.
type AudioStats struct {
	PacketsSent int64
	OctetsSent  int64 // payload bytes
	SendErrors  int64 // packets that the network refused
	Queued      time.Duration

	stream.ReceiverStats
	Malformed int64 // datagrams that were no RTP packet

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
	s.Audio.PacketsSent, s.Audio.OctetsSent = a.packetsSent, a.octetsSent
	s.Audio.SendErrors = a.sendErrors.Load()
	s.Audio.Queued = a.sender.Queued()
	s.Audio.Malformed = a.malformed

	var control rtcpctl.Stats
	a.rtcp.Stats(&control)
	remote := &control.Remote
	s.Audio.RoundTrip = remote.RTT
	s.Audio.RemoteLoss = remote.FractionLost()
	s.Audio.RemoteLost = int64(remote.Block.Lost)
	if rate := a.sender.Codec().ClockRate; rate > 0 {
		s.Audio.RemoteJitter = time.Duration(remote.Block.Jitter) * time.Second / time.Duration(rate)
	}
}
