package echo

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func wantBye(t *testing.T, served <-chan error) {
	t.Helper()
	if end, ok := errors.AsType[*parley.EndError](<-served); !ok || end.Reason != parley.Bye {
		t.Errorf("served: %v, want bye", end)
	}
}

// What is said is heard again, in order: a scale of the levels that mu-law keeps.
func TestCallerHearsThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, far := calltest.New(t, calltest.PCMU(), codec.Params{})
		served := calltest.Serve(t, far, Handler{})
		const top = 120
		said := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 25*160)}
		for i := range said.Samples {
			said.Samples[i] = int16(min(8*(1+i/160), top))
		}
		go caller.Audio().WriteFrame(&said)

		heard := map[int16]bool{}
		var f audio.Frame
		caller.Audio().SetReadDeadline(time.Now().Add(5 * time.Second))
		for last := int16(0); last != top; {
			if err := caller.Audio().ReadFrame(&f); err != nil {
				t.Fatalf("after %d levels: %v", len(heard), err)
			}
			if f.Kind != audio.Media {
				continue
			}
			v := f.Samples[80]
			if v%8 != 0 || v < last || v > top {
				t.Fatalf("heard %d after %d", v, last)
			}
			last = v
			heard[v] = true
		}
		if len(heard) != 15 {
			t.Errorf("heard only %d of 15 levels", len(heard))
		}
		caller.Close()
		wantBye(t, served)
	})
}

// The echo ends when its context is cancelled, and the call goes on.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, far := calltest.New(t, calltest.PCMU(), calltest.VP8())
		calltest.Cancel(t, far, Handler{})
	})
}

// What the build cannot decode goes back as it came.
func TestCodedEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unknown := codec.Params{Name: "nothing-known", PayloadType: 99, ClockRate: 16000, Channels: 1}
		caller, far := calltest.New(t, unknown, codec.Params{})
		served := calltest.Serve(t, far, Handler{})
		p := stream.Packet{Codec: unknown, Timeline: 1}
		for n := range 5 {
			p.Seq, p.Timestamp, p.Payload = int64(n), uint32(n*320), []byte{byte(n), 42}
			if err := caller.Audio().WritePacket(&p); err != nil {
				t.Fatal(err)
			}
		}
		caller.Audio().SetReadDeadline(time.Now().Add(5 * time.Second))
		for n := range 5 {
			if err := caller.Audio().ReadPacket(&p); err != nil {
				t.Fatal(err)
			}
			if len(p.Payload) != 2 || p.Payload[0] != byte(n) || p.Payload[1] != 42 {
				t.Errorf("packet %d came back as %v", n, p.Payload)
			}
		}
		caller.Close()
		wantBye(t, served)
	})
}

// Pictures of another codec than the one that the caller sees do not come back, and
// those after them do.
func TestOtherCodecDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, far := calltest.New(t, codec.Params{}, calltest.VP8())
		calltest.Serve(t, far, Handler{})
		back := make(chan [3]int)
		go func() {
			var f video.Frame
			var n [3]int
			for caller.Video().ReadFrame(&f) == nil {
				n[calltest.Shown(&f)]++
			}
			back <- n
		}()
		for n, p := range []codec.Params{calltest.VP8(), calltest.VP9(), calltest.VP8()} {
			calltest.Switch(t, caller, far, p)
			shoot := calltest.Picture
			if n == 1 {
				shoot = calltest.PictureVP9
			}
			for i := range 20 {
				key := i == 0 || caller.Video().KeyframeRequested()
				if err := caller.Video().WriteFrame(shoot(byte(n), time.Duration(20*n+i)*50*time.Millisecond, key)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		var s parley.Stats
		far.Stats(&s)
		caller.Close()
		if n := <-back; n[0] < 18 || n[1] != 0 || n[2] < 18 || s.Video.Frames < 58 {
			t.Errorf("%v of 20 pictures each come back; %d of 60 came", n, s.Video.Frames)
		}
	})
}

// Pictures come back too, and a caller who needs a key frame gets one of their own.
func TestPicturesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, far := calltest.New(t, codec.Params{}, calltest.VP8())
		calltest.Serve(t, far, Handler{})
		go calltest.Film(caller, 7)
		var f video.Frame
		caller.Video().SetReadDeadline(time.Now().Add(5 * time.Second))
		for n := range 20 {
			if err := caller.Video().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
			if calltest.Shown(&f) != 7 || f.Key != (n == 0) {
				t.Fatalf("picture %d is %d, key frame: %v", n, calltest.Shown(&f), f.Key)
			}
		}
		asked := time.Now()
		caller.Video().RequestKeyframe()
		for !f.Key {
			if err := caller.Video().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(asked); d > time.Second {
			t.Errorf("a key frame after %v", d)
		}
	})
}
