package file_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/file"
)

// Sound whose time has stood still in a pause goes on at the present, and pictures
// that were not in the pause go on as before, however late they come: also when
// their time makes the leap of the sound later.
func TestRecordPauseOfSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.mkv", file.RecorderConfig{})
		a, err := r.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.PCM, Rate: 8000}, Timeline: "call"})
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.AddVideo(file.RecorderTrack{Track: file.Track{Codec: file.VP8}, Timeline: "call"})
		if err != nil {
			t.Fatal(err)
		}
		const pause = 5 * time.Second
		begin, shown := time.Now(), 0
		for i := range 900 {
			now := time.Duration(i) * 20 * ms
			time.Sleep(time.Until(begin.Add(now)))
			at := now
			if now >= 7*time.Second {
				at -= pause
			}
			if now < 2*time.Second || now >= 7*time.Second {
				if err := a.WriteFrame(level(int16(i), at)); err != nil {
					t.Fatal(err)
				}
			}
			came := now
			if now >= 7*time.Second && now < 7300*ms || now >= 8500*ms && now < 11*time.Second {
				came -= 300 * ms
			}
			for ; time.Duration(shown)*100*ms <= came; shown++ {
				at := time.Duration(shown) * 100 * ms
				if now >= 12*time.Second {
					at -= pause
				}
				if err := v.WriteFrame(pictureFrame(shown == 0, shown, at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(20 * ms)
		length := r.Duration()
		closed(t, r)
		_, packets := packetsOf(t, path)
		for i, at := range timesOf(packets, 1) {
			if want := time.Duration(i) * 100 * ms; (at - want).Abs() > 2*ms {
				t.Errorf("picture %d is at %v, want %v", i, at, want)
			}
		}
		sounds := timesOf(packets, 0)
		if end := sounds[len(sounds)-1] + 20*ms; (end - length).Abs() > 25*ms {
			t.Errorf("the sound ends at %v of %v", end, length)
		}
	})
}

// A recording that pauses, as while a card number is said, has nothing of that when it
// goes on.
func TestRecordPauseHasNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, opusCodec)
		r, path := recorder(t, "call.webm", file.RecorderConfig{})
		if _, _, err := r.AddCall(y); err != nil {
			t.Fatal(err)
		}
		const paused, resumed = 100, 150 // packets of 20 ms
		for i := range 250 {
			switch i {
			case paused:
				r.Pause()
				r.Pause()
			case resumed:
				r.Resume()
				r.Resume()
			}
			if err := x.Audio().WritePacket(opusPacket(i)); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				if err := x.Video().WriteFrame(pictureFrame(i%20 == 0, i, time.Duration(i)*20*ms)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * ms)
		}
		time.Sleep(time.Second)
		closed(t, r)
		_, packets := packetsOf(t, path)
		for track := range 2 {
			times := timesOf(packets, track)
			for _, at := range times {
				if at > paused*20*ms+50*ms && at < resumed*20*ms-50*ms {
					t.Errorf("track %d has something of the pause, at %v", track, at)
				}
			}
			if after := slices.IndexFunc(packets, func(p file.Packet) bool {
				return p.Track == track && p.Time > paused*20*ms+50*ms
			}); after >= 0 && !packets[after].Key {
				t.Errorf("track %d goes on with what cannot be decoded", track)
			}
			if last := times[len(times)-1]; last < 4900*ms {
				t.Errorf("track %d ends at %v", track, last)
			}
		}
	})
}

// So it is with frames, which have waited for their playout, of both sides; also after a
// pause that is short.
func TestRecordPauseHasNothingInFrames(t *testing.T) {
	const aloud, paused = 20000, 100 // what is said in the pause, and the packet of 20 ms that is the first of it
	for _, resumed := range []int{paused + 20, paused + 100} {
		synctest.Test(t, func(t *testing.T) {
			x, y := callsLosing(t, 0)
			r, path := recorder(t, "call.wav", file.RecorderConfig{})
			if _, _, err := r.AddCall(y); err != nil {
				t.Fatal(err)
			}
			if _, err := r.AddSent(x.Audio()); err != nil {
				t.Fatal(err)
			}
			for i := range resumed + 100 {
				v := int16(1000)
				switch {
				case i == paused:
					r.Pause()
				case i == resumed:
					r.Resume()
				}
				if i >= paused && i < resumed {
					v = aloud
				}
				if err := x.Audio().WriteFrame(level(v, 0)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * ms)
			}
			time.Sleep(time.Second)
			closed(t, r)
			_, samples := wavOf(t, path)
			for side, later := range []time.Duration{110 * ms, 20 * ms} { // by the way and the playout
				silent, secret, last := 0, 0, 0
				for i := side; i < len(samples); i += 2 {
					switch s := samples[i]; {
					case s > aloud/2:
						secret++
					case s == 0 && i/2 > paused*80 && i/2 < resumed*160+80*160:
						silent++
					case s != 0:
						last = i / 2
					}
				}
				if secret > 0 {
					t.Errorf("side %d has %d ms of the pause", side, secret/8)
				}
				pause := time.Duration(resumed-paused) * 20 * ms
				if got := time.Duration(silent) * ms / 8; got < pause-20*ms || got > pause+later {
					t.Errorf("side %d is silent for %v of a pause of %v", side, got, pause)
				}
				if want := resumed*160 + 90*160; last < want {
					t.Errorf("side %d ends at %d ms, want %d", side, last/8, want/8)
				}
			}
		})
	}
}

// Pictures of VP8 are not reordered: whose time goes back a little comes behind
// those before. The last of them is not taken to last for as long as the gaps that
// losses have left.
func TestRecordPicturesThatGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.webm", file.RecorderConfig{})
		v, err := r.AddVideo(file.RecorderTrack{Track: file.Track{Codec: file.VP8}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for i, at := range []time.Duration{0, 500, 1000, 700, 1500, 2000} {
			time.Sleep(time.Until(begin.Add(at * ms)))
			if err := v.WriteFrame(pictureFrame(i == 0, i, at*ms)); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, r)
		_, packets := packetsOf(t, path)
		if got, want := timesOf(packets, 0), []time.Duration{0, 500 * ms, time.Second, 1001 * ms, 1500 * ms, 2 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("pictures are at %v, want %v", got, want)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(b, []byte{0x44, 0x89, 0x88}) // Duration, of eight bytes
		if at < 0 {
			t.Fatal("no duration")
		}
		if got := math.Float64frombits(binary.BigEndian.Uint64(b[at+3:])); got != 2100 {
			t.Errorf("the file lasts %v ms, want 2100", got)
		}
	})
}
