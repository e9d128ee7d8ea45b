package conceal_test

import (
	"math/rand/v2"
	"testing"

	"github.com/parley-media/parley/audio/resample"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/internal/metric"
	"github.com/parley-media/parley/internal/speech"
)

// telephone returns the speech as it comes out of PCMU without loss, or at other
// rates than 8 kHz as it is.
func telephone(t testing.TB, rate int) []int16 {
	t.Helper()
	r, err := resample.New(resample.Config{In: speech.Rate, Out: rate, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	pcm := r.Flush(r.Append(nil, speech.PCM()))
	if rate == 8000 {
		pcm = g711.AppendPCMFromMuLaw(nil, g711.AppendMuLaw(nil, pcm))
	}
	return pcm
}

// A channel loses packets: at random, or in bursts of a mean length.
type channel struct {
	name        string
	rate, burst float64
}

var channels = []channel{
	{"random 5 %", 0.05, 1},
	{"random 10 %", 0.10, 1},
	{"bursty 5 %", 0.05, 3},
	{"bursty 10 %", 0.10, 3},
}

// lost tells which of n packets are lost; the first and the last never are.
func (c channel) lost(n int, seed uint64) []bool {
	r := rand.New(rand.NewPCG(seed, 7))
	lost := make([]bool, n)
	for i := 1; i < n-1; i++ {
		p := c.rate
		if c.burst > 1 {
			p = c.rate / c.burst / (1 - c.rate)
			if lost[i-1] {
				p = 1 - 1/c.burst
			}
		}
		lost[i] = r.Float64() < p
	}
	return lost
}

// heard returns what is heard of sent, and where the gaps are.
func heard(sent []int16, packet int, lost []bool, fill func(out []int16, gap metric.Gap)) ([]int16, []metric.Gap) {
	out := append([]int16(nil), sent...)
	var gaps []metric.Gap
	for i := 0; i < len(lost); i++ {
		if !lost[i] {
			continue
		}
		from := i
		for i++; lost[i]; i++ {
		}
		g := metric.Gap{Heard: from * packet, Sent: from * packet, N: (i - from) * packet}
		fill(out, g)
		gaps = append(gaps, g)
	}
	return out, gaps
}

func silence(out []int16, g metric.Gap) { clear(out[g.Heard:][:g.N]) }

func repetition(rate int) func(out []int16, g metric.Gap) {
	return func(out []int16, g metric.Gap) {
		packet, length := rate/50, rate*60/1000
		for i := range g.N {
			out[g.Heard+i] = 0
			if i < length {
				out[g.Heard+i] = int16(int(out[g.Heard-packet+i%packet]) * (length - i) / length)
			}
		}
	}
}

// A policy says from how many sides a gap is filled.
type policy struct {
	name string
	most int  // gaps of at most so many packets, from both
	late bool // but the first packet of longer gaps is an extension that was played before the end was known
}

// concealed returns what is heard with a concealer.
func concealed(t testing.TB, sent []int16, rate int, lost []bool, p policy) ([]int16, []metric.Gap) {
	t.Helper()
	c := newConcealer(t, rate, 1)
	packet := rate / 50
	played := 0
	out, gaps := heard(sent, packet, lost, func(out []int16, g metric.Gap) {
		for ; played < g.Heard; played += packet {
			c.Join(out[played:][:packet])
			c.Media(out[played:][:packet])
		}
		for left := g.N; left > 0; {
			at := g.Heard + g.N - left
			if left <= p.most*packet && !(p.late && left == g.N && left > packet) {
				next := g.Sent + g.N
				end := next + packet
				for i := end / packet; p.most > 1 && i < len(lost) && !lost[i] && end-next < 4*packet; i++ {
					end += packet
				}
				c.Bridge(out[at:at:at+left], left, sent[next:min(end, len(sent))])
				break
			}
			c.Extend(out[at:at:at+packet], packet)
			left -= packet
		}
		played = g.Heard + g.N
	})
	for ; played < len(lost)*packet; played += packet {
		c.Join(out[played:][:packet])
		c.Media(out[played:][:packet])
	}
	return out, gaps
}

// TestSpeech is the measure of the whole: what is made up has to be closer to
// what was lost than a packet that is repeated and fades.
func TestSpeech(t *testing.T) {
	policies := []policy{{"one-sided", 0, false}, {"two-sided, 1", 1, false}, {"two-sided, 3", 3, false}, {"late, 3", 3, true}}
	type gain struct{ snr, distance float64 }
	// In decibels better than repetition, by channel and policy.
	goals := [][]gain{
		{{3.7, 0.4}, {7.0, 1.6}, {7.3, 1.7}, {7.1, 1.6}},
		{{3.7, 0.4}, {6.3, 1.5}, {6.6, 1.5}, {6.5, 1.5}},
		{{1.5, 0.3}, {2.2, 1.2}, {2.9, 1.8}, {2.5, 1.7}},
		{{1.4, 0.3}, {2.2, 1.2}, {2.8, 1.7}, {2.5, 1.6}},
	}
	for _, test := range []struct{ rate, seeds int }{{8000, 8}, {16000, 4}, {48000, 1}} {
		sent := telephone(t, test.rate)
		packet := test.rate / 50
		for i, ch := range channels {
			score := func(fill func(lost []bool) ([]int16, []metric.Gap)) (mean metric.Sound) {
				for seed := range test.seeds {
					out, gaps := fill(ch.lost(len(sent)/packet, uint64(seed)))
					s := metric.Compare(sent, out, test.rate, gaps)
					mean.SegSNR += s.SegSNR / float64(test.seeds)
					mean.LSD += s.LSD / float64(test.seeds)
					mean.Clicks += s.Clicks / float64(test.seeds)
				}
				return mean
			}
			show := func(name string, s metric.Sound) {
				t.Logf("%5d Hz, %-11s, %-12s: segSNR %5.2f dB, LSD %5.2f dB, %4.1f %% click", test.rate, ch.name, name, s.SegSNR, s.LSD, s.Clicks)
			}
			show("silence", score(func(lost []bool) ([]int16, []metric.Gap) { return heard(sent, packet, lost, silence) }))
			repeated := score(func(lost []bool) ([]int16, []metric.Gap) {
				return heard(sent, packet, lost, repetition(test.rate))
			})
			show("repetition", repeated)
			for j, p := range policies {
				s := score(func(lost []bool) ([]int16, []metric.Gap) { return concealed(t, sent, test.rate, lost, p) })
				show(p.name, s)
				goal, clicks := goals[i][j], 1.
				if p.most == 0 {
					clicks = 0.3
				}
				if test.seeds == 1 {
					// A few dozen gaps tell less.
					goal.snr, goal.distance, clicks = goal.snr/2, goal.distance-0.5, 1
				}
				if s.SegSNR < repeated.SegSNR+goal.snr || s.LSD > repeated.LSD-goal.distance || s.Clicks > clicks {
					t.Errorf("%d Hz, %s, %s: segSNR %.2f dB, LSD %.2f dB, %.1f %% click; want %.2f at least, %.2f and %.1f at most",
						test.rate, ch.name, p.name, s.SegSNR, s.LSD, s.Clicks, repeated.SegSNR+goal.snr, repeated.LSD-goal.distance, clicks)
				}
			}
		}
	}
}
