package echo

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts an echo for the codecs, and returns a caller of it and what Serve
// returns.
func serve(t *testing.T, codecs ...codec.Params) (caller *session.Session, served <-chan error) {
	t.Helper()
	c := session.Config{Local: netip.MustParseAddrPort("127.0.0.1:0"), Audio: &session.AudioConfig{Codecs: codecs}}
	s, err := session.Open(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	c.Remote = s.LocalAddr()
	if caller, err = session.Open(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- parley.Serve(context.Background(), s.Call, Handler{}) }()
	t.Cleanup(func() {
		caller.Close()
		s.Close()
	})
	caller.Audio().SetReadDeadline(time.Now().Add(5 * time.Second))
	return caller, done
}

func wantBye(t *testing.T, served <-chan error) {
	t.Helper()
	select {
	case err := <-served:
		if end, ok := errors.AsType[*parley.EndError](err); !ok || end.Reason != parley.Bye {
			t.Errorf("served: %v, want bye", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the echo goes on after its caller has hung up")
	}
}

// What is said is heard again, in order: a scale of the levels that mu-law keeps.
func TestCallerHearsThemselves(t *testing.T) {
	caller, served := serve(t, codec.Params{Name: "PCMU", ClockRate: 8000, Channels: 1})
	const top = 120
	said := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 25*160)}
	for i := range said.Samples {
		said.Samples[i] = int16(min(8*(1+i/160), top))
	}
	go caller.Audio().WriteFrame(&said)

	heard := map[int16]bool{}
	var f audio.Frame
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
	if len(heard) < 10 { // of 15; a busy machine may lose some
		t.Errorf("heard only %d of 15 levels", len(heard))
	}
	caller.Close()
	wantBye(t, served)
}

// What the build cannot decode goes back as it came.
func TestCodedEcho(t *testing.T) {
	unknown := codec.Params{Name: "nothing-known", PayloadType: 99, ClockRate: 16000, Channels: 1}
	caller, served := serve(t, unknown)
	p := stream.Packet{Codec: unknown, Timeline: 1}
	for n := range 5 {
		p.Seq, p.Timestamp, p.Payload = int64(n), uint32(n*320), []byte{byte(n), 42}
		if err := caller.Audio().WritePacket(&p); err != nil {
			t.Fatal(err)
		}
	}
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
}
