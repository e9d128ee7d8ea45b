package record_test

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/record"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

func opus() codec.Params {
	return codec.Params{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
}

// send speaks and films for three seconds.
func send(t *testing.T, c *parley.Call) {
	t.Helper()
	if c.Video() != nil {
		go calltest.Film(c, 1)
	}
	said := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for i := range said.Samples {
		said.Samples[i] = 1000
	}
	p := stream.Packet{Codec: opus(), Timeline: 1, Payload: []byte{0xf8, 0xff, 0xfe}} // 20 ms of silence
	for n := range 150 {
		var err error
		switch {
		case c.Audio() == nil:
		case c.Audio().Codec().Name == "opus":
			p.Seq, p.Timestamp, p.Time = int64(n), uint32(n*960), time.Duration(n)*20*ms
			err = c.Audio().WritePacket(&p)
		default:
			err = c.Audio().WriteFrame(&said)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * ms)
	}
}

// length returns how long each track of a file is.
func length(t *testing.T, name string) map[file.Codec]time.Duration {
	t.Helper()
	d := map[file.Codec]time.Duration{}
	if filepath.Ext(name) == ".wav" {
		r, err := file.OpenWAV(name)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		d[file.PCM], _ = r.Duration()
		return d
	}
	r, err := file.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p file.Packet
	for {
		err := r.ReadPacket(&p)
		if err == io.EOF {
			return d
		}
		if err != nil {
			t.Fatal(err)
		}
		codec := r.Tracks()[p.Track].Codec
		d[codec] = max(d[codec], p.Time+20*ms)
	}
}

// What a caller sends is in a file of the format for its codecs, and as long as they
// were there.
func TestRecordsEveryCall(t *testing.T) {
	for _, tt := range []struct {
		sound, pictures codec.Params
		ext             string
		tracks          []file.Codec
	}{
		{calltest.PCMU(), codec.Params{}, ".wav", []file.Codec{file.PCM}},
		{opus(), codec.Params{}, ".ogg", []file.Codec{file.Opus}},
		{opus(), calltest.VP8(), ".webm", []file.Codec{file.Opus, file.VP8}},
		{calltest.PCMU(), calltest.VP8(), ".mkv", []file.Codec{file.PCM, file.VP8}},
		{codec.Params{}, calltest.VP8(), ".webm", []file.Codec{file.VP8}},
	} {
		folder := filepath.Join(t.TempDir(), "recordings")
		synctest.Test(t, func(t *testing.T) {
			told := make(chan record.Recording, 1)
			c, far := calltest.New(t, tt.sound, tt.pictures)
			calltest.Serve(t, far, record.Handler{Folder: folder, Done: func(r record.Recording) { told <- r }})
			send(t, c)
			c.Close()
			r := <-told
			if r.Err != nil {
				t.Error(r.Err)
			}
			if filepath.Dir(r.File) != folder || filepath.Ext(r.File) != tt.ext {
				t.Errorf("the file is %s, want one of %s", r.File, tt.ext)
			}
			if d := r.Duration - 3*time.Second; d.Abs() > 250*ms && tt.sound.Name != "" {
				t.Errorf("%s is told to be %v long", tt.ext, r.Duration)
			}
			got := length(t, r.File)
			if len(got) != len(tt.tracks) {
				t.Errorf("%s has %v, want %v", tt.ext, got, tt.tracks)
			}
			for _, c := range tt.tracks {
				if d := got[c] - 3*time.Second; d.Abs() > 250*ms { // the goodbye takes its time
					t.Errorf("%s of %s is %v long", c, tt.ext, got[c])
				}
			}
		})
	}
}

// A way leads to a line of another call.
type way struct{ to *parley.Audio }

func (w *way) WriteRTP(b []byte) error {
	if w.to != nil {
		w.to.DeliverRTP(time.Now(), netip.AddrPort{}, b)
	}
	return nil
}

func (w *way) WriteRTCP(b []byte) error {
	if w.to != nil {
		w.to.DeliverRTCP(time.Now(), netip.AddrPort{}, b)
	}
	return nil
}

func (w *way) Close() error { return nil }

// Whose microphone is taken away, and there again on another line, is recorded on.
func TestRecordsLaterLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan record.Recording, 1)
		c, far := calltest.New(t, opus(), codec.Params{})
		calltest.Serve(t, far, record.Handler{Folder: t.TempDir(), Done: func(r record.Recording) { told <- r }})
		send(t, c)
		attach := func(c *parley.Call, leg parley.Leg) *parley.Audio {
			a, err := c.AttachAudio(parley.AudioConfig{Leg: leg, Send: opus(), Receive: []codec.Params{opus()}})
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		said, heard := c.Audio(), far.Audio()
		out := attach(c, &way{attach(far, &way{})})
		said.Remove()
		heard.Remove()
		p := stream.Packet{Codec: opus(), Timeline: 2, Payload: []byte{0xf8, 0xff, 0xfe}}
		for n := range 150 {
			p.Seq, p.Timestamp, p.Time = int64(n), uint32(n*960), time.Duration(n)*20*ms
			if err := out.WritePacket(&p); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * ms)
		}
		c.Close()
		r := <-told
		if got := length(t, r.File)[file.Opus]; r.Err != nil || (got-6*time.Second).Abs() > 250*ms {
			t.Errorf("%v of sound, want 6 s (%v)", got, r.Err)
		}
	})
}

// A camera that is turned on later has no place in a file of sound alone, which is told.
func TestLaterPictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan record.Recording, 1)
		c, far := calltest.New(t, opus(), codec.Params{})
		calltest.Serve(t, far, record.Handler{Folder: t.TempDir(), Done: func(r record.Recording) { told <- r }})
		send(t, c)
		_, v := calltest.Add(t, c, far, codec.Params{}, calltest.VP8())
		go calltest.FilmOn(c, v, 1)
		time.Sleep(time.Second)
		c.Close()
		r := <-told
		if got := length(t, r.File)[file.Opus]; !errors.Is(r.Err, errors.ErrUnsupported) || got < 3*time.Second {
			t.Errorf("%v of sound, and the error %v", got, r.Err)
		}
	})
}

// A call of which nothing came leaves no file.
func TestNothingCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		told := make(chan record.Recording, 1)
		_, far := calltest.New(t, opus(), calltest.VP8())
		calltest.Serve(t, far, record.Handler{Folder: folder, Done: func(r record.Recording) { told <- r }})
		time.Sleep(time.Second)
		far.Close()
		r := <-told
		left, err := os.ReadDir(folder)
		if err != nil || len(left) != 0 || r.Duration != 0 {
			t.Errorf("%v is left, of %v (%v, %v)", left, r.Duration, r.Err, err)
		}
	})
}

// fullDisk makes a file that takes nothing.
func fullDisk(t *testing.T, name string) {
	t.Helper()
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(full, name); err != nil {
		t.Fatal(err)
	}
}

// A disk that is full ends the call, which says why.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		fullDisk(t, filepath.Join(folder, "alice.ogg"))
		told := make(chan record.Recording, 1)
		c, far := calltest.New(t, opus(), codec.Params{})
		calltest.Serve(t, far, record.Handler{
			Folder: folder,
			Name:   func(*parley.Call) string { return "alice" },
			Done:   func(r record.Recording) { told <- r },
		})
		p := stream.Packet{Codec: opus(), Timeline: 1, Payload: []byte{0xf8, 0xff, 0xfe}}
		for ; p.Seq < 150 && c.Audio().WritePacket(&p) == nil; p.Seq++ {
			time.Sleep(20 * ms)
			p.Timestamp, p.Time = p.Timestamp+960, p.Time+20*ms
		}
		if err := far.Err(); err == nil || !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
			t.Errorf("the call ended with %v", err)
		}
		c.Close()
		if r := <-told; !errors.Is(r.Err, syscall.ENOSPC) {
			t.Errorf("the recording is told to have ended with %v", r.Err)
		}
	})
}

// Where nothing fits in from the start, no empty file is left, and who runs it is told.
func TestFullDiskFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "alice.webm")
		fullDisk(t, name)
		told := make(chan record.Recording, 1)
		_, far := calltest.New(t, opus(), codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000})
		calltest.Serve(t, far, record.Handler{
			Folder: filepath.Dir(name),
			Name:   func(*parley.Call) string { return "alice" },
			Done:   func(r record.Recording) { told <- r },
		})
		synctest.Wait()
		select {
		case r := <-told:
			if r.File != name || !errors.Is(r.Err, syscall.ENOSPC) {
				t.Errorf("told of %+v", r)
			}
		default:
			t.Error("nobody is told")
		}
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what is left: %v", err)
		}
	})
}

// A name cannot leave the folder.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		for name, good := range map[string]bool{"alice": true, "": false, "..": false, "../a": false, "a/b": false, "/a": false} {
			c, far := calltest.New(t, calltest.PCMU(), codec.Params{})
			served := calltest.Serve(t, far, record.Handler{Folder: folder, Name: func(*parley.Call) string { return name }})
			if good {
				send(t, c)
			}
			c.Close()
			end, _ := errors.AsType[*parley.EndError](<-served)
			if _, err := os.Stat(filepath.Join(folder, name+".wav")); (end.Reason != parley.Failed) != good || good && err != nil {
				t.Errorf("%q: %v, %v", name, end, err)
			}
		}
	})
}
