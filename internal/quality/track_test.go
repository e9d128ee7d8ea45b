package quality

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The tracker knows where a frame was sent, after anything that a playout does.
func TestTracker(t *testing.T) {
	sent := Speech(8000)[:8000*20]
	frame := func(from, to int) []int16 { return slices.Clone(sent[from:to]) }
	for _, c := range []struct {
		name      string
		frame     []int16
		at, place int
		found     bool
	}{
		{"what follows", frame(8000, 8160), 0, 8000, true},
		{"something was skipped", frame(8160, 8320), 120, 8280, true},
		{"much was skipped", frame(15000, 15160), 120, 15120, true},
		{"something is repeated", frame(7840, 8000), 120, 7960, true},
		{"compressed in the first half", append(frame(8000, 8040), frame(8080, 8200)...), 120, 8160, true},
		{"compressed in the last quarter", append(frame(8000, 8130), frame(8160, 8190)...), 80, 8080, true},
		{"what was not there yet", frame(20000, 20160), 0, 0, false},
		{"silence", make([]int16, 160), 0, 0, false},
		{"noise", Speech(11025)[:160], 0, 0, false},
	} {
		tr := &tracker{exact: true, sent: sent, rate: 8000, next: 8000, last: 8000}
		at, place, found := tr.find(c.frame, 16000)
		if found != c.found || at != c.at || place != c.place {
			t.Errorf("%s: sample %d is %d, %v; want %d, %d, %v", c.name, at, place, found, c.at, c.place, c.found)
		}
		if found && tr.next != place-at+len(c.frame) {
			t.Errorf("%s: next is %d", c.name, tr.next)
		}
	}
}

func TestTrackerAtTheEdges(t *testing.T) {
	sent := Speech(8000)[:1000]
	tr := &tracker{exact: true, sent: sent, rate: 8000}
	if _, place, ok := tr.find(slices.Clone(sent[:160]), 160); !ok || place != 0 {
		t.Error(place, ok)
	}
	if _, place, ok := tr.find(slices.Clone(sent[840:]), 5000); !ok || place != 960 {
		t.Error(place, ok)
	}
	if _, _, ok := tr.find(Speech(8000)[1000:1160], 5000); ok {
		t.Error("found what was not sent")
	}
	if _, _, ok := tr.find(nil, 5000); ok {
		t.Error("found nothing")
	}
}

// Behind a playout that takes out and puts in stretches of any length, with
// cross-fades, what is recognised is right, and that is most of it.
func TestTrackerOfStretched(t *testing.T) {
	const rate, frame, fade = 8000, 160, 40
	sent := Speech(rate)
	r := rand.New(rand.NewPCG(1, 2))
	var heard []int16
	var truth []int // place of each sample; -1 in a cross-fade
	for at := 0; at < 20*rate; {
		n := 100 + r.IntN(600)
		heard = append(heard, sent[at:at+n]...)
		for i := range n {
			truth = append(truth, at+i)
		}
		at += n
		to := max(0, at-fade+r.IntN(300)-120) // where it goes on, after the fade
		for i := range fade {
			v := (int(sent[at+i])*(fade-i) + int(sent[to+i])*i) / fade
			heard, truth = append(heard, int16(v)), append(truth, -1)
		}
		at = to + fade
	}
	tr := &tracker{exact: true, sent: sent, rate: rate}
	frames, found, wrong := 0, 0, 0
	for i := 0; i+frame <= len(heard); i += frame {
		frames++
		at, place, ok := tr.find(heard[i:][:frame], len(sent))
		if !ok {
			continue
		}
		found++
		if want := truth[i+at]; want != place {
			wrong++
		}
	}
	if found < frames*3/4 || wrong > found/200 {
		t.Errorf("of %d frames %d were recognised, %d wrongly", frames, found, wrong)
	}
}
