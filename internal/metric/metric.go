// Package metric measures how close to the original is what was put into gaps of
// it. The measures are cheap stand-ins for listeners: they tell good concealment
// from bad, but not better from a little better.
package metric

import (
	"math"
	"slices"
)

// A Sound says how close to what was sent comes what was heard in its place,
// where speech was active: louder than -46 dB of full scale.
type Sound struct {
	Gaps   int     `json:"gaps"`       // stretches that were compared
	SegSNR float64 `json:"segsnr_db"`  // segmental signal-to-noise ratio, mean over active windows of 20 ms; 0 is that of silence
	LSD    float64 `json:"lsd_db"`     // log-spectral distance, mean over the same; 0 is no difference
	Clicks float64 `json:"clicks_pct"` // of the ends of gaps: jumps of more than one and a half times the steepest slope around
}

// A Gap is N samples of what was heard from sample Heard on, and where their like
// was sent.
type Gap struct{ Heard, Sent, N int }

const (
	activeRMS    = 164. // 46 dB below full scale
	leastSNR     = -10.
	mostSNR      = 35.
	clickFactor  = 1.5
	clickAround  = 200 // parts of a second in which slopes are looked at: 5 ms
	spectralStep = 50  // Hz between the lines of a spectrum of 20 ms
	spectralTop  = 8000
)

// Compare measures the gaps, in mono of the given rate. In windows of 20 ms that
// begin with each gap, those in which what was sent is active count:
//
//   - the signal-to-noise ratio, from -10 to 35 dB, of the part of the window that
//     is in the gap;
//   - the log-spectral distance of the windows, under a Hann window, up to 8 kHz in
//     steps of 50 Hz, in which whatever is more than 40 dB below the loudest line
//     of what was sent is taken for as loud as that.
//
// Both ends of every gap are looked at for clicks.
func Compare(sent, heard []int16, rate int, gaps []Gap) Sound {
	window := rate / 50
	spectrum := newSpectrum(rate, window)
	s := Sound{Gaps: len(gaps)}
	var snr, distance float64
	active, clicks, ends := 0, 0, 0
	for _, g := range gaps {
		for _, end := range []int{0, g.N} {
			if at := g.Heard + end; at > 0 && at < len(heard) {
				ends++
				if clicksAt(sent, heard, at, g.Sent+end, rate/clickAround) {
					clicks++
				}
			}
		}
		for at := 0; at < g.N; at += window {
			n := min(window, g.N-at)
			if n < window/4 && at > 0 || g.Sent+at+window > len(sent) || g.Heard+at+window > len(heard) {
				break
			}
			want, got := sent[g.Sent+at:][:window], heard[g.Heard+at:][:window]
			var signal, noise float64
			for i := range n {
				d := float64(want[i]) - float64(got[i])
				signal += float64(want[i]) * float64(want[i])
				noise += d * d
			}
			if signal < activeRMS*activeRMS*float64(n) {
				continue
			}
			active++
			snr += max(leastSNR, min(10*math.Log10(signal/max(noise, 1e-9)), mostSNR))
			distance += spectrum.distance(want, got)
		}
	}
	if active > 0 {
		s.SegSNR, s.LSD = round(snr/float64(active), 2), round(distance/float64(active), 2)
	}
	s.Clicks = percent(clicks, ends)
	return s
}

// clicksAt reports whether the step to sample at of what was heard is larger
// than any around it, and than any around its like in what was sent.
func clicksAt(sent, heard []int16, at, like, around int) bool {
	steepest := 0
	for i := max(1, at-around); i < min(at+around, len(heard)); i++ {
		if i != at {
			steepest = max(steepest, abs(int(heard[i])-int(heard[i-1])))
		}
	}
	for i := max(1, like-around); i < min(like+around, len(sent)); i++ {
		steepest = max(steepest, abs(int(sent[i])-int(sent[i-1])))
	}
	return float64(abs(int(heard[at])-int(heard[at-1]))) > clickFactor*float64(max(steepest, 16))
}

// A spectrum takes Fourier transforms of windows of 20 ms.
type spectrum struct {
	lines  int
	hann   []float64
	cos    []float64
	sin    []float64
	levels [2][]float64
}

func newSpectrum(rate, window int) *spectrum {
	s := &spectrum{lines: min(rate/2, spectralTop) / spectralStep}
	for i := range window {
		phase := 2 * math.Pi * float64(i) / float64(window)
		s.hann = append(s.hann, 0.5-0.5*math.Cos(phase))
		s.cos = append(s.cos, math.Cos(phase))
		s.sin = append(s.sin, math.Sin(phase))
	}
	return s
}

// audible is how far below the loudest line of what was sent a line still
// counts, in decibels.
const audible = 40.

// distance returns the root mean square of the difference of two spectra in
// decibels. What is too faint to be heard beside what was sent counts as being
// at that limit.
func (s *spectrum) distance(sent, heard []int16) float64 {
	want := s.appendLevels(s.levels[0][:0], sent)
	got := s.appendLevels(s.levels[1][:0], heard)
	s.levels = [2][]float64{want, got}
	floor := slices.Max(want) - audible
	var sum float64
	for k := range want {
		d := max(want[k], floor) - max(got[k], floor)
		sum += d * d
	}
	return math.Sqrt(sum / float64(s.lines))
}

// appendLevels appends the lines of the spectrum of a window, in decibels.
func (s *spectrum) appendLevels(dst []float64, pcm []int16) []float64 {
	for k := 1; k <= s.lines; k++ {
		var re, im float64
		at := 0
		for j, v := range pcm {
			x := float64(v) * s.hann[j]
			re += x * s.cos[at]
			im += x * s.sin[at]
			if at += k; at >= len(pcm) {
				at -= len(pcm)
			}
		}
		dst = append(dst, 10*math.Log10(re*re+im*im+1e-9))
	}
	return dst
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return round(100*float64(part)/float64(whole), 2)
}

func abs(v int) int { return max(v, -v) }
