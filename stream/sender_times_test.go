package stream

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
)

// A pairOfSenders writes sound and pictures of the same times, and knows when
// each packet was captured by what sender reports would say.
type pairOfSenders struct {
	t       *testing.T
	sound   *AudioSender
	picture *VideoSender
	now     time.Time

	soundAt, pictureAt time.Duration // written
	instants           [2][]time.Time
}

func newPairOfSenders(t *testing.T) *pairOfSenders {
	p := &pairOfSenders{t: t, now: videoBegin}
	var err error
	if p.sound, err = NewAudioSender(SenderConfig{Codec: pcmu}); err != nil {
		t.Fatal(err)
	}
	p.picture = newVideoSender(t, VideoSenderConfig{Sound: p.sound})
	return p
}

// run lets time go by in steps of a millisecond. The writers keep the queues full.
func (p *pairOfSenders) run(d time.Duration) {
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(ms) {
		for p.sound.Room() >= 160 {
			f.Time = p.soundAt
			if err := p.sound.Write(p.now, &f); err != nil {
				p.t.Fatal(err)
			}
			p.soundAt += 20 * ms
		}
		for p.picture.Room(40) {
			if err := p.picture.Write(p.now, filmed(p.pictureAt, p.pictureAt == 0, 40)); err != nil {
				p.t.Fatal(err)
			}
			p.pictureAt += 40 * ms
		}
		for b, ok := p.sound.AppendPacket(nil, p.now); ok; b, ok = p.sound.AppendPacket(nil, p.now) {
			p.note(0, b, p.sound.Timestamp(p.now), 8)
		}
		for b, ok := p.picture.AppendPacket(nil, p.now); ok; b, ok = p.picture.AppendPacket(nil, p.now) {
			p.note(1, b, p.picture.Timestamp(p.now), 90)
		}
	}
}

func (p *pairOfSenders) note(line int, b []byte, present uint32, perMs int) {
	var h rtp.Header
	if _, err := h.Unmarshal(b); err != nil {
		p.t.Fatal(err)
	}
	ago := time.Duration(int32(present-h.Timestamp)) * ms / time.Duration(perMs)
	p.instants[line] = append(p.instants[line], p.now.Add(-ago))
}

// wantTogether compares every other packet of sound with a picture.
func (p *pairOfSenders) wantTogether(early int) {
	p.t.Helper()
	for n, at := range p.instants[1] {
		if 2*n >= len(p.instants[0]) {
			break
		}
		if off := at.Sub(p.instants[0][2*n]); off.Abs() > 2*ms {
			if early--; early < 0 {
				p.t.Errorf("the picture at %v is %v behind its sound", time.Duration(n)*40*ms, off)
			}
		}
	}
	if len(p.instants[1]) < 25 {
		p.t.Errorf("%d pictures", len(p.instants[1]))
	}
}

// When this end itself stalls, sound keeps what it has, and goes on later; so do
// the pictures that wait.
func TestPicturesStallWithTheirSound(t *testing.T) {
	for _, stall := range []time.Duration{50 * ms, 130 * ms, 290 * ms, time.Second, 5 * time.Second} {
		p := newPairOfSenders(t)
		p.run(2 * time.Second)
		p.now = p.now.Add(stall)
		p.run(3 * time.Second)
		p.wantTogether(0)
		if n := len(p.instants[1]); n < 124 {
			t.Errorf("stall of %v: %d pictures", stall, n)
		}
	}
}

// While a digit is sent and on hold, time goes on for both.
func TestPicturesGoOnInAHold(t *testing.T) {
	p := newPairOfSenders(t)
	p.run(time.Second)
	p.wantTogether(0)
	p.sound.Hold(p.now, true)
	n := len(p.instants[1])
	p.run(time.Second)
	if n = len(p.instants[1]) - n; n != 25 {
		t.Errorf("%d pictures in a second of hold", n)
	}
}

// Writing and sending with times allocates nothing.
func TestSendingTogetherDoesNotAllocate(t *testing.T) {
	p := newPairOfSenders(t)
	p.run(time.Second)
	sound := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160), Time: p.soundAt}
	picture := filmed(p.pictureAt, false, 40)
	buf := make([]byte, 0, 2000)
	step := func() {
		p.now = p.now.Add(40 * ms)
		for range 2 {
			if p.sound.Write(p.now, &sound) == nil {
				sound.Time += 20 * ms
			}
		}
		if p.picture.Write(p.now, picture) == nil {
			picture.Time += 40 * ms
		}
		for _, ok := p.sound.AppendPacket(buf, p.now); ok; _, ok = p.sound.AppendPacket(buf, p.now) {
		}
		for _, ok := p.picture.AppendPacket(buf, p.now); ok; _, ok = p.picture.AppendPacket(buf, p.now) {
		}
	}
	for range 100 {
		step()
	}
	if allocs := testing.AllocsPerRun(200, step); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// What is forwarded leaves when its network lets it. Reports, and pictures of the
// same times, go by the packets that were delayed least.
func TestTimesOfForwarded(t *testing.T) {
	for _, timed := range []bool{true, false} {
		s, err := NewAudioSender(SenderConfig{Codec: pcmu})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			p := &Packet{Codec: pcmu, Seq: int64(i), Timestamp: uint32(i * 160), Payload: make([]byte, 160)}
			if timed {
				p.Time = 5*time.Second + time.Duration(i)*20*ms
			}
			sent := videoBegin.Add(time.Duration(i) * 20 * ms)
			late := time.Duration(i*7%19) * ms // the first one is not
			if _, err := s.AppendForward(nil, sent.Add(late), p); err != nil {
				t.Fatal(err)
			}
			if got, want := s.Timestamp(sent.Add(19*ms)), uint32(i*160+19*8); got != want {
				t.Fatalf("packet %d, %v late: the timestamp is %d, want %d", i, late, got, want)
			}
			at, _, ok := s.due(6 * time.Second)
			if want := videoBegin.Add(time.Second); timed && (!ok || !at.Equal(want)) {
				t.Fatalf("packet %d: what has the time 6 s leaves at %v, %t, want 1 s", i, at.Sub(videoBegin), ok)
			}
			if !timed && ok && i > 0 {
				t.Fatalf("packet %d: packets without times are believed", i)
			}
		}
		// Timestamps that have stood still for long begin anew.
		now := videoBegin.Add(time.Minute)
		p := &Packet{Codec: pcmu, Seq: 1000, Timestamp: 160000, Payload: make([]byte, 160)}
		if _, err := s.AppendForward(nil, now, p); err != nil || s.Timestamp(now) != 160000 {
			t.Errorf("after a pause: %v, timestamp %d", err, s.Timestamp(now))
		}
	}
}

// After a stall of the machine, sound that is forwarded goes on later, and pictures
// with it, with B-frames or without.
func TestForwardedAfterStalls(t *testing.T) {
	sound, err := NewAudioSender(SenderConfig{Codec: pcmu})
	if err != nil {
		t.Fatal(err)
	}
	pictures := newVideoSender(t, VideoSenderConfig{Sound: sound})
	var delay time.Duration
	now := videoBegin
	said, shown := 0, 0
	for range 60 { // each second, then a stall of up to 6 s
		for range 1000 {
			now = now.Add(ms)
			for {
				at := time.Duration(said) * 20 * ms
				due := videoBegin.Add(at + delay)
				if now.Before(due) {
					break
				}
				if late := now.Sub(due); late > 400*ms {
					delay += late
				}
				p := &Packet{Codec: pcmu, Seq: int64(said), Timestamp: uint32((at + delay) / ms * 8), Time: at, Payload: make([]byte, 160)}
				if _, err := sound.AppendForward(nil, now, p); err != nil {
					t.Fatal(err)
				}
				said++
			}
			for pictures.Room(40) {
				at := shown
				if at > 0 {
					at += [3]int{2, -1, -1}[(at-1)%3]
				}
				if err := pictures.Write(now, filmed(time.Duration(at)*40*ms, shown == 0, 40)); err != nil {
					t.Fatal(err)
				}
				shown++
			}
			for _, ok := pictures.AppendPacket(nil, now); ok; _, ok = pictures.AppendPacket(nil, now) {
			}
		}
		with, _, ok := pictures.sound(0)
		if off := with - pictures.shift; !ok || off.Abs() > 2*ms {
			t.Fatalf("after %v pictures are %v later than their sound, %t", now.Sub(videoBegin), -off, ok)
		}
		now = now.Add(time.Duration(said%7) * time.Second)
	}
}
