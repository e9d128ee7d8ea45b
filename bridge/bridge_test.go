package bridge_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/bridge"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	_ "github.com/parley-media/parley/codec/g722"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

var (
	pcmu   = codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	g722   = codec.Params{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1}
	keys   = codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, FMTP: "0-16"}
	others = codec.Params{Name: "telephone-event", PayloadType: 102, ClockRate: 48000, FMTP: "0-16"}
	none   codec.Params
	vp8    = codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
)

// wire is a leg that delivers to another call after 10 ms, in virtual time.
type wire struct {
	to     atomic.Pointer[parley.Call]
	video  bool
	closed atomic.Bool
	flying *sync.WaitGroup
	lose   atomic.Int32 // the next packets
}

func (w *wire) WriteRTP(b []byte) error {
	return w.carry(b, func(l line, b []byte) { l.DeliverRTP(time.Now(), netip.AddrPort{}, b) }, w.lose.Add(-1) >= 0)
}

func (w *wire) WriteRTCP(b []byte) error {
	return w.carry(b, func(l line, b []byte) { l.DeliverRTCP(time.Now(), netip.AddrPort{}, b) }, false)
}

type line interface {
	DeliverRTP(time.Time, netip.AddrPort, []byte)
	DeliverRTCP(time.Time, netip.AddrPort, []byte)
}

func (w *wire) carry(b []byte, deliver func(line, []byte), lost bool) error {
	if w.closed.Load() {
		return net.ErrClosed
	}
	packet := append([]byte(nil), b...)
	w.flying.Go(func() {
		time.Sleep(10 * ms)
		switch to := w.to.Load(); {
		case to == nil || lost:
		case w.video:
			deliver(to.Video(), packet)
		default:
			deliver(to.Audio(), packet)
		}
	})
	return nil
}

func (w *wire) Close() error { w.closed.Store(true); return nil }

// An end is a call of the bridge with the far end that it talks to.
type end struct {
	near, far *parley.Call
	path      *wire // to near
}

// open makes a call of a codec with its far end.
func open(t *testing.T, send, event codec.Params, pictures bool) end {
	t.Helper()
	flying := new(sync.WaitGroup)
	t.Cleanup(flying.Wait)
	var calls [2]*parley.Call
	var wires [2][]*wire
	for i := range calls {
		w := &wire{flying: flying}
		wires[i] = append(wires[i], w)
		c := parley.Config{Audio: &parley.AudioConfig{
			Leg: w, Send: send, Event: event, Receive: []codec.Params{send}, Playout: stream.Fixed,
		}}
		if event.Name != "" {
			c.Audio.Receive = append(c.Audio.Receive, event)
		}
		if pictures {
			v := &wire{flying: flying, video: true}
			wires[i] = append(wires[i], v)
			c.Video = &parley.VideoConfig{Leg: v, Send: vp8, Receive: []codec.Params{vp8}, RTCP: parley.RTCPConfig{NACK: true}}
		}
		var err error
		if calls[i], err = parley.New(c); err != nil {
			t.Fatal(err)
		}
	}
	for i, all := range wires {
		for _, w := range all {
			w.to.Store(calls[1-i])
		}
		calls[i].Connected()
	}
	t.Cleanup(func() {
		for _, c := range calls {
			c.Close()
		}
	})
	return end{near: calls[0], far: calls[1], path: wires[1][0]}
}

// join joins two calls. The function that it returns waits for the end of that.
func join(t *testing.T, x, y end) (*bridge.Bridge, context.CancelFunc, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := bridge.New(x.near, y.near, nil)
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	synctest.Wait()
	wait := sync.OnceValue(func() error { return <-done })
	t.Cleanup(func() { cancel(); wait() }) //nolint:errcheck // the test has looked at it, if it wants to
	return b, cancel, wait
}

// says writes frames of a value, in the format of the line.
func says(t *testing.T, c *parley.Call, rate, frames int, value int16) {
	f := audio.Frame{Format: audio.Format{Rate: rate, Channels: 1}, Samples: make([]int16, rate/50)}
	for i := range f.Samples {
		f.Samples[i] = value
	}
	for range frames {
		if err := c.Audio().WriteFrame(&f); err != nil {
			t.Error(err)
		}
	}
	if err := c.Audio().Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// hears counts the frames of media that are near a value, until the call ends.
func hears(c *parley.Call, value int16) (n, others int) {
	var f audio.Frame
	for c.Audio().ReadFrame(&f) == nil {
		if f.Kind != audio.Media {
			continue
		}
		if v := f.Samples[len(f.Samples)/2]; v > value-value/8 && v < value+value/8 {
			n++
		} else {
			others++
		}
	}
	return n, others
}

func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		codec codec.Params // of the second call
		rate  int
		coded bool
	}{{"one codec", pcmu, 8000, true}, {"two codecs", g722, 16000, false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := open(t, pcmu, keys, false), open(t, tt.codec, keys, false)
				b, _, wait := join(t, x, y)
				var running sync.WaitGroup
				var heard [2]int
				running.Go(func() { heard[0], _ = hears(x.far, 4000) })
				running.Go(func() { heard[1], _ = hears(y.far, 2000) })
				var speaking sync.WaitGroup
				speaking.Go(func() { says(t, x.far, 8000, 100, 2000) })
				speaking.Go(func() { says(t, y.far, tt.rate, 100, 4000) })
				speaking.Wait()
				time.Sleep(200 * ms)
				var s bridge.Stats
				b.Stats(&s)
				if s.AToBCoded != tt.coded || s.BToACoded != tt.coded {
					t.Errorf("coded: %v, %v", s.AToBCoded, s.BToACoded)
				}
				if n := s.AToB.Forwarded; tt.coded && (n != 100 || s.BToA.Forwarded != 100 || s.AToB.Withheld != 0) {
					t.Errorf("%+v, %+v", s.AToB, s.BToA)
				}
				if s.A.Audio.Received != 100 || s.B.Audio.Received != 100 || s.A.Audio.Lost != 0 {
					t.Errorf("received %d and %d, lost %d", s.A.Audio.Received, s.B.Audio.Received, s.A.Audio.Lost)
				}
				x.far.Close()
				if err := wait(); err != nil {
					t.Errorf("after a goodbye: %v", err)
				}
				if y.near.Err() != nil {
					t.Errorf("the other call has ended: %v", y.near.Err())
				}
				y.near.Close()
				y.far.Close()
				running.Wait()
				if heard[0] < 97 || heard[1] < 97 {
					t.Errorf("heard %d and %d frames, want 100", heard[0], heard[1])
				}
			})
		})
	}
}

// What a far end reports of its loss is true: what was lost before the bridge counts.
func TestLossIsTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := open(t, pcmu, keys, false), open(t, pcmu, keys, false)
		_, cancel, wait := join(t, x, y)
		says(t, x.far, 8000, 50, 2000)
		x.path.lose.Store(5)
		says(t, x.far, 8000, 600, 2000)
		var near, far, source parley.Stats
		y.far.Stats(&far)
		y.near.Stats(&near)
		x.far.Stats(&source)
		if far.Audio.Lost != 5 || near.Audio.RemoteLost != 5 || source.Audio.RemoteLost != 5 {
			t.Errorf("lost %d, reported %d and %d; want 5", far.Audio.Lost, near.Audio.RemoteLost, source.Audio.RemoteLost)
		}
		cancel()
		if err := wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// Keys are pressed once at the other end, within the packets or as new events.
func TestDigits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		codec codec.Params
		event codec.Params
	}{
		{"within the packets", pcmu, keys},
		{"another codec", g722, keys},
		{"another clock", pcmu, others},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := open(t, pcmu, keys, false), open(t, tt.codec, tt.event, false)
				join(t, x, y)
				for _, way := range []struct{ from, to *parley.Call }{{x.far, y.far}, {y.far, x.far}} {
					if err := way.from.SendDigits(t.Context(), "12#", nil); err != nil {
						t.Fatal(err)
					}
					var got []byte
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					for {
						d, err := way.to.ReadDigit(ctx)
						if err != nil {
							break
						}
						got = append(got, d.String()...)
					}
					cancel()
					if string(got) != "12#" {
						t.Errorf("got %q", got)
					}
				}
			})
		})
	}
}

// An end without telephone events hears the tones of keys.
func TestDigitsAsTones(t *testing.T) {
	for _, codec := range []codec.Params{pcmu, g722} {
		t.Run(codec.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := open(t, pcmu, keys, false), open(t, codec, none, false)
				join(t, x, y)
				heard := audio.Convert(y.far.Audio(), audio.Format{Rate: 8000, Channels: 1}, 20*ms)
				tones, err := dtmf.NewDetector(audio.Format{Rate: 8000, Channels: 1})
				if err != nil {
					t.Fatal(err)
				}
				var talk sync.WaitGroup
				talk.Go(func() {
					says(t, x.far, 8000, 10, 1000)
					if err := x.far.SendDigits(t.Context(), "12#", nil); err != nil {
						t.Error(err)
					}
					says(t, x.far, 8000, 50, 1000)
				})
				defer talk.Wait()
				var got string
				var f audio.Frame
				for range 100 { // two seconds
					if err := heard.ReadFrame(&f); err != nil {
						t.Fatal(err)
					}
					if err := tones.Push(&f); err != nil {
						t.Fatal(err)
					}
					for d, ok := tones.Pull(); ok; d, ok = tones.Pull() {
						if !d.End {
							got += d.Digit.String()
						}
					}
				}
				if got != "12#" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// Keys that were pressed before the bridge are not for the other end.
func TestDigitsOfBefore(t *testing.T) {
	for _, codec := range []codec.Params{pcmu, g722} {
		t.Run(codec.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := open(t, pcmu, keys, false), open(t, codec, keys, false)
				press := func(digit string) {
					if err := x.far.SendDigits(t.Context(), digit, nil); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				press("1")
				join(t, x, y)
				time.Sleep(time.Second)
				press("2")
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var got string
				for {
					d, err := y.far.ReadDigit(ctx)
					if err != nil {
						break
					}
					got += d.String()
				}
				if got != "2" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// A picture goes over, and so does the wish for a key frame.
func TestVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := open(t, pcmu, keys, true), open(t, pcmu, keys, true)
		join(t, x, y)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var made atomic.Int32
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				f := video.Frame{Data: []byte{0x11, 0, 0, byte(n)}, Time: time.Duration(n) * 40 * ms}
				if n == 0 || x.far.Video().KeyframeRequested() {
					made.Add(1)
					f.Key, f.Data = true, []byte{0x10, 0, 0, 0x9d, 1, 0x2a, 64, 1, 240, 0, byte(n)}
				}
				if err := x.far.Video().WriteFrame(&f); err != nil {
					return
				}
				time.Sleep(40 * ms)
			}
		})
		var f video.Frame
		for n := range 100 {
			if err := y.far.Video().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
			if n == 0 && !f.Key {
				t.Error("the first picture is no key frame")
			}
		}
		time.Sleep(time.Second)
		before := made.Load()
		y.far.Video().RequestKeyframe()
		time.Sleep(time.Second)
		if n := made.Load() - before; n != 1 {
			t.Errorf("%d key frames for a request", n)
		}
		cancel()
		running.Wait()
	})
}

// Whatever ends a call ends the bridge, and is what it returns.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := open(t, pcmu, keys, false), open(t, pcmu, keys, false)
		_, _, wait := join(t, x, y)
		says(t, x.far, 8000, 5, 2000)
		y.near.EndWith(&parley.EndError{Reason: parley.Silent})
		var end *parley.EndError
		if err := wait(); !errors.As(err, &end) || end.Reason != parley.Silent {
			t.Errorf("%v", err)
		}
		if x.near.Err() != nil {
			t.Errorf("the other call has ended: %v", x.near.Err())
		}
		// The one that is left can be joined again.
		z := open(t, pcmu, keys, false)
		b, _, _ := join(t, x, z)
		says(t, x.far, 8000, 5, 2000)
		time.Sleep(100 * ms)
		var s bridge.Stats
		if b.Stats(&s); s.AToB.Forwarded != 5 {
			t.Errorf("%+v", s.AToB)
		}
	})
}

func TestNothingInCommon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := open(t, pcmu, keys, false)
		flying := new(sync.WaitGroup)
		c, err := parley.New(parley.Config{Video: &parley.VideoConfig{Leg: &wire{flying: flying}, Send: vp8, Receive: []codec.Params{vp8}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := bridge.Join(t.Context(), x.near, c, nil); !errors.Is(err, bridge.ErrNothing) {
			t.Errorf("%v", err)
		}
	})
}

// With NoDigits keys are left to whoever reads them, those of before too, and with
// NoVideo pictures.
func TestOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := open(t, pcmu, keys, true), open(t, g722, keys, true)
		press := func(digit string) {
			if err := x.far.SendDigits(t.Context(), digit, nil); err != nil {
				t.Fatal(err)
			}
		}
		press("1")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- bridge.Join(ctx, x.near, y.near, &bridge.Options{NoDigits: true, NoVideo: true}) }()
		synctest.Wait()
		press("2")
		f := video.Frame{Key: true, Data: []byte{0x10, 0, 0, 0x9d, 1, 0x2a, 64, 1, 240, 0, 0}}
		for range 2 { // one packet is no source yet
			if err := x.far.Video().WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
			f.Time += 40 * ms
		}
		for _, want := range "12" {
			if d, err := x.near.ReadDigit(ctx); err != nil || d.String() != string(want) {
				t.Errorf("%v, %v; want %c", d, err, want)
			}
		}
		x.near.Video().SetReadDeadline(time.Now().Add(time.Second))
		if err := x.near.Video().ReadFrame(&f); err != nil {
			t.Errorf("a picture: %v", err)
		}
		if d, err := y.far.ReadDigit(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the other end got %v, %v", d, err)
		}
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// A call that is joined with another cannot be joined with a third meanwhile, and
// whoever tries is told so.
func TestJoinedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, z := open(t, pcmu, keys, false), open(t, pcmu, keys, false), open(t, pcmu, keys, false)
		b, _, _ := join(t, x, y)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := bridge.Join(ctx, x.near, z.near, nil); err == nil || ctx.Err() != nil {
			t.Errorf("joined with a third: %v", err)
		}
		says(t, x.far, 8000, 5, 2000)
		time.Sleep(100 * ms)
		var s bridge.Stats
		if b.Stats(&s); s.AToB.Forwarded != 5 {
			t.Errorf("the first two: %+v", s.AToB)
		}
	})
}

// Calls of video alone are joined, and nobody waits for last words when one ends.
func TestVideoAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls [2]*parley.Call
		for i := range calls {
			flying := new(sync.WaitGroup)
			c, err := parley.New(parley.Config{Video: &parley.VideoConfig{Leg: &wire{flying: flying, video: true}, Send: vp8, Receive: []codec.Params{vp8}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close(); flying.Wait() })
			c.Connected()
			calls[i] = c
		}
		b := bridge.New(calls[0], calls[1], nil)
		done := make(chan error, 1)
		go func() { done <- b.Run(t.Context()) }()
		synctest.Wait()
		s := bridge.Stats{AToBCoded: true}
		if b.Stats(&s); s != (bridge.Stats{A: s.A, B: s.B}) {
			t.Errorf("%+v, %+v, coded: %v, %v; of no audio", s.AToB, s.BToA, s.AToBCoded, s.BToACoded)
		}
		ended := time.Now()
		calls[1].EndWith(&parley.EndError{Reason: parley.Silent})
		var end *parley.EndError
		if err := <-done; !errors.As(err, &end) || end.Reason != parley.Silent || !time.Now().Equal(ended) {
			t.Errorf("%v, %v after the end", err, time.Since(ended))
		}
	})
}

// What a caller says last is heard, also when it is on its way through a decoder.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := open(t, pcmu, keys, false), open(t, g722, keys, false)
		_, _, wait := join(t, x, y)
		var heard int
		var running sync.WaitGroup
		running.Go(func() { heard, _ = hears(y.far, 2000) })
		says(t, x.far, 8000, 50, 2000)
		x.far.Close()
		if err := wait(); err != nil {
			t.Error(err)
		}
		y.near.Audio().Drain(t.Context()) //nolint:errcheck // what is heard shows it
		y.near.Close()
		running.Wait()
		if heard < 48 {
			t.Errorf("heard %d frames of 50", heard)
		}
	})
}
