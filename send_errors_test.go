package parley

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// refusals are what systems say of packets that they do not take: the queue of the
// interface is full, nobody listens at the far end, a filter is in the way.
var refusals = []error{syscall.ENOBUFS, syscall.ECONNREFUSED, syscall.EPERM}

// A moody leg refuses packets for a time, each with another error.
type moody struct {
	*wire
	off       atomic.Bool
	rtp, rtcp atomic.Int64 // refused
}

func (m *moody) WriteRTP(b []byte) error {
	if m.off.Load() {
		return refusals[m.rtp.Add(1)%int64(len(refusals))]
	}
	return m.wire.WriteRTP(b)
}

func (m *moody) WriteRTCP(b []byte) error {
	if m.off.Load() {
		return refusals[m.rtcp.Add(1)%int64(len(refusals))]
	}
	return m.wire.WriteRTCP(b)
}

// A noted log is one of which only the length matters.
type noted struct{ lines atomic.Int64 }

func (c *noted) Enabled(context.Context, slog.Level) bool { return true }
func (c *noted) Handle(context.Context, slog.Record) error {
	c.lines.Add(1)
	return nil
}
func (c *noted) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *noted) WithGroup(string) slog.Handler      { return c }

// Packets that the system refuses are counted and gone; whoever writes goes on at the
// same pace, none of them is logged, and with the last error all is as it was: the next
// packet is heard, on the same clock.
func TestSendErrors(t *testing.T) {
	for name, write := range map[string]func(*Audio, *stream.Packet) error{
		"frames":      func(a *Audio, _ *stream.Packet) error { return a.WriteFrame(ramp(8)) },
		"live frames": func(a *Audio, _ *stream.Packet) error { time.Sleep(20 * ms); return a.WriteLive(ramp(8)) },
		"packets": func(a *Audio, p *stream.Packet) error {
			time.Sleep(20 * ms)
			p.Seq++
			p.Timestamp += 160
			return a.WritePacket(p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testSendErrors(t, write) })
		})
	}
}

func testSendErrors(t *testing.T, write func(*Audio, *stream.Packet) error) {
	var log noted
	leg := &moody{wire: &wire{delay: 10 * ms}}
	back := &wire{delay: 10 * ms}
	rtcp := RTCPConfig{Interval: 500 * ms, Bandwidth: 1 << 20}
	x, err := New(Config{Audio: &AudioConfig{Leg: leg, Send: pcmu, Receive: []codec.Params{pcmu}, RTCP: rtcp}, Logger: slog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	y, err := New(Config{Audio: &AudioConfig{Leg: back, Send: pcmu, Receive: []codec.Params{pcmu}, RTCP: rtcp, Playout: stream.Fixed}})
	if err != nil {
		t.Fatal(err)
	}
	leg.to.Store(y)
	back.to.Store(x)
	x.Connected()
	y.Connected()
	var running sync.WaitGroup
	running.Go(func() {
		p := stream.Packet{Codec: pcmu, Timeline: 1, Payload: make([]byte, 160)}
		for write(x.Audio(), &p) == nil {
		}
	})
	var kinds [4]atomic.Int64 // frames by kind
	running.Go(func() {
		var f audio.Frame
		for y.Audio().ReadFrame(&f) == nil {
			kinds[f.Kind].Add(1)
		}
	})
	stats := func() (x1, y1 AudioStats) {
		x.Audio().Stats(&x1)
		y.Audio().Stats(&y1)
		return x1, y1
	}
	time.Sleep(3*time.Second + 5*ms)
	for turn := range 3 {
		before, heard := stats()
		if before.SendErrors != leg.rtp.Load()+leg.rtcp.Load() || heard.Lost != leg.rtp.Load() {
			t.Fatalf("%d errors, %d lost, of %d packets and %d reports refused so far", before.SendErrors, heard.Lost, leg.rtp.Load(), leg.rtcp.Load())
		}
		refused, reports := leg.rtp.Load(), leg.rtcp.Load()
		leg.off.Store(true)
		time.Sleep(2 * time.Second)
		leg.off.Store(false)
		refused, reports = leg.rtp.Load()-refused, leg.rtcp.Load()-reports
		now, _ := stats()
		if n := now.SendErrors - before.SendErrors; n != refused+reports || refused < 99 || refused > 101 || reports == 0 {
			t.Errorf("turn %d: %d errors, %d packets and %d reports refused", turn, n, refused, reports)
		}
		if n := now.PacketsSent - before.PacketsSent; n != refused {
			t.Errorf("turn %d: the writer wrote %d packets meanwhile, of which %d were refused", turn, n, refused)
		}
		media := kinds[audio.Media].Load()
		time.Sleep(150 * ms) // the way, the playout, and what is left of a frame
		if n := kinds[audio.Media].Load() - media; n < 2 {
			t.Errorf("turn %d: %d frames of media in the 150 ms after the last error", turn, n)
		}
		media = kinds[audio.Media].Load()
		time.Sleep(2 * time.Second)
		if n := kinds[audio.Media].Load() - media; n < 98 {
			t.Errorf("turn %d: %d frames of media in the 2 s after that", turn, n)
		}
		_, heard = stats()
		if heard.Stalled != 0 || now.Stalled != 0 {
			t.Errorf("turn %d: stalls of %v", turn, now.Stalled)
		}
	}
	if x.Err() != nil || y.Err() != nil {
		t.Errorf("ended: %v, %v", x.Err(), y.Err())
	}
	// The circuit breaker says so when the far end hears nothing (RFC 8083), and when
	// it hears again: twice a turn, not once a packet.
	if n := log.lines.Load(); n > 6 {
		t.Errorf("%d lines were logged before the end", n)
	}
	// The goodbye that is refused keeps nobody.
	leg.off.Store(true)
	x.Close()
	y.Close()
	running.Wait()
	leg.flying.Wait()
	back.flying.Wait()
}
