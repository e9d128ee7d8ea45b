package peer_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// wanted waits until the peer asks for an offer.
func wanted(t *testing.T, p *peer.Peer) {
	t.Helper()
	select {
	case <-p.Negotiate():
	case <-time.After(10 * time.Second):
		t.Fatal("no offer is asked for")
	}
}

// An application gets its line when both ends have agreed on it.
func TestLineForAnApplication(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{Videos: 1})
	type result struct {
		line parley.Line
		err  error
	}
	for _, way := range [][2]*peer.Peer{{caller, called}, {called, caller}} {
		got := make(chan result, 1)
		go func() {
			a, err := way[0].AddAudio(t.Context())
			got <- result{a, err}
		}()
		wanted(t, way[0])
		select {
		case r := <-got:
			t.Fatalf("before anybody has agreed: %v", r)
		default:
		}
		renegotiate(t, way[0], way[1], nil)
		r := <-got
		if r.err != nil {
			t.Fatal(r.err)
		}
		var far *parley.Audio
		for a := range way[1].Audios() {
			if a.Mid() == r.line.Mid() {
				far = a
			}
		}
		if far == nil {
			t.Fatalf("line %q is not at the far end, which has %v", r.line.Mid(), audioMids(way[1]))
		}
		hearLine(t, r.line.(*parley.Audio), far, 1000)

		go func() {
			v, err := way[0].AddVideo(t.Context())
			got <- result{v, err}
		}()
		wanted(t, way[0])
		renegotiate(t, way[0], way[1], nil)
		if r := <-got; r.err != nil || r.line.(*parley.Video).Codec().Name != "VP8" {
			t.Errorf("%v", r)
		} else if err := way[0].Call.Remove(r.line); err != nil {
			t.Error(err)
		}
		wanted(t, way[0])
		renegotiate(t, way[0], way[1], nil)
	}
}

// A line that has gone leaves nothing behind at either end while the call goes on, though
// pion keeps the streams that it had.
func TestLineIsForgotten(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{})
	if err := errors.Join(caller.RequestAudio(), caller.RequestVideo()); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, caller, called, nil)
	gone := map[string]interface{ forgotten() bool }{}
	func() {
		from, to := slices.Collect(caller.Audios())[1], slices.Collect(called.Audios())[1]
		hearLine(t, from, to, 1000)
		hearLine(t, to, from, 1000)
		watch(t, caller.Video(), called.Video(), 1)
		for name, l := range map[string]*parley.Audio{"audio": from, "audio of the far end": to} {
			gone[name] = trace[parley.Audio]{weak.Make(l)}
		}
		for name, l := range map[string]*parley.Video{"video": caller.Video(), "video of the far end": called.Video()} {
			gone[name] = trace[parley.Video]{weak.Make(l)}
		}
		if err := errors.Join(caller.Call.Remove(from), caller.Call.Remove(caller.Video())); err != nil {
			t.Fatal(err)
		}
	}()
	renegotiate(t, caller, called, nil)
	for name, l := range gone {
		eventually(t, 5*time.Second, name+" is forgotten", func() bool { runtime.GC(); return l.forgotten() })
	}
	hearLevel(t, caller.Call, called.Call, 1000)
}

// A trace is of something that may be gone.
type trace[T any] struct{ of weak.Pointer[T] }

func (t trace[T]) forgotten() bool { return t.of.Value() == nil }

// A far end that turns the line down, does not answer, or is gone, is an error, and
// the call goes on as it was.
func TestLineNotAgreed(t *testing.T) {
	caller, called := dial(t, nil)
	failed := make(chan error, 1)
	ask := func(ctx context.Context) {
		go func() {
			_, err := called.AddAudio(ctx)
			failed <- err
		}()
		wanted(t, called)
	}

	ask(t.Context())
	offer, err := called.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := caller.Answer(t.Context(), offer)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(answer, "m=audio ")
	end := at + len("m=audio ") + strings.Index(answer[at+len("m=audio "):], " ")
	if err := called.SetAnswer(t.Context(), answer[:at]+"m=audio 0"+answer[end:]); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, parley.ErrNotAgreed) {
		t.Errorf("turned down: %v", err)
	}

	// Whoever does not wait for long, again and again, has asked for one line.
	for range 20 {
		ctx, cancel := context.WithCancelCause(t.Context())
		ask(ctx)
		cancel(errors.New("enough"))
		if err := <-failed; err == nil || err.Error() != "enough" {
			t.Fatalf("given up: %v", err)
		}
		asked(t, called, false)
	}
	if offer, err = called.Offer(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if n := len(sections(offer)); n > 5 { // the first, that turned down, channels, that asked for
		t.Errorf("%d sections: %v", n, sections(offer))
	}
	if answer, err = caller.Answer(t.Context(), offer); err != nil {
		t.Fatal(err)
	}
	if err := called.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	if got := audioMids(called); len(got) != 1 {
		t.Errorf("lines that nobody waits for: %v", got)
	}
	hearLevel(t, caller.Call, called.Call, 1000)

	ask(t.Context())
	caller.Close()
	called.Close()
	if err := <-failed; !errors.Is(err, called.Err()) {
		t.Errorf("the call has ended: %v", err)
	}
}

// A line that the far end offers meanwhile, and that nothing can be sent on, is not the
// one that was asked for.
func TestLineForAnApplicationMeanwhile(t *testing.T) {
	caller, called := dial(t, nil)
	got := make(chan *parley.Video, 1)
	go func() {
		v, err := called.AddVideo(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- v
	}()
	wanted(t, called)
	if err := caller.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	offer, err := caller.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	head, video, _ := strings.Cut(offer, "m=video")
	oneWay := head + "m=video" + strings.Replace(video, "a=sendrecv", "a=sendonly", 1)
	answer, err := called.Answer(t.Context(), oneWay)
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	theirs, from := called.Video(), caller.Video()
	if theirs == nil || theirs.Direction() != parley.RecvOnly {
		t.Fatalf("the line of the far end is %v", theirs)
	}
	watch(t, from, theirs, 1)
	wanted(t, called)
	renegotiate(t, called, caller, nil)
	ours := <-got
	if ours == theirs || ours.Direction() != parley.SendRecv {
		t.Fatalf("line %q is %v; that of the far end is %q", ours.Mid(), ours.Direction(), theirs.Mid())
	}
	asked(t, called, false)
	for v := range caller.Videos() {
		if v.Mid() == ours.Mid() {
			watch(t, ours, v, 2)
			watch(t, v, ours, 3)
		}
	}
	watch(t, from, theirs, 4)
}

// One that nobody waits for any more does not cost the far end its own.
func TestLineTakenBackMeanwhile(t *testing.T) {
	caller, called := dial(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := called.AddVideo(ctx)
		failed <- err
	}()
	wanted(t, called)
	cancel()
	<-failed
	if err := caller.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, caller, called, nil)
	if called.Video() == nil {
		t.Fatal("the line of the far end is missing")
	}
	watch(t, caller.Video(), called.Video(), 1)
	watch(t, called.Video(), caller.Video(), 2)
	asked(t, called, false)
}
