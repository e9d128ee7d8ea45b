package parley

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A spy looks at what is delivered.
type spy struct {
	lineEnd
	rtp, rtcp func(b []byte) // nil: does not
}

func (s *spy) DeliverRTP(at time.Time, from netip.AddrPort, b []byte) {
	if s.rtp != nil {
		s.rtp(b)
	}
	s.lineEnd.DeliverRTP(at, from, b)
}

func (s *spy) DeliverRTCP(at time.Time, from netip.AddrPort, b []byte) {
	if s.rtcp != nil {
		s.rtcp(b)
	}
	s.lineEnd.DeliverRTCP(at, from, b)
}

// A call of video alone is served, counted and ended as any other.
func TestCallWithoutAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		if x.Audio() != nil {
			t.Error("it has audio")
		}
		if err := x.SendDigits(t.Context(), "1", nil); err != stream.ErrNoEvents {
			t.Errorf("digits: %v", err)
		}
		if err := x.Update(&AudioUpdate{}, nil); err == nil {
			t.Error("its audio was updated")
		}
		if err := Copy(t.Context(), x, y); err == nil {
			t.Error("its audio was copied")
		}
		pressed := make(chan error, 1)
		go func() {
			_, err := y.ReadDigit(context.Background())
			pressed <- err
		}()
		served := make(chan error, 1)
		seen := 0
		go func() {
			served <- Serve(t.Context(), y, HandlerFunc(func(_ context.Context, c *Call) error {
				var f video.Frame
				for c.Video().ReadFrame(&f) == nil {
					seen++
				}
				return nil
			}))
		}()
		const frames = 12 * 30 // until there surely was a report of each end, one after the other
		film(x, frames)
		time.Sleep(30 * time.Second)
		var s Stats
		if x.Stats(&s); s.Video.FramesSent != frames || s.Video.RoundTrip <= 0 || s.Audio != (AudioStats{}) {
			t.Errorf("%+v", s)
		}
		x.Close()
		if err := <-served; seen != frames || !endedBy(err, Bye) {
			t.Errorf("%d frames seen, then %v", seen, err)
		}
		if err := <-pressed; err != io.EOF {
			t.Errorf("no digit: %v", err)
		}
	})
}

func endedBy(err error, reason Reason) bool {
	end, ok := errors.AsType[*EndError](err)
	return ok && end.Reason == reason
}

// The deadlines watch the video when there is no audio, and leave out video that
// is off or held.
func TestDeadlinesWithoutAudio(t *testing.T) {
	for _, tt := range []struct {
		name    string
		packets int
		update  *VideoUpdate
		want    Reason // "": the call goes on
	}{
		{"no media", 0, nil, NoMedia},
		{"silence", 30, nil, Silent},
		{"held", 0, &VideoUpdate{Direction: SendOnly}, ""},
		{"off", 0, &VideoUpdate{Off: true}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			y, err := New(Config{
				Video:     &VideoConfig{Leg: sink{}, Send: vp8, Receive: []codec.Params{vp8}},
				Deadlines: Deadlines{FirstMedia: 2 * time.Second, Silence: 3 * time.Second},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer y.Close()
			y.Connected()
			if tt.update != nil {
				if err := y.Update(nil, tt.update); err != nil {
					t.Fatal(err)
				}
			}
			for n := range tt.packets {
				time.Sleep(20 * time.Millisecond)
				packet := append([]byte{0x80, 96, 0, byte(n), 0, 0, 0, 0, 0, 0, 0, 1}, 0x10, 1)
				y.Video().DeliverRTP(time.Now(), netip.AddrPort{}, packet)
			}
			time.Sleep(10 * time.Second)
			switch err := y.Err(); {
			case tt.want == "" && err != nil, tt.want != "" && !endedBy(err, tt.want):
				t.Errorf("%s: ended with %v, want %q", tt.name, err, tt.want)
			}
		})
	}
}

// A line that was turned down keeps no call alive whose other line has said
// goodbye.
func TestGoodbyeBesideALineThatIsOff(t *testing.T) {
	for _, off := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			x, y := videoPair(t, VideoConfig{}, &AudioConfig{}, nil)
			film(x, 10)
			time.Sleep(6 * time.Second) // for a report
			if off {
				if err := y.Update(nil, &VideoUpdate{Off: true}); err != nil {
					t.Fatal(err)
				}
			}
			x.mu.Lock()
			b, _ := x.audioLocked().rtcp.AppendBye(nil, "", time.Now())
			x.mu.Unlock()
			y.Audio().DeliverRTCP(time.Now(), netip.AddrPort{}, b)
			time.Sleep(time.Second)
			if ended := y.Err() != nil; ended != off {
				t.Errorf("video off: %v, ended: %v", off, y.Err())
			}
		})
	}
}

// Key frames are asked for by what the ends have agreed on, or not at all.
func TestAgreedFeedback(t *testing.T) {
	for _, tt := range []struct {
		agreed VideoFeedback
		fir    bool // configured
		want   VideoFeedback
	}{
		{VideoFeedback{}, true, VideoFeedback{}},
		{VideoFeedback{PLI: true}, true, VideoFeedback{PLI: true}},
		{VideoFeedback{PLI: true, FIR: true}, false, VideoFeedback{PLI: true}},
		{VideoFeedback{PLI: true, FIR: true}, true, VideoFeedback{PLI: true, FIR: true}},
		{VideoFeedback{FIR: true}, false, VideoFeedback{FIR: true}},
		{VideoFeedback{NACK: true}, false, VideoFeedback{NACK: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			x, y := videoPair(t, VideoConfig{RTCP: RTCPConfig{NACK: true, FIR: tt.fir, ReducedSize: true}}, nil, func([]byte) bool {
				n++
				return n%50 == 49
			})
			var got VideoFeedback
			y.Video().leg.(*plug).to = &spy{lineEnd: x.Video(), rtcp: func(b []byte) {
				for b := b; len(b) >= 4; b = b[4+4*(int(b[2])<<8|int(b[3])):] {
					switch [2]byte{b[0] & 31, b[1]} {
					case [2]byte{1, 205}:
						got.NACK = true
					case [2]byte{1, 206}:
						got.PLI = true
					case [2]byte{4, 206}:
						got.FIR = true
					}
				}
			}}
			for _, c := range []*Call{x, y} {
				if err := c.Update(nil, &VideoUpdate{Feedback: tt.agreed, Bandwidth: 640_000}); err != nil {
					t.Fatal(err)
				}
			}
			film(x, 60)
			time.Sleep(time.Second)
			synctest.Wait()
			if got.NACK = got.NACK && !tt.want.PLI; got != tt.want {
				t.Errorf("agreed on %+v, with FIR %v: sent %+v, want %+v", tt.agreed, tt.fir, got, tt.want)
			}
			var s Stats
			if x.Stats(&s); s.Video.Bandwidth != 640_000 {
				t.Errorf("the far end takes %d", s.Video.Bandwidth)
			}
		})
	}
}

// A far end that changes its codec among those that were agreed tells nobody. Each
// frame says which one it is, and only those that fit go on to another line.
func TestVideoNamesItsCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h264 := codec.Params{Name: "H264", PayloadType: 98, ClockRate: 90000, FMTP: "packetization-mode=1"}
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		to, watcher := videoPair(t, VideoConfig{}, nil, nil)
		if err := y.Update(nil, &VideoUpdate{Receive: []codec.Params{vp8, h264}}); err != nil {
			t.Fatal(err)
		}
		var read sync.WaitGroup
		seen := 0
		read.Go(func() {
			var f video.Frame
			for ; y.Video().ReadFrame(&f) == nil; seen++ {
				want := [...]string{"VP8", "H264", "VP8"}[seen/30]
				if n := f.Data[len(f.Data)-1]; f.Codec != want || int(n) != seen || f.Key != (seen%30 == 0) {
					t.Errorf("frame %d is %d of %q, want %q; key frame: %v", seen, n, f.Codec, want, f.Key)
				}
				if err := to.Video().WriteFrame(&f); errors.Is(err, payload.ErrFrame) != (want == "H264") {
					t.Errorf("frame %d: %v", seen, err)
				}
			}
		})
		for n := range 90 {
			key, send := n%30 == 0, [...]codec.Params{vp8, h264, vp8}[n/30]
			f := picture(n, key, 600)
			if send == h264 {
				unit := append(bytes.Repeat([]byte{0x88}, 500), byte(n))
				if f.Data = append([]byte{0, 0, 0, 1, 0x41}, unit...); key {
					f.Data = append([]byte{0, 0, 0, 1, 0x67, 66, 192, 30, 0xda, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65}, unit...)
				}
			}
			if key {
				if err := x.Update(nil, &VideoUpdate{Send: send}); err != nil {
					t.Fatal(err)
				}
			}
			if err := x.Video().WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 30)
		}
		time.Sleep(time.Second)
		x.Close()
		read.Wait()
		time.Sleep(time.Second)
		var s Stats
		if watcher.Stats(&s); seen != 90 || s.Video.Frames != 60 || s.Video.Codec != "VP8" {
			t.Errorf("%d frames seen, and by the watcher %+v", seen, s.Video)
		}
	})
}

// Pictures that are passed on go over to their own codec at a key frame, where the far
// end takes that too, and back.
func TestVideoGoesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h264 := codec.Params{Name: "H264", PayloadType: 98, ClockRate: 90000, FMTP: "packetization-mode=1"}
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		if err := y.Update(nil, &VideoUpdate{Receive: []codec.Params{vp8, h264}}); err != nil {
			t.Fatal(err)
		}
		line := x.Video()
		if line.Accepts("h264") {
			t.Error("a codec that nobody agreed on")
		}
		if err := x.Update(nil, &VideoUpdate{Accepts: []codec.Params{vp8, h264}}); err != nil {
			t.Fatal(err)
		}
		if !line.Accepts("h264") || !line.Accepts("VP8") || line.Accepts("VP9") {
			t.Error("not what was agreed on")
		}
		var read sync.WaitGroup
		seen := 0
		read.Go(func() {
			var f video.Frame
			for ; y.Video().ReadFrame(&f) == nil; seen++ {
				if want := [...]string{"VP8", "H264", "VP8"}[seen/30]; f.Codec != want || f.Data[len(f.Data)-1] != byte(seen) || f.Key != (seen%30 == 0) {
					t.Errorf("frame %d is %d of %q, want %q; key frame: %v", seen, f.Data[len(f.Data)-1], f.Codec, want, f.Key)
				}
			}
		})
		for n := range 90 {
			f := picture(n, n%30 == 0, 600)
			f.Codec = "VP8"
			if n/30 == 1 {
				unit := append(bytes.Repeat([]byte{0x88}, 500), byte(n))
				f.Codec, f.Data = "H264", append([]byte{0, 0, 0, 1, 0x41}, unit...)
				if n == 30 {
					if err := line.WriteFrame(&video.Frame{Data: f.Data, Codec: "H264"}); !errors.Is(err, payload.ErrFrame) || line.Codec() != vp8 {
						t.Errorf("before a key frame: %v, sends %v", err, line.Codec())
					}
					f.Data = append([]byte{0, 0, 0, 1, 0x67, 66, 192, 30, 0xda, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65}, unit...)
				}
			}
			if err := line.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			if want := [...]codec.Params{vp8, h264, vp8}[n/30]; line.Codec() != want {
				t.Fatalf("frame %d: sends %v, want %v", n, line.Codec(), want)
			}
			time.Sleep(time.Second / 30)
		}
		time.Sleep(time.Second)
		x.Close()
		read.Wait()
		var sent, got Stats
		x.Stats(&sent)
		if y.Stats(&got); seen != 90 || sent.Video.FramesSent != 90 || sent.Video.KeyFramesSent != 3 || got.Video.Lost != 0 {
			t.Errorf("%d frames seen; sent %+v, received %+v", seen, sent.Video, got.Video)
		}
	})
}

// Pictures that have gone over to their own codec stay there when the far end offers the
// same anew, as it does with a hold and for the timer of a session: a film has no key
// frame to give then. They go where another agreement wants them.
func TestVideoStaysWhereItWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vp9 := codec.Params{Name: "VP9", PayloadType: 98, ClockRate: 90000}
		moved := vp9
		moved.PayloadType = 99
		all := []codec.Params{vp8, vp9}
		x, _ := videoPair(t, VideoConfig{Accepts: all}, nil, nil)
		line := x.Video()
		goOver := func() {
			t.Helper()
			if err := line.WriteFrame(&video.Frame{Codec: "VP9", Key: true, Data: make([]byte, 100)}); err != nil || line.Codec().Name != "VP9" {
				t.Fatalf("%v; sends %v", err, line.Codec())
			}
		}
		goOver()
		for _, tt := range []struct {
			u    VideoUpdate
			want codec.Params
		}{
			{VideoUpdate{Send: vp8, Accepts: all}, vp9},
			{VideoUpdate{Send: vp8, Accepts: all, Direction: Inactive}, vp9},
			{VideoUpdate{Send: vp8, Accepts: []codec.Params{vp8, moved}}, moved},
			{VideoUpdate{Send: vp8, Accepts: []codec.Params{vp8}}, vp8},
			{VideoUpdate{Send: vp9, Accepts: []codec.Params{vp9, vp8}}, vp9},
			{VideoUpdate{Send: vp8, Accepts: all}, vp8},
		} {
			if err := x.Update(nil, &tt.u); err != nil || line.Codec() != tt.want {
				t.Errorf("%v; sends %v of type %d after %+v, want %d", err, line.Codec(), line.Codec().PayloadType, tt.u, tt.want.PayloadType)
			}
		}
		goOver()
	})
}

// Another format in mid-call goes on with the numbers of the one before, and
// begins with a key frame that the writer is asked for.
func TestVideoChangesItsCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := vp8
		other.PayloadType = 100
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		next := -1
		x.Video().leg.(*plug).to = &spy{lineEnd: y.Video(), rtp: func(b []byte) {
			seq := int(b[2])<<8 | int(b[3])
			if next >= 0 && seq != next&0xffff {
				t.Errorf("packet %d follows %d", seq, next-1)
			}
			next = seq + 1
		}}
		film(x, 30)
		for _, bad := range []*VideoUpdate{
			{Send: codec.Params{Name: "X", PayloadType: 96, ClockRate: 90000}},
			{Send: other, Receive: []codec.Params{vp8, vp8}},
		} {
			if err := x.Update(nil, bad); err == nil || x.Video().Codec() != vp8 {
				t.Errorf("%v, sends %v", err, x.Video().Codec())
			}
		}
		if err := y.Update(nil, &VideoUpdate{Receive: []codec.Params{other}}); err != nil {
			t.Fatal(err)
		}
		if err := x.Update(nil, &VideoUpdate{Send: other}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if x.Video().Codec() != other || !x.Video().KeyframeRequested() {
			t.Errorf("sends %v, and wants no key frame", x.Video().Codec())
		}
		film(x, 30)
		time.Sleep(time.Second)
		var f video.Frame
		y.Video().SetReadDeadline(time.Now().Add(time.Second))
		last := -1
		n := 0
		for y.Video().ReadFrame(&f) == nil {
			last = number(&f)
			n++
		}
		var s Stats
		if x.Stats(&s); n != 60 || last != 29 || s.Video.FramesSent != 60 || s.Video.KeyFramesSent != 2 {
			t.Errorf("%d frames, the last one %d; %+v", n, last, s.Video)
		}
	})
}
