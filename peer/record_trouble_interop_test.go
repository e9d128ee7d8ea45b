//go:build interop

package peer_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/transport/netem"
)

// A badWay is a path to the server that loses one packet in ten, both ways.
type badWay struct{ relay *netem.Relay }

func newBadWay(t *testing.T, e *peer.Endpoint, seed uint64) badWay {
	t.Helper()
	ip, ok := netip.AddrFromSlice(outside(t))
	if !ok {
		t.Fatal("no address")
	}
	relay, err := netem.OpenRelay(netem.RelayConfig{
		Listen:  netip.AddrPortFrom(ip, 0),
		To:      netip.AddrPortFrom(ip, uint16(e.Port())),
		Forward: netem.Config{Seed: seed, Loss: netem.Loss{Rate: 0.1}},
		Back:    netem.Config{Seed: seed + 1, Loss: netem.Loss{Rate: 0.1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	return badWay{relay}
}

// answer returns an answer that knows no other way than this one.
func (w badWay) answer(sdp string) string {
	near, done := w.relay.LocalAddr(), false
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") {
			b.WriteString(line)
		} else if !done {
			fmt.Fprintf(&b, "a=candidate:1 1 udp 2130706431 %s %d typ host\r\n", near.Addr(), near.Port())
			done = true
		}
	}
	return b.String()
}

// hidden returns an offer without the addresses of the page.
func hidden(sdp string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// trouble: whatever happens, the recording goes on with the clock.
func trouble(j *judge, p *page, e *peer.Endpoint) {
	t := j.T
	p.do(t, "studio", "first")
	p.do(t, "studio", "second", options{"hum": 400})
	first, second := newBadWay(t, e, 1), newBadWay(t, e, 3)
	k := &take{p: p, name: "trouble.webm"}
	k.path = filepath.Join(t.ArtifactDir(), k.name)
	var answer string
	var err error
	k.far, answer, err = e.Answer(t.Context(), hidden(p.do(t, "shoot", k.name, "first", options{"video": "VP8"})), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.far.Close() })
	k.rec = recorder(t, k.path)
	if _, _, err := k.rec.AddCall(k.far.Call); err != nil {
		t.Fatal(err)
	}
	connected := p.number(t, "acceptOf", k.name, first.answer(answer))
	p.do(t, "sleep", 3000)
	muted := p.number(t, "mute", "first", true)
	p.do(t, "sleep", 2000)
	unmuted := p.number(t, "mute", "first", false)
	p.do(t, "sleep", 1500)
	stopped := p.number(t, "cut", k.name)
	p.do(t, "sleep", 5000)
	resumed := p.number(t, "cut", k.name, "first")
	p.do(t, "sleep", 2000)
	swapped := p.number(t, "cut", k.name, "second")
	p.do(t, "sleep", 2000)
	if answer, err = k.far.Answer(t.Context(), hidden(p.do(t, "restartOf", k.name))); err != nil {
		t.Fatal(err)
	}
	restarted := p.number(t, "acceptOf", k.name, second.answer(answer))
	p.do(t, "sleep", 4000)

	k.cut(t)
	if s := second.relay.Stats(); s.Forward.Lost == 0 || s.Forward.In < 100 {
		t.Errorf("the second way: %+v", s)
	}

	f := k.probe(t, "opus", "vp8")
	beeps := f.beeps(0)
	t.Logf("%v, by the clock %v; muted %v to %v, stopped %v to %v, swapped %v, restarted %v", f.length, k.span,
		k.at(muted), k.at(unmuted), k.at(stopped), k.at(resumed), k.at(swapped), k.at(restarted))
	j.near("lasts", f.length, k.span, 150*time.Millisecond)
	j.near("begins", k.at(connected), 0, 500*time.Millisecond)
	moments := slices.DeleteFunc(p.flashes(t, "first"), func(m float64) bool { return m > swapped })
	moments = append(moments, slices.DeleteFunc(p.flashes(t, "second"), func(m float64) bool { return m < swapped })...)
	j.placed("beeps", k, beeps, moments, 150*time.Millisecond)
	j.placed("flashes", k, times(f.flashes()), moments, 150*time.Millisecond)
	j.together("trouble", f, 4)
	for _, part := range []struct {
		name     string
		from, to float64
		least    int
	}{
		{"at first", connected, muted, 2},
		{"between the silences", unmuted, stopped, 1},
		{"after the silence", resumed, swapped, 1},
		{"of another source", swapped, restarted, 1},
		{"after the restart", restarted, restarted + 4000, 3},
	} {
		n := 0
		for _, b := range beeps {
			if b > k.at(part.from) && b < k.at(part.to) {
				n++
			}
		}
		j.check(n >= part.least, "%d beeps %s, want %d", n, part.name, part.least)
	}
	for _, silence := range []struct {
		from, to      float64
		after, before time.Duration // where to look
	}{
		{muted, unmuted, 0, k.at(stopped) - 300*time.Millisecond},
		{stopped, resumed, k.at(unmuted) + 300*time.Millisecond, f.length},
	} {
		quiet, at := f.quiet(0, 300, silence.after, silence.before)
		j.near("silence begins", at, k.at(silence.from), 200*time.Millisecond)
		j.near("silence ends", at+quiet, k.at(silence.to), 200*time.Millisecond)
	}
}

// growth: tracks come late, and pictures change their size.
func growth(j *judge, p *page, e *peer.Endpoint) {
	t := j.T
	p.do(t, "studio", "growing")
	late := p.take(t, e, "late.webm", "growing", options{})
	k := p.take(t, e, "resized.mp4", "growing", options{"video": "H264"})
	p.do(t, "sleep", 5000)
	added := p.number(t, "clock")
	p.do(t, "show", late.name, "growing", "VP8")
	answer, err := late.far.Answer(t.Context(), p.do(t, "offerOf", late.name))
	if err != nil {
		t.Fatal(err)
	}
	v, err := late.rec.AddVideo(file.RecorderTrack{Track: file.Track{Codec: file.VP8}, Timeline: late.far.Call})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Record(late.far.Video()); err != nil {
		t.Fatal(err)
	}
	p.do(t, "acceptOf", late.name, answer)
	p.do(t, "sleep", 3500)
	resized := p.number(t, "resizeStudio", "growing", 200, 150)
	p.do(t, "sleep", 3500)
	late.cut(t)
	k.cut(t)
	flashes := p.flashes(t, "growing")
	for _, x := range []struct {
		take   *take
		codecs []string
		begins time.Duration
	}{
		{late, []string{"opus", "vp8"}, late.at(added)},
		{k, []string{"h264", "opus"}, 0},
	} {
		f := x.take.probe(t, x.codecs...)
		if len(f.pictures) == 0 {
			t.Fatalf("%s: no pictures", x.take.name)
		}
		j.lasts(x.take, f)
		begins := f.pictures[0].at
		j.check(begins >= x.begins && begins < x.begins+time.Second, "%s: pictures begin at %v, want %v", x.take.name, begins, x.begins)
		j.together(x.take.name, f, 5)
		j.placed(x.take.name+", flashes", x.take, times(f.flashes()), flashes, 150*time.Millisecond)
		var sizes []string
		for _, p := range f.pictures {
			if n := len(sizes); n == 0 || sizes[n-1] != p.size {
				sizes = append(sizes, p.size)
				if n > 0 {
					j.check(p.at-x.take.at(resized) > -100*time.Millisecond && p.at-x.take.at(resized) < 500*time.Millisecond,
						"%s: %s at %v, want %v", x.take.name, p.size, p.at, x.take.at(resized))
				}
			}
		}
		j.check(slices.Equal(sizes, []string{"160x120", "200x150"}), "%s: sizes %v", x.take.name, sizes)
	}
}
