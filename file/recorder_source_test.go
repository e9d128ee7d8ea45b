package file_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/audio"
	_ "github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/file"
	pictures "github.com/parley-media/parley/video"
)

var errBroken = errors.New("broken")

// A microphone gives a frame of 20 ms at its time, and an error in the end. It can
// be interrupted.
type microphone struct {
	frames int
	err    error

	mu          sync.Mutex
	n           int
	interrupted chan struct{}
	deadline    time.Time
	begin       time.Time
}

func newMicrophone(frames int, err error) *microphone {
	return &microphone{frames: frames, err: err, interrupted: make(chan struct{}), begin: time.Now()}
}

func (m *microphone) ReadFrame(f *audio.Frame) error {
	m.mu.Lock()
	interrupted, n := m.interrupted, m.n
	m.mu.Unlock()
	if n == m.frames {
		if m.err != nil {
			return m.err
		}
		<-interrupted
	}
	select {
	case <-interrupted:
		return os.ErrDeadlineExceeded
	case <-time.After(time.Until(m.begin.Add(time.Duration(n) * 20 * ms))):
	}
	*f = *level(int16(n+1), time.Duration(n)*20*ms)
	m.mu.Lock()
	m.n++
	m.mu.Unlock()
	return nil
}

func (m *microphone) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n
}

func (m *microphone) SetReadDeadline(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deadline = t; !t.IsZero() {
		close(m.interrupted)
	} else {
		m.interrupted = make(chan struct{})
	}
}

// A source that the program itself closes, to go over to another one, is no error.
func TestRecorderSourceIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := recorder(t, "call.wav", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
		a := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		relay := audio.NewRelay(newMicrophone(100, nil), audio.RelayConfig{})
		source := relay.Subscribe()
		if err := a.Record(source); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		source.Close()
		relay.Close()
		relay.Wait()
		closed(t, r)
	})
}

func TestRecorderReadsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		r, path := recorder(t, "call.wav", file.RecorderConfig{Error: func(err error) { told = append(told, err) }})
		a := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		failing, silent := newMicrophone(50, errBroken), newMicrophone(100, nil)
		if err := a.Record(failing); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(told) != 1 || !errors.Is(told[0], errBroken) || !strings.Contains(told[0].Error(), "track 0") {
			t.Errorf("told of %v, want that the source is broken", told)
		}
		silent.begin = time.Now()
		if err := a.Record(silent); err != nil { // the source is swapped
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		closed(t, r)
		if !silent.deadline.IsZero() {
			t.Error("the source keeps a deadline")
		}
		_, samples := wavOf(t, path)
		if len(samples) != 4*8000 {
			t.Fatalf("%v, want 4 s", mono8.Duration(len(samples)))
		}
		for n, v := range samples {
			want := int16(0)
			switch i := n / 160; {
			case i < 50:
				want = int16(i + 1)
			case i >= 100:
				want = int16(i - 99)
			}
			if v != want {
				t.Fatalf("at %v there is %d, want %d", mono8.Duration(n), v, want)
			}
		}
		if len(told) != 1 {
			t.Errorf("told of %v", told)
		}
	})
}

// A track that is closed lets its source go, and the others go on.
func TestRecorderClosesTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := recorder(t, "call.mkv", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
		a, b := addAudio(t, r, file.Track{Codec: file.PCM}), addAudio(t, r, file.Track{Codec: file.PCM})
		first, second := newMicrophone(1000, io.EOF), newMicrophone(1000, io.EOF)
		a.Record(first)
		b.Record(second)
		time.Sleep(time.Second - 10*ms)
		closed(t, a)
		synctest.Wait()
		n := first.count()
		time.Sleep(time.Second)
		synctest.Wait()
		if first.count() != n || !first.deadline.IsZero() {
			t.Error("a source is read after its track was closed")
		}
		if second.count() != 100 {
			t.Errorf("the other source was read %d times, want 100", second.count())
		}
		closed(t, r)
	})
}

// A relay lets the call be heard by others too.
func TestRecorderOfRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := audio.NewRelay(newMicrophone(100, io.EOF), audio.RelayConfig{})
		defer relay.Wait()
		r, path := recorder(t, "call.wav", file.RecorderConfig{})
		a := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		s := relay.Subscribe()
		defer s.Close()
		a.Record(s)
		time.Sleep(3 * time.Second)
		closed(t, r)
		if _, samples := wavOf(t, path); len(samples) != 16000 {
			t.Errorf("%d samples, want 2 s", len(samples))
		}
	})
}

// A call is recorded while it is heard and seen, and read by itself afterwards.
func TestRecordRelayedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, pcmu)
		p := player(t, wavFile(t, 500), file.PlayerConfig{})
		if err := p.AddCall(x); err != nil {
			t.Fatal(err)
		}
		var filming sync.WaitGroup
		filming.Go(func() {
			for i := range 250 {
				x.Video().WriteFrame(&pictures.Frame{Data: vp8(i%50 == 0, i), Key: i%50 == 0, Time: time.Duration(i) * 40 * ms})
			}
		})
		sound, image := audio.NewRelay(y.Audio(), audio.RelayConfig{}), pictures.NewRelay(y.Video(), pictures.RelayConfig{})
		r, path := recorder(t, "a.mkv", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
		a, v := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000}), addVideo(t, r, file.Track{Codec: file.VP8})
		recordedSound, recordedImage, listener := sound.Subscribe(), image.Subscribe(), sound.Subscribe()
		a.Record(recordedSound)
		v.Record(recordedImage)
		var f audio.Frame
		for range 100 {
			if err := listener.ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, r)
		for _, c := range []io.Closer{recordedSound, recordedImage, listener} {
			c.Close()
		}
		sound.Wait()
		image.Wait()
		last := f.Time
		if err := y.Audio().ReadFrame(&f); err != nil || f.Time != last+20*ms {
			t.Errorf("the call gives a frame at %v after one at %v (%v)", f.Time, last, err)
		}
		var picture pictures.Frame
		if err := y.Video().ReadFrame(&picture); err != nil {
			t.Error(err)
		}
		_, packets := packetsOf(t, path)
		for track := range 2 {
			times := timesOf(packets, track)
			if d := times[len(times)-1] - times[0]; (d - 2*time.Second).Abs() > 100*ms {
				t.Errorf("track %d lasts %v, want 2 s", track, d)
			}
		}
		p.Close()
		x.Close()
		filming.Wait()
	})
}

// A disk that is full is told at once, and once.
func TestRecorderTellsOfDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no file that is always full")
	}
	for _, name := range []string{"a.wav", "a.ogg"} {
		path := t.TempDir() + "/" + name
		if err := os.Symlink("/dev/full", path); err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 9)
		r, err := file.CreateRecorder(path, file.RecorderConfig{Error: func(err error) { told <- err }})
		if err != nil {
			t.Fatal(err)
		}
		track := file.Track{Codec: file.PCM}
		if name == "a.ogg" {
			track.Codec = file.Opus
		}
		a := addAudio(t, r, track)
		write := func(i int) error {
			if name == "a.ogg" {
				return a.WritePacket(opusPacket(i))
			}
			return a.WriteFrame(level(1, time.Duration(i)*20*ms))
		}
		write(0) //nolint:errcheck // the disk has not said anything yet
		want := <-told
		if !errors.Is(want, syscall.ENOSPC) {
			t.Errorf("%s: told of %v", name, want)
		}
		for i := range 2 {
			if err := write(1 + i); err != want {
				t.Errorf("%s: a write to a full disk: %v, want %v", name, err, want)
			}
		}
		for range 2 {
			if err := r.Close(); err != want {
				t.Errorf("%s: Close: %v, want %v", name, err, want)
			}
		}
		if len(told) > 0 {
			t.Errorf("%s: told of %v too", name, <-told)
		}
	}
}

func TestRecorderInAnyOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	r, path := recorder(t, "a.mkv", file.RecorderConfig{})
	var users sync.WaitGroup
	for i := range 4 {
		users.Go(func() {
			for n := range 3 {
				a, err := r.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.PCM, Rate: 8000}, Timeline: "one"})
				if err != nil {
					if !errors.Is(err, os.ErrClosed) {
						t.Error(err)
					}
					return
				}
				m := newMicrophone(5, nil)
				a.Record(m)
				for k := range 50 {
					if err := a.WriteFrame(level(1, time.Duration(k)*20*ms)); err != nil && !errors.Is(err, os.ErrClosed) {
						t.Error(err)
					}
					r.Duration()
				}
				if n == 1 {
					a.Close()
				}
				if i == 3 && n == 2 {
					r.Close()
				}
			}
		})
	}
	users.Wait()
	closed(t, r)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// Whatever the times of what comes, the file's times ascend, and are not far from
// those of arrival.
func TestRecorderProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var timeline any
		if rapid.Bool().Draw(rt, "one timeline") {
			timeline = "call"
		}
		var steps []func(*file.AudioRecording, *file.VideoRecording, *track)
		rt.Repeat(map[string]func(*rapid.T){
			"sound": func(rt *rapid.T) {
				n := rapid.IntRange(1, 50).Draw(rt, "packets")
				steps = append(steps, func(a *file.AudioRecording, _ *file.VideoRecording, s *track) {
					for range n {
						p := opusPacket(0)
						p.Seq, p.Timestamp, p.Timeline = s.seq, s.stamp, s.run
						if s.timed {
							p.Time = time.Since(s.begin) + s.off
						}
						s.seq++
						s.stamp += 960
						if err := a.WritePacket(p); err != nil {
							t.Error(err)
						}
						time.Sleep(20 * ms)
					}
				})
			},
			"picture": func(rt *rapid.T) {
				key := rapid.Bool().Draw(rt, "key")
				steps = append(steps, func(_ *file.AudioRecording, v *file.VideoRecording, s *track) {
					if err := v.WriteFrame(pictureFrame(key, 1, time.Since(s.begin)+s.off)); err != nil {
						t.Error(err)
					}
				})
			},
			"wait": func(rt *rapid.T) {
				d := time.Duration(rapid.IntRange(0, 5000).Draw(rt, "ms")) * ms
				steps = append(steps, func(*file.AudioRecording, *file.VideoRecording, *track) { time.Sleep(d) })
			},
			"jump": func(rt *rapid.T) {
				stamp := rapid.Uint32().Draw(rt, "stamp")
				off := time.Duration(rapid.Int64Range(-5000, 5000).Draw(rt, "off")) * time.Minute // less is a reordered picture
				steps = append(steps, func(_ *file.AudioRecording, _ *file.VideoRecording, s *track) {
					s.stamp, s.off = stamp, off
				})
			},
			"times": func(rt *rapid.T) {
				steps = append(steps, func(_ *file.AudioRecording, _ *file.VideoRecording, s *track) { s.timed = !s.timed })
			},
			"source": func(rt *rapid.T) {
				seq, stamp := rapid.Int64Range(-1<<40, 1<<40).Draw(rt, "seq"), rapid.Uint32().Draw(rt, "stamp")
				steps = append(steps, func(_ *file.AudioRecording, _ *file.VideoRecording, s *track) {
					s.run++
					s.seq, s.stamp = seq, stamp
				})
			},
		})
		synctest.Test(t, func(t *testing.T) {
			r, path := recorder(t, "a.webm", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
			a, err := r.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.Opus}, Timeline: timeline})
			if err != nil {
				t.Fatal(err)
			}
			v, err := r.AddVideo(file.RecorderTrack{Track: file.Track{Codec: file.VP8}, Timeline: timeline})
			if err != nil {
				t.Fatal(err)
			}
			s := &track{run: 1, begin: time.Now()}
			for _, step := range steps {
				step(a, v, s)
			}
			took := time.Since(s.begin)
			closed(t, r)
			if len(steps) == 0 {
				return
			}
			_, packets := packetsOf(t, path)
			for _, p := range packets {
				if p.Time > took+1100*ms {
					t.Errorf("a packet is at %v after %v", p.Time, took)
				}
			}
		})
		if t.Failed() {
			rt.Fatal("failed")
		}
	})
}

// A track is what a source of the property test counts.
type track struct {
	seq   int64
	stamp uint32
	run   uint64
	off   time.Duration
	timed bool // its packets have a Time
	begin time.Time
}
