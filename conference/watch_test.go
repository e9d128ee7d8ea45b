package conference

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
)

// wire is a leg that delivers to another call after 10 ms, in virtual time.
type wire struct {
	to     atomic.Pointer[parley.Call]
	video  bool
	closed atomic.Bool
	flying *sync.WaitGroup
}

type line interface {
	DeliverRTP(time.Time, netip.AddrPort, []byte)
	DeliverRTCP(time.Time, netip.AddrPort, []byte)
}

func (w *wire) WriteRTP(b []byte) error  { return w.carry(b, line.DeliverRTP) }
func (w *wire) WriteRTCP(b []byte) error { return w.carry(b, line.DeliverRTCP) }
func (w *wire) Close() error             { w.closed.Store(true); return nil }

func (w *wire) carry(b []byte, deliver func(line, time.Time, netip.AddrPort, []byte)) error {
	if w.closed.Load() {
		return net.ErrClosed
	}
	packet := append([]byte(nil), b...)
	w.flying.Go(func() {
		time.Sleep(10 * time.Millisecond)
		if to := w.to.Load(); w.video {
			deliver(to.Video(), time.Now(), netip.AddrPort{}, packet)
		} else {
			deliver(to.Audio(), time.Now(), netip.AddrPort{}, packet)
		}
	})
	return nil
}

// newPair returns both ends of a call with sound and pictures.
func newPair(t *testing.T) (near, far *parley.Call) {
	t.Helper()
	flying := new(sync.WaitGroup)
	t.Cleanup(flying.Wait)
	sound := codec.Params{Name: "L16", PayloadType: 97, ClockRate: rate, Channels: 1}
	vp8 := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
	var calls [2]*parley.Call
	var wires [2][2]*wire
	for i := range calls {
		wires[i] = [2]*wire{{flying: flying}, {flying: flying, video: true}}
		var err error
		if calls[i], err = parley.New(parley.Config{
			Audio: &parley.AudioConfig{Leg: wires[i][0], Send: sound, Receive: []codec.Params{sound}},
			Video: &parley.VideoConfig{Leg: wires[i][1], Send: vp8, Receive: []codec.Params{vp8}},
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { calls[i].Close() })
	}
	for i := range calls {
		for _, w := range wires[i] {
			w.to.Store(calls[1-i])
		}
	}
	for _, c := range calls {
		c.Connected()
	}
	return calls[0], calls[1]
}

// A speaker is a far end that films itself, and is loud in the first 100 ms of each
// second of its time, or not.
type speaker struct {
	name byte
	loud atomic.Bool
	dark atomic.Bool  // no pictures are sent
	keys atomic.Int32 // key frames it was asked for
}

func (s *speaker) run(ctx context.Context, c *parley.Call, begin time.Duration, running *sync.WaitGroup) {
	running.Go(func() {
		f := audio.Frame{Format: audio.Format{Rate: rate, Channels: 1}, Samples: make([]int16, rate/50), Time: begin}
		for n := 0; ctx.Err() == nil; n++ {
			for i := range f.Samples {
				if f.Samples[i] = 0; n%50 < 5 && s.loud.Load() {
					f.Samples[i] = int16(1-i/24%2*2) * 8000 // 1 kHz
				}
			}
			if c.Audio().WriteFrame(&f) != nil {
				return
			}
			f.Time += 20 * time.Millisecond
		}
	})
	running.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			for s.dark.Load() && ctx.Err() == nil {
				time.Sleep(40 * time.Millisecond)
				n++
			}
			f := video.Frame{Data: []byte{0x11, 0, 0, s.name, byte(n % 25)}, Time: begin + time.Duration(n)*40*time.Millisecond}
			asked := c.Video().KeyframeRequested()
			if asked {
				s.keys.Add(1)
			}
			if n == 0 || asked {
				f.Key, f.Data = true, []byte{0x10, 0, 0, 0x9d, 1, 0x2a, 64, 1, 240, 0, s.name, byte(n % 25)}
			}
			if c.Video().WriteFrame(&f) != nil {
				return
			}
			time.Sleep(40 * time.Millisecond)
		}
	})
}

// Who has one screen sees who speaks, from a key frame on and in time with the sound,
// and the wish for another key frame goes to them alone. Before anybody speaks, and
// after the speaker has left, there is still somebody to be seen.
func TestPicturesOfWhoSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRoom()
		defer r.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		var ears *parley.Call
		a, b := &speaker{name: 'a'}, &speaker{name: 'b'}
		var leave [3]context.CancelFunc
		for i, s := range []*speaker{nil, a, b} {
			near, far := newPair(t)
			in, out := context.WithCancel(ctx)
			leave[i] = out
			running.Go(func() { r.Join(in, near) }) //nolint:errcheck // it ends when it is told to
			synctest.Wait()
			if ears == nil {
				ears = far
				continue
			}
			defer far.Close()
			s.run(ctx, far, time.Duration(i)*time.Hour, &running)
		}
		type seen struct {
			who byte
			key bool
			at  time.Duration // of a picture that belongs to the begin of a sound
		}
		var mu sync.Mutex
		var pictures []seen
		var sounds []time.Duration
		running.Go(func() {
			var f video.Frame
			for ears.Video().ReadFrame(&f) == nil {
				p := seen{who: f.Data[len(f.Data)-2], key: f.Key, at: -1}
				if f.Data[len(f.Data)-1] == 0 {
					p.at = f.Time
				}
				mu.Lock()
				pictures = append(pictures, p)
				mu.Unlock()
			}
		})
		running.Go(func() {
			var f audio.Frame
			last := -time.Second
			for ears.Audio().ReadFrame(&f) == nil {
				for i, v := range f.Samples {
					if at := f.Time + f.Format.Duration(i); max(v, -v) > 4000 {
						if at-last > 500*time.Millisecond {
							mu.Lock()
							sounds = append(sounds, at)
							mu.Unlock()
						}
						last = at
					}
				}
			}
		})
		look := func(what string, d time.Duration, who byte, key bool) {
			t.Helper()
			time.Sleep(d)
			mu.Lock()
			defer mu.Unlock()
			first := -1
			for i, p := range pictures {
				if p.who == who && first < 0 {
					first = i
				} else if p.who != who && first >= 0 {
					first = -2
				}
			}
			if n := len(pictures); n == 0 || first < 0 || key && !pictures[first].key {
				t.Errorf("%s: of %d pictures %c begins with the %dth", what, n, who, first)
			}
			for _, p := range pictures {
				for _, s := range sounds { // each of two calls leaves 10 ms alone
					if d := p.at - s; p.at >= 0 && d.Abs() < 500*time.Millisecond && d.Abs() > 20*time.Millisecond {
						t.Errorf("%s: a picture at %v, its sound at %v", what, p.at, s)
					}
				}
			}
			pictures, sounds = nil, nil
		}
		look("nobody speaks", 5*time.Second, 'a', true)
		a.loud.Store(true)
		look("a speaks", 10*time.Second, 'a', false)
		before := [2]int32{a.keys.Load(), b.keys.Load()}
		ears.Video().RequestKeyframe()
		look("a key frame is wanted", 5*time.Second, 'a', false)
		if n, other := a.keys.Load()-before[0], b.keys.Load()-before[1]; n != 1 || other != 0 {
			t.Errorf("a was asked for %d key frames, and b for %d", n, other)
		}
		a.loud.Store(false)
		time.Sleep(2 * time.Second)
		b.loud.Store(true)
		look("b answers", 10*time.Second, 'b', true)
		b.dark.Store(true)
		look("b shows nothing any more", 5*time.Second, 'a', true)
		b.dark.Store(false)
		look("b does again", 5*time.Second, 'b', true)
		leave[2]()
		look("b has left", 5*time.Second, 'a', true)
		cancel()
		ears.Close()
	})
}
