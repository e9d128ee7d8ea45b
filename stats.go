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
	EventsDropped int64      // that nobody read
	DigitsDropped int64      // reports of keys that nobody read, of the first audio
	Audio         AudioStats // of the first audio; see [Audio.Stats] for others
	Video         VideoStats // of the first video; see [Video.Stats] for others
}

// LineStats is what is counted of audio and of video alike. What the far end
// reports is zero until it has.
type LineStats struct {
	PacketsSent   int64 // those sent on request not included
	OctetsSent    int64 // payload bytes of those
	Retransmitted int64 // packets sent again because the far end asked for them
	SendErrors    int64 // packets that the network refused

	Heard      uint32 // the source (SSRC) that is heard, or was last; 0: none so far
	Malformed  int64  // datagrams that were no RTP packet, and broken parts of RTCP
	Unwanted   int64  // packets that came on hold; those of the source that is heard count as received too
	Requested  int64  // packets that the far end was asked for
	Outrun     int64  // of these, the ones that came twice, or when they had been given up, and their source had long gone on
	Collisions int64  // of our SSRC with that of the far end

	Reported     time.Time // when the far end's last report on what we send came; zero: none so far
	RoundTrip    time.Duration
	RemoteLoss   float64       // 0..1, of what we sent, in the far end's last report interval, or in 0.5 s where it reports more often
	RemoteLost   int64         // packets of ours that the far end misses
	RemoteJitter time.Duration // of our packets at the far end
}

// AudioStats is a snapshot of one line of audio. Copies count as packets sent.
type AudioStats struct {
	LineStats
	Queued       time.Duration
	EncodeErrors int64         // frames that the encoder refused, and that are not sent
	Stalled      time.Duration // pauses in what was sent, because this machine was too busy
	LeftOut      time.Duration // by [Audio.WriteLive], so that no delay builds up
	SlowFrames   int64         // calls of the function of [Audio.HandleFrames] that held up other calls
	Behind       time.Duration // for how long the next frame has been due and was not read; 0 if packets are read

	stream.ReceiverStats

	// How a listener would rate what is heard, by the E-model (ITU-T G.107): R
	// from 0 to 93.2, and the mean opinion score from 1 to 4.4 that follows. Both are
	// 0 while nothing has been received.
	RFactor, MOS float64
}

// VideoStats is a snapshot of one line of video.
type VideoStats struct {
	LineStats
	FramesSent, KeyFramesSent int64
	FramesSkipped             int64 // that the network does not carry: see [Video.WriteFrame]
	Queued                    int   // frames
	KeyframesWanted           int64 // requests of the far end
	Bandwidth                 int64 // what the far end says it can take (REMB), in bits per second; 0: it does not
	Arrived, Missing          int64 // packets that were sent, by transport-wide feedback; 0 without

	stream.VideoReceiverStats
	Unread         int           // frames received and not read yet
	Behind         time.Duration // from the first of these to the last
	Dropped        int64         // frames that nobody read
	KeyframesAsked int64         // requests to the far end
}

// Stats fills in s without allocating.
func (c *Call) Stats(s *Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*s = Stats{Duration: time.Since(c.opened), Connected: !c.connected.IsZero(), EventsDropped: c.events.Dropped}
	if a := c.audioLocked(); a != nil {
		s.DigitsDropped = a.digits.Dropped
		a.statsLocked(&s.Audio)
	}
	if len(c.videos) > 0 {
		c.videos[0].statsLocked(&s.Video)
	}
}

// Stats fills in s without allocating.
func (a *Audio) Stats(s *AudioStats) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	*s = AudioStats{}
	a.statsLocked(s)
}

// Stats fills in s without allocating.
func (v *Video) Stats(s *VideoStats) {
	v.call.mu.Lock()
	defer v.call.mu.Unlock()
	*s = VideoStats{}
	v.statsLocked(s)
}

func (a *Audio) statsLocked(s *AudioStats) {
	a.line.statsLocked(&s.LineStats, a.sender.Codec().ClockRate)
	a.receiver.Stats(&s.ReceiverStats)
	var sent stream.SenderStats
	a.sender.Stats(&sent)
	s.PacketsSent, s.OctetsSent = sent.Packets, sent.Octets
	s.Queued, s.Stalled, s.LeftOut = a.sender.Queued(), sent.Stalled, sent.LeftOut
	s.EncodeErrors = sent.Failed
	s.SlowFrames = a.slowFrames.Load()
	if due := a.receiver.Next(); !due.IsZero() && a.coded == nil {
		s.Behind = max(time.Since(due), 0)
	}
	if s.Received > 0 {
		s.RFactor, s.MOS = a.rate()
	}
}

func (v *Video) statsLocked(s *VideoStats) {
	v.line.statsLocked(&s.LineStats, v.sender.Codec().ClockRate)
	v.receiver.Stats(&s.VideoReceiverStats)
	sent := v.sentStats()
	s.PacketsSent, s.OctetsSent = sent.Packets, sent.Octets
	s.FramesSent, s.KeyFramesSent, s.FramesSkipped = sent.Frames, sent.KeyFrames, sent.Skipped
	s.Queued = v.sender.Queued()
	s.KeyframesWanted, s.Bandwidth = v.requests, v.bandwidth
	s.Arrived, s.Missing = v.arrived, v.missing
	s.Unread, s.Behind, s.Dropped = v.frames.count, v.frames.span(), v.frames.dropped
	s.KeyframesAsked = v.receiver.KeyFrames().Requests()
}

func (l *line) statsLocked(s *LineStats, clockRate int) {
	s.SendErrors = l.sendErrors.Load()
	s.Unwanted = l.unwanted
	s.Heard, _ = l.in.Heard()
	if l.repair != nil {
		s.Requested = l.repair.requester.Stats().Requests
		s.Retransmitted = l.repair.history.Stats().Resent
		s.Outrun = l.repair.outrun
	}
	var control rtcpctl.Stats
	l.rtcp.Stats(&control)
	s.Malformed = l.malformed + control.Malformed
	s.Collisions = control.Collisions
	remote := &control.Remote
	s.Reported = remote.At
	s.RoundTrip = remote.RTT
	s.RemoteLoss = remote.FractionLost()
	s.RemoteLost = int64(remote.Block.Lost)
	if clockRate > 0 {
		s.RemoteJitter = time.Duration(remote.Block.Jitter) * time.Second / time.Duration(clockRate)
	}
}
