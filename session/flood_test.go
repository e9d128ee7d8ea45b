package session

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/transport"
)

const (
	floodRate = 20000 // datagrams a second
	floodTime = 300 * time.Millisecond
	maxGrowth = 1 << 16 // bytes, some ten for each datagram
)

// lines is a log that counts.
type lines struct{ n atomic.Int64 }

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) Handle(context.Context, slog.Record) error {
	l.n.Add(1)
	return nil
}
func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lines) WithGroup(string) slog.Handler      { return l }

// flood sends datagrams at floodRate. It returns how many it sent, which are
// fewer if this machine is too slow.
func flood(say func(b []byte), next func(i int) []byte) (n int) {
	begin := time.Now()
	for {
		passed := time.Since(begin)
		if passed >= floodTime {
			return n
		}
		for due := int(passed.Seconds() * floodRate); n < due; n++ {
			say(next(n))
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// dropped returns how many datagrams the kernel has dropped because the session
// did not read them in time. Only Linux tells; elsewhere it is 0.
func dropped(s *Session) (n int64) {
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		return 0
	}
	defer f.Close()
	port := fmt.Sprintf(":%04X", s.LocalAddr().Port())
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 12 && strings.HasSuffix(fields[1], port) {
			d, _ := strconv.ParseInt(fields[12], 10, 64)
			n += d
		}
	}
	return n
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestFlood sends 20000 datagrams a second to a call, which must neither grow nor
// log, and go on to hear its far end.
//
// On a machine that keeps up nothing is lost. Where the kernel drops datagrams in
// front of the session, the far end's packets are among them, several at a time,
// and so is granted what it drops on average twice over, and a burst.
func TestFlood(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(random.Uint32())
		}
	}
	var b [1400]byte
	junk := func(int) []byte {
		p := b[:random.IntN(300)]
		fill(p)
		return p
	}
	sources := func(int) []byte {
		p := b[:172]
		fill(p[2:12])
		p[0], p[1] = 0x80, 0
		return p
	}
	stream := func(i int) []byte { // without a gap, faster than real time
		p := b[:172]
		p[0], p[1] = 0x80, 0
		binary.BigEndian.PutUint16(p[2:], uint16(i))
		binary.BigEndian.PutUint32(p[4:], uint32(160*i))
		binary.BigEndian.PutUint32(p[8:], peerSSRC)
		return p
	}
	request := func(i int) []byte {
		p := append(b[:0], unhex("00010000 2112a442 b7e7a701 bc34d686 00000000")...)
		binary.BigEndian.PutUint32(p[16:], uint32(i))
		return p
	}
	xr := unhex("80c90001 00000002 80cf0004 00000002 04000002 0000000100000000 81ce0002 00000002 00000001 84ce0004 00000002 00000001 00000001 01000000")
	reports := func(i int) []byte {
		binary.BigEndian.PutUint32(xr[4:], uint32(i%5000))
		return xr
	}
	for _, tt := range []struct {
		name string
		end  end
		peer bool // from the address of the far end
		next func(i int) []byte
	}{
		{"junk", ends[0], false, junk},
		{"junk from the far end's address", ends[0], true, junk},
		{"streams of any SSRC", ends[1], false, sources},
		{"streams of any SSRC from the far end's address", ends[0], true, sources},
		{"a stream of the same SSRC", ends[1], false, stream},
		{"STUN", ends[0], false, request},
		{"PLI, FIR and XR", ends[0], true, reports},
		{"invalid SRTP", ends[5], true, stream},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log lines
			sc := newScene(t, tt.end, Config{Logger: slog.New(&log), Audio: &AudioConfig{Codecs: everyCodec, RTCP: parley.RTCPConfig{XR: true, NACK: true}}})
			sc.talk()
			say := sc.evil[0].write
			if tt.peer {
				say = sc.peer.write
			}
			for i := range 1000 { // so that tables are full
				say(tt.next(i))
				if i%50 == 0 {
					sc.taken()
				}
			}
			sc.taken()
			timely(t, func() string { return flooded(t, sc, &log, say, tt.next, tt.name == "STUN") })
		})
	}
}

// flooded sends one flood of [TestFlood], and returns what of the far end was
// lost by it, if that is too much. To a flood that asks there are answers.
func flooded(t *testing.T, sc *scene, log *lines, say func(b []byte), next func(i int) []byte, asks bool) (problem string) {
	t.Helper()
	received(t, sc.evil[0].conn)
	drops := dropped(sc.s)
	sc.tardy()
	var before, after parley.Stats
	sc.s.Stats(&before)
	sent, memory, heard := sc.peer.count(), heap(), sc.heard.Load()
	begin := time.Now()
	n := flood(say, next)
	took := time.Since(begin)
	rate := float64(n) / took.Seconds()

	until(t, "the far end is heard", func() bool { return sc.heard.Load() > heard+10 })
	late := sc.tardy()
	sc.taken()
	answered := time.Since(begin) // what waited in front of the session too
	grown := int64(heap()) - int64(memory)
	sc.s.Stats(&after)
	said := sc.peer.count() - sent
	drops = dropped(sc.s) - drops
	slack := 1.0
	if drops > 0 {
		slack = 5 + 2*float64(said)*float64(drops)/float64(int64(n)+said)
	}
	t.Logf("%.0f datagrams/s, %d dropped by the kernel, the far end %v late, heap %+d bytes, %d log lines", rate, drops, late, grown, log.n.Load())
	if grown > maxGrowth {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if l := log.n.Load(); l > 10 {
		t.Errorf("%d lines were logged", l)
	}
	if lost := after.Audio.Lost - before.Audio.Lost; late < punctual && float64(lost) > slack {
		problem = fmt.Sprintf("%d of %d packets of the far end were lost", lost, said)
	}
	// While the playout follows what this machine delays, a few frames are
	// shortened or concealed.
	if got := sc.heard.Load() - heard; late < punctual && float64(got) < float64(said)*0.75-slack {
		problem = fmt.Sprintf("%d frames of %d packets were heard", got, said)
	}
	if sc.s.Err() != nil || sc.wrong.Load() != 0 || sc.s.RemoteAddr() != sc.peer.addr() {
		t.Errorf("ended: %v, %d wrong frames, sent to %v", sc.s.Err(), sc.wrong.Load(), sc.s.RemoteAddr())
	}
	// Ten at once, and ten a second, of which each is at most 2.2 times as long
	// as what asks for it.
	answers, size := drain(t, sc.evil[0].conn)
	if limit := int(answered.Seconds()*10) + 11; answers > limit || asks && answers == 0 {
		t.Errorf("%d answers, want up to %d", answers, limit)
	}
	if 10*size > 22*20 {
		t.Errorf("answers of %d bytes to requests of 20", size)
	}
	return problem
}

// Nor does a session grow before it knows anybody: what it keeps of those who have
// not proved themselves is bounded.
func TestFloodBeforeTheCall(t *testing.T) {
	s := open(t, Config{Latch: transport.LatchSymmetric})
	stranger := newSpeaker(t, s.LocalAddr(), "127.0.0.2:0", 0, evilLevel)
	count := func() int64 {
		var n NetworkStats
		s.NetworkStats(&n)
		return n.Foreign
	}
	var sent int64
	say := func(n int) {
		for range n {
			stranger.seq += 7919 // never two in a row
			stranger.ssrc++
			stranger.say()
			if sent++; sent%50 == 0 { // so that the kernel has room
				until(t, "what was sent so far", func() bool { return count() == sent })
			}
		}
	}
	say(1000)
	memory := heap()
	say(5000)
	if grown := int64(heap()) - int64(memory); grown > maxGrowth {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if n := received(t, stranger.conn); n != 0 || s.RemoteAddr().IsValid() {
		t.Errorf("%d datagrams were sent to a stranger, who is now %v", n, s.RemoteAddr())
	}
}

// A far end that asks for everything again and again gets no more than a quarter
// of what is sent, and a stranger nothing.
func TestFloodOfNACKs(t *testing.T) {
	for _, stranger := range []bool{false, true} {
		t.Run(fmt.Sprintf("stranger %v", stranger), func(t *testing.T) {
			var log lines
			sc := newScene(t, ends[1], Config{Logger: slog.New(&log), Audio: &AudioConfig{RTCP: parley.RTCPConfig{NACK: true}}})
			sc.talk()
			say := sc.peer.write
			if stranger {
				say = sc.evil[0].write
			}
			ours := sc.s.Audio().SSRC()
			head := rtcpctl.AppendRR(nil, peerSSRC, nil)
			nack := func(base int) []byte { // 17 packets in each of 64 entries
				b := bytes.Clone(head)
				b = append(b, 0x81, 205, 0, 2+64)
				b = binary.BigEndian.AppendUint32(b, peerSSRC)
				b = binary.BigEndian.AppendUint32(b, ours)
				for i := range 64 {
					b = binary.BigEndian.AppendUint16(b, uint16(base+17*i))
					b = append(b, 0xff, 0xff)
				}
				return b
			}
			var all [61][]byte // every number there is
			for i := range all {
				all[i] = nack(i * 17 * 64)
			}
			var before, after parley.Stats
			sc.s.Stats(&before)
			memory := heap()
			n := flood(say, func(i int) []byte { return all[i%len(all)] })
			sc.s.Stats(&after)
			grown := int64(heap()) - int64(memory)
			sent, again := after.Audio.PacketsSent-before.Audio.PacketsSent, after.Audio.Retransmitted-before.Audio.Retransmitted
			t.Logf("%d NACKs: %d packets sent, %d of them again, %d dropped by the kernel, heap %+d bytes", n, sent, again, dropped(sc.s), grown)
			// Saved up before the flood is a quarter of at most a second.
			if limit := (sent + 50) / 4; again > limit || stranger && again != 0 {
				t.Errorf("%d packets sent again, want at most %d", again, limit)
			}
			if !stranger { // on a machine that is too slow, nobody was heard in the flood
				i := 0
				until(t, "something is sent again", func() bool {
					say(all[i%len(all)])
					i++
					sc.s.Stats(&after)
					return after.Audio.Retransmitted > before.Audio.Retransmitted
				})
			}
			if grown > maxGrowth || log.n.Load() > 10 || sc.s.Err() != nil {
				t.Errorf("heap %+d bytes, %d log lines, ended: %v", grown, log.n.Load(), sc.s.Err())
			}
			sent = after.Audio.PacketsSent
			until(t, "we go on", func() bool {
				sc.s.Stats(&after)
				return after.Audio.PacketsSent > sent+3
			})
			if stranger {
				sc.unharmed()
			}
		})
	}
}

// Two sessions never answer each other's STUN: one datagram between them stays
// one (a response that were answered would go on for ever).
func TestSTUNDoesNotLoop(t *testing.T) {
	a := open(t, Config{})
	b := open(t, Config{})
	a.leg.rtp.WriteTo(unhex("01010000 2112a442 b7e7a701 bc34d686 fa87dfae"), b.LocalAddr())
	a.leg.rtp.WriteTo(unhex("00010000 2112a442 b7e7a701 bc34d686 fa87dfae"), b.LocalAddr())
	stats := func(s *Session) (n NetworkStats) {
		s.NetworkStats(&n)
		return n
	}
	until(t, "the answer", func() bool { return stats(a).STUNRefused == 1 })
	time.Sleep(50 * time.Millisecond)
	if x, y := stats(a), stats(b); x.STUN != 0 || x.STUNRefused != 1 || y.STUN != 1 || y.STUNRefused != 1 {
		t.Errorf("a %+v, b %+v", x, y)
	}
}

// A far end without a translator hears nothing from a session that only got
// reports or junk: they are no reason to send.
func TestNothingIsSentForReports(t *testing.T) {
	s := open(t, Config{Latch: transport.LatchSymmetric})
	stranger := from(t, "127.0.0.2:0")
	for range 50 {
		send(t, stranger, s, rtcpctl.AppendSR(nil, 1, rtcpctl.SenderInfo{}, nil))
		send(t, stranger, s, []byte{0x80, 200, 0, 0})
		send(t, stranger, s, packet(1, 1))
	}
	say(t, s, 1000)
	if err := s.Audio().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := received(t, stranger); n != 0 {
		t.Errorf("%d datagrams were sent to a stranger", n)
	}
}
