package file_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/opus"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
	pictures "github.com/parley-media/parley/video"
)

// A heard frame is what a writer got, and when.
type heard struct {
	when  time.Duration // since the writer was made
	at    time.Duration // by the frame
	value int           // of it
}

// A listener takes what is played to it.
type listener struct {
	begin time.Time
	mu    sync.Mutex
	got   []heard
	err   error
	block chan struct{} // not nil: writes wait for it
}

func newListener() *listener { return &listener{begin: time.Now()} }

func (l *listener) take(at time.Duration, value int) error {
	if l.block != nil {
		<-l.block
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, heard{time.Since(l.begin), at, value})
	return l.err
}

func (l *listener) WriteFrame(f *audio.Frame) error { return l.take(f.Time, int(f.Samples[0])) }

func (l *listener) all() []heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]heard(nil), l.got...)
}

// A codedListener takes packets of Opus.
type codedListener struct{ *listener }

func (c codedListener) Codec() codec.Params { return opusCodec }
func (c codedListener) WritePacket(p *stream.Packet) error {
	return c.take(time.Duration(p.Timestamp)*time.Second/48000, len(p.Payload))
}

type viewer struct{ *listener }

func (v viewer) WriteFrame(f *pictures.Frame) error {
	value := int(f.Data[len(f.Data)-1])
	if f.Key {
		value += 1000
	}
	return v.take(f.Time, value)
}

// wavFile writes a file of n frames of 20 ms, of which each has its number in its
// samples, from 1 on.
func wavFile(t testing.TB, n int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in.wav")
	w, err := file.CreateWAV(name, mono8)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.WriteFrame(level(int16(i+1), 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// webmFile writes a file with a second of sound and pictures for each of n.
func webmFile(t testing.TB, n int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in.webm")
	w, err := file.Create(name, file.Track{Codec: file.VP8}, file.Track{Codec: file.Opus})
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, together(video(25*n, vp8), sound(1, 50*n, 0)))
	finish(t, w)
	return name
}

func player(t testing.TB, name string, c file.PlayerConfig) *file.Player {
	t.Helper()
	p, err := file.OpenPlayer(context.Background(), name, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// due checks that frames came at their times, or up to 100 ms early, and that the
// first one came exactly then.
func due(t testing.TB, got []heard, first time.Duration) {
	t.Helper()
	if len(got) == 0 {
		t.Error("nothing was played")
		return
	}
	if got[0].when != first {
		t.Errorf("the first frame comes after %v, want %v", got[0].when, first)
	}
	shift := got[0].when - got[0].at
	for i, h := range got {
		if early := h.at + shift - h.when; early < 0 || early > 100*ms {
			t.Fatalf("frame %d for %v comes at %v", i, h.at+shift, h.when)
		}
	}
}

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player(t, wavFile(t, 150), file.PlayerConfig{})
		l, late := newListener(), newListener()
		if err := p.AddAudio(l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if at := p.Position(); at != time.Second {
			t.Errorf("position %v after 1 s", at)
		}
		if err := p.AddAudio(late); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(l.begin); d != 3*time.Second || p.Position() != 3*time.Second {
			t.Errorf("it ends after %v at %v, want 3 s", d, p.Position())
		}
		got := l.all()
		due(t, got, 0)
		if len(got) != 150 {
			t.Fatalf("%d frames, want 150", len(got))
		}
		for i, h := range got {
			if h.value != i+1 || h.at != time.Duration(i)*20*ms {
				t.Fatalf("frame %d is %d for %v", i, h.value, h.at)
			}
		}
		if got := late.all(); got[0].at < 880*ms || got[0].at > time.Second || len(got) < 100 {
			t.Errorf("who came after 1 s hears %d frames from %v on", len(got), got[0].at)
		}
		p.Close()
		if err := p.Wait(t.Context()); err != nil { // it had ended before
			t.Errorf("Wait after Close: %v", err)
		}
		for _, err := range []error{p.Play(), p.Seek(0), p.AddAudio(l)} {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
	})
}

func TestPlayPauseSeekStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player(t, wavFile(t, 500), file.PlayerConfig{Paused: true})
		l := newListener()
		p.AddAudio(l)
		time.Sleep(time.Second)
		if got := l.all(); len(got) != 0 || p.Position() != 0 {
			t.Errorf("paused, it plays %v", got)
		}
		p.Play()
		p.Play()
		time.Sleep(time.Second) // at 1 s of the file
		p.Pause()
		p.Pause()
		time.Sleep(5 * time.Second)
		n := len(l.all())
		if n < 50 || n > 56 || p.Position() != time.Second {
			t.Errorf("%d frames in 1 s, and the position is %v", n, p.Position())
		}
		p.Play() // what was sent before the pause is over
		time.Sleep(ms)
		if got := len(l.all()); got <= n {
			t.Error("it does not go on at once")
		}
		time.Sleep(900*ms - 2*ms) // at 2 s
		if got := len(l.all()); got < 100 || got > 106 {
			t.Errorf("%d frames in 2 s", got)
		}
		if err := p.Seek(8 * time.Second); err != nil {
			t.Fatal(err)
		}
		seen := len(l.all())
		time.Sleep(200 * ms)
		if got := l.all()[seen]; got.value != 401 || got.when < 7899*ms || got.when > 8019*ms || p.Position() != 8*time.Second+8099*ms-got.when {
			t.Errorf("after seeking: frame %d at %v, and the position is %v", got.value, got.when, p.Position())
		}
		p.Seek(-1) // backwards, to the beginning
		seen = len(l.all())
		time.Sleep(200 * ms)
		if got := l.all()[seen]; got.value != 1 || p.Position() < 80*ms || p.Position() > 200*ms {
			t.Errorf("after seeking back: frame %d, and the position is %v", got.value, p.Position())
		}
		for i, h := range l.all()[1:] {
			if before := l.all()[i]; h.at <= before.at {
				t.Fatalf("the time of a frame is %v after %v", h.at, before.at)
			}
		}
		p.Stop()
		seen = len(l.all())
		time.Sleep(time.Second)
		if len(l.all()) != seen || p.Position() != 0 {
			t.Errorf("stopped, %d frames are played, at %v", len(l.all())-seen, p.Position())
		}
		p.Play()
		p.Seek(time.Minute) // there is nothing
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		p.Play() // from the beginning again
		seen = len(l.all())
		time.Sleep(time.Second)
		if got := l.all(); len(got) < seen+50 || got[seen].value != 1 {
			t.Errorf("after the end, %d frames", len(got)-seen)
		}
	})
}

// Who seeks just after the end hears no less than who seeks just before it.
func TestPlaySeekAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player(t, wavFile(t, 50), file.PlayerConfig{})
		l := newListener()
		p.AddAudio(l)
		wait := func() {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := p.Wait(ctx); err != nil {
				t.Error(err)
			}
		}
		for range 2 {
			wait()
			time.Sleep(time.Second)
			seen, begin := len(l.all()), time.Now()
			p.Seek(500 * ms)
			wait()
			if d := time.Since(begin); d < 500*ms || d > 600*ms {
				t.Errorf("half of it is over after %v", d)
			}
			if got := l.all()[seen:]; len(got) != 25 || got[0].value != 26 {
				t.Errorf("%d frames after seeking", len(got))
			}
		}
		seen := len(l.all())
		p.Pause()
		p.Seek(500 * ms)
		time.Sleep(time.Second)
		if len(l.all()) != seen {
			t.Error("it plays after a pause at the end")
		}
		p.Play()
		wait()
		if got := l.all()[seen:]; len(got) != 25 {
			t.Errorf("%d frames after the pause", len(got))
		}
		seen = len(l.all())
		p.Stop()
		time.Sleep(time.Second)
		if len(l.all()) != seen || p.Position() != 0 {
			t.Errorf("stopped, it is at %v", p.Position())
		}
	})
}

func TestPlayLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player(t, wavFile(t, 15), file.PlayerConfig{Loop: true})
		l := newListener()
		p.AddAudio(l)
		time.Sleep(3100 * ms)
		if at := p.Position(); at != 100*ms {
			t.Errorf("position %v after ten rounds and 100 ms", at)
		}
		p.SetLoop(false)
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		got := l.all()
		due(t, got, 0)
		for i, h := range got {
			if h.value != i%15+1 || h.at != time.Duration(i)*20*ms {
				t.Fatalf("frame %d is %d for %v", i, h.value, h.at)
			}
		}
		if len(got) < 15*11 || len(got)%15 != 0 {
			t.Errorf("%d frames", len(got))
		}
	})
}

// The last picture lasts as long as the one before, if the file does not tell.
func TestPlayLoopPictures(t *testing.T) {
	for _, in := range []string{"in.ivf", "in.webm"} {
		synctest.Test(t, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), in)
			w, err := file.Create(name, file.Track{Codec: file.VP8})
			if err != nil {
				t.Fatal(err)
			}
			write(t, w, video(25, vp8))
			finish(t, w)
			p := player(t, name, file.PlayerConfig{Loop: true})
			l := newListener()
			p.AddVideo(viewer{l})
			time.Sleep(2500 * ms)
			if at := p.Position(); at != 500*ms {
				t.Errorf("%s: position %v, want the middle of the third round", in, at)
			}
			p.SetLoop(false)
			if err := p.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			if d := time.Since(l.begin); d != 4*time.Second {
				t.Errorf("%s: four rounds, as the fourth has begun to be read, end after %v", in, d)
			}
			got := l.all()
			if len(got) != 100 {
				t.Errorf("%s: %d pictures, want 100", in, len(got))
			}
			for i, h := range got {
				if off := h.at - time.Duration(i)*picture; off.Abs() > ms {
					t.Fatalf("%s: picture %d is for %v", in, i, h.at)
				}
			}
		})
	}
}

// A file whose times begin with 2 h is played at once, in each round.
func TestPlayLateTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "in.webm")
		w, err := file.Create(name, file.Track{Codec: file.VP8}, file.Track{Codec: file.Opus})
		if err != nil {
			t.Fatal(err)
		}
		packets := together(video(25, vp8), sound(1, 50, 0))
		for i := range packets {
			packets[i].Time += 2 * time.Hour
		}
		write(t, w, packets)
		finish(t, w)
		p := player(t, name, file.PlayerConfig{Loop: true})
		heard, seen := newListener(), newListener()
		if err := errors.Join(p.AddAudio(codedListener{heard}), p.AddVideo(viewer{seen})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * ms)
		if at := p.Position(); at != 500*ms {
			t.Errorf("position %v, want the middle of the third round", at)
		}
		p.SetLoop(false)
		p.Seek(800 * ms)
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		due(t, heard.all(), 0)
		if n := len(heard.all()); n < 2*50+25+10 || n > 2*50+25+11 || len(seen.all()) < 50 {
			t.Fatalf("%d packets and %d pictures in two rounds and a half and the last 200 ms", n, len(seen.all()))
		}
		for i, h := range seen.all()[:50] {
			if h.at != time.Duration(i)*picture {
				t.Fatalf("picture %d is for %v", i, h.at)
			}
		}
	})
}

// The track that begins first need not come first.
func TestPlayLateTimesOfSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "in.webm")
		w, err := file.Create(name, file.Track{Codec: file.VP8}, file.Track{Codec: file.Opus})
		if err != nil {
			t.Fatal(err)
		}
		packets := append(video(1, vp8), sound(1, 50, 0)...)
		packets[0].Time = 300 * ms
		for i := range packets {
			packets[i].Time += 2 * time.Hour
		}
		write(t, w, packets)
		finish(t, w)
		p := player(t, name, file.PlayerConfig{})
		heard, seen := newListener(), newListener()
		if err := errors.Join(p.AddAudio(codedListener{heard}), p.AddVideo(viewer{seen})); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if got := heard.all(); len(got) != 50 || got[0].at != 0 {
			t.Errorf("%d packets of sound, want 50", len(got))
		}
		if got := seen.all(); len(got) != 1 || got[0].at != 300*ms {
			t.Errorf("%d pictures", len(got))
		}
	})
}

// Sound and pictures of one time are written for one time, also where that begins
// anew.
func TestPlayInSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player(t, webmFile(t, 4), file.PlayerConfig{})
		sound, image := newListener(), newListener()
		if err := errors.Join(p.AddAudio(codedListener{sound}), p.AddVideo(viewer{image})); err != nil {
			t.Fatal(err)
		}
		if tracks := p.Tracks(); len(tracks) != 2 || tracks[0].Codec != file.Opus || tracks[1].Codec != file.VP8 {
			t.Errorf("tracks %v", tracks)
		}
		time.Sleep(1990 * ms)
		p.Seek(time.Second)
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		for i, h := range sound.all() {
			if h.at != h.when {
				t.Fatalf("packet %d for %v comes at %v", i, h.at, h.when)
			}
		}
		pics := image.all()
		due(t, pics, 0)
		// Where 1 s of the file is, after seeking, and the next key frame, at 1.2 s.
		i := slices.IndexFunc(sound.all(), func(h heard) bool { return h.when >= 1990*ms })
		k := slices.IndexFunc(pics, func(h heard) bool { return h.when >= 1990*ms })
		from := sound.all()[i].at
		if from < 1990*ms || from > 2110*ms {
			t.Errorf("after seeking, sound goes on at %v", from)
		}
		if h := pics[k]; h.value < 1000 || h.at != from+200*ms || h.when != h.at || len(pics)-k != 70 {
			t.Errorf("after seeking, picture %d is for %v at %v, and %d come", h.value, h.at, h.when, len(pics)-k)
		}
	})
}

// A writer that hangs, fails, or goes, harms no other.
func TestPlayToTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		p := player(t, wavFile(t, 250), file.PlayerConfig{Error: func(err error) { told = append(told, err) }})
		good, stuck, failing, going := newListener(), newListener(), newListener(), newListener()
		stuck.block = make(chan struct{})
		failing.err = errBroken
		for _, l := range []*listener{good, stuck, failing, going} {
			if err := p.AddAudio(l); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		p.Remove(going)
		p.Remove("nobody")
		synctest.Wait()
		n := len(going.all())
		time.Sleep(2 * time.Second)
		close(stuck.block)
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if got := good.all(); len(got) != 250 {
			t.Errorf("the good one got %d frames, want 250", len(got))
		}
		if got := failing.all(); len(got) != 1 || len(told) != 1 || !errors.Is(told[0], errBroken) {
			t.Errorf("the one that fails got %d frames, and told were %v", len(got), told)
		}
		if got := len(going.all()); got != n {
			t.Error("the one that was removed goes on")
		}
		got := stuck.all()
		if got[1].at < 2700*ms || p.Dropped(stuck) != int64(250-len(got)) {
			t.Errorf("the stuck one goes on at %v with %d frames, and %d were dropped", got[1].at, len(got), p.Dropped(stuck))
		}
	})
}

func TestPlayToCalls(t *testing.T) {
	for _, c := range []struct {
		name  string
		sound codec.Params
		in    func(testing.TB) string
		video bool
	}{
		{"Opus and VP8", opusCodec, func(t testing.TB) string { return webmFile(t, 3) }, true},
		{"WAV", pcmu, func(t testing.TB) string { return wavFile(t, 150) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := calls(t, c.sound)
				p := player(t, c.in(t), file.PlayerConfig{Error: func(err error) { t.Error(err) }})
				if err := p.AddCall(x); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				var frames, packets int
				var got sync.WaitGroup
				got.Go(func() {
					var pk stream.Packet
					for y.Audio().ReadPacket(&pk) == nil {
						packets++
					}
				})
				got.Go(func() {
					var f pictures.Frame
					for y.Video().ReadFrame(&f) == nil {
						if at := time.Since(begin); (at - f.Time).Abs() > 40*ms {
							t.Errorf("a picture for %v comes at %v", f.Time, at)
						}
						frames++
					}
				})
				if err := p.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(200 * ms)
				p.RemoveCall(x)
				if err := x.Audio().WriteFrame(level(0, 0)); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the call keeps a deadline")
				}
				x.Close()
				y.Close()
				got.Wait()
				if packets < 149 || packets > 151 || c.video != (frames == 75) {
					t.Errorf("%d packets and %d pictures", packets, frames)
				}
			})
		})
	}
}

// Of the packet in which an Opus file begins what lies before that is not heard, and of
// the one in which it ends what lies behind; a round follows the one before at once.
// Calls of Opus have these packets whole.
func TestPlayPreSkip(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in.ogg")
	w, err := file.Create(name, file.Track{Codec: file.Opus, Channels: 1, PreSkip: 312})
	if err != nil {
		t.Fatal(err)
	}
	packets := sound(0, 51, 6500*time.Microsecond)
	for i := range packets {
		packets[i].Data = []byte{0xF8, 0xFF, 0xFE} // silence
	}
	packets[50].Duration = 6500 * time.Microsecond // to the end of the second
	write(t, w, packets)
	finish(t, w)
	synctest.Test(t, func(t *testing.T) {
		p := player(t, name, file.PlayerConfig{Loop: true})
		m := &ruler{}
		if err := p.AddAudio(m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * ms) // the second round is being read
		p.SetLoop(false)
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		p.Close()
		if m.samples != 2*48000 || m.apart > time.Microsecond {
			t.Errorf("%d samples of 2 s, up to %v apart", m.samples, m.apart)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, opusCodec)
		p := player(t, name, file.PlayerConfig{})
		if err := p.AddAudio(x.Audio()); err != nil {
			t.Fatal(err)
		}
		heard := make(chan int, 1)
		go func() {
			n := 0
			for p := (stream.Packet{}); y.Audio().ReadPacket(&p) == nil; n++ {
			}
			heard <- n
		}()
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(200 * ms)
		x.Close()
		y.Close()
		if n := <-heard; n != len(packets) {
			t.Errorf("a call has %d packets of %d", n, len(packets))
		}
	})
}

// A ruler measures how far frames are from following each other, the first one the
// beginning.
type ruler struct {
	samples int
	end     time.Duration
	apart   time.Duration
}

func (m *ruler) WriteFrame(f *audio.Frame) error {
	m.samples += len(f.Samples) / f.Format.Channels
	m.apart = max(m.apart, (f.Time - m.end).Abs())
	m.end = f.Time + f.Duration()
	return nil
}

// Who plays to a call of Opus after another goes on with numbers of its own, and is
// heard from its first packet on.
func TestPlayOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, opusCodec)
		var seen []int64
		var got sync.WaitGroup
		got.Go(func() {
			var pk stream.Packet
			for y.Audio().ReadPacket(&pk) == nil {
				seen = append(seen, pk.Seq)
			}
		})
		name := webmFile(t, 1)
		for range 3 {
			p := player(t, name, file.PlayerConfig{})
			if err := p.AddAudio(x.Audio()); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			p.Remove(x.Audio())
			p.Close()
		}
		x.Close()
		y.Close()
		got.Wait()
		if n := len(seen); n != 3*50 || seen[n-1]-seen[0] != 3*50-1 {
			t.Errorf("of three times 50 packets %d came, the last as number %d from the first", n, seen[n-1]-seen[0])
		}
	})
}

// A call gets no pictures while it sends another codec, and goes on at a key frame.
func TestPlayWhileCodecChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, opusCodec)
		sent := x.Video().Codec()
		var told []error
		p := player(t, webmFile(t, 4), file.PlayerConfig{Error: func(err error) { told = append(told, err) }})
		if err := p.AddVideo(x.Video()); err != nil {
			t.Fatal(err)
		}
		var got sync.WaitGroup
		seen := 0
		got.Go(func() {
			var f pictures.Frame
			for ; y.Video().ReadFrame(&f) == nil; seen++ {
			}
		})
		for _, send := range []codec.Params{{Name: "VP9", PayloadType: 98, ClockRate: 90000}, sent} {
			time.Sleep(990 * ms)
			if err := x.Update(nil, &parley.VideoUpdate{Send: send}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(200 * ms)
		dropped := int(p.Dropped(x.Video()))
		x.Close()
		y.Close()
		got.Wait()
		// A change drops what waits to be sent, a tenth of a second.
		if dropped < 20 || dropped > 40 || seen > 100-dropped || seen < 97-dropped {
			t.Errorf("of 100 pictures %d were seen, and %d left out", seen, dropped)
		}
		if len(told) != 1 || !errors.Is(told[0], errors.ErrUnsupported) {
			t.Errorf("told: %v", told)
		}
	})
}

// A picture that cannot be sent does not end the others.
func TestPlayPictureThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player(t, webmFile(t, 2), file.PlayerConfig{Error: func(err error) { t.Error(err) }})
		v := refuser{viewer{newListener()}}
		if err := p.AddVideo(v); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		got := v.all()
		if len(got) != 45 || got[14].at != 560*ms || got[15].at != 800*ms || got[15].value < 1000 || p.Dropped(v) != 5 {
			t.Errorf("%d of 50 pictures were seen, and %d left out: %v", len(got), p.Dropped(v), got)
		}
	})
}

// A refuser does not take the picture of 600 ms.
type refuser struct{ viewer }

func (r refuser) WriteFrame(f *pictures.Frame) error {
	if f.Time == 600*ms {
		return payload.ErrFrame
	}
	return r.viewer.WriteFrame(f)
}

func TestPlayerRefuses(t *testing.T) {
	ctx := context.Background()
	if _, err := file.OpenPlayer(ctx, filepath.Join(t.TempDir(), "none.wav"), file.PlayerConfig{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	p := player(t, wavFile(t, 1), file.PlayerConfig{Paused: true})
	if err := p.AddVideo(viewer{newListener()}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("pictures of a WAV file: %v", err)
	}
	p = player(t, webmFile(t, 1), file.PlayerConfig{Paused: true})
	if err := p.AddAudio(newListener()); err != nil && !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("Opus for one who takes frames: %v", err)
	}
	if err := p.AddVideo(h264Viewer{viewer{newListener()}}); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "VP8") {
		t.Errorf("VP8 for one who takes H264: %v", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.Wait(ctx); err != context.Canceled {
		t.Errorf("Wait: %v", err)
	}
	p.Close()
	if err := p.Wait(context.Background()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
}

// Opus of more than two channels has several packets in one, which a call has not.
func TestPlayerRefusesSurround(t *testing.T) {
	head := append([]byte("OpusHead\x01\x06\x00\x00\x80\xBB\x00\x00\x00\x00\x01"), 4, 2, 0, 4, 1, 2, 3, 5)
	name := filepath.Join(t.TempDir(), "in.ogg")
	w, err := file.Create(name, file.Track{Codec: file.Opus, Config: head})
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, sound(0, 50, 0))
	finish(t, w)
	t.Setenv("PATH", "") // no ffmpeg, which would mix it down
	p := player(t, name, file.PlayerConfig{Paused: true})
	if err := p.AddAudio(codedListener{newListener()}); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("six channels of Opus for a call: %v", err)
	}
}

type h264Viewer struct{ viewer }

func (h264Viewer) Accepts(name string) bool { return name == "H264" }

// A file that breaks off is played as far as it goes, and then the error comes.
func TestPlayBrokenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := webmFile(t, 2)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b[:len(b)/2], 0o666); err != nil {
			t.Fatal(err)
		}
		p := player(t, name, file.PlayerConfig{Loop: true})
		l := newListener()
		p.AddAudio(codedListener{l})
		if err := p.Wait(t.Context()); err == nil {
			t.Error("no error")
		}
		if n := len(l.all()); n < 30 || n > 70 {
			t.Errorf("%d packets of half the file", n)
		}
	})
}

// A frame costs no memory.
func TestPlayDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := player(t, wavFile(t, 2000), file.PlayerConfig{})
		for range 3 {
			p.AddAudio(idle{})
		}
		time.Sleep(10 * time.Second) // what is reused has its size
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		time.Sleep(20 * time.Second)
		runtime.ReadMemStats(&after)
		// The clock of the bubble and the runtime have some of their own.
		if n := after.Mallocs - before.Mallocs; n > 300 {
			t.Errorf("1000 frames for three writers allocate %d times", n)
		}
	})
}

type idle struct{}

func (idle) WriteFrame(*audio.Frame) error { return nil }

func TestPlayerInAnyOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := player(t, wavFile(t, 20), file.PlayerConfig{Loop: true})
	var users sync.WaitGroup
	for i := range 4 {
		users.Go(func() {
			for n := range 50 {
				l := newListener()
				p.AddAudio(l)
				switch (n + i) % 5 {
				case 0:
					p.Pause()
				case 1:
					p.Seek(time.Duration(n) * 10 * ms)
				case 2:
					p.Stop()
				}
				p.Play()
				p.Position()
				p.Dropped(l)
				if n%2 == 0 {
					p.Remove(l)
				}
				if i == 3 && n == 49 {
					p.Close()
				}
			}
		})
	}
	users.Wait()
	p.Close()
}

// loudness is a writer that adds up how far samples are from silence.
type loudness float64

func (l *loudness) WriteFrame(f *audio.Frame) error {
	for _, s := range f.Samples {
		*l += loudness(math.Abs(float64(s)))
	}
	return nil
}

func TestPlayGain(t *testing.T) {
	var heard [3]loudness
	for i, gain := range []int{0, -12 * 256, -256} {
		config := append([]byte("OpusHead\x01\x01\x38\x01\x80\xBB\x00\x00"), byte(gain), byte(gain>>8), 0)
		name := filepath.Join(t.TempDir(), "in.ogg")
		w, err := file.Create(name, file.Track{Codec: file.Opus, Channels: 1, PreSkip: 312, Config: config})
		if err != nil {
			t.Fatal(err)
		}
		packets := sound(0, 50, 6500*time.Microsecond)
		noise := rand.NewChaCha8([32]byte{})
		for i := range packets {
			packets[i].Data = make([]byte, 60)
			noise.Read(packets[i].Data)
			packets[i].Data[0] = 0xF8
		}
		write(t, w, packets)
		finish(t, w)
		synctest.Test(t, func(t *testing.T) {
			p := player(t, name, file.PlayerConfig{})
			if err := p.AddAudio(&heard[i]); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			p.Close()
		})
	}
	if a, b := heard[1]/heard[0], heard[2]/heard[0]; math.Abs(float64(a)-0.251) > 0.01 || math.Abs(float64(b)-0.891) > 0.01 {
		t.Errorf("with gains of -12 and -1 dB it is %.3f and %.3f as loud", a, b)
	}
}
