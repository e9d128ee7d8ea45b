package parley

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	pcmu  = codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	pcma  = codec.Params{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1}
	coded = codec.Params{Name: "X-coded", PayloadType: 111, ClockRate: 48000, Channels: 2} // no build knows it
)

const ms = time.Millisecond

// wire is a leg that delivers to another call after a delay, in virtual time.
type wire struct {
	delay  time.Duration
	to     atomic.Pointer[Call]
	closes atomic.Int32
	mu     sync.Mutex // or a packet could begin to fly while those that do are waited for
	closed atomic.Bool
	flying sync.WaitGroup
	cut    atomic.Bool // nothing arrives any more
}

func (w *wire) WriteRTP(b []byte) error  { return w.carry(b, (*Audio).DeliverRTP) }
func (w *wire) WriteRTCP(b []byte) error { return w.carry(b, (*Audio).DeliverRTCP) }

func (w *wire) carry(b []byte, deliver func(*Audio, time.Time, netip.AddrPort, []byte)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed.Load() {
		return net.ErrClosed
	}
	packet := append([]byte(nil), b...)
	w.flying.Go(func() {
		time.Sleep(w.delay)
		if to := w.to.Load(); to != nil && !w.cut.Load() {
			deliver(to.Audio(), time.Now(), netip.AddrPort{}, packet)
		}
	})
	return nil
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closes.Add(1)
	w.closed.Store(true)
	return nil
}

// pair makes two calls that are connected with each other.
func pair(t *testing.T, a, b AudioConfig, d Deadlines) (x, y *Call, toX, toY *wire) {
	t.Helper()
	toY, toX = &wire{delay: 10 * ms}, &wire{delay: 10 * ms}
	a.Leg, b.Leg = toY, toX
	for _, c := range []*AudioConfig{&a, &b} {
		if c.Send.Name == "" {
			c.Send = pcmu
		}
		if c.Receive == nil {
			c.Receive = []codec.Params{c.Send}
		}
	}
	x, err := New(Config{Audio: &a, Deadlines: d})
	if err != nil {
		t.Fatal(err)
	}
	y, err = New(Config{Audio: &b, Deadlines: d})
	if err != nil {
		t.Fatal(err)
	}
	toX.to.Store(x)
	toY.to.Store(y)
	x.Connected()
	y.Connected()
	t.Cleanup(func() {
		x.Close()
		y.Close()
		toX.flying.Wait()
		toY.flying.Wait()
	})
	return x, y, toX, toY
}

// ramp returns a frame of 20 ms whose samples all are v, a value that G.711
// keeps as it is.
func ramp(v int16) *audio.Frame {
	f := &audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for i := range f.Samples {
		f.Samples[i] = v
	}
	return f
}

// levels are values that mu-law keeps as they are.
var levels = []int16{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120}

// In a connection goodbyes end nothing: the far end may send from another source later.
func TestGoodbyeInConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		x.persists = true
		toX := &wire{delay: 10 * ms}
		toX.to.Store(x)
		z, err := New(Config{Audio: &AudioConfig{Leg: toX, Send: pcmu, Receive: []codec.Params{pcmu}}})
		if err != nil {
			t.Fatal(err)
		}
		z.Connected()
		for _, far := range []*Call{y, z} {
			for range 50 {
				if err := far.Audio().WriteFrame(ramp(64)); err != nil {
					t.Fatal(err)
				}
			}
			var f audio.Frame
			var s Stats
			for begin := time.Now(); time.Since(begin) < 2*time.Second; {
				if err := x.Audio().ReadFrame(&f); err != nil {
					t.Fatal(err)
				}
			}
			if x.Stats(&s); s.Audio.Heard != far.Audio().SSRC() {
				t.Errorf("%x is heard, not %x", s.Audio.Heard, far.Audio().SSRC())
			}
			far.Close()
		}
		time.Sleep(10 * time.Second)
		if err := x.Err(); err != nil {
			t.Error(err)
		}
		toX.flying.Wait()
	})
}

func TestTwoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{Playout: stream.Fixed}, AudioConfig{Playout: stream.Fixed}, Deadlines{})
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 500 {
				if err := x.Audio().WriteFrame(ramp(levels[i%16])); err != nil {
					t.Error(err)
				}
			}
			// All but what the queue holds has left on the media clock.
			if d := time.Since(begin); d < 9700*ms || d > 10*time.Second {
				t.Errorf("10 s of audio were taken in %v", d)
			}
			if err := x.Audio().Drain(t.Context()); err != nil {
				t.Error(err)
			}
			if d := time.Since(begin); d < 9970*ms || d > 10020*ms {
				t.Errorf("10 s of audio were sent in %v", d)
			}
			x.Close()
		})
		var f audio.Frame
		n := 0
		for {
			err := y.Audio().ReadFrame(&f)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				if d := time.Since(begin); d < 69*ms || d > 72*ms { // path and depth
					t.Errorf("first frame after %v", d)
				}
			}
			if f.Kind == audio.Media {
				if f.Samples[0] != levels[n%16] {
					t.Fatalf("frame %d is %d, want %d", n, f.Samples[0], levels[n%16])
				}
				n++
			}
		}
		if n != 500 {
			t.Errorf("heard %d frames, want 500", n)
		}
		wg.Wait()
		var s Stats
		y.Stats(&s)
		if a := s.Audio; a.Lost != 0 || a.Late != 0 || a.Concealed > 120*ms || a.Received != 500 {
			t.Errorf("stats %+v", a)
		}
		x.Stats(&s)
		if a := s.Audio; a.PacketsSent != 500 || a.OctetsSent != 80000 || a.SendErrors != 0 {
			t.Errorf("stats %+v", a)
		}
		if rt := s.Audio.RoundTrip; rt < 19*ms || rt > 23*ms {
			t.Errorf("round trip %v, want 20 ms", rt)
		}
		if end := y.Err().(*EndError); end.Reason != Bye {
			t.Errorf("y ended with %v", end)
		}
		y.Close()
	})
}

func TestEveryEndReleasesEverythingOnce(t *testing.T) {
	tests := []struct {
		name string
		want Reason
		d    Deadlines
		act  func(x, y *Call, toX *wire)
		wait time.Duration
	}{
		{"closed here", Closed, Deadlines{}, func(x, _ *Call, _ *wire) { x.Close() }, 0},
		{"far end says goodbye", Bye, Deadlines{}, func(_, y *Call, _ *wire) {
			y.Audio().WriteFrame(ramp(8))
			y.Audio().Drain(context.Background())
			y.Close()
		}, 300 * ms},
		{"no media", NoMedia, Deadlines{FirstMedia: time.Second}, func(x, y *Call, _ *wire) {}, 1002 * ms},
		{"silence", Silent, Deadlines{Silence: 30 * time.Second}, func(_, y *Call, toX *wire) {
			y.Audio().WriteFrame(ramp(8))
			y.Audio().WriteFrame(ramp(8))
			time.Sleep(time.Second)
			toX.cut.Store(true)
		}, 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y, toX, toY := pair(t, AudioConfig{}, AudioConfig{}, tt.d)
				blocked := make(chan error, 1)
				go func() {
					var f audio.Frame
					for {
						if err := x.Audio().ReadFrame(&f); err != nil {
							blocked <- err
							return
						}
					}
				}()
				tt.act(x, y, toX)
				time.Sleep(tt.wait)
				synctest.Wait()
				select {
				case <-x.Done():
				default:
					t.Fatalf("not ended after %v", tt.wait)
				}
				if end := x.Err().(*EndError); end.Reason != tt.want {
					t.Errorf("ended with %v, want %s", end, tt.want)
				}
				<-blocked
				x.Close()
				x.Close()
				if n := toY.closes.Load(); n != 1 {
					t.Errorf("leg closed %d times", n)
				}
				if err := x.Audio().WriteFrame(ramp(8)); err == nil {
					t.Error("write after the end: no error")
				}
				y.Close()
			})
		})
	}
}

func TestRTCPKeepsACallAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{Silence: 30 * time.Second})
		y.Audio().WriteFrame(ramp(8))
		y.Audio().WriteFrame(ramp(8))
		time.Sleep(10 * time.Minute) // on hold
		if err := x.Err(); err != nil {
			t.Error(err)
		}
		x.Close()
		y.Close()
	})
}

// A far end may report before it speaks, as ffmpeg does on each stream, and then not
// again for seconds: that report counts once its source is heard.
func TestReportBeforeTheFirstPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		a := y.Audio()
		captured := time.Now().Add(-time.Minute)
		sr := rtcpctl.AppendSR(nil, 7, rtcpctl.SenderInfo{NTP: rtcpctl.NTP(captured)}, nil)
		a.DeliverRTCP(time.Now(), netip.AddrPort{}, rtcpctl.AppendSDES(sr, 7, "far end"))
		for n := range 5 {
			b := make([]byte, 172)
			b[0], b[11] = 0x80, 7
			binary.BigEndian.PutUint16(b[2:], uint16(n))
			binary.BigEndian.PutUint32(b[4:], uint32(n*160))
			a.DeliverRTP(time.Now(), netip.AddrPort{}, b)
			time.Sleep(20 * ms)
		}
		var f audio.Frame
		for range 4 {
			if err := a.ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		if d := f.Captured.Sub(captured); d < 0 || d > time.Second {
			t.Errorf("a frame was captured at %v, want %v or a little later", f.Captured, captured)
		}
	})
}

func TestConnectDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leg := &wire{}
		c, err := New(Config{
			Audio:     &AudioConfig{Leg: leg, Send: pcmu, Receive: []codec.Params{pcmu}},
			Deadlines: Deadlines{Connect: 15 * time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err = c.WaitConnected(t.Context())
		if d := time.Since(begin); d < 15*time.Second || d > 15*time.Second+2*ms {
			t.Errorf("ended after %v, want 15s", d)
		}
		if end, ok := errors.AsType[*EndError](err); !ok || end.Reason != NotConnected {
			t.Errorf("error %v", err)
		}
		c.Close()
		if leg.closes.Load() != 1 {
			t.Error("leg not closed")
		}
	})
}

func TestDeadlinesOfReadsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		defer y.Close()
		defer x.Close()
		begin := time.Now()
		x.Audio().SetReadDeadline(begin.Add(500 * ms))
		var f audio.Frame
		if err := x.Audio().ReadFrame(&f); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		if d := time.Since(begin); d < 500*ms || d > 502*ms {
			t.Errorf("read gave up after %v", d)
		}
		x.Audio().SetWriteDeadline(begin.Add(600 * ms))
		long := &audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 80000)}
		if err := x.Audio().WriteFrame(long); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})
}

func TestCopyKeepsPacketsCoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := AudioConfig{Send: coded}
		x, y, _, _ := pair(t, config, config, Deadlines{})
		done := make(chan error, 1)
		go func() { done <- Copy(t.Context(), y, y) }() // an echo at y
		// Two packets are sent to be heard as a source, with a gap in the numbers.
		for _, n := range []int64{1, 2, 3, 5, 6} {
			p := stream.Packet{Codec: coded, Timeline: 1, Seq: n, Timestamp: uint32(n) * 960, Payload: []byte{0x78, byte(n)}}
			if err := x.Audio().WritePacket(&p); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * ms)
		}
		var first, p stream.Packet
		for i, n := range []int64{1, 2, 3, 5, 6} {
			if err := x.Audio().ReadPacket(&p); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = p
			}
			if p.Payload[1] != byte(n) || p.Seq-first.Seq != n-1 || p.Timestamp-first.Timestamp != uint32(n-1)*960 {
				t.Errorf("packet %d came back as %d, number +%d", n, p.Payload[1], p.Seq-first.Seq)
			}
		}
		if err := x.Audio().WriteFrame(ramp(8)); !errors.Is(err, codec.ErrUnknown) {
			t.Errorf("PCM to a codec that is not there: %v", err)
		}
		x.Close()
		time.Sleep(300 * ms)
		if err := <-done; err != nil {
			t.Errorf("Copy: %v", err)
		}
		y.Close()
	})
}

func TestCopyTranscodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mu, a := AudioConfig{Send: pcmu}, AudioConfig{Send: pcma}
		x, in, _, _ := pair(t, mu, mu, Deadlines{})
		out, y, _, _ := pair(t, a, a, Deadlines{})
		done := make(chan error, 1)
		go func() { done <- Copy(t.Context(), out, in) }()
		go func() {
			for range 50 {
				x.Audio().WriteFrame(ramp(1000))
			}
			x.Audio().Drain(t.Context())
			x.Close()
		}()
		var f audio.Frame
		heard := 0
		y.Audio().SetReadDeadline(time.Now().Add(2 * time.Second))
		for y.Audio().ReadFrame(&f) == nil {
			if f.Kind == audio.Media && f.Samples[80] > 950 && f.Samples[80] < 1050 {
				heard++
			}
		}
		if heard < 48 {
			t.Errorf("heard %d of 50 frames", heard)
		}
		if err := <-done; err != nil {
			t.Errorf("Copy: %v", err)
		}
		for _, c := range []*Call{in, out, y} {
			c.Close()
		}
	})
}

func TestServe(t *testing.T) {
	fault := errors.New("fault")
	tests := []struct {
		name    string
		handler HandlerFunc
		want    Reason
	}{
		{"returns", func(context.Context, *Call) error { return nil }, Finished},
		{"fails", func(context.Context, *Call) error { return fault }, Failed},
		{"panics", func(context.Context, *Call) error { panic("oh") }, Panicked},
		{"leaves its goroutine", func(context.Context, *Call) error { runtime.Goexit(); return nil }, Panicked},
		{"closes the call", func(ctx context.Context, c *Call) error { c.Close(); <-ctx.Done(); return nil }, Closed},
		{"reads on a call that ends", func(_ context.Context, c *Call) error {
			var f audio.Frame
			return c.Audio().ReadFrame(&f)
		}, NoMedia},
		{"waits for its context", func(ctx context.Context, c *Call) error { <-ctx.Done(); return ctx.Err() }, NoMedia},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y, _, toY := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{FirstMedia: time.Second})
				err := Serve(t.Context(), x, tt.handler)
				end, ok := errors.AsType[*EndError](err)
				if !ok || end.Reason != tt.want {
					t.Errorf("Serve returned %v, want %s", err, tt.want)
				}
				if tt.want == Failed && !errors.Is(err, fault) {
					t.Errorf("%v does not wrap the handler's error", err)
				}
				if toY.closes.Load() != 1 {
					t.Error("call not released")
				}
				y.Close()
			})
		})
	}
}

// The end of another call is not that of this one, which is hung up as after any other
// handler: what was written is heard, and then the goodbye.
func TestServeAnotherCallEnds(t *testing.T) {
	for reason, want := range map[Reason]Reason{
		Bye: Finished, Closed: Finished, Finished: Finished, Canceled: Finished,
		Silent: Failed, Disconnected: Failed, Failed: Failed, Panicked: Failed,
	} {
		t.Run(string(reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
				other, _, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
				other.EndWith(&EndError{Reason: reason, Detail: "over there"})
				served := make(chan error, 1)
				go func() {
					served <- Serve(t.Context(), x, HandlerFunc(func(_ context.Context, c *Call) error {
						for range 25 {
							if err := c.Audio().WriteFrame(ramp(120)); err != nil {
								t.Error(err)
							}
						}
						return fmt.Errorf("joined: %w", other.Err())
					}))
				}()
				var f audio.Frame
				heard := 0
				for y.Audio().ReadFrame(&f) == nil {
					if f.Kind == audio.Media {
						heard++
					}
				}
				err := <-served
				end, ok := err.(*EndError)
				if !ok || end.Reason != want || !strings.Contains(err.Error(), "over there") {
					t.Errorf("Serve returned %v, want %s", err, want)
				}
				if want == Failed && !errors.Is(err, other.Err()) {
					t.Errorf("%v does not wrap the end of the other call", err)
				}
				if want == Finished && heard < 23 {
					t.Errorf("%d frames of 25 heard", heard)
				}
				if !ended(y.Err(), Bye) {
					t.Errorf("the far end ended with %v", y.Err())
				}
			})
		})
	}
}

func TestServeCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("closing time"))
		defer cancel()
		err := Serve(ctx, x, HandlerFunc(func(ctx context.Context, c *Call) error {
			var f audio.Frame
			return c.Audio().ReadFrame(&f)
		}))
		if end, ok := errors.AsType[*EndError](err); !ok || end.Reason != Canceled || !strings.Contains(err.Error(), "closing time") {
			t.Errorf("Serve returned %v", err)
		}
		y.Close()
	})
}

func TestServeCanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("closing time"))
	for range 20 { // who sees it first is left to chance
		synctest.Test(t, func(t *testing.T) {
			x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
			err := Serve(ctx, x, HandlerFunc(func(ctx context.Context, _ *Call) error { return ctx.Err() }))
			if err == nil || err.Error() != "call ended: canceled: closing time" {
				t.Errorf("Serve returned %v", err)
			}
			y.Close()
		})
	}
}

func TestServeStuckHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, toY := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{FirstMedia: time.Second})
		release := make(chan struct{})
		err := Serve(t.Context(), x, HandlerFunc(func(context.Context, *Call) error {
			<-release
			return nil
		}))
		stuck, ok := errors.AsType[*StuckError](err)
		if !ok || !strings.Contains(string(stuck.Stack), "TestServeStuckHandler") {
			t.Errorf("Serve returned %v", err)
		}
		if end, ok := errors.AsType[*EndError](err); !ok || end.Reason != NoMedia {
			t.Errorf("%v does not say why the call ended", err)
		}
		if toY.closes.Load() != 1 {
			t.Error("call not released")
		}
		close(release)
		y.Close()
	})
}

func TestGarbageIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		for n := range 40 {
			x.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, make([]byte, n))
			x.Audio().DeliverRTCP(time.Now(), netip.AddrPort{}, make([]byte, n))
		}
		var s Stats
		x.Stats(&s)
		if s.Audio.Malformed == 0 || s.Audio.Received != 0 {
			t.Errorf("stats %+v", s.Audio)
		}
		x.Close()
		y.Close()
	})
}

func TestStatsDoesNotAllocate(t *testing.T) {
	c, err := New(Config{Audio: &AudioConfig{Leg: &wire{}, Send: pcmu, Receive: []codec.Params{pcmu}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var s Stats
	if n := testing.AllocsPerRun(100, func() { c.Stats(&s) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func ExampleServe() {
	fmt.Println(Serve(context.Background(), exampleCall(), HandlerFunc(
		func(ctx context.Context, c *Call) error {
			// Play a greeting, ask for a name, …
			return nil
		})))
	// Output: call ended: finished
}

func exampleCall() *Call {
	c, err := New(Config{Audio: &AudioConfig{Leg: &wire{}, Send: pcmu, Receive: []codec.Params{pcmu}}})
	if err != nil {
		panic(err)
	}
	return c
}

// sink is a leg that leads nowhere.
type sink struct{}

func (sink) WriteRTP([]byte) error  { return nil }
func (sink) WriteRTCP([]byte) error { return nil }
func (sink) Close() error           { return nil }

// The way of a packet in, through the reader, and of a packet out, allocates
// nothing, with a header extension as browsers send it or without.
func TestPacketPathDoesNotAllocate(t *testing.T) {
	for _, extension := range []bool{false, true} {
		c, err := New(Config{
			Audio:     &AudioConfig{Leg: sink{}, Send: pcmu, Receive: []codec.Params{pcmu}},
			Deadlines: Deadlines{Connect: time.Hour, FirstMedia: time.Hour, Silence: time.Hour},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.task.Stop() // this test is the loop
		a := c.Audio()
		packet := []byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}
		if extension {
			packet[0] |= 0x10
			packet = append(packet, 0xBE, 0xDE, 0, 1, 0x10, 0x55, 0, 0)
		}
		packet = append(packet, make([]byte, 160)...)
		now := time.Now()
		frame := ramp(8)
		var heard audio.Frame
		scratch := make([]byte, 2000)
		n := 0
		step := func() {
			n++
			packet[2], packet[3] = byte(n>>8), byte(n)
			packet[5], packet[6], packet[7] = byte(n*160>>16), byte(n*160>>8), byte(n*160)
			now = now.Add(20 * ms)
			a.DeliverRTP(now, netip.AddrPort{}, packet)
			a.receiver.Pull(now, &heard)
			if err := a.sender.Write(now, frame); err != nil {
				t.Fatal(err)
			}
			c.Run(now, scratch)
		}
		for range 100 {
			step()
		}
		if allocs := testing.AllocsPerRun(1000, step); allocs != 0 {
			t.Errorf("extension %v: %v allocations per packet pair, want 0", extension, allocs)
		}
		var sent Stats
		c.Stats(&sent)
		if heard.Kind != audio.Media || sent.Audio.PacketsSent < 1000 {
			t.Errorf("heard %v, sent %d packets", heard.Kind, sent.Audio.PacketsSent)
		}
		c.Close()
	}
}

func TestForwardingDoesNotAllocate(t *testing.T) {
	c, err := New(Config{Audio: &AudioConfig{Leg: sink{}, Send: coded, Receive: []codec.Params{coded}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	packet := make([]byte, 92)
	packet[0], packet[1], packet[11] = 0x80, 111, 9
	n := 0
	var p stream.Packet
	step := func() {
		n++
		packet[2], packet[3] = byte(n>>8), byte(n)
		c.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, packet)
		if n == 1 {
			return
		}
		if err := c.Audio().ReadPacket(&p); err != nil {
			t.Fatal(err)
		}
		if err := c.Audio().WritePacket(&p); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		step()
	}
	if allocs := testing.AllocsPerRun(1000, step); allocs != 0 {
		t.Errorf("%v allocations per packet, want 0", allocs)
	}
}

// slow is a leg that takes its time, and notes what it was given last.
type slow struct {
	mu     sync.Mutex
	log    []string
	closed bool
}

func (l *slow) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		what += " after Close"
	}
	l.log = append(l.log, what)
}

func (l *slow) WriteRTP(b []byte) error {
	time.Sleep(5 * ms)
	l.note(fmt.Sprintf("rtp %d", len(b)))
	return nil
}
func (l *slow) WriteRTCP([]byte) error { l.note("rtcp"); return nil }
func (l *slow) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// The goodbye does not overtake the last packet.
func TestDrainThenClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slow{}
		c, err := New(Config{Audio: &AudioConfig{Leg: l, Send: pcmu, Receive: []codec.Params{pcmu}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Connected()
		for range 3 {
			if err := c.Audio().WriteFrame(ramp(8)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		synctest.Wait()
		if got := strings.Join(l.log, ", "); got != "rtp 172, rtp 172, rtp 172, rtcp" {
			t.Errorf("the leg was given: %s", got)
		}
	})
}

// A codec that panics ends its own call, wherever it is called: by who writes or waits
// for what was written, on the loop, by who reads, forwards or taps.
func TestCodecPanics(t *testing.T) {
	codec.Register(codec.Codec{
		Name:       "panicky",
		Format:     func(codec.Params) (audio.Format, error) { return audio.Format{Rate: 8000, Channels: 1}, nil },
		NewEncoder: func(codec.Params) (codec.Encoder, error) { return panicky{}, nil },
		NewDecoder: func(codec.Params) (codec.Decoder, error) { return panicky{}, nil },
	})
	codec.Register(codec.Codec{
		Name:       "half panicky",
		Format:     func(codec.Params) (audio.Format, error) { return audio.Format{Rate: 8000, Channels: 1}, nil },
		NewEncoder: func(codec.Params) (codec.Encoder, error) { return picky{}, nil },
		NewDecoder: func(codec.Params) (codec.Decoder, error) { return panicky{}, nil },
	})
	p := codec.Params{Name: "panicky", ClockRate: 8000}
	for name, provoke := range map[string]func(t *testing.T, far, call *Call) error{
		"encoder, written": func(_ *testing.T, _, call *Call) error { return call.Audio().WriteFrame(ramp(8)) },
		"encoder, on the loop": func(_ *testing.T, _, call *Call) error {
			f := ramp(8)
			f.Samples = f.Samples[:80] // waits for more
			return call.Audio().WriteFrame(f)
		},
		"encoder, drained": func(t *testing.T, _, call *Call) error {
			f := &audio.Frame{Format: audio.Format{Rate: 16000, Channels: 1}, Samples: make([]int16, 320)}
			if err := call.Audio().WriteFrame(f); err != nil { // the converter keeps the end of it
				t.Error(err)
			}
			return call.Audio().Drain(context.Background())
		},
		"decoder, tapped": func(t *testing.T, _, call *Call) error {
			tap, err := call.Audio().Tap()
			if err != nil {
				t.Fatal(err)
			}
			speak(t, call)
			return tap.ReadFrame(&audio.Frame{})
		},
		"decoder, forwarded": func(t *testing.T, far, call *Call) error {
			speak(t, far)
			return CopyAudio(t.Context(), call.Audio(), call.Audio())
		},
		"decoder, read": func(t *testing.T, far, call *Call) error {
			speak(t, far)
			return call.Audio().ReadFrame(&audio.Frame{})
		},
		"decoder, on the loop": func(t *testing.T, far, call *Call) error {
			if err := call.Audio().HandleFrames(func(*audio.Frame) {}); err != nil {
				t.Error(err)
			}
			speak(t, far)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours := AudioConfig{Send: p}
				switch {
				case name == "decoder, tapped":
					ours.Send.Name = "half panicky"
				case strings.HasPrefix(name, "decoder"):
					ours = AudioConfig{Receive: []codec.Params{p}}
				}
				far, call, _, _ := pair(t, AudioConfig{}, ours, Deadlines{})
				err := provoke(t, far, call)
				<-call.Done()
				end, ok := errors.AsType[*EndError](call.Err())
				if !ok || end.Reason != Panicked {
					t.Errorf("ended with %v", call.Err())
				}
				if err != nil && err != call.Err() {
					t.Errorf("%v, but the call ended with %v", err, call.Err())
				}
				if far.Err() != nil {
					t.Errorf("the other call ended with %v", far.Err())
				}
			})
		})
	}
}

// What an encoder refuses is counted, as nobody hears of it otherwise.
func TestCodecRefuses(t *testing.T) {
	codec.Register(codec.Codec{
		Name:       "picky",
		Format:     func(codec.Params) (audio.Format, error) { return audio.Format{Rate: 8000, Channels: 1}, nil },
		NewEncoder: func(codec.Params) (codec.Encoder, error) { return picky{}, nil },
	})
	synctest.Test(t, func(t *testing.T) {
		x, _, _, _ := pair(t, AudioConfig{Send: codec.Params{Name: "picky", ClockRate: 8000}}, AudioConfig{}, Deadlines{})
		for _, v := range []int16{8, 0, 8, 0, 0} {
			f := ramp(8)
			f.Samples[0] = v
			if err := x.Audio().WriteFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var s AudioStats
		if x.Audio().Stats(&s); s.PacketsSent != 2 || s.EncodeErrors != 3 {
			t.Errorf("%d packets sent, %d frames refused", s.PacketsSent, s.EncodeErrors)
		}
	})
}

// A picky encoder refuses frames that begin with a zero.
type picky struct{}

func (picky) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if pcm[0] == 0 {
		return dst, audio.ErrFormat
	}
	return append(dst, 1), nil
}

// speak says a little.
func speak(t *testing.T, c *Call) {
	for range 5 {
		if err := c.Audio().WriteFrame(ramp(8)); err != nil {
			t.Error(err)
		}
	}
}

type panicky struct{}

func (panicky) Encode([]byte, []int16) ([]byte, error)  { panic("oh") }
func (panicky) Decode([]int16, []byte) ([]int16, error) { panic("oh") }
