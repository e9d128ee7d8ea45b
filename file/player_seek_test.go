package file

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
)

// slowPackets takes its time for each packet.
type slowPackets struct {
	PacketReadCloser
	each time.Duration
}

func (s slowPackets) ReadPacket(p *Packet) error {
	time.Sleep(s.each)
	return s.PacketReadCloser.ReadPacket(p)
}

// A firstFrame takes the first frame that is written since it was asked for. It is
// looked at while nobody writes.
type firstFrame struct {
	begin time.Time
	wants bool
	value int16
	after time.Duration
}

func (w *firstFrame) WriteFrame(f *audio.Frame) error {
	if w.wants {
		w.wants, w.value, w.after = false, f.Samples[0], time.Since(w.begin)
	}
	return nil
}

// Nothing of what is sought is skipped, however long it takes to read up to there.
func TestPlaySeekTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "in.wav")
		w, err := CreateWAV(name, audio.Format{Rate: 8000, Channels: 1})
		if err != nil {
			t.Fatal(err)
		}
		f := audio.Frame{Format: w.Format(), Samples: make([]int16, 160)}
		for i := range 1000 { // 20 s
			f.Samples[0] = int16(i + 1)
			w.WriteFrame(&f)
		}
		w.Close()
		p, err := OpenPlayer(context.Background(), name, PlayerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		to := &firstFrame{}
		p.AddAudio(to)
		time.Sleep(time.Second)
		p.mu.Lock()
		open := p.source.begin
		p.source.begin = func() (PacketReadCloser, error) {
			in, err := open()
			return slowPackets{in, 5 * time.Millisecond}, err
		}
		p.mu.Unlock()
		for _, c := range []struct {
			to    time.Duration
			pause bool
			value int16
			after time.Duration // about
		}{
			{10 * time.Second, false, 501, 2505 * time.Millisecond},
			{15 * time.Second, false, 751, 3755 * time.Millisecond},
			{10 * time.Second, true, 501, 5 * time.Second},
		} {
			synctest.Wait()
			to.begin, to.wants = time.Now(), true
			p.Seek(c.to)
			if time.Sleep(time.Second); c.pause {
				p.Pause()
				time.Sleep(4 * time.Second)
				p.Play()
			}
			if at := p.Position(); at != c.to {
				t.Errorf("the position is %v while %v is sought", at, c.to)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if late := to.after - c.after; to.value != c.value || late < 0 || late > 150*time.Millisecond {
				t.Errorf("at %v frame %d comes first, after %v, want %d after %v", c.to, to.value, to.after, c.value, c.after)
			}
			if late := p.Position() - c.to - (time.Since(to.begin) - to.after); late.Abs() > 20*time.Millisecond {
				t.Errorf("the position is off by %v", late)
			}
		}
		p.Seek(20*time.Second - time.Millisecond) // in the last packet
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Seeking at the end of a round begins no other one.
func TestPlaySeekAtTheEndOfARound(t *testing.T) {
	p := &Player{loop: true, moved: 1, segments: []playSegment{{0, 5 * time.Second}}}
	if p.again(0, true, time.Second) || len(p.segments) != 1 {
		t.Errorf("the file begins anew: %v", p.segments)
	}
	if !p.again(1, true, time.Second) || len(p.segments) != 2 {
		t.Errorf("the file does not begin anew: %v", p.segments)
	}
}

// Who looks after the end sees where that was, also if it was noticed late.
func TestPositionAtTheEnd(t *testing.T) {
	p := &Player{origin: time.Now().Add(-time.Second), segments: []playSegment{{}}, wake: newAlarm(), changed: make(chan struct{})}
	p.finish(0, 100*time.Millisecond, nil)
	if at := p.Position(); at != 100*time.Millisecond {
		t.Errorf("the position is %v, of 100 ms", at)
	}
}
