package parley

import (
	"bytes"
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
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// What sessions of other stacks are tested for, and where they fail, on the
// virtual clock.

// A tap is a leg that keeps what is sent.
type tap struct {
	mu        sync.Mutex
	rtp, rtcp [][]byte
	rtpAt     []time.Time
}

func (t *tap) WriteRTP(b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rtp = append(t.rtp, bytes.Clone(b))
	t.rtpAt = append(t.rtpAt, time.Now())
	return nil
}

func (t *tap) WriteRTCP(b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rtcp = append(t.rtcp, bytes.Clone(b))
	return nil
}

func (t *tap) Close() error { return nil }

func (t *tap) sent() (rtp, rtcp [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rtp, t.rtcp
}

// tapped makes a connected call over a tap.
func tapped(t *testing.T, c AudioConfig) (*Call, *tap) {
	t.Helper()
	leg := &tap{}
	c.Leg = leg
	if c.Send.Name == "" {
		c.Send = pcmu
	}
	if c.Receive == nil {
		c.Receive = []codec.Params{pcmu, pcma, events}
	}
	call, err := New(Config{Audio: &c})
	if err != nil {
		t.Fatal(err)
	}
	call.Connected()
	t.Cleanup(func() { call.Close() })
	return call, leg
}

var far = netip.MustParseAddrPort("192.0.2.1:4000")

// talk delivers n packets of PCMU, 20 ms apart, from number first on, each with
// the given code.
func talk(c *Call, ssrc uint32, first, n int, code byte) {
	for i := range n {
		c.Audio().DeliverRTP(time.Now(), far, rtpPacket(ssrc, first+i, bytes.Repeat([]byte{code}, 160)))
		time.Sleep(20 * ms)
	}
}

func rtpPacket(ssrc uint32, n int, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x80, 0}, uint16(n))
	b = binary.BigEndian.AppendUint32(b, uint32(160*n))
	return append(binary.BigEndian.AppendUint32(b, ssrc), payload...)
}

func write(t *testing.T, c *Call, n int) {
	t.Helper()
	for range n {
		if err := c.Audio().WriteFrame(ramp(64)); err != nil {
			t.Fatal(err)
		}
	}
}

// Five frames are five packets of 160 bytes with one SSRC, numbers in sequence
// and timestamps 160 apart, the first one marked; the goodbye is sent at the end,
// once, behind a report.
func TestWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leg := tapped(t, AudioConfig{})
		write(t, c, 5)
		if err := c.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var s Stats
		c.Stats(&s)
		if s.Audio.PacketsSent != 5 || s.Audio.OctetsSent != 800 {
			t.Errorf("%d packets, %d octets", s.Audio.PacketsSent, s.Audio.OctetsSent)
		}
		packets, _ := leg.sent()
		for i, b := range packets {
			if i == 0 {
				if b[1] != 0x80 {
					t.Errorf("the first packet is not marked: %x", b[:12])
				}
				continue
			}
			before := packets[i-1]
			if len(b) != 172 || b[1] != 0 || !bytes.Equal(b[8:12], before[8:12]) ||
				binary.BigEndian.Uint16(b[2:])-binary.BigEndian.Uint16(before[2:]) != 1 ||
				binary.BigEndian.Uint32(b[4:])-binary.BigEndian.Uint32(before[4:]) != 160 {
				t.Errorf("packet %d: %x after %x", i, b[:12], before[:12])
			}
		}
		c.Close()
		c.Close()
		_, reports := leg.sent()
		byes := 0
		for _, b := range reports {
			for m, err := range rtcpctl.Members(b) {
				if err != nil {
					t.Fatal(err)
				}
				if m.Type == rtcpctl.TypeBYE {
					byes++
				}
			}
			if b[1] != 200 && b[1] != 201 {
				t.Errorf("a compound begins with type %d", b[1])
			}
		}
		if byes != 1 {
			t.Errorf("%d goodbyes", byes)
		}
		if err := c.Audio().WriteFrame(ramp(64)); !errors.Is(err, c.Err()) {
			t.Errorf("written after the end: %v", err)
		}
	})
}

// What the far end reports is told, whether in a receiver report or in a sender
// report, and blocks about others are not.
func TestRemoteReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, sender := range []bool{false, true} {
			c, _ := tapped(t, AudioConfig{SSRC: 77})
			write(t, c, 5)
			blocks := []rtcpctl.ReportBlock{
				{SSRC: 1, FractionLost: 255, Lost: 1000, Jitter: 8000},
				{SSRC: 77, FractionLost: 64, Lost: 3, Jitter: 80},
			}
			b := rtcpctl.AppendRR(nil, 9, blocks)
			if sender {
				b = rtcpctl.AppendSR(nil, 9, rtcpctl.SenderInfo{}, blocks)
			}
			talk(c, 9, 0, 3, 0xff)
			var s Stats
			if c.Stats(&s); !s.Audio.Reported.IsZero() {
				t.Errorf("reported at %v, before a report", s.Audio.Reported)
			}
			c.Audio().DeliverRTCP(time.Now(), far, b)
			c.Stats(&s)
			if !s.Audio.Reported.Equal(time.Now()) || s.Audio.RemoteLoss != 0.25 || s.Audio.RemoteLost != 3 || s.Audio.RemoteJitter != 10*ms {
				t.Errorf("in a sender report %v: %+v", sender, s.Audio)
			}
			c.Close()
		}
	})
}

// A call that sends and hears reports on its far end in a sender report, whose
// timestamp belongs to its time.
func TestOwnReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leg := tapped(t, AudioConfig{RTCP: RTCPConfig{Interval: time.Second}})
		var wg sync.WaitGroup
		wg.Go(func() { write(t, c, 500) })
		talk(c, 9, 65400, 500, 0xff) // and over the wrap
		wg.Wait()
		_, reports := leg.sent()
		if len(reports) < 5 {
			t.Fatalf("%d reports in 10 s", len(reports))
		}
		last := reports[len(reports)-1]
		if last[0] != 0x81 || last[1] != 200 {
			t.Fatalf("the last report begins with %x", last[:2])
		}
		block := last[28:]
		if ssrc := binary.BigEndian.Uint32(block); ssrc != 9 {
			t.Errorf("a block about %d", ssrc)
		}
		if block[4] != 0 || block[5]|block[6]|block[7] != 0 {
			t.Errorf("loss is reported where there is none: %x", block[4:8])
		}
		if highest := binary.BigEndian.Uint32(block[8:]); highest < 65536+100 || highest > 65400+500 {
			t.Errorf("the highest number is %d, with its cycles", highest)
		}
	})
}

// Packets that are none are counted and have no effect.
func TestOtherRTPErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := tapped(t, AudioConfig{})
		talk(c, 9, 0, 5, 0xff)
		good := rtpPacket(9, 5, make([]byte, 160))
		change := func(first byte, b []byte) []byte {
			b = bytes.Clone(b)
			b[0] = first
			return b
		}
		var all [][]byte
		for n := range 12 {
			all = append(all, good[:n]) // truncated
		}
		for n := 12; n < 20; n++ {
			all = append(all, change(0x82, good)[:n]) // CSRC truncated
		}
		for n := 12; n < 16; n++ {
			all = append(all, change(0x90, good)[:n]) // extension header truncated
		}
		extended := append(change(0x90, good[:12]), 0xbe, 0xde, 0, 1, 0, 0, 0, 0)
		for n := 16; n < 20; n++ {
			all = append(all, extended[:n]) // extension value truncated
		}
		tooLong, zero := change(0xa0, good), change(0xa0, good)
		tooLong[len(tooLong)-1] = 161
		all = append(all, tooLong, zero, change(0x40, good), change(0xc0, good))
		var before, after Stats
		c.Stats(&before)
		for i, b := range all {
			c.Audio().DeliverRTP(time.Now(), far, b)
			if c.Stats(&after); after.Audio.Malformed != before.Audio.Malformed+int64(i)+1 || after.Audio.Received != before.Audio.Received {
				t.Fatalf("datagram %d, %x: %d malformed, %d received", i, b[:min(len(b), 20)], after.Audio.Malformed, after.Audio.Received)
			}
		}
		talk(c, 9, 5, 5, 0xff)
		if c.Stats(&after); after.Audio.Received != 10 || after.Audio.Lost != 0 {
			t.Errorf("%d received, %d lost", after.Audio.Received, after.Audio.Lost)
		}
	})
}

// Another SSRC is heard, and counted with the one before; two that take turns do not silence
// each other.
func TestSSRCChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := tapped(t, AudioConfig{})
		frames := map[audio.Kind]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		wg.Go(func() {
			var f audio.Frame
			for c.Audio().ReadFrame(&f) == nil {
				mu.Lock()
				frames[f.Kind]++
				mu.Unlock()
			}
		})
		media := func() int {
			mu.Lock()
			defer mu.Unlock()
			return frames[audio.Media]
		}
		talk(c, 1, 0, 100, 0x90)
		talk(c, 2, 500, 100, 0x90)
		time.Sleep(100 * ms)
		if n := media(); n < 190 {
			t.Errorf("%d frames of 200 packets of two sources", n)
		}
		var s Stats
		if c.Stats(&s); s.Audio.Received != 200 || s.Audio.Lost != 0 {
			t.Errorf("of both sources %d were received, %d lost", s.Audio.Received, s.Audio.Lost)
		}
		before := media()
		for i := range 200 { // at the same time
			for ssrc := range 2 {
				c.Audio().DeliverRTP(time.Now(), far, rtpPacket(uint32(3+ssrc), i, bytes.Repeat([]byte{0x90}, 160)))
			}
			time.Sleep(20 * ms)
		}
		if n := media() - before; n < 180 {
			t.Errorf("%d frames of 200 while two sources talk", n)
		}
		c.Close()
		wg.Wait()
	})
}

// What cannot be sent is refused without harm: the call goes on.
func TestRefusedPacketsHarmNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leg := tapped(t, AudioConfig{})
		for range 3 {
			if err := c.Audio().WritePacket(&stream.Packet{Codec: codec.Params{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}, Payload: []byte{1}}); !errors.Is(err, audio.ErrFormat) {
				t.Errorf("a packet of another codec: %v", err)
			}
		}
		if err := c.Audio().WriteFrame(&audio.Frame{Samples: []int16{1}}); err == nil {
			t.Error("a frame without a format was taken")
		}
		write(t, c, 5)
		if err := c.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if packets, _ := leg.sent(); len(packets) != 5 {
			t.Errorf("%d packets were sent", len(packets))
		}
	})
}

// Six minutes of speech take six minutes: packets leave at multiples of 20 ms
// from the first one on, and do not fall behind by what each wake-up is late.
func TestPacketsLeaveOnTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leg := tapped(t, AudioConfig{})
		const frames = 6 * 60 * 50
		write(t, c, frames)
		if err := c.Audio().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		leg.mu.Lock()
		defer leg.mu.Unlock()
		if len(leg.rtpAt) != frames {
			t.Fatalf("%d packets", len(leg.rtpAt))
		}
		for i, at := range leg.rtpAt {
			if d := at.Sub(leg.rtpAt[0]) - time.Duration(i)*20*ms; d < 0 || d > 2*ms {
				t.Fatalf("packet %d is %v off", i, d)
			}
		}
	})
}

// A burst of 30 packets, as after a stall of a server, is neither lost nor heard
// late for ever after.
func TestBurstsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := tapped(t, AudioConfig{})
		var wg sync.WaitGroup
		wg.Go(func() {
			var f audio.Frame
			for c.Audio().ReadFrame(&f) == nil {
			}
		})
		talk(c, 1, 0, 100, 0x90)
		n := 100
		for range 20 {
			time.Sleep(120 * ms)
			for range 6 {
				c.Audio().DeliverRTP(time.Now(), far, rtpPacket(1, n, bytes.Repeat([]byte{0x90}, 160)))
				n++
			}
		}
		talk(c, 1, n, 400, 0x90)
		var s Stats
		c.Stats(&s)
		if s.Audio.Lost != 0 || s.Audio.Received != int64(n+400) || s.Audio.Delay > 200*ms {
			t.Errorf("%+v", s.Audio)
		}
		c.Close()
		wg.Wait()
	})
}

// Whoever reads after the far end's goodbye gets the rest, and then io.EOF; whoever
// waits to drain is let go by a Close.
func TestEndLetsEverybodyGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := tapped(t, AudioConfig{})
		var wg sync.WaitGroup
		write(t, c, 10)
		wg.Go(func() {
			if err := c.Audio().Drain(t.Context()); !errors.Is(err, c.Err()) {
				t.Errorf("drained with %v", err)
			}
		})
		synctest.Wait()
		c.Close()
		wg.Wait()

		c, _ = tapped(t, AudioConfig{})
		talk(c, 9, 0, 10, 0x90)
		c.Audio().DeliverRTCP(time.Now(), far, rtcpctl.AppendBYE(rtcpctl.AppendRR(nil, 9, nil), 9, ""))
		<-c.Done()
		var f audio.Frame
		n := 0
		for {
			err := c.Audio().ReadFrame(&f)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind == audio.Media {
				n++
			}
		}
		if n < 9 {
			t.Errorf("%d frames of 10 packets were heard before the end", n)
		}
	})
}
