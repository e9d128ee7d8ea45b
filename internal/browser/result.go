package browser

import "time"

// A Result is what the test page heard, and what the browser's getStats says
// about it (W3C "Identifiers for WebRTC's Statistics API").
type Result struct {
	Error     string  // why nothing was measured; "" if it was
	UserAgent string  // which browser
	ConnectMs float64 // from posting the offer to "connected"

	Codec      string // of what was received: "audio/opus"
	CodecLine  string // its fmtp line
	Channels   int    // its channels
	SampleRate int    // at which the page measured, in Hz

	PeakHz       float64 // the strongest line at the end of the measurement, left
	RightPeakHz  float64 // and right; means nothing for mono
	SeparationDB float64 // stereo only: how far the other channel's tone is below, worst side
	LevelDB      float64 // mean power of the left channel, dB of full scale
	SentLevelDB  float64 // of the tone that was sent

	LongestGapMs       float64 // longest run below a twentieth of the tone, since the first sound
	LongestSteadyGapMs float64 // and in the measurement only
	MeasuredSeconds    float64 // seconds of audio in the measurement
	ClockRate          float64 // those by seconds of the computer's clock; 1 with a perfect audio device

	Inbound          Inbound // growth during the measurement
	JitterSeconds    float64 // interarrival jitter at its end
	PacketsSent      int     // since the call began
	HasRemoteReport  bool    // the server's RTCP reports arrived
	RoundTripSeconds float64 // from them; 0 if unknown
	FractionLost     float64 // from them, 0 to 1

	Offer, Answer string // the two SDPs
}

// Inbound is by how much the counters of received audio grew.
type Inbound struct {
	PacketsReceived, PacketsLost, PacketsDiscarded int
	TotalSamplesReceived                           float64 // per channel
	ConcealedSamples, SilentConcealedSamples       float64
	ConcealmentEvents                              int
	InsertedSamplesForDeceleration                 float64
	RemovedSamplesForAcceleration                  float64
	JitterBufferDelay                              float64 // seconds, summed over emitted samples
	JitterBufferEmittedCount                       float64
}

// Concealment returns the part of the audio that the browser made up, 0 to 1. It
// returns 1 if there was no audio.
func (i *Inbound) Concealment() float64 {
	if i.TotalSamplesReceived <= 0 {
		return 1
	}
	return i.ConcealedSamples / i.TotalSamplesReceived
}

// Delay returns the mean time that audio waited in the browser's jitter buffer,
// or 0 if there was none.
func (i *Inbound) Delay() time.Duration {
	if i.JitterBufferEmittedCount <= 0 {
		return 0
	}
	return time.Duration(i.JitterBufferDelay / i.JitterBufferEmittedCount * float64(time.Second))
}
