package play_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/play"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// steps writes a file whose nth second has the level 1000·(n+1), and returns its
// name.
func steps(t *testing.T, seconds int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "steps.wav")
	format := audio.Format{Rate: 16000, Channels: 1}
	w, err := file.CreateWAV(name, format)
	if err != nil {
		t.Fatal(err)
	}
	for n := range seconds {
		f := audio.Frame{Format: format, Samples: make([]int16, format.Rate)}
		for i := range f.Samples {
			f.Samples[i] = int16(1000 * (n + 1))
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// caller calls a handler of that file.
func caller(t *testing.T, h play.Handler) (c *parley.Call, served <-chan error) {
	c, far := calltest.New(t, calltest.L16(16000), codec.Params{})
	return c, calltest.Serve(t, far, h)
}

// hear waits until the level is heard as media, or until nothing is if it is 0, and
// returns how long that took.
func hear(t *testing.T, c *parley.Call, level int16) time.Duration {
	t.Helper()
	var f audio.Frame
	begin := time.Now()
	c.Audio().SetReadDeadline(begin.Add(5 * time.Second))
	for {
		if err := c.Audio().ReadFrame(&f); err != nil {
			t.Fatalf("waiting for %d: %v", level, err)
		}
		if media := f.Kind == audio.Media; media && f.Samples[160] == level || level == 0 && !media {
			return time.Since(begin)
		}
	}
}

// The file is heard once, whole, and the call ends.
func TestPlaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, served := caller(t, play.Handler{File: steps(t, 3)})
		var f audio.Frame
		heard := map[int16]time.Duration{}
		for {
			err := c.Audio().ReadFrame(&f)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind == audio.Media {
				heard[f.Samples[160]] += f.Duration()
			}
		}
		for level := int16(1000); level <= 3000; level += 1000 {
			if d := heard[level] - time.Second; d.Abs() > 60*ms {
				t.Errorf("level %d is heard for %v", level, heard[level])
			}
		}
		if end, ok := errors.AsType[*parley.EndError](<-served); !ok || end.Reason != parley.Finished {
			t.Errorf("ended by %v", end)
		}
	})
}

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := caller(t, play.Handler{File: steps(t, 2), Loop: true})
		for range 3 {
			hear(t, c, 1000)
			hear(t, c, 2000)
		}
	})
}

// Commands are answered, and heard soon: what is sought is due 40 ms later, and is
// played out after that.
func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := caller(t, play.Handler{File: steps(t, 8), Paused: true})
		ctx := t.Context()
		ch, err := c.OpenChannel(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		do := func(command, answer string) {
			t.Helper()
			m := parley.Message{Text: true, Data: []byte(command)}
			if err := ch.WriteMessage(ctx, &m); err != nil {
				t.Fatal(err)
			}
			if err := ch.ReadMessage(ctx, &m); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(m.Data), answer) {
				t.Errorf("%s is answered with %q, want %q", command, m.Data, answer)
			}
		}
		soon := func(level int16) {
			t.Helper()
			took := hear(t, c, level)
			t.Logf("level %d after %v", level, took)
			if took > 120*ms {
				t.Errorf("level %d is heard after %v", level, took)
			}
		}
		time.Sleep(time.Second)
		do("play", "play 0.00")
		soon(1000)
		do("seek 5", "seek 5.00")
		soon(6000)
		do("pause", "pause 5.")
		time.Sleep(10 * time.Second)
		do("play", "play 5.")
		soon(6000)
		do("seek 3.5", "seek 3.50")
		soon(4000)
		do("loop off", "loop 3.5")
		do("stop", "stop 0.00")
		soon(0)
		do("seek 7.5", "seek 7.50")
		do("play", "play 7.50")
		soon(8000)
		time.Sleep(2 * time.Second)
		do("play", "play 0.00") // the call goes on after the end
		soon(1000)
		for _, bad := range []string{"", "seek", "seek -1", "seek NaN", "seek 1e300", "loop", "rewind", "play 1"} {
			do(bad, "error: ")
		}
	})
}

func TestNoFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, served := caller(t, play.Handler{File: filepath.Join(t.TempDir(), "none.wav")})
		if err := <-served; !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})
}

// Pictures for which the call has no codec are left out.
func TestPicturesOfAnotherCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "a.mkv")
		w, err := file.Create(name, file.Track{Codec: file.VP9, Width: 320, Height: 240}, file.Track{Codec: file.PCM, Rate: 16000, Channels: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			at := time.Duration(i) * 20 * ms
			sound := file.Packet{Track: 1, Time: at, Data: []byte(strings.Repeat("\xe8\x03", 320))}
			if err := errors.Join(w.WritePacket(&file.Packet{Time: at, Key: i == 0, Data: []byte{0x80, 1, 2}}), w.WritePacket(&sound)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		c, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, play.Handler{File: name})
		hear(t, c, 1000)
	})
}

// film writes a file of 4 s with sound of level 1000 and pictures of 7, and returns its
// name.
func film(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.mkv")
	w, err := file.Create(name, file.Track{Codec: file.VP8, Width: 320, Height: 240}, file.Track{Codec: file.PCM, Rate: 16000, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		at := time.Duration(i) * 20 * ms
		shown := calltest.Picture(7, at, i%25 == 0)
		said := file.Packet{Track: 1, Time: at, Data: []byte(strings.Repeat("\xe8\x03", 320))}
		if err := errors.Join(w.WritePacket(&file.Packet{Time: at, Key: shown.Key, Data: shown.Data}), w.WritePacket(&said)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// Pictures are shown on a line that comes in the middle, and the sound is heard on a line
// that takes the place of the first one.
func TestLaterLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := calltest.New(t, calltest.L16(16000), codec.Params{})
		calltest.Serve(t, far, play.Handler{File: film(t)})
		hear(t, c, 1000)
		calltest.Add(t, c, far, calltest.L16(16000), calltest.VP8())
		c.Video().SetReadDeadline(time.Now().Add(time.Second))
		var f video.Frame
		if err := c.Video().ReadFrame(&f); err != nil || calltest.Shown(&f) != 7 {
			t.Errorf("nothing is seen: %v", err)
		}
		far.Audio().Remove()
		c.Audio().Remove()
		hear(t, c, 1000)
	})
}

// Sound goes on when the line of the pictures has another codec, or is no more.
func TestSoundOutlivesPictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		served := calltest.Serve(t, far, play.Handler{File: film(t)})
		seen := make(chan int, 1)
		go func() {
			n := 0
			for f := (video.Frame{}); c.Video().ReadFrame(&f) == nil; n++ {
			}
			seen <- n
		}()
		begin := time.Now()
		for _, p := range []codec.Params{calltest.VP9(), calltest.VP8()} {
			time.Sleep(990 * ms)
			if err := far.Video().Update(&parley.VideoUpdate{Send: p}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(990 * ms)
		far.Video().Remove()
		if end, ok := errors.AsType[*parley.EndError](<-served); !ok || end.Reason != parley.Finished {
			t.Errorf("served: %v", end)
		}
		if took := time.Since(begin); took < 3950*ms || took > 4100*ms {
			t.Errorf("a file of 4 s took %v", took)
		}
		var s parley.Stats
		c.Stats(&s)
		if s.Audio.Received != 200 {
			t.Errorf("%d packets of sound, want 200", s.Audio.Received)
		}
		c.Close()
		if n := <-seen; n < 80 || n > 105 {
			t.Errorf("%d pictures, of about 100 while the call had their codec", n)
		}
	})
}

// Sound that nothing can decode is left out.
func TestSoundWithoutDecoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "a.mkv")
		surround := []byte("OpusHead\x01\x06\x00\x00\x80\xbb\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05")
		w, err := file.Create(name, file.Track{Codec: file.VP8, Width: 320, Height: 240}, file.Track{Codec: file.Opus, Channels: 6, Config: surround})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			at := time.Duration(i) * 20 * ms
			shown, said := calltest.Picture(7, at, i == 0), file.Packet{Track: 1, Time: at, Data: []byte{0xf8, 0xff, 0xfe}}
			if err := errors.Join(w.WritePacket(&file.Packet{Time: at, Key: shown.Key, Data: shown.Data}), w.WritePacket(&said)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		c, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, play.Handler{File: name})
		var f video.Frame
		c.Video().SetReadDeadline(time.Now().Add(5 * time.Second))
		for range 50 {
			if err := c.Video().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestContextEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, far := calltest.New(t, calltest.L16(16000), codec.Params{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- parley.Serve(ctx, far, play.Handler{File: steps(t, 3), Loop: true, Paused: true})
		}()
		time.Sleep(time.Second)
		cancel()
		if end, ok := errors.AsType[*parley.EndError](<-ended); !ok || end.Reason != parley.Canceled {
			t.Errorf("ended by %v", end)
		}
	})
}
