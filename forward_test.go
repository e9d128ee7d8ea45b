package parley

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

var (
	keys    = codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, FMTP: "0-16"}
	comfort = codec.Params{Name: "CN", PayloadType: 13, ClockRate: 8000}
)

// tape is a leg that keeps what is sent.
type tape struct {
	mu      sync.Mutex
	packets []rtp.Packet
	at      []time.Time
}

func (l *tape) WriteRTP(b []byte) error {
	var p rtp.Packet
	if err := p.Unmarshal(slices.Clone(b)); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.packets, l.at = append(l.packets, p), append(l.at, time.Now())
	return nil
}

func (*tape) WriteRTCP([]byte) error { return nil }
func (*tape) Close() error           { return nil }

// take returns what was sent since the last time.
func (l *tape) take() []rtp.Packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.packets
	l.packets, l.at = nil, nil
	return p
}

// A source is a far end whose packets are made by hand.
type source struct {
	to                *Audio
	ssrc              uint32
	seq               uint16
	stamp             uint32
	payloadType       uint8
	units             uint32
	marker, extension bool
}

// packet returns the packet with a number, counted from that of the source.
func (s *source) packet(n int) []byte {
	p := rtp.Packet{Header: rtp.Header{
		Version: 2, PayloadType: s.payloadType, SequenceNumber: s.seq + uint16(n), Timestamp: s.stamp + uint32(n)*s.units, SSRC: s.ssrc, Marker: s.marker,
	}, Payload: make([]byte, s.units)}
	if s.extension {
		p.CSRC = []uint32{7, 8}
		p.SetExtension(1, []byte{0x30}) //nolint:errcheck // it fits
	}
	p.Payload[0] = byte(n)
	b, err := p.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

func (s *source) send(n ...int) {
	for _, i := range n {
		s.to.DeliverRTP(time.Now(), netip.AddrPort{}, s.packet(i))
	}
}

// forwards makes two calls and forwards from the first to the second. The function
// that it returns ends that, and returns the error of Run.
func forwards(t *testing.T, from, to AudioConfig) (src, dst *Call, sent *tape, f *Forwarder, stop func() error) {
	t.Helper()
	sent = &tape{}
	from.Leg, to.Leg = &tape{}, sent
	for _, c := range []*AudioConfig{&from, &to} {
		if c.Send.Name == "" {
			c.Send = pcmu
		}
		if c.Receive == nil {
			c.Receive = []codec.Params{c.Send, keys, comfort}
		}
	}
	src, err := New(Config{Audio: &from})
	if err != nil {
		t.Fatal(err)
	}
	if dst, err = New(Config{Audio: &to}); err != nil {
		t.Fatal(err)
	}
	src.Connected()
	dst.Connected()
	f = NewForwarder(dst.Audio(), src.Audio())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	synctest.Wait()
	var once sync.Once
	stop = func() (err error) {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	t.Cleanup(func() {
		stop() //nolint:errcheck // the test has looked at it, if it wants to
		src.Close()
		dst.Close()
	})
	return src, dst, sent, f, stop
}

// shape returns numbers and timestamps from those of the first packet on.
func shape(packets []rtp.Packet) (s []string) {
	for _, p := range packets {
		m := ""
		if p.Marker {
			m = " M"
		}
		s = append(s, fmt.Sprintf("%d:%d %d%s", p.SequenceNumber-packets[0].SequenceNumber, p.PayloadType, p.Timestamp-packets[0].Timestamp, m))
	}
	return s
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("sent %q\nwant %q", got, want)
	}
}

// Who is told to end does so, however much there is left to decode.
func TestForwardEndsWhenBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := pcmu
		far.Name, far.PayloadType = "PCMA", 8
		src, dst, _, _, stop := forwards(t, AudioConfig{Playout: stream.InOrder}, AudioConfig{Send: far})
		if err := stop(); err != context.Canceled {
			t.Error(err)
		}
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		for n := range 20 {
			s.send(n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f := NewForwarder(dst.Audio(), src.Audio())
		err := f.Run(ctx)
		var stats ForwardStats
		if f.Stats(&stats); err != context.Canceled || stats.Transcoded > 1 {
			t.Errorf("%v after %d frames", err, stats.Transcoded)
		}
	})
}

// Losses and swaps of the source are passed on as they are, also around a wrap of both
// numbers, and the rest of the header is our own.
func TestForwardNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := pcmu
		far.PayloadType = 96
		src, dst, sent, f, stop := forwards(t, AudioConfig{}, AudioConfig{Send: far})
		s := source{to: src.Audio(), ssrc: 1, seq: 65533, stamp: 1<<32 - 320, units: 160, extension: true}
		for _, n := range [][]int{{0}, {1}, {2}, {4}, {3}, {5}, {5}, {8}} {
			s.send(n...)
			time.Sleep(20 * ms)
		}
		packets := sent.take()
		// The first two packets of a source prove it, and are heard together.
		equal(t, shape(packets), []string{"0:96 0 M", "1:96 160", "2:96 320", "4:96 640", "3:96 480", "5:96 800", "8:96 1280"})
		for i, p := range packets {
			if p.SSRC != dst.Audio().SSRC() || p.Extension || len(p.CSRC) != 0 || len(p.Payload) != 160 || p.Payload[0] != []byte{0, 1, 2, 4, 3, 5, 8}[i] {
				t.Errorf("packet %d: %v", i, &p)
			}
		}
		var stats ForwardStats
		if f.Stats(&stats); stats != (ForwardStats{Forwarded: 7, Octets: 7 * 160}) {
			t.Errorf("%+v", stats)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		s.send(9)
		if len(sent.take()) != 0 {
			t.Error("a packet after the end")
		}
	})
}

// Packets leave within their delivery: nobody else runs.
func TestForwardIsImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, sent, _, _ := forwards(t, AudioConfig{}, AudioConfig{})
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		s.send(0, 1)
		if n := len(sent.take()); n != 2 {
			t.Errorf("%d packets at once, want 2", n)
		}
		s.send(2)
		if n := len(sent.take()); n != 1 {
			t.Errorf("%d packets at once, want 1", n)
		}
	})
}

// What was being played when a Forwarder takes over is not sent beside what it
// forwards.
func TestForwardTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst, sent, f, stop := forwards(t, AudioConfig{}, AudioConfig{})
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		for n := range 10 {
			s.send(n)
			time.Sleep(20 * ms)
		}
		f = NewForwarder(dst.Audio(), src.Audio())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		synctest.Wait()
		for n := range 10 {
			s.send(10 + n)
			time.Sleep(20 * ms)
		}
		var stats ForwardStats
		if f.Stats(&stats); stats.Forwarded != 10 || stats.Transcoded != 0 || len(sent.take()) != 10 {
			t.Errorf("%+v", stats)
		}
		cancel()
		<-done
	})
}

// Another source goes on behind the last one, by the time that has passed; so does a
// source whose timestamps jump.
func TestForwardSourceChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, sent, _, _ := forwards(t, AudioConfig{}, AudioConfig{})
		s := source{to: src.Audio(), ssrc: 1, seq: 100, stamp: 5000, units: 160}
		for n := range 3 {
			s.send(n)
			time.Sleep(20 * ms)
		}
		s = source{to: src.Audio(), ssrc: 2, seq: 9000, stamp: 77, units: 160}
		for n := range 3 {
			s.send(n)
			time.Sleep(20 * ms)
		}
		s.stamp += 1 << 30
		s.send(3)
		// The second source is heard when its second packet has come.
		equal(t, shape(sent.take()), []string{"0:0 0 M", "1:0 160", "2:0 320", "3:0 640 M", "4:0 800", "5:0 960", "6:0 1120 M"})
	})
}

// Digits go over in their own time if the far end takes them, else without a gap in
// the numbers. Comfort noise does the same.
func TestForwardDigitsAndNoise(t *testing.T) {
	far := keys
	far.PayloadType = 110
	for _, tt := range []struct {
		name string
		to   AudioConfig
		want []string
	}{
		{"taken", AudioConfig{Event: far, Noise: comfort}, []string{"0:0 0 M", "1:0 160", "2:110 320 M", "3:110 320", "4:13 640", "5:0 800 M"}},
		{"not taken", AudioConfig{}, []string{"0:0 0 M", "1:0 160", "2:0 800 M"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, _, sent, f, _ := forwards(t, AudioConfig{}, tt.to)
				if got, want := f.ForwardsDigits(), tt.name == "taken"; got != want {
					t.Errorf("ForwardsDigits is %v", got)
				}
				s := source{to: src.Audio(), ssrc: 1, units: 160}
				deliver := func(p rtp.Packet) {
					p.Version, p.SSRC = 2, 1
					b, _ := p.Marshal()
					src.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, b)
					time.Sleep(20 * ms)
				}
				s.send(0, 1)
				time.Sleep(20 * ms)
				deliver(rtp.Packet{Header: rtp.Header{PayloadType: 101, SequenceNumber: 2, Timestamp: 320, Marker: true}, Payload: []byte{5, 10, 0, 160}})
				deliver(rtp.Packet{Header: rtp.Header{PayloadType: 101, SequenceNumber: 3, Timestamp: 320}, Payload: []byte{5, 0x8a, 1, 64}})
				deliver(rtp.Packet{Header: rtp.Header{PayloadType: 13, SequenceNumber: 4, Timestamp: 640}, Payload: []byte{60}})
				s.marker = true
				s.send(5)
				equal(t, shape(sent.take()), tt.want)
				r, err := src.ReadDigitReport(t.Context())
				if err != nil || r.Digit != '5' {
					t.Errorf("the key is reported as %v, %v", r, err)
				}
			})
		})
	}
}

// On hold nothing is sent, and afterwards the numbers go on as if nothing had been.
func TestForwardHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst, sent, f, _ := forwards(t, AudioConfig{}, AudioConfig{})
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		for n := range 6 {
			switch n {
			case 2:
				dst.Audio().Update(&AudioUpdate{Direction: RecvOnly}) //nolint:errcheck // the stream shows it
			case 4:
				dst.Audio().Update(&AudioUpdate{}) //nolint:errcheck // likewise
			}
			s.send(n)
			time.Sleep(20 * ms)
		}
		equal(t, shape(sent.take()), []string{"0:0 0 M", "1:0 160", "2:0 640 M", "3:0 800"})
		var stats ForwardStats
		if f.Stats(&stats); stats.Withheld != 2 || stats.Forwarded != 4 {
			t.Errorf("%+v", stats)
		}
	})
}

// What has waited in a socket while this machine stood still is not sent on, but for its
// end; keys are.
func TestForwardAfterStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, sent, f, _ := forwards(t, AudioConfig{}, AudioConfig{Event: keys})
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		s.send(0, 1)
		time.Sleep(2 * time.Second)
		for n := 2; n < 102; n++ {
			if s.payloadType = 0; n == 3 {
				s.payloadType = 101
			}
			late := time.Duration(101-n) * 20 * ms
			src.Audio().DeliverRTP(time.Now().Add(-late), netip.AddrPort{}, s.packet(n))
		}
		all := sent.take()
		if len(all) != 2+1+26 || all[2].PayloadType != 101 || all[len(all)-1].SequenceNumber-all[0].SequenceNumber != 101 {
			t.Errorf("%d packets were sent", len(all))
		}
		var stats ForwardStats
		if f.Stats(&stats); stats.Withheld != 73 || stats.Forwarded != 29 {
			t.Errorf("%+v", stats)
		}
	})
}

// What the network has held up is not sent on either, but for its end, and is counted.
func TestForwardAfterStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, sent, f, _ := forwards(t, AudioConfig{}, AudioConfig{})
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		for n := range 50 {
			s.send(n)
			time.Sleep(20 * ms)
		}
		time.Sleep(2 * time.Second)
		for n := 50; n < 150; n++ {
			s.send(n)
		}
		var stats ForwardStats
		f.Stats(&stats)
		if n := int64(len(sent.take())); stats.Forwarded != n || stats.Withheld != 150-n || n > 80 {
			t.Errorf("%d packets were sent: %+v", n, stats)
		}
	})
}

// What is said to the destination meanwhile is heard in one piece.
func TestForwardAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst, sent, f, _ := forwards(t, AudioConfig{}, AudioConfig{})
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		for n := range 7 {
			s.send(n)
			time.Sleep(10 * ms)
			if n == 1 {
				says(t, dst.Audio(), 8, 3)
			}
			time.Sleep(10 * ms)
		}
		equal(t, shape(sent.take()), []string{"0:0 0 M", "1:0 160", "2:0 240 M", "3:0 400", "4:0 560", "5:0 720 M", "6:0 880", "7:0 1040"})
		var stats ForwardStats
		if f.Stats(&stats); stats.Withheld != 2 || stats.Forwarded != 5 {
			t.Errorf("%+v", stats)
		}
	})
}

// Packets of another length go on as they are.
func TestForwardPTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, sent, _, _ := forwards(t, AudioConfig{}, AudioConfig{PTime: 40 * ms})
		s := source{to: src.Audio(), ssrc: 1, units: 240}
		s.send(0, 1, 2)
		equal(t, shape(sent.take()), []string{"0:0 0 M", "1:0 240", "2:0 480"})
	})
}

// Either end changes its codec, and changes back: what is heard goes on within a
// packet or two, beside the delay of a decoder.
func TestForwardCodecChanges(t *testing.T) {
	for _, who := range []string{"source", "destination"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				both := []codec.Params{pcmu, pcma}
				src, dst, sent, f, _ := forwards(t, AudioConfig{Receive: both}, AudioConfig{Receive: both})
				s := source{to: src.Audio(), ssrc: 1, units: 160}
				change := func(p codec.Params) {
					if who == "source" {
						s.payloadType = p.PayloadType
					} else if err := dst.Audio().Update(&AudioUpdate{Send: p}); err != nil {
						t.Error(err)
					}
				}
				begin := time.Now()
				for n := range 150 {
					switch n {
					case 50:
						change(pcma)
					case 100:
						change(pcmu)
					}
					s.send(n)
					time.Sleep(20 * ms)
					if coded := n < 50 || n >= 100; f.Coded() != coded {
						t.Fatalf("packet %d: coded is %v", n, f.Coded())
					}
				}
				sent.mu.Lock()
				defer sent.mu.Unlock()
				for i := range sent.packets[1:] {
					p, q := &sent.packets[i], &sent.packets[i+1]
					gap, step := sent.at[i+1].Sub(sent.at[i]), q.Timestamp-p.Timestamp
					if gap > 62*ms || step > 3*160 || q.SequenceNumber != p.SequenceNumber+1 {
						t.Errorf("at %v a gap of %v and a step of %d and %d", sent.at[i+1].Sub(begin), gap, step, q.SequenceNumber-p.SequenceNumber)
					}
				}
				last := sent.packets[len(sent.packets)-1]
				if n := (last.Timestamp - sent.packets[0].Timestamp) / 160; n < 147 || n > 150 {
					t.Errorf("%d packets of time, want 149", n)
				}
				if n := len(sent.packets); n < 144 || n > 151 {
					t.Errorf("%d packets, want about 150", n)
				}
				var stats ForwardStats
				if f.Stats(&stats); stats.Forwarded != 100 || stats.Transcoded < 45 || stats.Transcoded > 51 {
					t.Errorf("%+v", stats)
				}
			})
		})
	}
}

// What this build cannot encode is withheld, and the log says so once.
func TestForwardWithoutEncoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, sent, _, stop := forwards(t, AudioConfig{}, AudioConfig{})
		stop() //nolint:errcheck // this one is not wanted
		var log bytes.Buffer
		dst, err := New(Config{
			Audio:  &AudioConfig{Leg: sent, Send: coded, Receive: []codec.Params{coded}},
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer dst.Close()
		dst.Connected()
		f := NewForwarder(dst.Audio(), src.Audio())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		s := source{to: src.Audio(), ssrc: 1, units: 160}
		for n := range 50 {
			s.send(n)
			time.Sleep(20 * ms)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		var stats ForwardStats
		if f.Stats(&stats); stats.Withheld < 45 || stats.Transcoded != 0 || stats.Forwarded != 0 || len(sent.take()) != 0 {
			t.Errorf("%+v", stats)
		}
		synctest.Wait() // what is logged is written by a goroutine of its own
		if n := strings.Count(log.String(), coded.Name); n != 1 {
			t.Errorf("the log tells of the codec %d times: %s", n, &log)
		}
	})
}

// The end of the source ends it, and so does that of the destination, or of its line,
// also while the source says nothing; there cannot be two.
func TestForwardEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst, _, f, _ := forwards(t, AudioConfig{}, AudioConfig{})
		if err := NewForwarder(dst.Audio(), src.Audio()).Run(t.Context()); !errors.Is(err, errForwarded) {
			t.Errorf("a second one: %v", err)
		}
		_ = f
	})
	for who, reason := range map[string]Reason{"source": Closed, "destination": Closed, "line of the destination": Removed} {
		for _, speaks := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				src, dst, _, _, stop := forwards(t, AudioConfig{}, AudioConfig{})
				stop() //nolint:errcheck // this one is not wanted
				done := make(chan error, 1)
				go func() { done <- CopyAudio(t.Context(), dst.Audio(), src.Audio()) }()
				synctest.Wait()
				if s := (&source{to: src.Audio(), ssrc: 1, units: 160}); speaks {
					s.send(0, 1)
				}
				switch who {
				case "source":
					src.Close()
				case "destination":
					dst.Close()
				default:
					dst.Audio().Remove()
				}
				synctest.Wait()
				select {
				case err := <-done:
					if !ended(err, reason) {
						t.Errorf("after the end of the %s: %v", who, err)
					}
				default:
					t.Errorf("still running after the end of the %s", who)
					src.Close()
					<-done
				}
			})
		}
	}
}

func TestForwardDoesNotAllocate(t *testing.T) {
	sent := &counter{}
	var calls [2]*Call
	for i, leg := range []Leg{&counter{}, sent} {
		c, err := New(Config{Audio: &AudioConfig{Leg: leg, Send: pcmu, Receive: []codec.Params{pcmu}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Connected()
		calls[i] = c
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	f := NewForwarder(calls[1].Audio(), calls[0].Audio())
	running.Go(func() { f.Run(ctx) }) //nolint:errcheck // until it is cancelled
	for calls[0].Audio().forwarder.Load() == nil || !f.Coded() {
		time.Sleep(ms)
	}
	s := source{to: calls[0].Audio(), ssrc: 1, units: 160}
	b := s.packet(0)
	n, now := 0, time.Now()
	next := func() {
		b[2], b[3] = byte(n>>8), byte(n)
		at := uint32(n) * 160
		b[4], b[5], b[6], b[7] = byte(at>>24), byte(at>>16), byte(at>>8), byte(at)
		n++
		s.to.DeliverRTP(now, netip.AddrPort{}, b)
		now = now.Add(20 * ms)
	}
	for range 10 {
		next()
	}
	if allocs := testing.AllocsPerRun(1000, next); allocs != 0 {
		t.Errorf("%v allocations per forwarded packet", allocs)
	}
	if sent.n.Load() != int64(n) {
		t.Errorf("%d of %d packets were sent", sent.n.Load(), n)
	}
}

// counter is a leg that counts.
type counter struct{ n atomic.Int64 }

func (l *counter) WriteRTP([]byte) error { l.n.Add(1); return nil }
func (*counter) WriteRTCP([]byte) error  { return nil }
func (*counter) Close() error            { return nil }
