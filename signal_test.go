package parley

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/stream"
)

var (
	events   = codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000}
	withKeys = AudioConfig{Event: events, Receive: []codec.Params{pcmu, events}}
)

func TestDigits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, withKeys, withKeys, Deadlines{})
		var wg sync.WaitGroup
		wg.Go(func() { // speech goes on all the time, as from a microphone
			for x.Audio().WriteFrame(ramp(64)) == nil {
			}
		})
		time.Sleep(time.Second)
		begin := time.Now()
		wg.Go(func() {
			if err := x.SendDigits(t.Context(), "12#", nil); err != nil {
				t.Error(err)
			}
			// Three digits of 100 ms, two gaps of 70 ms, two repetitions of the end.
			if d := time.Since(begin); d < 460*ms || d > 520*ms {
				t.Errorf("sent in %v", d)
			}
		})
		for _, want := range "12#" {
			d, err := y.ReadDigit(t.Context())
			if err != nil || d != dtmf.Digit(want) {
				t.Fatalf("read %v, %v; want %c", d, err, want)
			}
		}
		// The first digits were read as they were pressed.
		if d := time.Since(begin); d > 400*ms {
			t.Errorf("read in %v", d)
		}
		if r, err := y.ReadDigitReport(t.Context()); err != nil || !r.End || r.Digit != '#' || r.Duration != 100*ms {
			t.Errorf("end of the last digit: %+v, %v", r, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d, err := y.ReadDigit(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more digit: %v, %v", d, err)
		}
		x.Close()
		wg.Wait()
		if d, err := y.ReadDigit(t.Context()); err != io.EOF {
			t.Errorf("after the end: %v, %v", d, err)
		}
		if err := x.SendDigits(t.Context(), "1", nil); !errors.Is(err, x.Err()) {
			t.Errorf("sent after the end: %v", err)
		}
	})
}

func TestDigitsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, withKeys, Deadlines{})
		if err := x.SendDigits(t.Context(), "1", nil); !errors.Is(err, stream.ErrNoEvents) {
			t.Errorf("without a payload type: %v", err)
		}
		if err := y.SendDigits(t.Context(), "x", nil); !errors.Is(err, dtmf.ErrDigit) {
			t.Errorf("x: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 250*ms)
		defer cancel()
		if err := y.SendDigits(ctx, "1234567890", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled: %v", err)
		}
		// Of ten digits the second had begun, and is sent to its end.
		begin := time.Now()
		if err := y.SendDigits(t.Context(), "1", nil); err != nil || time.Since(begin) > 300*ms {
			t.Errorf("the next digit took %v, %v", time.Since(begin), err)
		}
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		written := make(chan error)
		go func() { // a second in one frame, at another rate
			f := audio.Frame{Format: audio.Format{Rate: 16000, Channels: 1}, Samples: make([]int16, 16000)}
			for i := range f.Samples {
				f.Samples[i] = 1000
			}
			written <- x.Audio().WriteFrame(&f)
		}()
		time.Sleep(310 * ms)
		played := x.Audio().Flush(8 * ms)
		if err := <-written; err != nil {
			t.Error(err)
		}
		// Sixteen packets have left, and 8 ms leave with the next one.
		if played.Sent != 328*ms {
			t.Errorf("%v sent, want 328ms", played.Sent)
		}
		if played.Dropped < 100*ms || played.Dropped > 200*ms {
			t.Errorf("%v dropped, want what was queued", played.Dropped)
		}
		if p := x.Audio().Played(); p != (stream.Played{}) {
			t.Errorf("after the flush: %+v", p)
		}
		// What is written next is heard from its beginning.
		time.Sleep(200 * ms)
		if err := x.Audio().WriteFrame(ramp(64)); err != nil {
			t.Fatal(err)
		}
		if err := x.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p := x.Audio().Played(); p.Sent != 20*ms || p.Dropped != 0 {
			t.Errorf("after the next frame: %+v", p)
		}
		x.Close()
		var f audio.Frame
		for last := int16(0); ; {
			err := y.Audio().ReadFrame(&f)
			if err == io.EOF {
				if last != 64 {
					t.Errorf("the last sample heard is %d, want 64", last)
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind == audio.Media {
				last = f.Samples[len(f.Samples)-1]
			}
		}
	})
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{Receive: []codec.Params{pcmu, pcma}}, Deadlines{Silence: 10 * time.Second, FirstMedia: 10 * time.Second})
		var wg sync.WaitGroup
		wg.Go(func() {
			for x.Audio().WriteFrame(ramp(64)) == nil {
			}
		})
		defer wg.Wait()
		defer x.Close()
		count := func() int64 {
			var s Stats
			x.Stats(&s)
			return s.Audio.PacketsSent
		}
		time.Sleep(time.Second)
		if n := count(); n < 49 || n > 51 {
			t.Errorf("%d packets in a second", n)
		}
		if err := x.Audio().Update(&AudioUpdate{Send: pcma, PTime: 40 * ms}); err != nil {
			t.Fatal(err)
		}
		before := count()
		time.Sleep(time.Second)
		if n := count() - before; n < 24 || n > 26 || x.Audio().Codec() != pcma {
			t.Errorf("%d packets of %v in a second, want 25 of PCMA", n, x.Audio().Codec())
		}
		// Nothing changes when something is wrong.
		bad := codec.Params{Name: "PCMU", PayloadType: 200, ClockRate: 8000}
		if err := x.Audio().Update(&AudioUpdate{Send: bad, Receive: []codec.Params{pcma}}); err == nil {
			t.Error("payload type 200 was taken")
		}
		if p, _ := x.Audio().first(); p != pcmu || x.Audio().Codec() != pcma {
			t.Errorf("receives %v, sends %v after an update that failed", p, x.Audio().Codec())
		}
		// On hold nothing is sent, but what is written goes by.
		if err := x.Audio().Update(&AudioUpdate{Direction: Inactive}); err != nil {
			t.Fatal(err)
		}
		before = count()
		time.Sleep(30 * time.Second)
		if n := count() - before; n != 0 {
			t.Errorf("%d packets on hold", n)
		}
		if err := x.Err(); err != nil {
			t.Errorf("silence on hold ended the call: %v", err)
		}
		var s Stats
		x.Stats(&s)
		if s.Audio.Queued > 300*ms {
			t.Errorf("%v wait after the hold", s.Audio.Queued)
		}
		if p := x.Audio().Played(); p.Muted < 29*time.Second {
			t.Errorf("%v of what was written in 30 s of hold went by", p.Muted)
		}
		if err := x.Audio().Update(&AudioUpdate{}); err != nil {
			t.Fatal(err)
		}
		before = count()
		time.Sleep(time.Second)
		if n := count() - before; n < 24 || n > 27 {
			t.Errorf("%d packets in the second after the hold", n)
		}
		// Now media is expected again, from the end of the hold.
		time.Sleep(10 * time.Second)
		if end, ok := errors.AsType[*EndError](x.Err()); !ok || end.Reason != NoMedia {
			t.Errorf("ended with %v, want %s", x.Err(), NoMedia)
		}
		_ = y
	})
}

// A far end that has our SSRC is told goodbye under it once, and heard from then
// on.
func TestCollision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, toY := pair(t, AudioConfig{SSRC: 7}, AudioConfig{SSRC: 7}, Deadlines{})
		_ = toY
		var wg sync.WaitGroup
		for _, c := range []*Call{x, y} {
			wg.Go(func() {
				for c.Audio().WriteFrame(ramp(64)) == nil {
				}
			})
		}
		time.Sleep(3 * time.Second)
		if a, b := x.Audio().SSRC(), y.Audio().SSRC(); a == b || a == 7 && b == 7 {
			t.Errorf("SSRCs %d and %d", a, b)
		}
		e, err := x.ReadEvent(t.Context())
		if err != nil || e.Kind != Collision || e.SSRC != x.Audio().SSRC() {
			t.Errorf("event %+v, %v", e, err)
		}
		var s Stats
		x.Stats(&s)
		if s.Audio.Collisions != 1 || s.Audio.Received < 100 {
			t.Errorf("%d collisions, %d packets received", s.Audio.Collisions, s.Audio.Received)
		}
		x.Close()
		y.Close()
		wg.Wait()
	})
}

// mirror is a leg that sends back what it is given.
type mirror struct {
	wire
	from netip.AddrPort
}

func (m *mirror) WriteRTP(b []byte) error {
	packet := append([]byte(nil), b...)
	m.flying.Go(func() {
		time.Sleep(10 * ms)
		if to := m.to.Load(); to != nil {
			to.Audio().DeliverRTP(time.Now(), m.from, packet)
		}
	})
	return nil
}

// WriteRTCP sends reports back too, from the next port.
func (m *mirror) WriteRTCP(b []byte) error {
	packet := append([]byte(nil), b...)
	m.flying.Go(func() {
		time.Sleep(10 * ms)
		if to := m.to.Load(); to != nil {
			to.Audio().DeliverRTCP(time.Now(), netip.AddrPortFrom(m.from.Addr(), m.from.Port()+1), packet)
		}
	})
	return nil
}

// A far end that sends our own packets back, as one for tests does, is heard, and makes
// us change our SSRC for each of its addresses once.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mirror{from: netip.MustParseAddrPort("192.0.2.1:4000")}
		x, err := New(Config{Audio: &AudioConfig{Leg: m, Send: pcmu, Receive: []codec.Params{pcmu}}})
		if err != nil {
			t.Fatal(err)
		}
		m.to.Store(x)
		x.Connected()
		var wg sync.WaitGroup
		wg.Go(func() {
			for x.Audio().WriteFrame(ramp(64)) == nil {
			}
		})
		time.Sleep(30 * time.Second)
		var s Stats
		x.Stats(&s)
		if s.Audio.Collisions > 2 {
			t.Errorf("%d collisions in 30 s of a loop, want one or two", s.Audio.Collisions)
		}
		if s.Audio.Heard != x.Audio().SSRC() || s.Audio.Received < 1400 || s.Audio.Lost > 0 {
			t.Errorf("received %d packets of %d, %d lost", s.Audio.Received, s.Audio.PacketsSent, s.Audio.Lost)
		}
		x.Close()
		wg.Wait()
		m.flying.Wait()
	})
}

// lossy is a leg that loses some packets.
type lossy struct {
	wire
	lose func(seq uint16) bool
}

func (l *lossy) WriteRTP(b []byte) error {
	if l.lose(binary.BigEndian.Uint16(b[2:])) {
		return nil
	}
	return l.wire.WriteRTP(b)
}

// With NACK, what is lost is asked for and sent again before it is due.
func TestRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rtcp := RTCPConfig{NACK: true, ReducedSize: true, Bandwidth: 200000}
		seen := map[uint16]bool{}
		toY := &lossy{wire: wire{delay: 10 * ms}, lose: func(seq uint16) bool {
			again := seen[seq]
			seen[seq] = true
			return seq%25 == 0 && !again
		}}
		toX := &wire{delay: 10 * ms}
		x, err := New(Config{Audio: &AudioConfig{Leg: toY, Send: pcmu, Receive: []codec.Params{pcmu}, RTCP: rtcp}})
		if err != nil {
			t.Fatal(err)
		}
		y, err := New(Config{Audio: &AudioConfig{Leg: toX, Send: pcmu, Receive: []codec.Params{pcmu}, RTCP: rtcp, Playout: stream.Fixed, MinDelay: 200 * ms}})
		if err != nil {
			t.Fatal(err)
		}
		toX.to.Store(x)
		toY.to.Store(y)
		x.Connected()
		y.Connected()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 1000 {
				if err := x.Audio().WriteFrame(ramp(64)); err != nil {
					t.Error(err)
				}
			}
			x.Audio().Drain(t.Context()) //nolint:errcheck // checked by what is heard
			time.Sleep(time.Second)
			x.Close()
		})
		var f audio.Frame
		for y.Audio().ReadFrame(&f) == nil {
		}
		wg.Wait()
		var sx, sy Stats
		x.Stats(&sx)
		y.Stats(&sy)
		if n := sx.Audio.Retransmitted; n < 35 || n > 45 {
			t.Errorf("%d packets of 40 were sent again; %d were asked for", n, sy.Audio.Requested)
		}
		if sy.Audio.Lost != 0 || sy.Audio.Late != 0 || sy.Audio.Concealed > 120*ms {
			t.Errorf("%d lost, %d late, %v concealed", sy.Audio.Lost, sy.Audio.Late, sy.Audio.Concealed)
		}
		y.Close()
		toX.flying.Wait()
		toY.flying.Wait()
	})
}

// A path that goes dark in the midst of a call is told.
func TestCircuitBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, toX, toY := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		var wg sync.WaitGroup
		for _, c := range []*Call{x, y} {
			wg.Go(func() {
				for c.Audio().WriteFrame(ramp(64)) == nil {
				}
			})
		}
		begin := time.Now()
		time.Sleep(20 * time.Second)
		toX.cut.Store(true)
		toY.cut.Store(true)
		if e, err := x.ReadEvent(t.Context()); err != nil || e.Kind != FirstMedia {
			t.Errorf("event %+v, %v", e, err)
		}
		e, err := x.ReadEvent(t.Context())
		if d := time.Since(begin); e.Kind != Muted || d < 21400*ms || d > 21600*ms {
			t.Errorf("after %v: event %+v, %v", d, e, err)
		}
		e, err = x.ReadEvent(t.Context())
		if err != nil || e.Kind != CircuitBroken || e.Detail == "" {
			t.Errorf("event %+v, %v", e, err)
		}
		if d := time.Since(begin); d < 28*time.Second || d > 45*time.Second {
			t.Errorf("told after %v", d)
		}
		x.Close()
		y.Close()
		wg.Wait()
	})
}

func TestRating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			every    uint16 // which packet is lost
			from, to float64
		}{{0, 4.3, 4.5}, {10, 2.9, 3.7}} {
			toY := &lossy{wire: wire{delay: 10 * ms}, lose: func(seq uint16) bool { return tt.every > 0 && seq%tt.every == 0 }}
			x, err := New(Config{Audio: &AudioConfig{Leg: toY, Send: pcmu, Receive: []codec.Params{pcmu}}})
			if err != nil {
				t.Fatal(err)
			}
			y, err := New(Config{Audio: &AudioConfig{Leg: sink{}, Send: pcmu, Receive: []codec.Params{pcmu}}})
			if err != nil {
				t.Fatal(err)
			}
			toY.to.Store(y)
			x.Connected()
			y.Connected()
			for range 1000 {
				if err := x.Audio().WriteFrame(ramp(64)); err != nil {
					t.Fatal(err)
				}
			}
			x.Close()
			toY.flying.Wait()
			var s Stats
			y.Stats(&s)
			if s.Audio.MOS < tt.from || s.Audio.MOS > tt.to {
				t.Errorf("one packet of %d lost: MOS %.2f, want %v to %v", tt.every, s.Audio.MOS, tt.from, tt.to)
			}
			y.Close()
		}
	})
}
