package parley

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/video"
)

// A stage is a call whose packets are kept, with what was written to it.
type stage struct {
	t              *testing.T
	call           *Call
	sound, picture *tap

	heard, seen []time.Duration // times of the frames that were written, of 20 ms and 1/25 s
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, sound: &tap{}, picture: &tap{}}
	control := RTCPConfig{Interval: 500 * ms}
	var err error
	s.call, err = New(Config{
		Audio: &AudioConfig{Leg: s.sound, Send: pcmu, Receive: []codec.Params{pcmu}, RTCP: control},
		Video: &VideoConfig{Leg: s.picture, Send: vp8, Receive: []codec.Params{vp8}, RTCP: control},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.call.Connected()
	t.Cleanup(func() { s.call.Close() })
	return s
}

// code is what the samples of the nth frame of sound are.
func code(n int) byte { return byte(n % 100) }

// play writes sound with the times from begin to end, one frame as soon as there
// is room for it.
func (s *stage) play(begin, end time.Duration) {
	for at := begin; at < end; at += 20 * ms {
		pcm := g711.AppendPCMFromMuLaw(nil, bytes.Repeat([]byte{code(len(s.heard))}, 160))
		f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: pcm, Time: at}
		if err := s.call.Audio().WriteFrame(&f); err != nil {
			s.t.Error(err)
		}
		s.heard = append(s.heard, at)
	}
}

// show does the same with pictures.
func (s *stage) show(begin, end time.Duration) {
	for at := begin; at < end; at += 40 * ms {
		f := video.Frame{Time: at, Key: at == begin, Data: picture(0, at == begin, 900).Data}
		binary.BigEndian.PutUint32(f.Data[len(f.Data)-4:], uint32(len(s.seen)))
		if err := s.call.Video().WriteFrame(&f); err != nil {
			s.t.Error(err)
		}
		s.seen = append(s.seen, at)
	}
}

func (s *stage) drain() {
	if err := errors.Join(s.call.Audio().Drain(s.t.Context()), s.call.Video().Drain(s.t.Context())); err != nil {
		s.t.Error(err)
	}
}

// both does two things at once.
func both(a, b func()) {
	var wg sync.WaitGroup
	wg.Go(a)
	wg.Go(b)
	wg.Wait()
}

// moments returns when each packet was captured by the sender reports of its own
// line, in order of leaving.
func (s *stage) moments(leg *tap, rate int) (at []time.Time, packets [][]byte) {
	s.t.Helper()
	packets, reports := leg.sent()
	type pair struct {
		wall  time.Time
		stamp uint32
	}
	var pairs []pair
	for _, b := range reports {
		for m, err := range rtcpctl.Members(b) {
			if err == nil && m.Type == rtcpctl.TypeSR {
				pairs = append(pairs, pair{rtcpctl.NTPTime(binary.BigEndian.Uint64(m.Body[4:]), time.Now()), binary.BigEndian.Uint32(m.Body[12:])})
			}
		}
	}
	if len(pairs) < 2 {
		s.t.Fatalf("%d sender reports", len(pairs))
	}
	for i, b := range packets {
		best := time.Time{}
		apart := time.Duration(1 << 62)
		for _, p := range pairs { // the report that is closest to the packet
			wall := p.wall.Add(time.Duration(int32(binary.BigEndian.Uint32(b[4:])-p.stamp)) * time.Second / time.Duration(rate))
			if d := wall.Sub(p.wall).Abs(); d < apart {
				best, apart = wall, d
			}
		}
		if late := leg.rtpAt[i].Sub(best); late < -time.Millisecond || late > 600*ms {
			s.t.Errorf("packet %d left %v after its time", i, late)
		}
		at = append(at, best)
	}
	return at, packets
}

// wantTogether fails unless each picture was captured when the sound of the same
// Time was, by the reports of both. Pictures whose sound was dropped are left
// out, and so are early ones, which left before anybody knew when the sound
// would.
func (s *stage) wantTogether(early int) {
	s.t.Helper()
	at, packets := s.moments(s.sound, 8000)
	type moment struct {
		media time.Duration
		wall  time.Time
	}
	var heard []moment
	n := 0
	for i, b := range packets {
		for n < len(s.heard) && code(n) != b[len(b)-1] {
			n++
		}
		if n == len(s.heard) {
			s.t.Fatalf("packet %d of sound was never written", i)
		}
		heard = append(heard, moment{s.heard[n], at[i]})
		n++
	}
	at, packets = s.moments(s.picture, 90000)
	compared := 0
	for i, b := range packets {
		media := s.seen[binary.BigEndian.Uint32(b[len(b)-4:])]
		off := time.Duration(1 << 62)
		for _, h := range heard {
			if d := at[i].Sub(h.wall) - (media - h.media); media >= h.media && media < h.media+20*ms && d.Abs() < off.Abs() {
				off = d
			}
		}
		if off == 1<<62 {
			continue
		}
		compared++
		if off.Abs() > time.Millisecond && (early == 0 || off < -40*ms || off > 200*ms) {
			s.t.Errorf("the picture at %v is %v behind its sound", media, off)
		} else if off.Abs() > time.Millisecond {
			early--
		}
	}
	if compared < len(s.seen)*3/4 {
		s.t.Errorf("only %d of %d pictures had sound", compared, len(s.seen))
	}
}

// What is written with one Time is captured at one instant, by the reports of
// both lines.
func TestSentTogether(t *testing.T) {
	for _, test := range []struct {
		name  string
		early int
		run   func(*stage)
	}{
		{"from the start", 0, func(s *stage) {
			both(func() { s.play(0, 5*time.Second) }, func() { s.show(0, 5*time.Second) })
		}},
		{"sound later", 1, func(s *stage) {
			both(func() { time.Sleep(2030 * ms); s.play(2*time.Second, 8*time.Second) }, func() { s.show(0, 8*time.Second) })
		}},
		{"picture later", 0, func(s *stage) {
			both(func() { s.play(0, 8*time.Second) }, func() { time.Sleep(1900 * ms); s.show(2*time.Second, 8*time.Second) })
		}},
		{"a pause of the writer", 0, func(s *stage) {
			both(
				func() { s.play(0, 2*time.Second); time.Sleep(2 * time.Second); s.play(4*time.Second, 8*time.Second) },
				func() { s.show(0, 8*time.Second) })
		}},
		{"a pause in the times", 0, func(s *stage) {
			both(func() { s.play(0, 2*time.Second); s.play(4*time.Second, 8*time.Second) }, func() { s.show(0, 8*time.Second) })
		}},
		{"a second recording", 15, func(s *stage) {
			both(func() { s.play(0, 5*time.Second) }, func() { s.show(0, 5*time.Second) })
			s.drain()
			time.Sleep(3 * time.Second)
			both(func() { s.play(0, 5*time.Second) }, func() { s.show(0, 5*time.Second) })
		}},
		{"after a flush", 40, func(s *stage) {
			both(func() { s.play(0, 3*time.Second) }, func() { s.show(0, 3*time.Second) })
			s.call.Audio().Flush(0)
			s.call.Video().Flush()
			both(func() { s.play(30*time.Second, 35*time.Second) }, func() { s.show(30*time.Second, 35*time.Second) })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				test.run(s)
				s.drain()
				time.Sleep(time.Second)
				s.wantTogether(test.early)
			})
		})
	}
}

// Sound whose frames all have the Time 0 goes on as ever, and pictures beside it
// go by their own times.
func TestSoundWithoutTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		begin := time.Now()
		both(
			func() {
				for range 250 {
					s.play(0, 20*ms)
				}
			},
			func() { s.show(0, 5*time.Second) })
		s.drain()
		time.Sleep(time.Second)
		for _, leg := range []*tap{s.sound, s.picture} {
			if first, last := leg.rtpAt[0].Sub(begin), leg.rtpAt[len(leg.rtpAt)-1].Sub(begin); first > 5*ms || last < 4950*ms || last > 5010*ms {
				t.Errorf("left from %v to %v", first, last)
			}
		}
	})
}
