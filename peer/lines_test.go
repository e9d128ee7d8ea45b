package peer_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/peer"
)

// asked checks whether the peer asks for an offer.
func asked(t *testing.T, p *peer.Peer, want bool) {
	t.Helper()
	got := len(p.Negotiate()) > 0
	if got {
		<-p.Negotiate()
	}
	if got != want {
		t.Errorf("an offer is asked for: %v, want %v", got, want)
	}
}

// sections returns the lines of media in a description, with 9 for the port of those that
// are not turned down.
func sections(description string) (all []string) {
	for l := range strings.Lines(description) {
		if rest, ok := strings.CutPrefix(l, "m="); ok {
			f := strings.Fields(rest)
			if f[1] != "0" {
				f[1] = "9"
			}
			all = append(all, f[0]+" "+f[1])
		}
	}
	return all
}

func audioMids(p *peer.Peer) (all []string) {
	for a := range p.Audios() {
		all = append(all, a.Mid())
	}
	return all
}

// Lines of audio come and go, and each carries what is written to it.
func TestAudiosComeAndGo(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{Videos: 1})
	if err := caller.RequestAudio(); err != nil {
		t.Fatal(err)
	}
	asked(t, caller, true)
	renegotiate(t, caller, called, nil)
	asked(t, caller, false)
	asked(t, called, false)
	at, from := slices.Collect(called.Audios()), slices.Collect(caller.Audios())
	if len(at) != 2 || len(from) != 2 || at[1].Mid() != from[1].Mid() || at[0] != called.Audio() {
		t.Fatalf("lines %v and %v", audioMids(called), audioMids(caller))
	}
	for i, level := range []int16{1000, 3000} {
		hearLine(t, from[i], at[i], level)
		hearLine(t, at[i], from[i], level)
	}

	// The end that answered takes one away, and puts another in its place.
	if err := called.Remove(at[1]); err != nil {
		t.Fatal(err)
	}
	asked(t, called, true)
	for {
		err := at[1].ReadFrame(&audio.Frame{})
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := called.Remove(at[1]); !errors.Is(err, parley.ErrNoLine) {
		t.Errorf("removed again: %v", err)
	}
	offer, _ := renegotiate(t, called, caller, nil)
	if got := sections(offer); !slices.Equal(got, []string{"audio 9", "video 9", "application 9", "audio 0"}) {
		t.Errorf("the offer has %q", got)
	}
	if got := audioMids(caller); len(got) != 1 {
		t.Errorf("lines %v after one was removed", got)
	}
	asked(t, called, false)
	for _, way := range [][2]*peer.Peer{{called, caller}, {caller, called}} {
		if err := way[0].RequestAudio(); err != nil {
			t.Fatal(err)
		}
		offer, _ = renegotiate(t, way[0], way[1], nil)
		if got := sections(offer); !slices.Equal(got, []string{"audio 9", "video 9", "application 9", "audio 9"}) {
			t.Errorf("the offer has %q; the line that was free is not used again", got)
		}
		asked(t, way[0], false)
		asked(t, way[1], false)
		at, from = slices.Collect(way[1].Audios()), slices.Collect(way[0].Audios())
		if len(at) != 2 || len(from) != 2 || at[1].Mid() != from[1].Mid() {
			t.Fatalf("lines %v and %v", audioMids(way[1]), audioMids(way[0]))
		}
		hearLine(t, from[1], at[1], 2000)
		hearLine(t, at[1], from[1], 3000)
		hearLine(t, from[0], at[0], 1000)
		if err := way[0].Remove(from[1]); err != nil {
			t.Fatal(err)
		}
		// This time it waits for an offer of the other end.
		if offer, answer := renegotiate(t, way[1], way[0], nil); sections(offer)[3] != "audio 9" || sections(answer)[3] != "audio 0" {
			t.Errorf("offer %q, answer %q", sections(offer), sections(answer))
		}
		if n, m := len(audioMids(way[0])), len(audioMids(way[1])); n != 1 || m != 1 {
			t.Errorf("%d and %d lines", n, m)
		}
	}
	watch(t, caller.Video(), called.Video(), 1)
}

// An offer that comes late, as when an old network is back that held it up, is not taken
// when a later one was: it would restart ICE with credentials that are given up.
func TestOfferThatIsOvertaken(t *testing.T) {
	caller, called := dial(t, nil)
	moved := &peer.OfferOptions{Restart: true}
	first, _ := renegotiate(t, caller, called, moved)
	second, _ := renegotiate(t, caller, called, moved)
	if _, err := called.Answer(t.Context(), first); !errors.Is(err, peer.ErrOffer) {
		t.Errorf("the offer before: %v", err)
	}
	if _, err := called.Answer(t.Context(), second); err != nil {
		t.Errorf("the same offer once more: %v", err)
	}
	hearLine(t, caller.Audio(), called.Audio(), 1000)
}

// A line may be removed while an offer that still has it is on its way. The first
// one stays in the descriptions.
func TestRemoveInTheMiddle(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{Videos: 1})
	offer, err := caller.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Remove(caller.Audio()); err != nil {
		t.Fatal(err)
	}
	answer, err := called.Answer(t.Context(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	asked(t, caller, true)
	if caller.Audio() != nil || called.Audio() == nil {
		t.Errorf("lines %v and %v", audioMids(caller), audioMids(called))
	}
	offer, _ = renegotiate(t, caller, called, &peer.OfferOptions{Restart: true})
	asked(t, caller, false)
	if got := sections(offer); !slices.Equal(got, []string{"audio 9", "video 9", "application 9"}) || line(offer, "a=inactive") == "" {
		t.Errorf("the offer has %q; the first line is not kept", got)
	}
	if d := called.Audio().Direction(); d != parley.Inactive {
		t.Errorf("the line is %v", d)
	}
	if err := called.Remove(called.Audio()); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, called, caller, nil)
	asked(t, called, false)
	watch(t, caller.Video(), called.Video(), 1)
	if err := called.Remove(called.Video()); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, caller, called, nil)
	if caller.Video() != nil || caller.Err() != nil || called.Err() != nil {
		t.Errorf("video %v, %v, %v", caller.Video(), caller.Err(), called.Err())
	}
	if err := caller.RequestAudio(); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, caller, called, nil)
	hearLevel(t, caller.Call, called.Call, 1000)
}

// Either end may change the direction of a line to any other.
func TestSetDirection(t *testing.T) {
	caller, called := dial(t, nil)
	all := []parley.Direction{parley.SendOnly, parley.SendRecv, parley.RecvOnly, parley.Inactive, parley.SendRecv}
	mirrored := map[parley.Direction]parley.Direction{
		parley.SendRecv: parley.SendRecv, parley.SendOnly: parley.RecvOnly, parley.RecvOnly: parley.SendOnly, parley.Inactive: parley.Inactive,
	}
	for _, way := range [][2]*peer.Peer{{caller, called}, {called, caller}} {
		for i, d := range all {
			if err := way[0].SetDirection(way[0].Audio(), d); err != nil {
				t.Fatal(err)
			}
			asked(t, way[0], true)
			by := way[i%2] // the next offer may be that of the other end
			renegotiate(t, by, way[1-i%2], nil)
			asked(t, way[0], false)
			asked(t, way[1], false)
			if got, back := way[0].Audio().Direction(), way[1].Audio().Direction(); got != d || back != mirrored[d] {
				t.Errorf("%v and %v, want %v", got, back, d)
			}
			if d.Sends() {
				hearLevel(t, way[0].Call, way[1].Call, 1000)
			}
			if d.Receives() {
				hearLevel(t, way[1].Call, way[0].Call, 2000)
			}
		}
	}
	// What only one end wants does not come about.
	for p, d := range map[*peer.Peer]parley.Direction{caller: parley.SendOnly, called: parley.SendOnly} {
		if err := p.SetDirection(p.Audio(), d); err != nil {
			t.Fatal(err)
		}
	}
	renegotiate(t, caller, called, nil)
	if got, back := caller.Audio().Direction(), called.Audio().Direction(); got != parley.Inactive || back != parley.Inactive {
		t.Errorf("%v and %v, want inactive", got, back)
	}
}

func TestChangesRefused(t *testing.T) {
	caller, called := dial(t, nil)
	theirs := called.Audio()
	for range parley.MaxLines - 1 {
		if err := caller.RequestAudio(); err != nil {
			t.Fatal(err)
		}
	}
	if err := caller.RequestAudio(); !errors.Is(err, parley.ErrManyLines) {
		t.Errorf("one too many: %v", err)
	}
	renegotiate(t, caller, called, nil)
	lines, at := slices.Collect(caller.Audios()), slices.Collect(called.Audios())
	if len(lines) != parley.MaxLines || len(at) != parley.MaxLines {
		t.Fatalf("%d and %d lines", len(lines), len(at))
	}
	hearLine(t, lines[parley.MaxLines-1], at[parley.MaxLines-1], 1000)
	if err := caller.Remove(theirs); !errors.Is(err, parley.ErrNoLine) {
		t.Errorf("a line of another call: %v", err)
	}
	if err := caller.SetDirection(theirs, parley.SendOnly); !errors.Is(err, parley.ErrNoLine) {
		t.Errorf("a line of another call: %v", err)
	}
	if err := caller.SetDirection(caller.Audio(), 4); err == nil {
		t.Error("a direction that there is not")
	}
	ours := caller.Audio()
	caller.Close()
	for what, err := range map[string]error{
		"add": caller.RequestAudio(), "remove": caller.Remove(ours), "turn": caller.SetDirection(ours, parley.SendOnly),
	} {
		if !errors.Is(err, caller.Err()) {
			t.Errorf("%s after the end: %v", what, err)
		}
	}
}

// Whatever both ends add, remove and turn, in any order, they agree in the end,
// and the descriptions do not grow.
func TestLinesRandomly(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { linesRandomly(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func linesRandomly(t *testing.T, random *rand.Rand) {
	caller, called := dial(t, &peer.CallConfig{Videos: 1})
	ends := []*peer.Peer{caller, called}
	all := func(p *peer.Peer) (lines []parley.Line) {
		for a := range p.Audios() {
			lines = append(lines, a)
		}
		for v := range p.Videos() {
			lines = append(lines, v)
		}
		return lines
	}
	var steps []string
	most := map[string]int{}
	for range 40 {
		p := ends[random.IntN(2)]
		lines := all(p)
		what := random.IntN(6)
		var err error
		switch {
		case what == 0 && len(lines) < 6:
			err = p.RequestAudio()
		case what == 1 && len(lines) < 6:
			err = p.RequestVideo()
		case what == 2 && len(lines) > 0:
			err = p.Remove(lines[random.IntN(len(lines))])
		case what == 3 && len(lines) > 0:
			err = p.SetDirection(lines[random.IntN(len(lines))], parley.Direction(random.IntN(4)))
		default:
			what = 6
			other := ends[0]
			if p == other {
				other = ends[1]
			}
			renegotiate(t, p, other, nil)
			offer, _ := renegotiate(t, other, p, nil) // the far end may have something to say too
			for _, kind := range []string{"audio", "video"} {
				most[kind] = max(most[kind], strings.Count(strings.Join(sections(offer), ","), kind+" 9"))
				// What is added in the offer that removes another has no place yet.
				if n := strings.Count(offer, "m="+kind); n > most[kind]+6 {
					t.Fatalf("%d lines of %s, never more than %d in use: %q", n, kind, most[kind], steps)
				}
			}
		}
		steps = append(steps, fmt.Sprint(what))
		if err != nil {
			t.Fatal(err)
		}
		if what != 6 {
			continue
		}
		asked(t, caller, false)
		asked(t, called, false)
		x, y := all(caller), all(called)
		for _, lines := range []*[]parley.Line{&x, &y} { // of which one end may have the first alone
			*lines = slices.DeleteFunc(*lines, func(l parley.Line) bool { return l.Mid() == "0" && l.Direction() == parley.Inactive })
		}
		if len(x) != len(y) {
			t.Fatalf("%d and %d lines after %q", len(x), len(y), steps)
		}
		for _, l := range x {
			i := slices.IndexFunc(y, func(o parley.Line) bool { return o.Mid() == l.Mid() })
			if i < 0 || l.Direction().Sends() != y[i].Direction().Receives() || l.Direction().Receives() != y[i].Direction().Sends() {
				t.Fatalf("line %s is not the same at both ends after %q", l.Mid(), steps)
			}
		}
	}
	renegotiate(t, caller, called, nil)
	renegotiate(t, called, caller, nil)
	for _, l := range all(caller) {
		if err := caller.SetDirection(l, parley.SendRecv); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range all(called) {
		if err := called.SetDirection(l, parley.SendRecv); err != nil {
			t.Fatal(err)
		}
	}
	renegotiate(t, caller, called, nil)
	renegotiate(t, called, caller, nil)
	begin := time.Now()
	for a := range caller.Audios() {
		for b := range called.Audios() {
			if a.Mid() == b.Mid() && a.Direction() == parley.SendRecv {
				hearLine(t, a, b, 1000)
				hearLine(t, b, a, 2000)
			}
		}
	}
	n := 0
	for v := range caller.Videos() {
		for w := range called.Videos() {
			if v.Mid() == w.Mid() {
				n++
				watch(t, v, w, n)
			}
		}
	}
	t.Logf("%q; %d lines carried what they should within %v", steps, len(all(caller)), time.Since(begin))
}
