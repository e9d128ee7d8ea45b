package conference

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/video"
)

// What is shown can be recorded, or listened to, beside those who watch.
func TestShowIsHeardBesideWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, viewer := newCall(t), newCall(t)
		show := NewShow(source)
		defer show.Close()
		go show.Watch(t.Context(), viewer)
		beside := show.Sound().Subscribe()
		defer beside.Close()
		if show.Pictures() != nil {
			t.Error("pictures of a call without video")
		}
		synctest.Wait()

		sound := make([]byte, 2*rate/50) // 20 ms of L16
		for i := range sound {
			sound[i] = 0x10
		}
		for n := range 5 {
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(n * rate / 50)}, Payload: sound}
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			source.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, b)
			time.Sleep(20 * time.Millisecond)
		}
		beside.SetReadDeadline(time.Now().Add(time.Second))
		var f audio.Frame
		for f.Kind = audio.Silence; f.Kind != audio.Media; {
			if err := beside.ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		if f.Samples[0] != 0x1010 {
			t.Errorf("heard %x", f.Samples[0])
		}
		synctest.Wait()
		if viewer.Audio().Played().Sent == 0 {
			t.Error("nothing is sent to who watches")
		}
		viewer.Close()
	})
}

// Who watches is let go at the end of the call, also while nothing is shown.
func TestWatchEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		show := NewShow(newCall(t))
		defer show.Close()
		c := newCall(t)
		watched := make(chan error, 1)
		go func() { watched <- show.Watch(t.Context(), c) }()
		synctest.Wait()
		c.Close()
		synctest.Wait()
		select {
		case err := <-watched:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("still watching")
			show.Close()
			<-watched
		}
	})
}

// Who watches one show after another sees and hears them on one timeline, on which what is
// shown together is together.
func TestShowsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		viewer, screen := newPair(t)
		defer screen.Close()
		type seen struct{ at, by time.Duration } // by the timeline, and by the clock
		began := time.Now()
		var mu sync.Mutex
		var pictures, sounds []seen
		running.Go(func() {
			var f video.Frame
			for screen.Video().ReadFrame(&f) == nil {
				if f.Data[len(f.Data)-1] == 0 { // once a second
					mu.Lock()
					pictures = append(pictures, seen{f.Time, time.Since(began)})
					mu.Unlock()
				}
			}
		})
		running.Go(func() {
			var f audio.Frame
			last := -time.Second
			for screen.Audio().ReadFrame(&f) == nil {
				for i, v := range f.Samples {
					if at := f.Time + f.Format.Duration(i); max(v, -v) > 4000 {
						if at-last > 500*time.Millisecond {
							mu.Lock()
							sounds = append(sounds, seen{at, time.Since(began)})
							mu.Unlock()
						}
						last = at
					}
				}
			}
		})
		var shows [3]*Show
		for _, i := range []int{1, 0, 2} { // so that their times are 1.3 s ahead of each other
			near, far := newPair(t)
			defer far.Close()
			s := &speaker{name: 'a'}
			s.loud.Store(true)
			s.run(ctx, far, 0, &running)
			shows[i] = NewShow(near)
			defer shows[i].Close()
			time.Sleep(1300 * time.Millisecond)
		}
		for i := range 9 {
			show := shows[i%3]
			mu.Lock()
			p, n := len(pictures), len(sounds)
			mu.Unlock()
			watching, leave := context.WithTimeout(ctx, 1700*time.Millisecond)
			show.Watch(watching, viewer) //nolint:errcheck // it ends when it is told to
			leave()
			mu.Lock()
			if len(pictures) == p || len(sounds) == n {
				t.Errorf("show %d: %d pictures and %d sounds", i, len(pictures)-p, len(sounds)-n)
			}
			for _, p := range pictures[p:] {
				for _, s := range sounds[n:] {
					if d := p.at - s.at; d.Abs() < 500*time.Millisecond && d.Abs() > 30*time.Millisecond { // each of three calls leaves 10 ms alone
						t.Errorf("show %d: a picture at %v, its sound at %v", i, p.at, s.at)
					}
				}
			}
			mu.Unlock()
		}
		cancel()
		screen.Close()
		for what, all := range map[string][]seen{"pictures": pictures, "sounds": sounds} {
			for i, s := range all {
				if d := s.by - s.at - (all[0].by - all[0].at); d.Abs() > 100*time.Millisecond {
					t.Errorf("%s: the %dth is at %v when the clock has it %v later than the first", what, i, s.at, d)
				}
			}
		}
	})
}
