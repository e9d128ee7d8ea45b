package rtcpctl

import (
	"math"
	"strings"
	"time"
)

// An Impairment is what a codec does to speech, on the narrowband scale of ITU-T
// G.107 and G.113.
type Impairment struct {
	Ie  float64 // equipment impairment factor, without loss
	Bpl float64 // packet-loss robustness factor, in percent
}

// CodecImpairment returns the impairment of a codec by its name in an rtpmap, in
// any case. ITU-T G.113, appendix I, has values for G.711 with concealment (0 and
// 25.1; G.711 without it would be 0 and 4.3), G.729A with VAD (11 and 19.0) and
// G.723.1 with VAD at 6.3 kb/s (15 and 16.1).
//
// It has none on this scale for G.722 and Opus, and there are none for codecs of
// other people. Those get the values of G.711 with concealment: their score then
// tells what the network does to a call, not how good the codec sounds.
func CodecImpairment(name string) Impairment {
	switch strings.ToUpper(name) {
	case "G729":
		return Impairment{11, 19}
	case "G723":
		return Impairment{15, 16.1}
	}
	return Impairment{0, 25.1}
}

// Conditions are what the network does to a call in one direction.
type Conditions struct {
	Delay time.Duration // from mouth to ear: network, playout and coding

	// Loss is the part of the packets that was not played, from 0 to 1: lost and
	// discarded together, and those that were repaired left out. What the network
	// lost, as reception reports have it, is not the same.
	Loss float64

	// BurstRatio is the mean length of the runs of loss relative to random loss.
	// What is less than 1, as the zero value, means 1.
	BurstRatio float64
}

// R returns the transmission rating of ITU-T G.107, with the default value of
// everything but delay, codec and loss, so 93.2 at best; it may be negative:
//
//	R  = 93.2 - Id - Ie,eff
//	Id = 0.024 d, and 0.11 (d - 177.3) more above 177.3 ms
//	Ie,eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl), with Ppl in percent
//
// The delay term is the usual piecewise linear one, not the full equation of
// G.107.
func (i Impairment) R(c Conditions) float64 {
	d := max(0, c.Delay.Seconds()*1000)
	r := 93.2 - 0.024*d
	if d > 177.3 {
		r -= 0.11 * (d - 177.3)
	}
	r -= i.Ie
	if percent := min(1, c.Loss) * 100; percent > 0 {
		r -= (95 - i.Ie) * percent / (percent/max(1, c.BurstRatio) + max(0, i.Bpl))
	}
	return r
}

// MOS returns the mean opinion score, from 1 to 4.5, that a transmission rating
// stands for (ITU-T G.107, annex B).
func MOS(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	// Below 6.5 the polynomial is less than the worst score.
	return max(1, 1+0.035*r+7e-6*r*(r-60)*(100-r))
}

// Rate fills in the R factor and the scores of m: the conversational one with
// the delay of c, the one for listening without.
func (m *VoIPMetrics) Rate(i Impairment, c Conditions) {
	tenths := func(r float64) uint8 { return uint8(math.Round(10 * MOS(r))) }
	r := i.R(c)
	m.RFactor = uint8(math.Round(max(0, min(100, r))))
	m.MOSCQ = tenths(r)
	c.Delay = 0
	m.MOSLQ = tenths(i.R(c))
}
