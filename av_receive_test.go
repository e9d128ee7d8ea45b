package parley

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/transport/netem"
	"github.com/parley-media/parley/video"
)

// A road is a leg over a bad network.
type road struct {
	to lineEnd

	mu       sync.Mutex
	rtp      *netem.Path
	rtcp     *netem.Path
	closed   bool
	kick     chan struct{}
	finished sync.WaitGroup
}

func newRoad(t *testing.T, c netem.Config) *road {
	r := &road{kick: make(chan struct{}, 1)}
	var err error
	if r.rtp, err = netem.New(c); err != nil {
		t.Fatal(err)
	}
	if r.rtcp, err = netem.New(netem.Config{Delay: c.Delay}); err != nil {
		t.Fatal(err)
	}
	r.finished.Go(r.run)
	return r
}

func (r *road) push(p *netem.Path, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return net.ErrClosed
	}
	p.Push(time.Now(), b)
	select {
	case r.kick <- struct{}{}:
	default:
	}
	return nil
}

func (r *road) WriteRTP(b []byte) error  { return r.push(r.rtp, b) }
func (r *road) WriteRTCP(b []byte) error { return r.push(r.rtcp, b) }

func (r *road) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	close(r.kick)
	return nil
}

func (r *road) run() {
	for {
		var packets, reports [][]byte
		r.mu.Lock()
		now := time.Now()
		for b, ok := r.rtp.Pull(now, nil); ok; b, ok = r.rtp.Pull(now, nil) {
			packets = append(packets, b)
		}
		for b, ok := r.rtcp.Pull(now, nil); ok; b, ok = r.rtcp.Pull(now, nil) {
			reports = append(reports, b)
		}
		next := earliest(r.rtp.Next(), r.rtcp.Next())
		r.mu.Unlock()
		for _, b := range packets {
			r.to.DeliverRTP(now, netip.AddrPort{}, b)
		}
		for _, b := range reports {
			r.to.DeliverRTCP(now, netip.AddrPort{}, b)
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = next.Sub(now)
		}
		timer := time.NewTimer(wait)
		select {
		case _, ok := <-r.kick:
			if !ok {
				return
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

// A show is a call with a flash and a beep each second.
type show struct {
	from, to *Call
	flashes  []mark
	beeps    []mark
}

// A mark is where a flash or a beep is on the timeline, and when it was captured.
type mark struct {
	at       time.Duration
	captured time.Time
}

func newShow(t *testing.T, sound, picture netem.Config, p stream.Playout) *show {
	s := &show{}
	roads := []*road{newRoad(t, sound), newRoad(t, picture), newRoad(t, netem.Config{}), newRoad(t, netem.Config{})}
	var err error
	open := func(a, v *road) *Call {
		if err != nil {
			return nil
		}
		var c *Call
		c, err = New(Config{
			Audio: &AudioConfig{Leg: a, Send: pcmu, Receive: []codec.Params{pcmu}, Playout: p},
			Video: &VideoConfig{Leg: v, Send: vp8, Receive: []codec.Params{vp8}, Wait: time.Second, RTCP: RTCPConfig{NACK: true, ReducedSize: true}},
		})
		return c
	}
	s.from, s.to = open(roads[0], roads[1]), open(roads[2], roads[3])
	if err != nil {
		t.Fatal(err)
	}
	roads[0].to, roads[1].to = s.to.Audio(), s.to.Video()
	roads[2].to, roads[3].to = s.from.Audio(), s.from.Video()
	s.from.Connected()
	s.to.Connected()
	t.Cleanup(func() {
		s.from.Close()
		s.to.Close()
		for _, r := range roads {
			r.finished.Wait()
		}
	})
	return s
}

// run plays for a time, and notes what comes.
func (s *show) run(t *testing.T, length time.Duration) {
	begin := time.Now()
	var writing, reading sync.WaitGroup
	writing.Go(func() {
		f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
		for ; f.Time < length; f.Time += 20 * ms {
			for i := range f.Samples {
				f.Samples[i] = int16(20 * (i%3 - 1))
				if f.Time%time.Second < 100*ms {
					f.Samples[i] = int16(12000 * (i%8/4*2 - 1))
				}
			}
			if s.from.Audio().WriteFrame(&f) != nil {
				return
			}
		}
	})
	writing.Go(func() {
		for n := 0; time.Duration(n)*time.Second/30 < length; n++ {
			if s.from.Video().WriteFrame(picture(n, n == 0 || s.from.Video().KeyframeRequested(), 3000)) != nil {
				return
			}
		}
	})
	reading.Go(func() {
		var f audio.Frame
		quiet := time.Second
		before := time.Duration(-1)
		for s.to.Audio().ReadFrame(&f) == nil {
			if before >= 0 && f.Time != before {
				t.Errorf("a frame of sound is at %v, not at %v", f.Time, before)
			}
			before = f.Time + f.Duration()
			for i, v := range f.Samples {
				if quiet += 125 * time.Microsecond; v > 5000 || v < -5000 {
					if quiet > 500*ms {
						m := mark{at: f.Time + time.Duration(i)*125*time.Microsecond}
						if !f.Captured.IsZero() {
							m.captured = f.Captured.Add(m.at - f.Time)
						}
						s.beeps = append(s.beeps, m)
					}
					quiet = 0
				}
			}
		}
	})
	reading.Go(func() {
		var f video.Frame
		before := time.Duration(-1)
		for s.to.Video().ReadFrame(&f) == nil {
			if f.Time <= before {
				t.Errorf("a picture is at %v, after one at %v", f.Time, before)
			}
			before = f.Time
			if number(&f)%30 == 0 {
				s.flashes = append(s.flashes, mark{f.Time, f.Captured})
			}
		}
	})
	writing.Wait()
	time.Sleep(time.Until(begin.Add(length + time.Second)))
	s.from.Close()
	s.to.Close()
	reading.Wait()
}

// wantTogether fails if a flash and its beep are apart by more than within, on
// the timeline or by when they were captured.
func (s *show) wantTogether(t *testing.T, after, length, within time.Duration) {
	t.Helper()
	compared, captured := 0, 0
	var worst time.Duration
	for _, b := range s.beeps {
		for _, f := range s.flashes {
			off := f.at - b.at
			if off.Abs() > 500*ms || b.at < after {
				continue
			}
			compared++
			if off.Abs() > worst.Abs() {
				worst = off
			}
			if off.Abs() > within {
				t.Errorf("the flash at %v is %v from its beep", f.at, off)
			}
			if !f.captured.IsZero() && !b.captured.IsZero() {
				captured++
				if off := f.captured.Sub(b.captured); off.Abs() > 25*ms {
					t.Errorf("the flash at %v was captured %v after its beep", f.at, off)
				}
			}
		}
	}
	seconds := int((length - after) / time.Second)
	if compared < seconds*9/10 || captured < seconds*8/10 {
		t.Errorf("%d and %d of %d compared", compared, captured, seconds)
	}
	t.Logf("at most %v in %d of %d and %d", worst, compared, len(s.beeps), len(s.flashes))
}

// A flash and a beep stay together for five minutes, whatever the playout, with
// loss, jitter and a fast clock of the far end. When the way of the pictures is
// longer, the reports have to tell first.
func TestFlashAndBeep(t *testing.T) {
	bad := func(seed uint64, more time.Duration, drift float64) netem.Config {
		return netem.Config{
			Seed: seed, Delay: 120*ms + more, Drift: drift,
			Jitter: netem.Jitter{Spread: 10 * ms}, Loss: netem.Loss{Rate: 0.01},
		}
	}
	for _, test := range []struct {
		name           string
		playout        stream.Playout
		sound, picture netem.Config
		after          time.Duration
	}{
		{"one way", stream.Adaptive, bad(1, 0, -200), bad(2, 0, -200), 0},
		{"one way in order", stream.InOrder, bad(1, 0, -200), bad(2, 0, -200), 0},
		{"a longer way", stream.Adaptive, bad(3, 0, 0), bad(4, 150*ms, 0), 12 * time.Second},
		{"a longer way in order", stream.InOrder, bad(3, 150*ms, 0), bad(4, 0, 0), 12 * time.Second},
		{"ways that grow", stream.Adaptive, bad(5, 0, 0), bad(6, 0, 1000), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const length = time.Minute
				s := newShow(t, test.sound, test.picture, test.playout)
				s.run(t, length)
				s.wantTogether(t, test.after, length, 40*ms)
			})
		})
	}
}
