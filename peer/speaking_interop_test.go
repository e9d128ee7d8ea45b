//go:build interop

package peer_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// What an agent says is heard by a page as it was written, until it is
// interrupted.
func TestSpeakingChromium(t *testing.T) {
	t.Parallel()
	needOpus(t)
	p, e := record(t, headless.Chromium), listen(t, nil)
	// What a page hears first is late, since its sound has to start.
	far, mid := p.listens(t, e, nil)
	p.do(t, "sleep", 1000)
	p.cut(t, mid)
	far.Close()
	tries(t, "at once", func(t *testing.T) error { return saysAtOnce(t, p, e) })
	tries(t, "interrupted", func(t *testing.T) error { return isInterrupted(t, p, e) })
	tries(t, "turns", func(t *testing.T) error { return takesTurns(t, p, e) })
	tries(t, "pauses", func(t *testing.T) error { return pauses(t, p, e, 0) })
	tries(t, "silence", func(t *testing.T) error { return pauses(t, p, e, -1) })
}

// listens makes a call with a page that only listens.
func (s *studio) listens(t *testing.T, e *peer.Endpoint, c *peer.CallConfig) (*peer.Peer, string) {
	t.Helper()
	s.do(t, "start")
	s.do(t, "tone", 0, options{"direction": "recvonly", "codec": "opus"})
	far := s.call(t, e, c)
	mid := far.Audio().Mid()
	s.do(t, "ear", mid)
	// At the beginning of a stream a browser stretches it, to have something in store.
	tone := wave{format: speech, hz: 1000, level: 0.25}
	if err := far.Audio().WriteFrame(tone.next(speech.Rate / 2)); err != nil {
		t.Fatal(err)
	}
	if err := far.Audio().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	far.Audio().Flush(0)
	s.do(t, "sleep", 300)
	s.tape(t, mid)
	return far, mid
}

var speech = audio.Format{Rate: 24000, Channels: 1}

// saysAtOnce writes all there is to say in one go, in chunks of any size.
func saysAtOnce(t *testing.T, p *studio, e *peer.Endpoint) error {
	far, mid := p.listens(t, e, nil)
	defer far.Close()
	before := p.inbound(t, mid)
	tone := wave{format: speech, hz: 440, level: 0.25}
	begin := time.Now()
	total := 0
	for _, n := range []int{1, 2, 7, 159, 160, 161, 479, 997, 4801, 11, 48000, 3, 23999, 1, 1, 480} {
		if err := far.Audio().WriteFrame(tone.next(n)); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	length := speech.Duration(total)
	if err := far.Audio().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	played := far.Audio().Played()
	p.do(t, "sleep", 400)
	after := p.inbound(t, mid)
	x := p.cut(t, mid)
	p.do(t, "stop")
	all := x.spans(100 * time.Millisecond)
	if len(all) == 0 {
		return errors.New("nothing was heard")
	}
	y := x.part(span{all[0].from, all[len(all)-1].to})
	heard, hz, gap := y.duration(len(y.left))-after.stretched(before), peak(y.middle(100*time.Millisecond).left, y.rate), y.gap()
	t.Logf("%v were said in %v, %v sent; the page heard %v of %.1f Hz, gaps of %v; slack %v", length, took, played.Sent, heard, hz, gap, x.slack)
	off := 60*time.Millisecond + x.slack
	if (took-length).Abs() > off || (heard-length).Abs() > off || (played.Sent-length).Abs() > 20*time.Millisecond || math.Abs(hz-440) > 2 || gap > 25*time.Millisecond+x.slack {
		x.keep(t, "at-once")
		return fmt.Errorf("%v were said in %v, %v sent; the page heard %v of %.1f Hz with gaps of %v", length, took, played.Sent, heard, hz, gap)
	}
	return nil
}

// isInterrupted drops ten seconds that wait to be said, and goes on with another
// tone.
func isInterrupted(t *testing.T, p *studio, e *peer.Endpoint) error {
	far, mid := p.listens(t, e, nil)
	defer far.Close()
	before := p.inbound(t, mid)
	first := wave{format: speech, hz: 440, level: 0.25}
	said := make(chan error, 1)
	go func() { said <- far.Audio().WriteFrame(first.next(10 * speech.Rate)) }()
	p.do(t, "loud", mid)
	p.do(t, "sleep", 1000)
	flushed := time.Now()
	played := far.Audio().Flush(8 * time.Millisecond)
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	freed := time.Since(flushed)
	p.do(t, "sleep", 800)
	second := wave{format: speech, hz: 700, level: 0.25}
	if err := far.Audio().WriteFrame(second.next(speech.Rate / 2)); err != nil {
		t.Fatal(err)
	}
	if err := far.Audio().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.do(t, "sleep", 400)
	after := p.inbound(t, mid)
	x := p.cut(t, mid)
	p.do(t, "stop")
	all := x.spans(200 * time.Millisecond)
	if len(all) != 2 {
		x.keep(t, "interrupted")
		return fmt.Errorf("%d sounds were heard, want one of each tone", len(all))
	}
	y, z := x.part(all[0]), x.part(all[1])
	heard, late := y.duration(len(y.left))-after.stretched(before), x.when(all[0].to).Sub(flushed)
	around := span{max(0, all[0].to-x.frames(100*time.Millisecond)), min(len(x.left), all[0].to+x.frames(100*time.Millisecond))}
	steady, end := steepest(y.middle(200*time.Millisecond).left), steepest(x.part(around).left)
	one, two := peak(y.middle(100*time.Millisecond).left, y.rate), peak(z.middle(100*time.Millisecond).left, z.rate)
	t.Logf("silent after %v, the writer free after %v; sent %v, dropped %v; the page heard %v of %.1f Hz, then %v of %.1f Hz; steps of %d, at the end %d; slack %v",
		late, freed, played.Sent, played.Dropped, heard, one, z.duration(len(z.left)), two, steady, end, x.slack)
	switch {
	case late > 200*time.Millisecond+x.slack:
		return fmt.Errorf("silent after %v", late)
	case (heard - played.Sent).Abs() > 60*time.Millisecond+x.slack:
		return fmt.Errorf("%v were said, the page heard %v", played.Sent, heard)
	case math.Abs(one-440) > 2 || math.Abs(two-700) > 2:
		return fmt.Errorf("the page heard %.1f Hz, then %.1f Hz", one, two)
	case end > steady*3/2:
		x.keep(t, "interrupted")
		return fmt.Errorf("a click: steps of %d at the end, of %d before", end, steady)
	}
	return nil
}

// takesTurns changes its mind a hundred times, and is always heard with its last
// words.
func takesTurns(t *testing.T, p *studio, e *peer.Endpoint) error {
	far, mid := p.listens(t, e, nil)
	defer far.Close()
	var tones []float64
	for i := range 12 {
		tones = append(tones, 400+200*float64(i))
	}
	const turns = 100
	var said chan error
	for i := range turns {
		w := wave{format: speech, hz: tones[i%len(tones)], level: 0.25}
		long := w.next(5 * speech.Rate)
		if said != nil {
			far.Audio().Flush(8 * time.Millisecond)
			if err := <-said; err != nil {
				t.Fatal(err)
			}
		}
		said = make(chan error, 1)
		go func() { said <- far.Audio().WriteFrame(long) }()
		<-time.After(60*time.Millisecond + time.Duration(i%7)*5*time.Millisecond)
	}
	p.do(t, "sleep", 500)
	far.Audio().Flush(8 * time.Millisecond)
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	p.do(t, "sleep", 300)
	x := p.cut(t, mid)
	p.do(t, "stop")
	// What is heard in two windows in a row is no meeting of two tones.
	window := x.frames(25 * time.Millisecond)
	heard, stale, last, before := 0, 0, -1, -1
	for i := 0; i+window <= len(x.left); i += window / 2 {
		part := x.left[i : i+window]
		if decibels(part) < -30 {
			continue
		}
		now := strongest(part, x.rate, tones)
		if now == before && now != last {
			heard++
			if last >= 0 && (now-last+len(tones))%len(tones) > len(tones)/2 {
				stale++
			}
			last = now
		}
		before = now
	}
	want := (turns - 1) % len(tones)
	t.Logf("%d turns of %d were heard, %d out of order; the last one is %d, want %d", heard, turns, stale, last, want)
	if heard < turns*9/10 || heard > turns || stale > 0 || last != want {
		x.keep(t, "turns")
		return fmt.Errorf("%d turns of %d were heard, %d out of order; the last one is %d, want %d", heard, turns, stale, last, want)
	}
	return nil
}

// pauses says nothing for a while, in which nothing is sent, or silence, and then
// goes on.
func pauses(t *testing.T, p *studio, e *peer.Endpoint, silence time.Duration) error {
	far, mid := p.listens(t, e, &peer.CallConfig{Silence: silence})
	defer far.Close()
	say := func(hz float64) {
		w := wave{format: speech, hz: hz, level: 0.25}
		if err := far.Audio().WriteFrame(w.next(speech.Rate)); err != nil {
			t.Fatal(err)
		}
		if err := far.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	begin := p.inbound(t, mid)
	say(440)
	p.do(t, "sleep", 200)
	before := p.inbound(t, mid)
	p.do(t, "sleep", 1000)
	after := p.inbound(t, mid)
	say(700)
	p.do(t, "sleep", 300)
	end := p.inbound(t, mid)
	x := p.cut(t, mid)
	p.do(t, "stop")
	all := x.spans(300 * time.Millisecond)
	if len(all) != 2 {
		x.keep(t, "pauses")
		return fmt.Errorf("%d sounds were heard, want 2", len(all))
	}
	sent := after.PacketsReceived - before.PacketsReceived
	failed := []error{}
	stretched := []time.Duration{before.stretched(begin), end.stretched(after)}
	for i, want := range []float64{440, 700} {
		y := x.part(all[i])
		length, hz, gap := y.duration(len(y.left))-stretched[i], peak(y.middle(100*time.Millisecond).left, y.rate), y.gap()
		t.Logf("%v of %.1f Hz with gaps of %v; %d packets in the pause, %d lost", length, hz, gap, sent, end.PacketsLost)
		if (length-time.Second).Abs() > 60*time.Millisecond+x.slack || math.Abs(hz-want) > 2 || gap > 25*time.Millisecond+x.slack {
			failed = append(failed, fmt.Errorf("%v of %.1f Hz with gaps of %v, want 1s of %.0f Hz", length, hz, gap, want))
		}
	}
	if end.PacketsLost > 0 || silence == 0 && sent > 0 || silence < 0 && (sent < 45-int(x.slack/(20*time.Millisecond)) || sent > 60) {
		failed = append(failed, fmt.Errorf("%d packets in the pause, %d lost", sent, end.PacketsLost))
	}
	if len(failed) > 0 {
		x.keep(t, "pauses")
	}
	return errors.Join(failed...)
}
