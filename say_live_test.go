package parley

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/stream"
)

// livens writes a frame live every 20 ms, from now on for three seconds.
func livens(a *Audio) {
	for range 150 {
		if a.WriteLive(ramp(8)) != nil {
			return
		}
		time.Sleep(20 * ms)
	}
}

// announces says 160 ms at once, and tells what of it was played.
func announces(ctx context.Context, a *Audio) string {
	played, err := a.Say(ctx, &script{frames: []*audio.Frame{long(104, 160*ms)}})
	return fmt.Sprintf("%v sent, %v muted, %v dropped, %v", played.Sent, played.Muted, played.Dropped, err)
}

// What is said while somebody else writes live all the time ends when its last packet
// has had its time, and counts whole; what is written live behind it does not put that
// off. Packets are due every 20 ms, and it all begins 10 ms after one has left.
func TestSayBesideLive(t *testing.T) {
	const said = "160ms sent, 0s muted, 0s dropped, <nil>"
	after := func(d time.Duration, do func()) { time.AfterFunc(d, do) }
	drains := func(a *Audio) string { return fmt.Sprint(a.Drain(context.Background())) }
	for _, tt := range []struct {
		name string
		do   func(c *Call, a *Audio) string
		want time.Duration // from the beginning
		says string
	}{
		{"said", func(_ *Call, a *Audio) string { return announces(context.Background(), a) }, 170 * ms, said},
		{"said, and what came behind it drained", func(_ *Call, a *Audio) string {
			announces(context.Background(), a)
			time.Sleep(5 * ms)
			return drains(a)
		}, 350 * ms, "<nil>"},
		{"drained", func(_ *Call, a *Audio) string { return drains(a) }, 10 * ms, "<nil>"},
		{"drained, behind a prompt", func(_ *Call, a *Audio) string {
			a.WriteFrame(long(104, 90*ms)) //nolint:errcheck // the time shows it
			return drains(a)
		}, 110 * ms, "<nil>"},
		{"flushed", func(_ *Call, a *Audio) string {
			after(65*ms, func() { a.Flush(8 * ms) })
			return announces(context.Background(), a)
		}, 65 * ms, "68ms sent, 0s muted, 152ms dropped, " + ErrFlushed.Error()},
		{"flushed and drained", func(_ *Call, a *Audio) string {
			a.WriteFrame(long(104, 100*ms)) //nolint:errcheck // the time shows it
			time.Sleep(15 * ms)
			a.Flush(8 * ms)
			return drains(a) // the faded end is a packet of its own
		}, 50 * ms, "<nil>"},
		{"cancelled", func(_ *Call, a *Audio) string {
			ctx, cancel := context.WithTimeout(context.Background(), 65*ms)
			defer cancel()
			return announces(ctx, a)
		}, 65 * ms, "68ms sent, 0s muted, 152ms dropped, context deadline exceeded"},
		{"on hold", func(_ *Call, a *Audio) string {
			after(65*ms, func() { a.SetDirection(RecvOnly) }) //nolint:errcheck // the counts show it
			return announces(context.Background(), a)
		}, 170 * ms, "60ms sent, 100ms muted, 0s dropped, <nil>"},
		{"in the codec after another one", func(_ *Call, a *Audio) string {
			after(65*ms, func() { a.Update(&AudioUpdate{Send: pcma}) }) //nolint:errcheck // the next one shows it
			return announces(context.Background(), a)
		}, 170 * ms, said},
		{"dropped by a codec of another format", func(_ *Call, a *Audio) string {
			wide := codec.Params{Name: "L16", PayloadType: 97, ClockRate: 16000, Channels: 1}
			after(65*ms, func() { a.Update(&AudioUpdate{Send: wide}) }) //nolint:errcheck // the counts show it
			return announces(context.Background(), a)
		}, 70 * ms, "60ms sent, 0s muted, 160ms dropped, <nil>"},
		{"behind digits", func(_ *Call, a *Audio) string {
			go a.SendDigits(context.Background(), "1", nil) //nolint:errcheck // the counts show it
			synctest.Wait()
			return announces(context.Background(), a)
		}, 170 * ms, "20ms sent, 140ms muted, 0s dropped, <nil>"},
		{"the call ends", func(c *Call, a *Audio) string {
			after(65*ms, func() { c.EndWith(&EndError{Reason: Bye}) })
			return announces(context.Background(), a)
		}, 65 * ms, "60ms sent, 0s muted, 0s dropped, call ended: bye"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(Config{Audio: &AudioConfig{Leg: &tape{}, Send: pcmu, Event: keys, Receive: []codec.Params{pcmu}}})
				if err != nil {
					t.Fatal(err)
				}
				var running sync.WaitGroup
				defer running.Wait()
				defer c.Close()
				c.Connected()
				running.Go(func() { livens(c.Audio()) })
				time.Sleep(1010 * ms)
				begin := time.Now()
				got := tt.do(c, c.Audio())
				if d := time.Since(begin); d != tt.want || got != tt.says {
					t.Errorf("after %v: %s\nwant after %v: %s", d, got, tt.want, tt.says)
				}
			})
		})
	}
}

// A function for frames that writes them back, on the loop that makes room for all who
// wait for it, is called all the time while an announcement is written. That is heard
// in one piece, and what had no room beside it is counted.
func TestLiveOnTheLoopBesideAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		var running sync.WaitGroup
		defer running.Wait()
		defer x.Close()
		running.Go(func() { livens(x.Audio()) })
		var handled, heard, first, last atomic.Int64 // frames, of the announcement, and where they are
		if err := errors.Join(y.Audio().HandleFrames(func(f *audio.Frame) {
			handled.Add(1)
			if f.Kind == audio.Media {
				y.Audio().WriteLive(f) //nolint:errcheck // it ends with the call
			}
		}), x.Audio().HandleFrames(func(f *audio.Frame) {
			if f.Samples[80] == 988 {
				last.Store(int64(f.Time / (20 * ms)))
				first.CompareAndSwap(0, last.Load())
				heard.Add(1)
			}
		})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before, begin := handled.Load(), time.Now()
		if err := y.Audio().WriteFrame(long(988, 2*time.Second)); err != nil {
			t.Fatal(err)
		}
		took, n := time.Since(begin), handled.Load()-before
		if took < 1780*ms || took > 1840*ms || n < 88 || n > 92 {
			t.Errorf("written within %v, %d frames handled meanwhile", took, n)
		}
		var stats Stats
		if y.Stats(&stats); stats.Audio.LeftOut < 1600*ms || stats.Audio.LeftOut > 2*time.Second {
			t.Errorf("%v left out", stats.Audio.LeftOut)
		}
		time.Sleep(time.Second)
		if n := heard.Load(); n < 99 || n != last.Load()-first.Load()+1 {
			t.Errorf("%d frames of the announcement, from %d to %d", n, first.Load(), last.Load())
		}
	})
}

// Who waits for another one to have written gives up at the deadline, with the call, and
// with its own context.
func TestWritersTakeTurns(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, a *Audio) error // beside a WriteFrame of 10 s
		want string
	}{
		{"deadline", func(_ context.Context, a *Audio) error {
			a.SetWriteDeadline(time.Now().Add(600 * ms))
			return a.WriteFrame(ramp(8))
		}, os.ErrDeadlineExceeded.Error()},
		{"the call ends", func(_ context.Context, a *Audio) error {
			time.AfterFunc(600*ms, func() { a.call.EndWith(&EndError{Reason: Bye}) })
			return a.WriteFrame(ramp(8))
		}, "call ended: bye"},
		{"context", func(ctx context.Context, a *Audio) error {
			_, err := a.Say(ctx, &script{frames: []*audio.Frame{ramp(8)}})
			return err
		}, context.DeadlineExceeded.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, _, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
				var running sync.WaitGroup
				defer running.Wait()
				defer x.Close()
				running.Go(func() { x.Audio().WriteFrame(long(8, 10*time.Second)) }) //nolint:errcheck // it is cut off
				synctest.Wait()
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 600*ms)
				defer cancel()
				if err, d := tt.do(ctx, x.Audio()), time.Since(begin); fmt.Sprint(err) != tt.want || d != 600*ms {
					t.Errorf("after %v: %v", d, err)
				}
			})
		})
	}
}

// The same beside a Forwarder that has to transcode.
func TestSayBesideTranscoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst, sent, f, _ := forwards(t, AudioConfig{Send: pcma}, AudioConfig{})
		var running sync.WaitGroup
		defer running.Wait()
		running.Go(func() {
			s := source{to: src.Audio(), ssrc: 1, units: 160, payloadType: pcma.PayloadType}
			for n := range 150 {
				s.send(n)
				time.Sleep(20 * ms)
			}
		})
		time.Sleep(1005 * ms)
		sent.take()
		begin := time.Now()
		played, err := dst.Audio().Say(t.Context(), &script{frames: []*audio.Frame{long(104, 160*ms)}})
		if d := time.Since(begin); d != 175*ms || played != (stream.Played{Sent: 160 * ms}) || err != nil {
			t.Errorf("after %v: %+v, %v", d, played, err)
		}
		whole := 0
		for _, p := range sent.take() {
			if p.Payload[0] == 0xf2 && p.Payload[159] == 0xf2 { // the level in mu-law
				whole++
			}
		}
		var stats ForwardStats
		if f.Stats(&stats); whole < 7 || stats.Forwarded != 0 || stats.Transcoded < 50 {
			t.Errorf("%d packets of what was said, %+v", whole, stats)
		}
	})
}

// A beside is what is said, beside which frames are written live between any two of its
// own.
type beside struct {
	script
	live *Audio
}

func (b *beside) ReadFrame(f *audio.Frame) error {
	if b.read > 0 {
		b.live.WriteLive(ramp(8)) //nolint:errcheck // it ends with the call
	}
	return b.script.ReadFrame(f)
}

// What is said without haste is heard in one piece: no live frame gets in between two of
// its own, however they meet.
func TestNoLiveFrameInWhatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		defer x.Close()
		r := &beside{live: x.Audio()}
		for range 50 {
			r.frames = append(r.frames, ramp(104))
		}
		go x.Audio().Say(t.Context(), r) //nolint:errcheck // what is heard shows it
		heard := listens(t, y)
		if heard[104] < 970*ms || heard[8] > 0 {
			t.Errorf("heard %v", heard)
		}
	})
}
