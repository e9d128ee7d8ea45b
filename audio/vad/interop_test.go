//go:build interop

package vad_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/parley-media/parley/audio/vad"
)

// say returns a sentence as espeak-ng speaks it.
func say(t *testing.T, voice, sentence string, rate int) []float64 {
	t.Helper()
	var speech, raw, complaints bytes.Buffer
	for _, p := range []struct {
		debian  string
		in, out *bytes.Buffer
		args    []string
	}{
		{"espeak-ng", nil, &speech, []string{"espeak-ng", "-v", voice, "--stdout", sentence}},
		{"sox", &speech, &raw, []string{"sox", "-V1", "-D", "-t", "wav", "-", "-t", "s16", "-r", strconv.Itoa(rate), "-c", "1", "-", "gain", "-6"}},
	} {
		if _, err := exec.LookPath(p.args[0]); err != nil {
			t.Fatalf("%v (Debian package %s)", err, p.debian)
		}
		cmd := exec.Command(p.args[0], p.args[1:]...)
		cmd.Stdout, cmd.Stderr = p.out, &complaints
		if p.in != nil {
			cmd.Stdin = p.in
		}
		if err := cmd.Run(); err != nil {
			t.Fatalf("%q: %v\n%s", p.args, err, &complaints)
		}
	}
	x := make([]float64, raw.Len()/2)
	for i := range x {
		x[i] = float64(int16(binary.LittleEndian.Uint16(raw.Bytes()[2*i:]))) / 32768
	}
	return x
}

func rms(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}

// extent returns where x is within 35 dB of its loudest 10 ms.
func extent(x []float64, rate int) span {
	n := rate / 100
	var powers []float64
	most := 0.0
	for i := 0; i+n <= len(x); i += n {
		sum := 0.0
		for _, v := range x[i : i+n] {
			sum += v * v
		}
		powers = append(powers, sum)
		most = max(most, sum)
	}
	s := span{from: -1}
	for i, p := range powers {
		if p > most*math.Pow(10, -3.5) {
			if s.from < 0 {
				s.from = time.Duration(i) * 10 * ms
			}
			s.to = time.Duration(i+1) * 10 * ms
		}
	}
	return s
}

func TestSpokenSentences(t *testing.T) {
	sentences := []string{
		"hello", "yes", "no", "what time is it", "my name is John", "okay", "one two three", "the weather is nice",
		"I don't know", "good morning", "wait a moment", "never mind", "maybe", "excuse me", "uh huh", "all right",
		"sorry", "stop please", "she sells sea shells", "four five six",
	}
	for _, rate := range []int{8000, 16000} {
		for _, voice := range []string{"en", "en+f3", "en-us+m3", "de+f2", "fr"} {
			for _, ratio := range []float64{80, 20, 10} {
				var sum, worst, stopped time.Duration
				late := 0
				for i, sentence := range sentences {
					spoken := say(t, voice, sentence, rate)
					w := extent(spoken, rate)
					x := add(timeline(rate, 4+float64(len(spoken))/float64(rate)), spoken, rate, 2)
					add(x, noise(len(x), rms(spoken)*math.Pow(10, -ratio/20), 0.5, uint64(i)), rate, 0)
					events := run(t, rate, x, vad.Config{})
					what := fmt.Sprintf("%d Hz, %s, %q at %g dB", rate, voice, sentence, ratio)
					// In noise, the softest syllables may be lost.
					if len(events) != 2 && (ratio > 15 || len(events) != 4) {
						t.Errorf("%s: %v", what, events)
						continue
					}
					start, stop := events[0].At-2*time.Second-w.from, events[len(events)-1].At-2*time.Second-w.to
					sum += start
					worst = max(worst, start)
					stopped = max(stopped, stop)
					if start > 150*ms {
						late++
					}
					// In noise a short first syllable may be lost, too.
					if start < 0 || start > 700*ms || ratio > 15 && start > 400*ms {
						t.Errorf("%s: starts after %v", what, start)
					}
					if ratio == 80 && (stop-300*ms).Abs() > 100*ms {
						t.Errorf("%s: stops after %v", what, stop)
					}
				}
				mean := sum / time.Duration(len(sentences))
				t.Logf("%d Hz, %s at %g dB: starts after %v in the mean, %v at most, %d of %d after more than 150 ms; stops after %v at most",
					rate, voice, ratio, mean, worst, late, len(sentences), stopped)
				// Those that begin with consonants without voice are late.
				if mean > 200*ms || ratio > 15 && (mean > 140*ms || late > 6) {
					t.Errorf("%d Hz, %s at %g dB: starts after %v in the mean", rate, voice, ratio, mean)
				}
			}
		}
	}
}
