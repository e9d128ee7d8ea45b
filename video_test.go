package parley

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/video"
)

var vp8 = codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}

// cable is a leg that delivers to a line of another call, in order, a while later.
type cable struct {
	lose  func(rtp []byte) bool // nil: nothing
	delay time.Duration         // 0: 10 ms

	mu      sync.Mutex
	packets chan flight // nil: closed
	arrived sync.WaitGroup
}

// lay makes packets take so long, and be lost if lose says so.
func (c *cable) lay(delay time.Duration, lose func(rtp []byte) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay, c.lose = delay, lose
}

type flight struct {
	at      time.Time
	packet  []byte
	deliver func(time.Time, netip.AddrPort, []byte)
}

func (c *cable) carry(b []byte, deliver func(time.Time, netip.AddrPort, []byte)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.packets == nil {
		return net.ErrClosed
	}
	c.packets <- flight{time.Now().Add(cmp.Or(c.delay, 10*ms)), bytes.Clone(b), deliver}
	return nil
}

type lineEnd interface {
	DeliverRTP(time.Time, netip.AddrPort, []byte)
	DeliverRTCP(time.Time, netip.AddrPort, []byte)
}

type plug struct {
	*cable
	to lineEnd
}

func (p *plug) WriteRTP(b []byte) error {
	if p.lose != nil && p.lose(b) {
		return nil
	}
	return p.carry(b, p.to.DeliverRTP)
}
func (p *plug) WriteRTCP(b []byte) error { return p.carry(b, p.to.DeliverRTCP) }

func (p *plug) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.packets)
	p.packets = nil
	return nil
}

func newPlug(lose func([]byte) bool) *plug {
	p := &plug{cable: &cable{lose: lose, packets: make(chan flight, 1<<14)}}
	packets := p.packets
	p.arrived.Go(func() {
		for f := range packets {
			time.Sleep(time.Until(f.at))
			f.deliver(time.Now(), netip.AddrPort{}, f.packet)
		}
	})
	return p
}

// videoPair makes two calls with video, of which the first one's packets may be
// lost, and with audio if that is not nil.
func videoPair(t *testing.T, c VideoConfig, sound *AudioConfig, lose func([]byte) bool) (x, y *Call) {
	t.Helper()
	c.Send, c.Receive = vp8, []codec.Params{vp8}
	open := func(lose func([]byte) bool) (*Call, []*plug) {
		plugs := []*plug{newPlug(lose)}
		v := c
		v.Leg = plugs[0]
		config := Config{Video: &v}
		if sound != nil {
			plugs = append(plugs, newPlug(nil))
			a := *sound
			a.Leg, a.Send, a.Receive = plugs[1], pcmu, []codec.Params{pcmu}
			config.Audio = &a
		}
		call, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		return call, plugs
	}
	x, fromX := open(lose)
	y, fromY := open(nil)
	fromX[0].to, fromY[0].to = y.Video(), x.Video()
	if sound != nil {
		fromX[1].to, fromY[1].to = y.Audio(), x.Audio()
	}
	x.Connected()
	y.Connected()
	t.Cleanup(func() {
		x.Close()
		y.Close()
		for _, p := range append(fromX, fromY...) {
			p.arrived.Wait()
		}
	})
	return x, y
}

// picture returns the nth frame of 30 in a second.
func picture(n int, key bool, size int) *video.Frame {
	f := &video.Frame{Time: time.Duration(n) * time.Second / 30, Key: key, Data: make([]byte, size)}
	f.Data[0] = 1
	if key {
		copy(f.Data, []byte{0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0})
	}
	binary.BigEndian.PutUint32(f.Data[size-4:], uint32(n))
	return f
}

func number(f *video.Frame) int { return int(binary.BigEndian.Uint32(f.Data[len(f.Data)-4:])) }

func TestVideoBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{RTCP: RTCPConfig{Interval: time.Second}}, &AudioConfig{}, nil) // some reports while there is something to report
		size := func(n int) int { return 20 + n*397%20000 }
		send := func(c *Call) {
			for n := range 90 {
				if err := c.Video().WriteFrame(picture(n, n == 0, size(n))); err != nil {
					t.Error(err)
				}
			}
			if err := c.Video().Drain(t.Context()); err != nil {
				t.Error(err)
			}
		}
		begin := time.Now()
		var sending, reading sync.WaitGroup
		sending.Go(func() { send(x) })
		sending.Go(func() { send(y) })
		read := func(c *Call) {
			var f video.Frame
			for n := range 90 {
				if err := c.Video().ReadFrame(&f); err != nil {
					t.Fatal(err)
				}
				if want := picture(n, n == 0, size(n)); !bytes.Equal(f.Data, want.Data) || f.Key != want.Key || f.Width != 320 || f.Height != 240 {
					t.Errorf("frame %d: %d bytes, key %v, %dx%d", n, len(f.Data), f.Key, f.Width, f.Height)
				}
			}
		}
		reading.Go(func() { read(x) })
		reading.Go(func() { read(y) })
		sending.Wait()
		if d := time.Since(begin); d < 2960*ms || d > 3020*ms {
			t.Errorf("3 s of video left in %v", d)
		}
		reading.Wait()
		time.Sleep(30 * time.Second)
		if a, v := x.Audio().rtcp.CNAME(), x.Video().rtcp.CNAME(); a != v {
			t.Errorf("audio of %s, video of %s", a, v)
		}
		if x.Audio().SSRC() == x.Video().SSRC() {
			t.Error("one SSRC for audio and video")
		}
		var s Stats
		x.Stats(&s)
		v := s.Video
		if v.FramesSent != 90 || v.Frames != 90 || v.KeyFrames != 1 || v.Lost != 0 || v.PacketsSent < 90 || v.Received != v.PacketsSent ||
			v.Queued != 0 || v.Unread != 0 || v.Dropped != 0 || v.KeyframesAsked != 0 || v.RoundTrip < 19*ms || v.RoundTrip > 23*ms {
			t.Errorf("%+v", v)
		}
		if s.Audio.Received != 0 {
			t.Errorf("%d packets of audio", s.Audio.Received)
		}
		x.Close()
		var f video.Frame
		if err := y.Video().ReadFrame(&f); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if err := y.Video().WriteFrame(picture(0, true, 100)); !errors.Is(err, y.Err()) {
			t.Errorf("written after the end: %v", err)
		}
	})
}

// film writes frames of 6000 bytes at their times, the first one a key frame and
// others when they are asked for, until the call ends.
func film(c *Call, frames int) {
	for n := range frames {
		if c.Video().WriteFrame(picture(n, n == 0 || c.Video().KeyframeRequested(), 6000)) != nil {
			return
		}
		time.Sleep(time.Second / 30)
	}
}

// With NACK, what is lost is sent again, and every frame is seen.
func TestVideoRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		lost := 0
		x, y := videoPair(t, VideoConfig{RTCP: RTCPConfig{NACK: true, ReducedSize: true}}, nil, func([]byte) bool {
			lose := random.IntN(20) == 0
			if lose {
				lost++
			}
			return lose
		})
		var wg sync.WaitGroup
		wg.Go(func() { film(x, 300) })
		defer wg.Wait()
		var f video.Frame
		begin := time.Now()
		for n := range 300 {
			if err := y.Video().ReadFrame(&f); err != nil || number(&f) != n {
				t.Fatalf("frame %d is %d, %v", n, number(&f), err)
			}
			if late := time.Since(begin) - f.Time; late > 250*ms {
				t.Errorf("frame %d is %v late", n, late)
			}
		}
		var sx, sy Stats
		x.Stats(&sx)
		y.Stats(&sy)
		if lost < 50 || sx.Video.Retransmitted < int64(lost)*9/10 || sx.Video.Retransmitted > int64(lost)*12/10 {
			t.Errorf("%d packets lost, %d sent again", lost, sx.Video.Retransmitted)
		}
		if sy.Video.Requested < sx.Video.Retransmitted || sy.Video.KeyframesAsked != 0 || sy.Video.Broken != 0 {
			t.Errorf("%+v", sy.Video)
		}
	})
}

// What is sent again comes when the source has gone on by 100 packets and more. It is
// in time all the same, is asked for once and not taken for a new sequence.
func TestVideoRetransmissionFarBehind(t *testing.T) {
	for _, c := range []struct {
		roundTrip  time.Duration
		key, other int // bytes in a frame
	}{
		{100 * ms, 33000, 33000},
		{60 * ms, 240000, 10000},
		{120 * ms, 50000, 50000},
	} {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var lost, all int64
			var newest uint16
			x, y := videoPair(t, VideoConfig{RTCP: RTCPConfig{NACK: true, ReducedSize: true}}, nil, func(b []byte) bool {
				seq := binary.BigEndian.Uint16(b[2:])
				if all > 0 && int16(seq-newest) <= 0 { // sent again
					return false
				}
				newest = seq
				all++
				lose := random.IntN(100) == 0
				if lose {
					lost++
				}
				return lose
			})
			for _, call := range []*Call{x, y} {
				leg := call.Video().leg.(*plug)
				leg.lay(c.roundTrip/2, leg.lose)
			}
			const frames = 150
			for n := range frames {
				size := c.other
				key := n == 0 || x.Video().KeyframeRequested()
				if key {
					size = c.key
				}
				if err := x.Video().WriteFrame(picture(n, key, size)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second / 30)
			}
			time.Sleep(time.Second)
			var s Stats
			y.Stats(&s)
			v := s.Video
			r := y.Video().in.Reception()
			if v.Frames < frames || v.Requested > lost*12/10 || v.Lost != 0 || r.Expected() != all {
				t.Errorf("%v, %d bytes: %d frames seen; %d packets lost, %d asked for, %d expected, %d missing at last", c.roundTrip, c.key, v.Frames, lost, v.Requested, r.Expected(), v.Lost)
			}
		})
	}
}

// Without NACK, the far end is asked for a key frame, and the picture comes back.
func TestVideoKeyframeAfterLoss(t *testing.T) {
	for _, fir := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var hit time.Time
			x, y := videoPair(t, VideoConfig{Wait: 50 * ms, RTCP: RTCPConfig{ReducedSize: true, FIR: fir}}, nil, func([]byte) bool {
				lose := hit.IsZero() && time.Now().Nanosecond() >= 5e8
				if lose {
					hit = time.Now()
				}
				return lose
			})
			var wg sync.WaitGroup
			wg.Go(func() { film(x, 60) })
			defer wg.Wait()
			before := -1
			var f video.Frame
			for {
				if err := y.Video().ReadFrame(&f); err != nil {
					t.Fatal(err)
				}
				n := number(&f)
				if n != before+1 {
					// A frame to notice it, the wait, the way there and back, and a frame to answer.
					if d := time.Since(hit); !f.Key || d > 250*ms {
						t.Errorf("frame %d follows %d, key %v, %v after the loss", n, before, f.Key, d)
					}
					break
				}
				before = n
			}
			for {
				e, err := x.ReadEvent(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if e.Kind == KeyframeRequested {
					if e.Media != "video" {
						t.Errorf("%+v", e)
					}
					break
				}
			}
			time.Sleep(time.Second)
			var sx, sy Stats
			x.Stats(&sx)
			y.Stats(&sy)
			asked := int64(1)
			if sy.Video.KeyframesAsked != asked || sy.Video.Broken != 1 || sy.Video.Requested != 0 {
				t.Errorf("%+v", sy.Video)
			}
			if fir {
				asked *= 2 // in both forms
			}
			if sx.Video.KeyframesWanted != asked || sx.Video.KeyFramesSent != 2 {
				t.Errorf("%+v", sx.Video)
			}
		})
	}
}

// A viewer that comes late asks for a key frame.
func TestVideoRequestKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		y.Video().RequestKeyframe() // of nobody yet: it is not forgotten
		var wg sync.WaitGroup
		wg.Go(func() { film(x, 90) })
		defer wg.Wait()
		time.Sleep(time.Second)
		y.Video().RequestKeyframe()
		time.Sleep(time.Second)
		var s Stats
		x.Stats(&s)
		// The first request leaves if it is due before the first key frame is complete.
		if n := s.Video.KeyframesWanted; n < 1 || n > 2 || s.Video.KeyFramesSent != 1+n {
			t.Errorf("%d requests, %d key frames", n, s.Video.KeyFramesSent)
		}
	})
}

// Whoever can send in the far end's name cannot make us send much more than we
// would, nor make the encoder do nothing but key frames.
func TestVideoStorms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var newest atomic.Uint32
		x, _ := videoPair(t, VideoConfig{RTCP: RTCPConfig{NACK: true}}, nil, func(b []byte) bool {
			if seq := binary.BigEndian.Uint16(b[2:]); int16(seq-uint16(newest.Load())) > 0 {
				newest.Store(uint32(seq))
			}
			return false
		})
		var wg sync.WaitGroup
		wg.Go(func() { film(x, 300) })
		var packet []byte
		for n := range 9000 {
			packet = packet[:0]
			ours := x.Video().SSRC()
			packet = rtcpctl.AppendPLI(packet, 99, ours)
			packet = rtcpctl.AppendFIR(packet, 98, ours, uint8(n))
			lost := make([]uint16, 200)
			for i := range lost {
				lost[i] = uint16(newest.Load()) - uint16(i)
			}
			packet, _ = rtcpctl.AppendNACK(packet, 99, ours, lost, 1000)
			x.Video().DeliverRTCP(time.Now(), netip.AddrPort{}, packet)
			time.Sleep(ms)
		}
		var s Stats
		x.Stats(&s)
		if v := s.Video; v.KeyFramesSent < 20 || v.KeyFramesSent > 31 || v.KeyframesWanted < 9000 {
			t.Errorf("%d key frames in 9 s, for %d requests", v.KeyFramesSent, v.KeyframesWanted)
		}
		if again := x.Video().repair.history.Stats().ResentBytes; again == 0 || again > s.Video.OctetsSent*26/100 {
			t.Errorf("%d bytes sent, %d sent again", s.Video.OctetsSent, again)
		}
		if again := s.Video.Retransmitted; again > s.Video.PacketsSent*26/100 {
			t.Errorf("%d packets sent, %d sent again", s.Video.PacketsSent, again)
		}
		if n := len(x.Video().repair.again.items); n > maxVideoAgain {
			t.Errorf("%d packets wait to be sent again", n)
		}
		x.Close()
		wg.Wait()
	})
}

// A far end that had no network for a second gets all of that second again.
func TestVideoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		lost := make(map[uint16]bool)
		begin := time.Now()
		x, _ := videoPair(t, VideoConfig{RTCP: RTCPConfig{NACK: true}}, nil, func(b []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			seq := binary.BigEndian.Uint16(b[2:])
			away := time.Since(begin) > 5*time.Second && time.Since(begin) < 6*time.Second
			if away {
				lost[seq] = true
			} else {
				delete(lost, seq)
			}
			return away
		})
		var wg sync.WaitGroup
		wg.Go(func() { film(x, 300) })
		time.Sleep(6*time.Second - ms)
		mu.Lock()
		all := slices.Sorted(maps.Keys(lost))
		request, n := rtcpctl.AppendNACK(nil, 99, x.Video().SSRC(), all, 1000)
		if n < 30 || n != len(all) {
			t.Errorf("%d of %d packets in the request", n, len(all))
		}
		mu.Unlock()
		time.Sleep(2 * ms)
		x.Video().DeliverRTCP(time.Now(), netip.AddrPort{}, request)
		time.Sleep(100 * ms)
		mu.Lock()
		if len(lost) > 0 {
			t.Errorf("%d of %d packets do not come", len(lost), n)
		}
		mu.Unlock()
		x.Close()
		wg.Wait()
	})
}

// What copies pictures stops with the line that it sends them on, also while there are
// none.
func TestCopyVideoEndsWithItsDestination(t *testing.T) {
	for _, reason := range []Reason{Closed, Removed} {
		synctest.Test(t, func(t *testing.T) {
			_, src := videoPair(t, VideoConfig{}, nil, nil)
			dst, _ := videoPair(t, VideoConfig{}, nil, nil)
			copied := make(chan error, 1)
			go func() { copied <- CopyVideo(t.Context(), dst.Video(), src.Video()) }()
			synctest.Wait()
			if reason == Closed {
				dst.Close()
			} else {
				dst.Video().Remove()
			}
			synctest.Wait()
			select {
			case err := <-copied:
				if !ended(err, reason) {
					t.Errorf("stopped with %v, want %s", err, reason)
				}
			default:
				t.Error("still copying")
				src.Close()
				<-copied
			}
		})
	}
}

// Frames that nobody reads are dropped, and the reader goes on at a key frame.
func TestVideoUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, nil, nil)
		var wg sync.WaitGroup
		wg.Go(func() { film(x, 300) })
		defer wg.Wait()
		time.Sleep(5 * time.Second)
		var s Stats
		y.Stats(&s)
		if v := s.Video; v.Frames < 140 || v.Unread != 0 || v.Dropped != v.Frames || v.KeyframesAsked != 0 {
			t.Errorf("%+v", v)
		}
		var f video.Frame
		if err := y.Video().ReadFrame(&f); err != nil || !f.Key || number(&f) < 149 || number(&f) > 155 {
			t.Errorf("frame %d, key %v, %v", number(&f), f.Key, err)
		}
	})
}

func TestVideoDeadlinesAndFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := videoPair(t, VideoConfig{}, nil, nil)
		v := x.Video()
		v.SetReadDeadline(time.Now().Add(time.Second))
		begin := time.Now()
		if err := v.ReadFrame(new(video.Frame)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("read: %v after %v", err, time.Since(begin))
		}
		for n := range 17 { // the first one leaves at once
			if err := v.WriteFrame(picture(n*30, n == 0, 100)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(ms)
		}
		v.SetWriteDeadline(time.Now().Add(500 * ms))
		begin = time.Now()
		if err := v.WriteFrame(picture(17*30, false, 100)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != 500*ms {
			t.Errorf("written: %v after %v", err, time.Since(begin))
		}
		v.SetWriteDeadline(time.Time{})
		written := make(chan error, 1)
		go func() { written <- v.WriteFrame(picture(18*30, false, 100)) }()
		synctest.Wait()
		v.Flush()
		if err := <-written; err != nil {
			t.Error(err)
		}
		begin = time.Now()
		if err := v.Drain(context.Background()); err != nil || time.Since(begin) > 0 {
			t.Errorf("drained after a flush: %v after %v", err, time.Since(begin))
		}
	})
}

// The call goes on until the far end has said goodbye on both lines.
func TestByeOnBothLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, &AudioConfig{}, nil)
		x.Video().WriteFrame(picture(0, true, 100))
		x.Audio().WriteFrame(ramp(8))
		x.Audio().WriteFrame(ramp(8))
		time.Sleep(time.Second)
		y.Audio().DeliverRTCP(time.Now(), netip.AddrPort{}, bye(x.Audio().SSRC()))
		time.Sleep(10 * time.Second)
		if err := y.Err(); err != nil {
			t.Fatalf("audio alone: %v", err)
		}
		begin := time.Now()
		y.Video().DeliverRTCP(time.Now(), netip.AddrPort{}, bye(x.Video().SSRC()))
		<-y.Done()
		if end, ok := errors.AsType[*EndError](y.Err()); !ok || end.Reason != Bye || time.Since(begin) != byeGrace {
			t.Errorf("ended with %v after %v", y.Err(), time.Since(begin))
		}
	})
}

// A far end that only listens, and has reported on one of two lines so far, says
// goodbye as one that sends.
func TestByeOfAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := videoPair(t, VideoConfig{}, &AudioConfig{}, nil)
		begin := time.Now()
		x.Video().DeliverRTCP(begin, netip.AddrPort{}, bye(9))
		<-x.Done()
		if end, ok := errors.AsType[*EndError](x.Err()); !ok || end.Reason != Bye || time.Since(begin) != byeGrace {
			t.Errorf("ended with %v after %v", x.Err(), time.Since(begin))
		}
	})
}

func bye(ssrc uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, ssrc)
	return rtcpctl.AppendBYE(b, ssrc, "")
}

func TestVideoGoesByWithoutDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{Direction: RecvOnly}, nil, nil)
		film(x, 30)
		var s Stats
		y.Stats(&s)
		if s.Video.Received != 0 {
			t.Errorf("%d packets received", s.Video.Received)
		}
		if x.Stats(&s); s.Video.PacketsSent != 0 || s.Video.Queued > 1 {
			t.Errorf("%+v", s.Video)
		}
	})
}

func TestVideoConfigRefused(t *testing.T) {
	for _, c := range []VideoConfig{{}, {Send: vp8, Receive: []codec.Params{pcmu}}, {Send: pcmu, Receive: []codec.Params{vp8}}} {
		leg, sound := &wire{}, &wire{}
		c.Leg = leg
		if _, err := New(Config{Video: &c, Audio: &AudioConfig{Leg: sound, Send: pcmu, Receive: []codec.Params{pcmu}}}); err == nil {
			t.Errorf("%+v: no error", c)
		}
		if leg.closes.Load() != 1 || sound.closes.Load() != 1 {
			t.Errorf("legs closed %d and %d times", leg.closes.Load(), sound.closes.Load())
		}
	}
}

// The way of a packet of video in, through the reader, and of one out, allocates
// nothing.
func TestVideoPacketPathDoesNotAllocate(t *testing.T) {
	c, err := New(Config{Video: &VideoConfig{Leg: sink{}, Send: vp8, Receive: []codec.Params{vp8}, RTCP: RTCPConfig{NACK: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Connected()
	c.task.Stop() // this test is the loop
	v := c.Video()
	now := time.Now()
	frame := picture(0, true, 3000)
	scratch, packet := make([]byte, 2000), make([]byte, 0, 2000)
	h := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 9}}
	var seen video.Frame
	step := func() {
		now = now.Add(time.Second / 30)
		frame.Time += time.Second / 30
		if err := v.sender.Write(now, frame); err != nil {
			t.Fatal(err)
		}
		c.Run(now.Add(30*ms), scratch)
		h.Timestamp += 3000
		for i := range 3 {
			h.SequenceNumber++
			descriptor := byte(0)
			if i == 0 {
				descriptor = 0x10
			}
			h.Marker = i == 2
			packet = packet[:cap(packet)]
			n, _ := h.Header.MarshalTo(packet)
			packet = append(append(packet[:n], descriptor), frame.Data[1000*i:][:1000]...)
			v.DeliverRTP(now, netip.AddrPort{}, packet)
		}
		v.frames.pop(&seen)
	}
	for range 200 {
		step()
	}
	if allocs := testing.AllocsPerRun(500, step); allocs != 0 {
		t.Errorf("%v allocations per frame, want 0", allocs)
	}
	var s Stats
	if c.Stats(&s); s.Video.FramesSent < 600 || s.Video.Frames < 690 || len(seen.Data) != 3000 {
		t.Errorf("%+v", s.Video)
	}
}

func TestVideoPayloadSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		largest := 0
		x, y := videoPair(t, VideoConfig{MaxPayload: 300}, nil, func(b []byte) bool {
			largest = max(largest, len(b))
			return false
		})
		if err := x.Video().WriteFrame(picture(0, true, 3000)); err != nil {
			t.Fatal(err)
		}
		var f video.Frame
		if err := y.Video().ReadFrame(&f); err != nil || len(f.Data) != 3000 {
			t.Errorf("a frame of %d bytes, %v", len(f.Data), err)
		}
		if largest != 12+300 {
			t.Errorf("a packet of %d bytes", largest)
		}
	})
}

// Lines that nobody reads cost no more after a minute than after a few seconds,
// and whoever reads then is in the present.
func TestUnreadForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, &AudioConfig{}, nil)
		var writing sync.WaitGroup
		writing.Go(func() {
			for x.Audio().WriteFrame(ramp(64)) == nil {
			}
		})
		writing.Go(func() {
			for n := 0; ; n++ {
				if x.Video().WriteFrame(picture(n, n%30 == 0, 3000)) != nil {
					return
				}
			}
		})
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		begin := time.Now()
		time.Sleep(5 * time.Second)
		before := heap()
		time.Sleep(55 * time.Second)
		if after := heap(); after > before+1<<20 {
			t.Errorf("%d bytes after 5 s, %d after a minute", before, after)
		}
		var s Stats
		y.Stats(&s)
		if s.Video.Unread > maxPictures || s.Video.Behind < 0 || s.Video.Behind > 64*time.Second/30 || s.Video.Dropped < 1600 {
			t.Errorf("%d frames over %v are unread, %d dropped", s.Video.Unread, s.Video.Behind, s.Video.Dropped)
		}
		var f video.Frame
		if err := y.Video().ReadFrame(&f); err != nil || !f.Key || f.Time < 57*time.Second {
			t.Errorf("first frame of %v, key %v, %v", f.Time, f.Key, err)
		}
		var a audio.Frame
		if err := y.Audio().ReadFrame(&a); err != nil {
			t.Fatal(err)
		}
		if late := time.Since(begin) - a.Time; late > time.Second {
			t.Errorf("audio is %v late", late)
		}
		x.Close()
		writing.Wait()
	})
}
