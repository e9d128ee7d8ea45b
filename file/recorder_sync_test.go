package file_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
)

// A flash and a beep each second are together in a recording, at once or, if sound
// and pictures have ways of different length, when sender reports have come.
func TestRecordInSync(t *testing.T) {
	const length = 30 * time.Second
	for _, c := range []struct {
		name        string
		sound       codec.Params
		play        func(t *testing.T, x *parley.Call, d time.Duration)
		heard, seen time.Duration
		from        time.Duration // when they are together
	}{
		{"Opus, played", opusCodec, playFilm, 0, 0, 0},
		{"Opus, late pictures", opusCodec, playFilm, 20 * ms, 220 * ms, 10 * time.Second},
		{"Opus, late sound", opusCodec, playFilm, 220 * ms, 20 * ms, 10 * time.Second},
		{"PCMU, written", pcmu, writeFilm, 0, 0, 0},
		{"PCMU, late pictures", pcmu, writeFilm, 20 * ms, 220 * ms, 10 * time.Second},
		{"PCMU, late sound", pcmu, writeFilm, 220 * ms, 20 * ms, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := callsOver(t, c.sound, c.heard, c.seen)
				r, path := recorder(t, "a.mkv", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
				if _, _, err := r.AddCall(y); err != nil {
					t.Fatal(err)
				}
				c.play(t, x, length)
				time.Sleep(time.Second)
				closed(t, r)
				flashes, beeps := marks(t, path)
				together := 0
				for n, flash := range flashes {
					beep, ok := beeps[n]
					if !ok || time.Duration(n)*time.Second < c.from {
						continue
					}
					if together++; (beep - flash).Abs() > 40*ms {
						t.Errorf("flash %d is at %v, and its beep at %v", n, flash, beep)
					}
				}
				if want := int((length - c.from) / time.Second); together < want-1 {
					t.Errorf("%d flashes with their beep, want %d", together, want)
				}
			})
		})
	}
}

// playFilm plays a file of pictures and packets with numbers.
func playFilm(t *testing.T, x *parley.Call, d time.Duration) {
	p := player(t, webmFile(t, int(d/time.Second)), file.PlayerConfig{Error: func(err error) { t.Error(err) }})
	if err := p.AddCall(x); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// writeFilm writes pictures with numbers and, of each second, 100 ms of a level.
func writeFilm(t *testing.T, x *parley.Call, d time.Duration) {
	done := make(chan error)
	go func() {
		var err error
		for i := range int(d / picture) {
			err = errors.Join(err, x.Video().WriteFrame(pictureFrame(i%10 == 0, i, time.Duration(i)*picture)))
		}
		done <- err
	}()
	for i := range int(d / (20 * ms)) {
		v := int16(0)
		if i%50 < 5 {
			v = 1000
		}
		if err := x.Audio().WriteFrame(level(v, time.Duration(i)*20*ms)); err != nil {
			t.Error(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// marks returns when the pictures and the packets of whole seconds are in a file,
// or where its samples rise, which they do not at the beginning.
func marks(t *testing.T, path string) (flashes, beeps map[int]time.Duration) {
	t.Helper()
	tracks, packets := packetsOf(t, path)
	flashes, beeps = map[int]time.Duration{}, map[int]time.Duration{}
	loud := true
	rises := 0
	for _, p := range packets {
		var n int
		switch tracks[p.Track].Codec {
		case file.VP8:
			if p.Key {
				fmt.Sscanf(string(p.Data[10:]), "key %d", &n)
			} else {
				fmt.Sscanf(string(p.Data[3:]), "delta %d", &n)
			}
			if n%25 == 0 {
				flashes[n/25] = p.Time
			}
		case file.Opus:
			if fmt.Sscanf(string(p.Data[1:]), "packet %d", &n); n%50 == 0 {
				beeps[n/50] = p.Time
			}
		case file.PCM:
			for i := 0; i < len(p.Data); i += 2 {
				now := int16(binary.LittleEndian.Uint16(p.Data[i:])) > 500
				if now && !loud {
					rises++
					beeps[rises] = p.Time + mono8.Duration(i/2)
				}
				loud = now
			}
		}
	}
	if len(beeps) == 0 || len(flashes) == 0 {
		t.Fatalf("%d flashes and %d beeps", len(flashes), len(beeps))
	}
	return flashes, beeps
}
