package file_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
	pictures "github.com/parley-media/parley/video"
)

var (
	mono8     = audio.Format{Rate: 8000, Channels: 1}
	opusCodec = codec.Params{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
)

// level returns a frame of 20 ms whose samples all are v.
func level(v int16, at time.Duration) *audio.Frame {
	f := &audio.Frame{Format: mono8, Samples: make([]int16, 160), Time: at}
	for i := range f.Samples {
		f.Samples[i] = v
	}
	return f
}

func recorder(t testing.TB, name string, c file.RecorderConfig) (*file.Recorder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	r, err := file.CreateRecorder(path, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, path
}

func addAudio(t testing.TB, r *file.Recorder, track file.Track) *file.AudioRecording {
	t.Helper()
	a, err := r.AddAudio(file.RecorderTrack{Track: track})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func addVideo(t testing.TB, r *file.Recorder, track file.Track) *file.VideoRecording {
	t.Helper()
	v, err := r.AddVideo(file.RecorderTrack{Track: track})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func closed(t testing.TB, c io.Closer) {
	t.Helper()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// wavOf returns the samples of a WAV file.
func wavOf(t testing.TB, path string) (audio.Format, []int16) {
	t.Helper()
	r, err := file.OpenWAV(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var f audio.Frame
	var all []int16
	for {
		err := r.ReadFrame(&f)
		if err == io.EOF {
			return r.Format(), all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Samples...)
	}
}

// packetsOf returns the packets of a file, and fails if the times of one of its
// tracks do not ascend.
func packetsOf(t testing.TB, path string) ([]file.Track, []file.Packet) {
	t.Helper()
	r, err := file.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	packets, err := readPackets(r)
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	last := map[int]time.Duration{}
	for i, p := range packets {
		if at, ok := last[p.Track]; ok && p.Time <= at {
			t.Errorf("packet %d of track %d is at %v, and the one before at %v", i, p.Track, p.Time, at)
		}
		last[p.Track] = p.Time
	}
	return r.Tracks(), packets
}

// timesOf returns the times of one track.
func timesOf(packets []file.Packet, track int) (times []time.Duration) {
	for _, p := range packets {
		if p.Track == track {
			times = append(times, p.Time)
		}
	}
	return times
}

// Two ends of a conversation are left and right. One begins late, is mute for 5 s,
// and its times begin anew; the other is at the same speed all the time.
func TestRecordTwoSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.wav", file.RecorderConfig{})
		left := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		right := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		write := func(a *file.AudioRecording, v int16, at time.Duration) {
			if err := a.WriteFrame(level(v, at)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 500 { // 10 s
			write(left, 1000, 7*time.Second+time.Duration(i)*20*ms)
			switch {
			case i >= 25 && i < 100: // 0.5 s to 2 s
				write(right, 2000, time.Duration(i)*20*ms)
			case i >= 350: // 7 s to 10 s
				write(right, 3000, time.Duration(i-350)*20*ms)
			}
			time.Sleep(20 * ms)
		}
		closed(t, r)
		format, samples := wavOf(t, path)
		if format != (audio.Format{Rate: 8000, Channels: 2}) || len(samples) != 2*80000 {
			t.Fatalf("%v, %d samples, want 80000 of both sides", format, len(samples)/2)
		}
		for n := range 80000 {
			want := int16(0)
			switch {
			case n >= 4000 && n < 16000:
				want = 2000
			case n >= 56000:
				want = 3000
			}
			if samples[2*n] != 1000 || samples[2*n+1] != want {
				t.Fatalf("at %v left is %d and right %d, want 1000 and %d", mono8.Duration(n), samples[2*n], samples[2*n+1], want)
			}
		}
		if left.Skipped()+right.Skipped() != 0 {
			t.Errorf("%d and %d frames were left out", left.Skipped(), right.Skipped())
		}
	})
}

// Sound that comes late, by less than what is taken for a pause, is where it belongs.
func TestRecordWAVAfterStall(t *testing.T) {
	for _, sides := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			r, path := recorder(t, "call.wav", file.RecorderConfig{})
			stalls := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
			var other *file.AudioRecording
			if sides == 2 {
				other = addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
			}
			for i, next := 0, 0; i < 400; i++ { // 8 s
				if i < 170 || i >= 265 { // what was sent in 1.9 s comes at once
					for ; next <= i; next++ {
						if err := stalls.WriteFrame(level(int16(next+1), time.Duration(next)*20*ms)); err != nil {
							t.Fatal(err)
						}
					}
				}
				if other != nil {
					if err := other.WriteFrame(level(int16(i+1), time.Duration(i)*20*ms)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(20 * ms)
			}
			if n := stalls.Skipped(); n != 0 {
				t.Errorf("%d frames were left out", n)
			}
			closed(t, r)
			_, samples := wavOf(t, path)
			if len(samples) != 64000*sides {
				t.Fatalf("%d sides: %d samples of each, want 64000", sides, len(samples)/sides)
			}
			for n, v := range samples {
				if want := int16(n/sides/160 + 1); v != want {
					t.Fatalf("%d sides: at %v there is frame %d, want %d", sides, mono8.Duration(n/sides), v, want)
				}
			}
		})
	}
}

// What a side has no room for, since the other one is a minute ahead, is counted.
func TestRecordWAVCutIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := recorder(t, "call.wav", file.RecorderConfig{})
		caller := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		agent := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		for range 62 * 50 {
			agent.WriteFrame(level(2, 0))
		}
		for i := range 250 {
			caller.WriteFrame(level(1, time.Duration(i)*20*ms))
			time.Sleep(20 * ms)
		}
		if got := caller.Skipped(); got != 99 { // the last of the agent begins 61.98 s ahead
			t.Errorf("%d frames were left out, want 99", got)
		}
		closed(t, r)
	})
}

// Speech synthesis gives its sound faster than it is heard, and without times.
func TestRecordAheadOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.wav", file.RecorderConfig{})
		caller := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		agent := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		for i := range 200 { // 4 s
			if err := caller.WriteFrame(level(1, time.Duration(i)*20*ms)); err != nil {
				t.Fatal(err)
			}
			if i == 50 {
				for range 100 { // 2 s at once
					agent.WriteFrame(level(2, 0))
				}
			}
			time.Sleep(20 * ms)
		}
		closed(t, r)
		_, samples := wavOf(t, path)
		if len(samples) != 2*32000 {
			t.Fatalf("%d samples, want 32000 of both sides", len(samples)/2)
		}
		for n := range 32000 {
			want := int16(0)
			if n >= 8000 && n < 24000 {
				want = 2
			}
			if samples[2*n] != 1 || samples[2*n+1] != want {
				t.Fatalf("at %v the sides are %d and %d, want 1 and %d", mono8.Duration(n), samples[2*n], samples[2*n+1], want)
			}
		}
	})
}

// Frames of any format go into a file of one.
func TestRecordConverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.wav", file.RecorderConfig{})
		a := addAudio(t, r, file.Track{Codec: file.PCM})
		for i := range 100 {
			f := level(1000, time.Duration(i)*20*ms)
			if i >= 50 {
				f.Format, f.Samples = audio.Format{Rate: 16000, Channels: 2}, make([]int16, 640)
			}
			if err := a.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * ms)
		}
		closed(t, r)
		format, samples := wavOf(t, path)
		if format != (audio.Format{Rate: 48000, Channels: 1}) || len(samples) != 96000 {
			t.Errorf("%v, %d samples, want 96000 at 48000 Hz", format, len(samples))
		}
	})
}

func opusPacket(n int) *stream.Packet {
	return &stream.Packet{
		Codec: opusCodec, Timeline: 1, Seq: int64(n), Timestamp: uint32(n) * 960,
		Payload: binary.BigEndian.AppendUint32([]byte{0xF8}, uint32(n)), // 20 ms
	}
}

// Packets come in disorder, twice, or not at all, and each has its place.
func TestRecordPacketsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.webm", file.RecorderConfig{})
		a := addAudio(t, r, file.Track{Codec: file.Opus})
		for i := range 100 {
			n := i
			switch i {
			case 10:
				n = 11
			case 11:
				n = 10
			case 30, 31, 32: // lost
				n = -1
			case 60: // 50 comes again
				n = 50
			}
			if n >= 0 {
				if err := a.WritePacket(opusPacket(n)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * ms)
		}
		closed(t, r)
		tracks, packets := packetsOf(t, path)
		if len(tracks) != 1 || tracks[0].Codec != file.Opus || len(packets) != 96 {
			t.Fatalf("%d packets of %v, want 96 of Opus", len(packets), tracks)
		}
		for _, p := range packets {
			if n := binary.BigEndian.Uint32(p.Data[1:]); p.Time != time.Duration(n)*20*ms {
				t.Errorf("packet %d is at %v", n, p.Time)
			}
		}
		if a.Skipped() != 1 {
			t.Errorf("%d packets left out, want the one that came twice", a.Skipped())
		}
	})
}

// A source that is mute, is another, or jumps, goes on at the time of arrival.
func TestRecordTroubledTimes(t *testing.T) {
	for name, change := range map[string]func(p *stream.Packet, i int){
		"pause":      func(*stream.Packet, int) {},
		"stopped":    func(p *stream.Packet, _ int) { p.Timestamp -= 250 * 960 },
		"jump":       func(p *stream.Packet, _ int) { p.Timestamp += 1 << 30 },
		"jump back":  func(p *stream.Packet, _ int) { p.Timestamp -= 1 << 30 },
		"new source": func(p *stream.Packet, i int) { p.Timeline, p.Seq, p.Timestamp = 2, 5+int64(i), 77+uint32(i)*960 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, ext := range []string{".webm", ".ogg", ".mp4"} {
					r, path := recorder(t, "call"+ext, file.RecorderConfig{})
					a := addAudio(t, r, file.Track{Codec: file.Opus})
					for i := range 400 {
						p := opusPacket(i)
						p.Seq -= 250 * int64(i/350)
						if i >= 350 {
							change(p, i)
						}
						if i < 100 || i >= 350 { // mute for 5 s
							if err := a.WritePacket(p); err != nil {
								t.Fatal(err)
							}
						}
						time.Sleep(20 * ms)
					}
					closed(t, r)
					if ext == ".mp4" {
						continue // not read here
					}
					_, packets := packetsOf(t, path)
					heard := 0
					for _, p := range packets {
						if len(p.Data) < 5 {
							continue // the filling of a gap
						}
						heard++
						if n := binary.BigEndian.Uint32(p.Data[1:]); (p.Time - time.Duration(n)*20*ms).Abs() > 2*ms {
							t.Errorf("%s: packet %d is at %v", ext, n, p.Time)
						}
					}
					if heard != 150 {
						t.Errorf("%s: %d packets, want 150", ext, heard)
					}
				}
			})
		})
	}
}

func pictureFrame(key bool, n int, at time.Duration) *pictures.Frame {
	return &pictures.Frame{Data: vp8(key, n), Key: key, Time: at}
}

// Tracks come and go while a WebM file is written, and at any moment it can be
// played with those that there are.
func TestRecordTracksAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"call.webm", "call.mkv"} {
			r, path := recorder(t, name, file.RecorderConfig{})
			first := addAudio(t, r, file.Track{Codec: file.Opus})
			var second *file.AudioRecording
			var camera, screen *file.VideoRecording
			for i := range 500 {
				switch i {
				case 100: // 2 s
					camera = addVideo(t, r, file.Track{Codec: file.VP8})
				case 200: // 4 s
					second = addAudio(t, r, file.Track{Codec: file.Opus})
					screen = addVideo(t, r, file.Track{Codec: file.VP8})
				case 300: // 6 s
					closed(t, first)
				}
				if i%50 == 49 { // whatever happens next
					tracks, packets := packetsOf(t, path)
					if i > 149 && len(tracks) < 2 || len(packets) < i-50 {
						t.Errorf("%v: %d tracks and %d packets in the file", time.Duration(i)*20*ms, len(tracks), len(packets))
					}
				}
				if i < 300 {
					first.WritePacket(opusPacket(i))
				}
				if second != nil {
					second.WritePacket(opusPacket(i))
				}
				if camera != nil && i%2 == 0 {
					camera.WriteFrame(pictureFrame(i%100 == 20, i, time.Duration(i)*20*ms)) // key frames from 2.4 s on
				}
				if screen != nil && i%2 == 0 {
					screen.WriteFrame(pictureFrame(i == 200, i, time.Duration(i)*20*ms))
				}
				time.Sleep(20 * ms)
			}
			if err := first.WritePacket(opusPacket(300)); !errors.Is(err, os.ErrClosed) {
				t.Errorf("a packet for a track that is closed: %v", err)
			}
			closed(t, r)
			tracks, packets := packetsOf(t, path)
			if len(tracks) != 4 {
				t.Fatalf("%d tracks, want 4", len(tracks))
			}
			for i, want := range []struct {
				codec       file.Codec
				first, last time.Duration
				n           int
			}{
				{file.Opus, 0, 5980 * ms, 300},
				{file.VP8, 2400 * ms, 9960 * ms, 190},
				{file.Opus, 4 * time.Second, 9980 * ms, 300},
				{file.VP8, 4 * time.Second, 9960 * ms, 150},
			} {
				times := timesOf(packets, i)
				if tracks[i].Codec != want.codec || len(times) != want.n || times[0] != want.first || times[len(times)-1] != want.last {
					t.Errorf("track %d is %s with %d packets from %v to %v, want %v", i, tracks[i].Codec, len(times), times[0], times[len(times)-1], want)
				}
			}
			if camera.Skipped() != 10 {
				t.Errorf("%d pictures left out, want the 10 before the key frame", camera.Skipped())
			}
		}
	})
}

// Another size of the picture, and none at all for a while, change nothing.
func TestRecordSizeChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.webm", file.RecorderConfig{})
		v := addVideo(t, r, file.Track{Codec: file.VP8})
		for i := range 100 {
			f := pictureFrame(i%25 == 0, i, 0) // no times
			if i == 50 {
				binary.LittleEndian.PutUint16(f.Data[6:], 1280)
				binary.LittleEndian.PutUint16(f.Data[8:], 720)
			}
			if err := v.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * ms)
		}
		closed(t, r)
		_, packets := packetsOf(t, path)
		for i, at := range timesOf(packets, 0) {
			if at != time.Duration(i)*40*ms {
				t.Fatalf("picture %d is at %v", i, at)
			}
		}
		if len(packets) != 100 {
			t.Errorf("%d pictures, want 100", len(packets))
		}
	})
}

// A track of H.264 begins where its parameter sets are.
func TestRecordH264Sets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.mkv", file.RecorderConfig{})
		v := addVideo(t, r, file.Track{Codec: file.H264})
		for i := range 50 {
			f := pictures.Frame{Data: annexB(slice(i%10 == 0, true, i)), Key: i%10 == 0, Time: time.Duration(i) * 40 * ms}
			if i == 20 {
				f.Data = h264(true, i)
			}
			if err := v.WriteFrame(&f); i >= 20 && err != nil || i < 20 && !errors.Is(err, file.ErrPacket) {
				t.Fatalf("picture %d: %v", i, err)
			}
			time.Sleep(40 * ms)
		}
		closed(t, r)
		tracks, packets := packetsOf(t, path)
		if len(tracks) != 1 || len(tracks[0].Config) == 0 || len(packets) != 30 || packets[0].Time != 800*ms || v.Skipped() != 20 {
			t.Errorf("tracks %v, %d pictures, %d skipped", tracks, len(packets), v.Skipped())
		}
	})
}

// shown returns when the pictures of the first track are shown, as they were decoded.
func shown(t testing.TB, path string) []time.Duration {
	t.Helper()
	r, err := file.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	packets, err := readPackets(r)
	if err != nil {
		t.Error(err)
	}
	return timesOf(packets, 0)
}

// However many pictures are shown before one that came before them (B pictures), each
// is where its time says.
func TestRecordPicturesInAnotherOrder(t *testing.T) {
	for _, order := range [][]int{
		{0, 2, 1, 4, 3, 5},
		{0, 3, 1, 2, 6, 4, 5, 7},
		{0, 4, 2, 1, 3, 8, 6, 5, 7, 9},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, path := recorder(t, "call.mkv", file.RecorderConfig{})
			v := addVideo(t, r, file.Track{Codec: file.H264})
			begin := time.Now()
			var want []time.Duration
			for round := range 2 {
				for i, n := range order {
					n += round * len(order)
					want = append(want, time.Duration(n)*40*ms)
					time.Sleep(time.Until(begin.Add(time.Duration(round*len(order)+i) * 40 * ms)))
					f := &pictures.Frame{Key: i == 0, Data: h264(i == 0, n), Time: time.Duration(n) * 40 * ms}
					if err := v.WriteFrame(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			closed(t, r)
			if got := shown(t, path); !slices.Equal(got, want) {
				t.Errorf("pictures are at %v, want %v", got, want)
			}
		})
	}
}

// Where the timeline goes back, reordered pictures do not either.
func TestRecordReorderedPicturesThatGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.mkv", file.RecorderConfig{})
		v := addVideo(t, r, file.Track{Codec: file.H264})
		begin := time.Now()
		for i := range 20 {
			for j, n := range []int{3, 1, 2} {
				n += 3 * i
				time.Sleep(time.Until(begin.Add(time.Duration(3*i+j) * 40 * ms)))
				f := pictures.Frame{Key: n == 3, Data: h264(n == 3, n), Time: time.Second + time.Duration(n)*40*ms}
				if i >= 10 {
					f.Time -= 600 * ms
				}
				if err := v.WriteFrame(&f); err != nil {
					t.Fatal(err)
				}
			}
		}
		closed(t, r)
		times := shown(t, path)
		if len(times) != 60 {
			t.Fatalf("%d pictures, want 60", len(times))
		}
		for end := slices.Max(times[:30]); len(times) > 30; times = times[:len(times)-1] {
			if last := times[len(times)-1]; last <= end {
				t.Errorf("picture %d is at %v, and those before it end at %v", len(times)-1, last, end)
			}
		}
	})
}

// Lines of one timeline are in step, however their arrival is delayed.
func TestRecordOneTimeline(t *testing.T) {
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
		for i := range 300 { // sound is heard 100 ms after the picture has come
			if i >= 5 {
				at := time.Minute + time.Duration(i-5)*20*ms
				if err := a.WriteFrame(level(int16(i-5), at)); err != nil {
					t.Fatal(err)
				}
			}
			if i%2 == 0 {
				if err := v.WriteFrame(pictureFrame(i == 0, i, time.Minute+time.Duration(i)*20*ms)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * ms)
		}
		closed(t, r)
		_, packets := packetsOf(t, path)
		for i, at := range timesOf(packets, 0) {
			if at != time.Duration(i)*20*ms {
				t.Fatalf("frame %d is at %v", i, at)
			}
		}
		for i, at := range timesOf(packets, 1) {
			if at != time.Duration(2*i)*20*ms {
				t.Fatalf("picture %d is at %v", i, at)
			}
		}
	})
}

// PCM in Matroska has silence where nothing came.
func TestRecordFillsPCM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "call.mkv", file.RecorderConfig{})
		a := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		for i := range 300 {
			if i < 20 || i >= 270 {
				if err := a.WriteFrame(level(7, time.Duration(i)*20*ms)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * ms)
		}
		closed(t, r)
		_, packets := packetsOf(t, path)
		n := 0
		for _, p := range packets {
			if p.Time != mono8.Duration(n).Round(ms) {
				t.Fatalf("a packet is at %v, and sound ends at %v", p.Time, mono8.Duration(n))
			}
			n += len(p.Data) / 2
		}
		if n != 48000 {
			t.Errorf("%d samples, want 48000", n)
		}
	})
}

func TestRecorderRefuses(t *testing.T) {
	if _, err := file.CreateRecorder("call.txt", file.RecorderConfig{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a .txt: %v", err)
	}
	if _, err := file.CreateRecorder(filepath.Join(t.TempDir(), "no", "call.wav"), file.RecorderConfig{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file in no folder: %v", err)
	}
	pcm, opus, vp8Track := file.Track{Codec: file.PCM}, file.Track{Codec: file.Opus}, file.Track{Codec: file.VP8}
	for _, c := range []struct {
		name   string
		tracks []file.Track // of which the last is refused
		want   error
	}{
		{"a.webm", []file.Track{pcm}, errors.ErrUnsupported},
		{"a.webm", []file.Track{{Codec: file.H264}}, errors.ErrUnsupported},
		{"a.mkv", []file.Track{{Codec: file.AAC, Rate: 48000, Channels: 2, Config: []byte{1, 2}}}, errors.ErrUnsupported},
		{"a.mkv", append(make([]file.Track, 0), pcm, opus, vp8Track, pcm, opus, pcm, pcm, pcm, pcm, pcm, pcm, pcm, pcm, pcm, pcm, pcm, pcm), file.ErrTrack},
		{"a.ogg", []file.Track{opus, opus}, file.ErrTrack},
		{"a.ogg", []file.Track{vp8Track}, errors.ErrUnsupported},
		{"a.ivf", []file.Track{opus}, errors.ErrUnsupported},
		{"a.mp4", []file.Track{opus, vp8Track}, errors.ErrUnsupported},
		{"a.wav", []file.Track{opus}, errors.ErrUnsupported},
		{"a.wav", []file.Track{pcm, pcm, pcm}, file.ErrTrack},
		{"a.wav", []file.Track{{Codec: file.PCM, Channels: 2}, pcm}, file.ErrTrack},
		{"a.wav", []file.Track{{Codec: file.PCM, Channels: 3}}, audio.ErrFormat},
		{"a.mkv", []file.Track{{Codec: file.PCM, Rate: -1}}, file.ErrTrack},
	} {
		r, _ := recorder(t, c.name, file.RecorderConfig{})
		for i, track := range c.tracks {
			var err error
			if track.Codec.Video() {
				_, err = r.AddVideo(file.RecorderTrack{Track: track})
			} else {
				_, err = r.AddAudio(file.RecorderTrack{Track: track})
			}
			if last := i == len(c.tracks)-1; !last && err != nil || last && !errors.Is(err, c.want) {
				t.Errorf("%s: track %d: %v", c.name, i, err)
			}
		}
	}
	r, _ := recorder(t, "a.ogg", file.RecorderConfig{})
	if _, err := r.AddVideo(file.RecorderTrack{Track: opus}); !errors.Is(err, file.ErrTrack) {
		t.Errorf("Opus as video: %v", err)
	}
	if _, err := r.AddAudio(file.RecorderTrack{Track: vp8Track}); !errors.Is(err, file.ErrTrack) {
		t.Errorf("VP8 as audio: %v", err)
	}
	if err := r.Close(); !errors.Is(err, file.ErrTrack) {
		t.Errorf("closing a recorder without tracks: %v", err)
	}
	r, _ = recorder(t, "b.mp4", file.RecorderConfig{})
	a := addAudio(t, r, opus)
	p := opusPacket(1)
	p.Codec.Name = "PCMU"
	if err := a.WritePacket(p); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a packet of PCMU: %v", err)
	}
	if err := a.WritePacket(&stream.Packet{Codec: opusCodec}); !errors.Is(err, file.ErrPacket) {
		t.Errorf("an empty packet: %v", err)
	}
	if err := a.WritePacket(opusPacket(1)); err != nil {
		t.Error(err)
	}
	if _, err := r.AddAudio(file.RecorderTrack{Track: opus}); !errors.Is(err, file.ErrTrack) {
		t.Errorf("a track after the first packet: %v", err)
	}
	if err := a.WriteFrame(level(0, 0)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a frame for a track of packets: %v", err)
	}
	if a.Skipped() != 3 {
		t.Errorf("%d left out, want 3", a.Skipped())
	}
	closed(t, r)
	if err := a.WritePacket(opusPacket(2)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a packet after Close: %v", err)
	}
	if _, err := r.AddAudio(file.RecorderTrack{Track: opus}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a track after Close: %v", err)
	}
	if err := a.Record(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a source after Close: %v", err)
	}
}

// Frames need an encoder to become Opus, which a build may have or not.
func TestRecordFramesOfOpus(t *testing.T) {
	r, path := recorder(t, "a.ogg", file.RecorderConfig{})
	a := addAudio(t, r, file.Track{Codec: file.Opus})
	err := a.WriteFrame(level(0, 0))
	if !encodes() {
		if !errors.Is(err, codec.ErrUnknown) {
			t.Errorf("a frame for a track of Opus, without an encoder: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := a.WritePacket(opusPacket(1)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a packet for a track of frames: %v", err)
	}
	closed(t, r)
	if _, packets := packetsOf(t, path); len(packets) != 1 {
		t.Errorf("%d packets, want 1", len(packets))
	}
}

// encodes reports whether this build can encode Opus.
func encodes() bool {
	c, err := codec.Lookup(opusCodec)
	return err == nil && c.NewEncoder != nil
}

func TestRecorderDoesNotAllocate(t *testing.T) {
	r, _ := recorder(t, "a.wav", file.RecorderConfig{})
	a := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
	b := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
	web, _ := recorder(t, "a.webm", file.RecorderConfig{})
	c := addAudio(t, web, file.Track{Codec: file.Opus})
	v := addVideo(t, web, file.Track{Codec: file.VP8})
	f, p, n := level(1, 0), opusPacket(0), 0
	pic := pictureFrame(true, 0, 0)
	next := func() {
		n++
		f.Time, pic.Time = time.Duration(n)*20*ms, time.Duration(n)*20*ms
		p.Seq, p.Timestamp = int64(n), uint32(n)*960
		if err := errors.Join(a.WriteFrame(f), b.WriteFrame(f), c.WritePacket(p), v.WriteFrame(pic)); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 { // less than the clock believes at this speed
		next()
	}
	if n := testing.AllocsPerRun(8, next); n != 0 {
		t.Errorf("a frame of each kind allocates %v times", n)
	}
}

func TestRecorderLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, name := range []string{"a.wav", "a.webm", "a.mp4"} {
		r, _ := recorder(t, name, file.RecorderConfig{})
		r.Close()
	}
}

func TestRecorderDurationEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := recorder(t, "call.wav", file.RecorderConfig{})
		a := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
		if err := a.WriteFrame(level(1000, 0)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		closed(t, r)
		time.Sleep(time.Hour)
		if d := r.Duration(); d != time.Second {
			t.Errorf("%v an hour after Close, want 1s", d)
		}
	})
}
