package parley

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/stream"
)

// addAudio adds a line of audio with digits to both calls.
func addAudio(t *testing.T, x, y *Call, mid string) (atX, atY *Audio) {
	t.Helper()
	fromX, fromY := newPlug(nil), newPlug(nil)
	add := func(c *Call, leg *plug) *Audio {
		a, err := c.AttachAudio(AudioConfig{
			Leg: leg, Mid: mid, Label: "tab", Send: pcmu, Event: events, Receive: []codec.Params{pcmu, events}, Playout: stream.InOrder,
		})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	toX, toY := &lateEnd{}, &lateEnd{}
	fromX.to, fromY.to = toY, toX
	atX, atY = add(x, fromX), add(y, fromY)
	toX.set(atX)
	toY.set(atY)
	t.Cleanup(func() {
		x.Close()
		y.Close()
		fromX.arrived.Wait()
		fromY.arrived.Wait()
	})
	return atX, atY
}

// A lateEnd is the end of a line that is added to a call that goes on already. What
// comes before that is lost.
type lateEnd struct{ end atomic.Pointer[lineEnd] }

func (l *lateEnd) set(end lineEnd) { l.end.Store(&end) }

func (l *lateEnd) DeliverRTP(at time.Time, from netip.AddrPort, b []byte) {
	if end := l.end.Load(); end != nil {
		(*end).DeliverRTP(at, from, b)
	}
}

func (l *lateEnd) DeliverRTCP(at time.Time, from netip.AddrPort, b []byte) {
	if end := l.end.Load(); end != nil {
		(*end).DeliverRTCP(at, from, b)
	}
}

// twoAudios makes two calls with a video and two lines of audio each.
func twoAudios(t *testing.T) (x, y *Call, secondX, secondY *Audio) {
	t.Helper()
	x, y = videoPair(t, VideoConfig{Mid: "1"}, &AudioConfig{Mid: "0", Playout: stream.InOrder}, nil)
	secondX, secondY = addAudio(t, x, y, "7")
	return x, y, secondX, secondY
}

// says writes so many frames of a level.
func says(t *testing.T, a *Audio, level int16, frames int) {
	for range frames {
		if err := a.WriteFrame(ramp(level)); err != nil {
			t.Error(err)
			return
		}
	}
}

// hearsLevel reads so many frames of media, which have to be of that level.
func hearsLevel(t *testing.T, a *Audio, level int16, frames int) {
	t.Helper()
	var f audio.Frame
	for n := 0; n < frames; {
		if err := a.ReadFrame(&f); err != nil {
			t.Errorf("frame %d: %v", n, err)
			return
		}
		if f.Kind != audio.Media {
			continue
		}
		n++
		if f.Samples[0] != level || f.Samples[159] != level {
			t.Errorf("frame %d of line %s has the level %d, want %d", n, a.Mid(), f.Samples[80], level)
			return
		}
	}
}

func TestAudiosAddedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, secondX, secondY := twoAudios(t)
		if e := expectEvent(t, y, LineAdded); e.Mid != "7" || e.Media != "audio" || e.Detail != "tab" {
			t.Errorf("event %+v", e)
		}
		first := y.Audio()
		if got := slices.Collect(y.Audios()); len(got) != 2 || got[0] != first || got[1] != secondY || secondY.Mid() != "7" || secondY.Label() != "tab" {
			t.Errorf("lines %v", got)
		}
		if a, b := x.Audio().rtcp.CNAME(), secondX.rtcp.CNAME(); a != b {
			t.Errorf("one call is %q and %q", a, b)
		}
		if x.Audio().SSRC() == secondX.SSRC() {
			t.Error("two lines have one source")
		}
		if secondX.Direction() != SendRecv {
			t.Errorf("direction %v", secondX.Direction())
		}

		// Both go at the same time, and each line has what was written to it.
		var wg sync.WaitGroup
		wg.Go(func() { says(t, x.Audio(), 64, 50) })
		wg.Go(func() { says(t, secondX, 120, 30) })
		wg.Go(func() { hearsLevel(t, first, 64, 50) })
		wg.Go(func() { hearsLevel(t, secondY, 120, 30) })
		wg.Wait()
		var all Stats
		var one AudioStats
		y.Stats(&all)
		secondY.Stats(&one)
		if all.Audio.Received != 50 || one.Received != 30 || one.PacketsSent != 0 {
			t.Errorf("%d packets received, and %d on the second line", all.Audio.Received, one.Received)
		}
		secondX.Stats(&one)
		if one.PacketsSent != 30 {
			t.Errorf("%d packets sent on the second line", one.PacketsSent)
		}
		if n := testing.AllocsPerRun(10, func() { secondY.Stats(&one) }); n != 0 {
			t.Errorf("Stats allocates %v times", n)
		}
		silent := []string{expectEvent(t, y, Muted).Mid, expectEvent(t, y, Muted).Mid}
		if slices.Sort(silent); !slices.Equal(silent, []string{"0", "7"}) {
			t.Errorf("muted lines %q", silent)
		}

		// The first one goes, and its place is taken.
		ended := make(chan error, 1)
		go func() { ended <- first.ReadFrame(&audio.Frame{}) }()
		synctest.Wait()
		first.Remove()
		if err := <-ended; err != io.EOF {
			t.Errorf("read: %v", err)
		}
		if y.Audio() != secondY {
			t.Errorf("the first line is %v", y.Audio())
		}
		if e := expectEvent(t, y, LineRemoved); e.Mid != "0" || e.Media != "audio" {
			t.Errorf("event %+v", e)
		}
		wg.Go(func() { says(t, secondX, 32, 10) })
		hearsLevel(t, secondY, 32, 10)
		wg.Wait()
		y.Stats(&all)
		secondY.Stats(&one)
		if all.Audio.Received != one.Received {
			t.Errorf("%d packets received on the first line, want %d", all.Audio.Received, one.Received)
		}
		if y.Err() != nil || x.Err() != nil {
			t.Errorf("ended: %v, %v", x.Err(), y.Err())
		}
	})
}

// What the far end sends is on the first line that is open this way, or where none is on
// the first. An event tells of each line that has turned.
func TestIncoming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, second, _ := twoAudios(t)
		turns := map[string][]string{}
		var reading sync.WaitGroup
		defer reading.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		reading.Go(func() {
			for {
				e, err := x.ReadEvent(ctx)
				if err != nil {
					return
				}
				if e.Kind == Turned {
					turns[e.Media+e.Mid] = append(turns[e.Media+e.Mid], e.Detail)
				}
			}
		})
		first := x.Audio()
		for _, tt := range []struct {
			first, second Direction
			want          *Audio
		}{
			{SendRecv, SendRecv, first},
			{SendOnly, SendRecv, second},
			{Inactive, RecvOnly, second},
			{SendOnly, Inactive, first},
			{RecvOnly, SendRecv, first},
		} {
			if err := errors.Join(first.SetDirection(tt.first), second.SetDirection(tt.second)); err != nil {
				t.Fatal(err)
			}
			if got, pictures := x.Incoming(); got != tt.want || pictures != x.Video() {
				t.Errorf("%v and %v: line %s", tt.first, tt.second, got.Mid())
			}
		}
		if err := x.Video().SetDirection(SendOnly); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := map[string][]string{
			"audio0": {"sendonly", "inactive", "sendonly", "recvonly"},
			"audio7": {"recvonly", "inactive", "sendrecv"},
			"video1": {"sendonly"},
		}
		if !reflect.DeepEqual(turns, want) {
			t.Errorf("turned %v", turns)
		}
		first.Remove()
		if got, _ := x.Incoming(); got != second {
			t.Error("it is on a line that was removed")
		}
	})
}

func TestAudiosBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := videoPair(t, VideoConfig{}, nil, nil)
		lost := func() *plug {
			leg := newPlug(nil)
			leg.to = &lateEnd{}
			return leg
		}
		var last *Audio
		for range MaxLines {
			a, err := x.AttachAudio(AudioConfig{Leg: lost(), Send: pcmu, Receive: []codec.Params{pcmu}})
			if err != nil {
				t.Fatal(err)
			}
			last = a
		}
		config := AudioConfig{Leg: lost(), Send: pcmu, Receive: []codec.Params{pcmu}}
		if _, err := x.AttachAudio(config); err != ErrManyLines {
			t.Error(err)
		}
		last.Remove()
		config.Leg = lost()
		if _, err := x.AttachAudio(config); err != nil {
			t.Error(err)
		}
		x.Close()
		config.Leg = lost()
		if _, err := x.AttachAudio(config); !errors.Is(err, x.Err()) {
			t.Error(err)
		}
	})
}

// The video is on one timeline with the first audio, whatever others do.
func TestVideoFollowsTheFirstAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, secondX, _ := twoAudios(t)
		for _, c := range []*Call{x, y} {
			if c.Video().sound != c.Audio() || c.Video().sending.Sound != &c.Audio().sender {
				t.Error("the video does not follow the first audio")
			}
		}
		_, late := addVideo(t, x, y, "8")
		if late.sound != y.Audio() {
			t.Error("a video that was added later does not follow the first audio")
		}
		secondX.Remove()
		if x.Video().sound != x.Audio() {
			t.Error("the video has lost its audio")
		}
	})
}

// Each line has keys of its own; those of the call are the first one's.
func TestDigitsByLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, secondX, secondY := twoAudios(t)
		if err := x.SendDigits(t.Context(), "1", nil); !errors.Is(err, stream.ErrNoEvents) {
			t.Errorf("on the first line, which has no format for them: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if d, err := y.ReadDigit(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, %v on the first line", d, err)
			}
		})
		if err := secondX.SendDigits(t.Context(), "5", nil); err != nil {
			t.Fatal(err)
		}
		if d, err := secondY.ReadDigit(t.Context()); err != nil || d != dtmf.Digit('5') {
			t.Errorf("%v, %v", d, err)
		}
		if r, err := secondY.ReadDigitReport(t.Context()); err != nil || !r.End {
			t.Errorf("%+v, %v", r, err)
		}
		wg.Wait()

		// When the first line is gone, who waits on the call has the second one's.
		wg.Go(func() {
			if d, err := y.ReadDigit(t.Context()); err != nil || d != dtmf.Digit('6') {
				t.Errorf("%v, %v", d, err)
			}
		})
		synctest.Wait()
		y.Audio().Remove()
		if err := secondX.SendDigits(t.Context(), "6", nil); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		wg.Go(func() {
			if d, err := secondY.ReadDigit(t.Context()); err != io.EOF {
				t.Errorf("%v, %v after the removal", d, err)
			}
		})
		synctest.Wait()
		secondY.Remove()
		wg.Wait()
		secondX.Remove()
		if err := secondX.SendDigits(t.Context(), "7", nil); !ended(err, Removed) {
			t.Errorf("sent after the removal: %v", err)
		}
	})
}

// What a handler has written to any line is sent before the call ends.
func TestServeDrainsAllLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, secondY := twoAudios(t)
		first := y.Audio()
		served := make(chan error, 1)
		go func() {
			served <- Serve(t.Context(), x, HandlerFunc(func(_ context.Context, c *Call) error {
				for a := range c.Audios() {
					says(t, a, 64, 5)
				}
				return nil
			}))
		}()
		hearsLevel(t, first, 64, 5)
		hearsLevel(t, secondY, 64, 5)
		if err := <-served; !ended(err, Finished) {
			t.Error(err)
		}
	})
}

// CopyAudio ends with its line, and the call goes on.
func TestCopyAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, secondX, secondY := twoAudios(t)
		copied := make(chan error, 1)
		go func() { copied <- CopyAudio(t.Context(), secondY, secondY) }()
		synctest.Wait()
		says(t, secondX, 96, 10)
		hearsLevel(t, secondX, 96, 10)
		secondY.Remove()
		if err := <-copied; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { copied <- CopyAudio(ctx, y.Audio(), y.Audio()) }()
		synctest.Wait()
		cancel()
		if err := <-copied; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if x.Err() != nil || y.Err() != nil {
			t.Errorf("ended: %v, %v", x.Err(), y.Err())
		}
	})
}

// ended reports whether err is the end of a call or line for that reason.
func ended(err error, r Reason) bool {
	end, ok := errors.AsType[*EndError](err)
	return ok && end.Reason == r
}

// ReadFrame on a line whose packets are read says so, also to who waits already.
func TestReadCodedAndDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, y, _, _ := twoAudios(t)
		waited := make(chan error, 2)
		go func() { waited <- y.Audio().ReadFrame(&audio.Frame{}) }()
		synctest.Wait()
		go func() { waited <- y.Audio().ReadPacket(&stream.Packet{}) }()
		if err := <-waited; err != ErrCoded {
			t.Errorf("a read that waits: %v", err)
		}
		if err := y.Audio().ReadFrame(&audio.Frame{}); err != ErrCoded {
			t.Errorf("a read afterwards: %v", err)
		}
		y.Close()
		if err := <-waited; !ended(err, Closed) {
			t.Errorf("ReadPacket: %v", err)
		}
		if err := y.Audio().ReadFrame(&audio.Frame{}); !ended(err, Closed) {
			t.Errorf("a read after the end: %v", err)
		}
	})
}
