package session

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/transport"
)

// A tally is what a session has counted of datagrams that did no good.
type tally struct {
	Unknown, STUN, STUNRefused, Foreign, Unauthenticated int64 // of the network
	Malformed, Discarded                                 int64 // of the call
}

func (sc *scene) tally() tally {
	var n NetworkStats
	sc.s.NetworkStats(&n)
	var s parley.Stats
	sc.s.Stats(&s)
	return tally{n.Unknown, n.STUN, n.STUNRefused, n.Foreign, n.Unauthenticated, s.Audio.Malformed, s.Audio.Discarded}
}

func (t tally) minus(u tally) tally {
	return tally{
		t.Unknown - u.Unknown, t.STUN - u.STUN, t.STUNRefused - u.STUNRefused, t.Foreign - u.Foreign,
		t.Unauthenticated - u.Unauthenticated, t.Malformed - u.Malformed, t.Discarded - u.Discarded,
	}
}

// A hostile is what broke other stacks, and how a session counts it when it
// comes from the far end itself.
type hostile struct {
	name      string
	datagrams [][]byte
	want      tally
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

var everyCodec = []codec.Params{
	pcmu,
	{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1},
	{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1},
	{Name: "L16", PayloadType: 11, ClockRate: 44100, Channels: 1},
	{Name: "CN", PayloadType: 13, ClockRate: 8000, Channels: 1},
	{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, Channels: 1, FMTP: "0-16"},
	{Name: "red", PayloadType: 121, ClockRate: 8000, Channels: 1, FMTP: "0/0"},
}

// rtpOf returns a packet whose sequence number is far from those of a speaker.
func rtpOf(first byte, payloadType uint8, ssrc uint32, rest []byte) []byte {
	b := []byte{first, payloadType, 0x75, 0x30, 0, 0, 0, 160}
	return append(binary.BigEndian.AppendUint32(b, ssrc), rest...)
}

// hostiles are the rows, of which the RTP packets are from the source that is
// heard.
func hostiles() []hostile {
	const stranger = 2
	zeros := func(n int) []byte { return make([]byte, n) }
	rtp := func(first byte, payloadType uint8, rest []byte) []byte {
		return rtpOf(first, payloadType, peerSSRC, rest)
	}
	rtcp := func(s string) []byte { return unhex("80c90001 00000002" + s) } // behind a report of 2
	stun := func(s string) []byte {
		a := unhex(s)
		return append(binary.BigEndian.AppendUint16([]byte{0, 1}, uint16(len(a))), append(unhex("2112a442 b7e7a701 bc34d686 fa87dfae"), a...)...)
	}
	blocks := make([]rtcpctl.ReportBlock, rtcpctl.MaxBlocks)
	for i := range blocks {
		blocks[i].SSRC = uint32(100 + i)
	}
	var short, types, empty, large [][]byte
	for kind := 192; kind <= 223; kind++ {
		for n := range 8 {
			short = append(short, []byte{0x81, byte(kind), 0, 1, 0, 0, 0, 2}[:n])
		}
	}
	negotiated := map[uint8]bool{}
	for _, p := range everyCodec {
		negotiated[p.PayloadType] = true
		empty = append(empty, rtp(0x80, p.PayloadType, nil))
		large = append(large, rtpOf(0x80, p.PayloadType, stranger, zeros(1488)), rtpOf(0x80, p.PayloadType, stranger, bytes.Repeat([]byte{0xff}, 1488)))
	}
	for pt := range uint8(128) {
		if !negotiated[pt] {
			types = append(types, rtp(0x80, pt, zeros(160)))
		}
	}
	malformed := func(n int64) tally { return tally{Malformed: n} }
	unknown := func(n int64) tally { return tally{Unknown: n} }
	// Three reports of 31 blocks are 2276 bytes, of which 2048 are read.
	return []hostile{
		{"CVE-2017-14099: RTCP of 0 to 7 bytes", short, unknown(32 * 8)},
		{"CVE-2017-14099: RTCP of 8 to 11 bytes", [][]byte{unhex("80c80001 00000002"), unhex("80c90002 00000002 00"), unhex("80cb0002 00000002 0000"), unhex("81c90001 00000002")}, malformed(4)},
		{"AST-2017-012: three reports with 31 blocks each", [][]byte{rtcpctl.AppendRR(rtcpctl.AppendRR(rtcpctl.AppendSR(nil, stranger, rtcpctl.SenderInfo{}, blocks), stranger, blocks), stranger, blocks)}, malformed(1)},
		{"CVE-2018-7285: payload types that were not negotiated", types, tally{Discarded: int64(len(types))}},

		{"CVE-2022-21722: RTP shorter than its header", [][]byte{{0x80, 0}, rtp(0x80, 0, nil)[:11]}, unknown(2)},
		{"CVE-2022-21722: CC 15 in 12 bytes", [][]byte{rtp(0x8f, 0, nil)}, malformed(1)},
		{"CVE-2022-21722: X in 12 bytes", [][]byte{rtp(0x90, 0, nil)}, malformed(1)},
		{"CVE-2022-21722: X past the end", [][]byte{rtp(0x90, 0, unhex("bede0002 00000000")), rtp(0x90, 0, unhex("bedeffff 00000000"))}, malformed(2)},
		{"CVE-2022-21722: elements of X past it", [][]byte{rtp(0x90, 0, unhex("bede0001 1f000000")), rtp(0x90, 0, unhex("10000001 01ff0000"))}, malformed(2)},
		{"CVE-2025-49140: padding of 0, 255, and more than the payload", [][]byte{rtp(0xa0, 0, []byte{0, 0, 0, 0}), rtp(0xa0, 0, []byte{0, 0, 0, 255}), rtp(0xa0, 0, []byte{1, 1, 1, 5})}, malformed(3)},
		{"CVE-2025-49140: padding without a payload", [][]byte{rtp(0xa0, 0, nil)}, malformed(1)},
		{"CVE-2025-49140: nothing", [][]byte{{}}, unknown(1)},
		{"CVE-2026-29068: 1488 bytes for every codec", large, tally{}},
		{"CVE-2026-3083: empty payloads for every codec", empty, tally{Discarded: int64(len(empty))}},
		{"CVE-2026-3083: inner lengths of RED", [][]byte{
			rtpOf(0x80, 121, stranger, unhex("80")), rtpOf(0x80, 121, stranger, unhex("ffffffff")), rtpOf(0x80, 121, stranger, unhex("800003ff 00")),
			rtpOf(0x80, 121, stranger, bytes.Repeat(unhex("80000000"), 300)), rtpOf(0x80, 121, stranger, unhex("f9000001 7900")),
		}, tally{}},
		{"telephone events of odd lengths", [][]byte{rtpOf(0x80, 101, stranger, zeros(1)), rtpOf(0x80, 101, stranger, unhex("ffffff")), rtpOf(0x80, 101, stranger, bytes.Repeat(unhex("01bfffff"), 300))}, tally{}},

		{"CVE-2021-43804: goodbye with a reason of 255 bytes and none left", [][]byte{rtcp("81cb0002 00000002 ff000000")}, malformed(1)},
		{"CVE-2021-43804: goodbye of 31 without a source", [][]byte{rtcp("9fcb0000")}, malformed(1)},
		{"CVE-2021-43845: XR block of length 0", [][]byte{rtcp("80cf0002 00000002 04000000")}, malformed(1)},
		{"CVE-2021-43845: XR block past the end", [][]byte{rtcp("80cf0002 00000002 0400ffff")}, malformed(1)},
		{"CVE-2021-43845: unknown XR block", [][]byte{rtcp("80cf0003 00000002 ff000001 deadbeef")}, tally{}},
		{"CVE-2021-43845: truncated VoIP block", [][]byte{rtcp("80cf0005 00000002 07000003 00000001 0000000000000000")}, malformed(1)},
		{"CVE-2024-35434: XR of 8, 12, 20, 28 and 44 bytes", [][]byte{
			rtcp("80cf0001 00000002"), rtcp("80cf0002 00000002 07000000"), rtcp("80cf0004 00000002 04000002 0000000100000000"),
			rtcp("80cf0006 00000002 07000004" + strings.Repeat("00", 16)), rtcp("80cf000a 00000002 07000008 00000001" + strings.Repeat("00", 28)),
		}, malformed(2)},
		{"CVE-2022-24786: RPSI with padding longer than its data", [][]byte{rtcp("83ce0003 00000002 00000001 ff610000"), rtcp("83ce0002 00000002 00000001"), rtcp("a3ce0003 00000002 00000001 000000ff")}, malformed(1)},
		{"SA-2026-0030: description without an end", [][]byte{rtcp("81ca0002 00000002 01026162")}, malformed(1)},
		{"SA-2026-0030: item of 255 bytes", [][]byte{rtcp("81ca0002 00000002 01ff6162")}, malformed(1)},
		{"SA-2026-0030: description of 31", [][]byte{rtcp("9fca0002 00000002 01016100")}, malformed(1)},
		{"GPAC: unknown RTCP of 65 kB", [][]byte{append(unhex("80df3ffe"), zeros(4*0x3ff0)...)}, malformed(1)},
		{"reports of the wrong version", [][]byte{rtcp("41c90001 00000003")}, malformed(1)},

		{"CVE-2021-37706: STUN attributes of 0 to 3 bytes, and 65535", [][]byte{
			stun("0009 0000"), stun("0009 0001 00000000"), stun("0009 0003 00000000"), stun("0009 ffff"),
		}, tally{STUN: 3, STUNRefused: 1}},
		{"CVE-2022-23537: STUN of odd lengths", [][]byte{{0, 1}, {0, 1, 0, 0}, stun("")[:19], append(stun(""), 0), stun("0006 00")}, tally{STUNRefused: 5}},
		{"CVE-2026-54909: addresses of 0 to 19 bytes in STUN responses", [][]byte{
			append([]byte{1, 1, 0, 4}, append(stun("")[4:], unhex("00200000")...)...),
			append([]byte{1, 1, 0, 8}, append(stun("")[4:], unhex("00200004 00010000")...)...),
			append([]byte{1, 1, 0, 12}, append(stun("")[4:], unhex("00200008 0003a147 e112a643")...)...),
		}, tally{STUNRefused: 3}},
		{"CVE-2023-49786: a DTLS ClientHello", [][]byte{append(unhex("16feff0000000000000000 0036 01"), zeros(53)...)}, unknown(1)},
		{"TURN and ZRTP", [][]byte{append(unhex("40000010"), zeros(16)...), append(unhex("1000 0001 5a525450"), zeros(16)...)}, unknown(2)},
		{"libsrtp: CC 15 and X in 24 bytes", [][]byte{rtp(0x9f, 0, zeros(12))}, malformed(1)},
		{"WhatsApp: RTCP that counts too many blocks", [][]byte{unhex("9fc90001 00000002"), unhex("9fc80006 00000002" + strings.Repeat("00", 20))}, malformed(2)},
	}
}

// TestHostileDatagrams sends them to live sessions: from the address of the far
// end, which is the worst place, in its own name; from a stranger; and before
// anybody is known. After each the call lives and its far end is heard.
func TestHostileDatagrams(t *testing.T) {
	c := Config{Audio: &AudioConfig{Codecs: everyCodec, RTCP: parley.RTCPConfig{NACK: true, XR: true}}}
	run := func(t *testing.T, sc *scene, say func([]byte), want func(h hostile) tally) {
		for _, h := range hostiles() {
			t.Run(h.name, func(t *testing.T) {
				before, heard := sc.tally(), sc.heard.Load()
				for i, b := range h.datagrams {
					if say(b); i%50 == 49 { // so that the kernel has room
						sc.taken()
					}
				}
				sc.taken()
				until(t, "the peer is heard", func() bool { return sc.heard.Load() > heard })
				if got, want := sc.tally().minus(before), want(h); got != want {
					t.Errorf("counted %+v\nwant    %+v", got, want)
				}
				if err := sc.s.Err(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	ours := func(h hostile) tally { return h.want }
	t.Run("from the far end", func(t *testing.T) {
		t.Parallel()
		sc := newScene(t, ends[0], c)
		sc.talk()
		run(t, sc, sc.peer.write, ours)
	})
	t.Run("mux", func(t *testing.T) {
		t.Parallel()
		c := c
		c.Mux = true
		sc := newScene(t, ends[0], c)
		sc.talk()
		run(t, sc, sc.peer.write, ours)
	})
	t.Run("SRTP", func(t *testing.T) { // CVE-2022-39269: what is plain is not heard
		t.Parallel()
		sc := newScene(t, end{"", transport.LatchSignalled, asSaid, true}, c)
		sc.talk()
		run(t, sc, sc.peer.write, func(h hostile) tally {
			want := tally{Unknown: h.want.Unknown, STUN: h.want.STUN, STUNRefused: h.want.STUNRefused}
			for _, b := range h.datagrams {
				switch kind := transport.Classify(b); {
				case kind == transport.RTP && len(b) >= 12, kind == transport.RTCP && len(b) >= 8:
					want.Unauthenticated++
				}
			}
			return want
		})
	})
	t.Run("from a stranger", func(t *testing.T) {
		t.Parallel()
		sc := newScene(t, ends[1], c)
		sc.talk()
		run(t, sc, sc.evil[0].write, func(h hostile) tally {
			want := tally{Unknown: h.want.Unknown, STUN: h.want.STUN, STUNRefused: h.want.STUNRefused}
			want.Foreign = int64(len(h.datagrams)) - want.Unknown - want.STUN - want.STUNRefused
			return want
		})
		if n := sc.wrong.Load(); n != 0 {
			t.Errorf("%d frames of the stranger", n)
		}
	})
	t.Run("before the call", func(t *testing.T) { // CVE-2019-3568
		t.Parallel()
		inEach(t, whichever, func(t *testing.T, e end) {
			sc := newScene(t, e, c)
			say, here := sc.evil[0], int64(0)
			count := func() int64 {
				got := sc.tally()
				return got.Unknown + got.STUN + got.STUNRefused + got.Foreign + got.Unauthenticated
			}
			for _, h := range hostiles() {
				for _, b := range h.datagrams {
					say.write(b)
					if here++; here%50 == 0 { // so that the kernel has room
						until(t, "the datagrams so far", func() bool { return count() == here })
					}
				}
			}
			until(t, "all datagrams", func() bool { return count() == here })
			if n := received(t, say.conn); int64(n) != sc.tally().STUN {
				t.Errorf("%d answers", n)
			}
			sc.talk()
			sc.unharmed()
		})
	})
}

// CVE-2021-26712, CVE-2021-41105: neither replays nor packets that fail
// authentication end a call, however many come from the address of the far end.
func TestHostileSRTP(t *testing.T) {
	sc := newScene(t, end{"", transport.LatchSignalled, asSaid, true}, Config{})
	sc.talk()
	sc.peer.mu.Lock()
	again := bytes.Clone(sc.peer.last)
	sc.peer.mu.Unlock()
	other, err := transport.NewSRTP(key(t), key(t))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.EncryptRTP(nil, rtpOf(0x80, 0, peerSSRC, make([]byte, 160)))
	if err != nil {
		t.Fatal(err)
	}
	report, err := other.EncryptRTCP(nil, rtcpctl.AppendBYE(rtcpctl.AppendRR(nil, peerSSRC, nil), peerSSRC, ""))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(again)
	changed[len(changed)-20] ^= 1
	for _, h := range []struct {
		name string
		b    []byte
		n    int
	}{
		{"replays", again, 10000},
		{"another key", foreign, 2000},
		{"a changed bit", changed, 2000},
		{"RTCP of another key", report, 2000},
		{"plain RTP", rtpOf(0x80, 0, peerSSRC, make([]byte, 160)), 100},
		{"plain RTCP", rtcpctl.AppendBYE(rtcpctl.AppendRR(nil, peerSSRC, nil), peerSSRC, ""), 100},
		{"CC 15 and X in 24 bytes", rtpOf(0x9f, 0, peerSSRC, make([]byte, 12)), 100},
		{"RTCP shorter than trailer and tag", unhex("80c90001 00000002"), 100},
		{"RTCP of a tag", append(unhex("80c90001 00000002"), make([]byte, 19)...), 100},
	} {
		t.Run(h.name, func(t *testing.T) {
			before, heard := sc.tally(), sc.heard.Load()
			for i := range h.n {
				if sc.peer.write(h.b); i%50 == 49 { // so that the kernel has room
					sc.taken()
				}
			}
			sc.taken()
			if got, want := sc.tally().minus(before), (tally{Unauthenticated: int64(h.n)}); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
			until(t, "the far end is heard", func() bool { return sc.heard.Load() > heard })
		})
	}
	if n := sc.ears.rtp.Load(); n == 0 {
		t.Error("nothing is sent to the far end")
	}
	var stats parley.Stats
	if sc.s.Stats(&stats); stats.Audio.Duplicated != 0 || stats.Audio.Lost > 0 || sc.s.Err() != nil {
		t.Errorf("%d duplicates, %d lost, ended: %v", stats.Audio.Duplicated, stats.Audio.Lost, sc.s.Err())
	}
}

// A payload is as long as its datagram says, not as the memory that it was read
// into, also behind a longer one.
func TestPayloadsEndWithTheirDatagrams(t *testing.T) {
	for _, secure := range []bool{false, true} {
		far := newSpeaker(t, netip.AddrPort{}, "127.0.0.1:0", peerSSRC, peerLevel)
		c := Config{Remote: far.addr()}
		if secure {
			ours, theirs := key(t), key(t)
			c.SRTP = &SRTP{Local: ours, Remote: theirs}
			var err error
			if far.protect, err = transport.NewSRTP(theirs, ours); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, c)
		far.to = s.LocalAddr()
		var p stream.Packet
		s.Audio().SetReadDeadline(time.Now())
		if err := s.Audio().ReadPacket(&p); !errors.Is(err, os.ErrDeadlineExceeded) { // packets are kept from now on
			t.Fatal(err)
		}
		s.Audio().SetReadDeadline(time.Now().Add(patience))
		sizes := []int{160, 1400, 1, 160, 2, 1000, 3}
		for _, n := range sizes {
			far.body = bytes.Repeat([]byte{byte(n)}, n)
			far.say()
		}
		for _, n := range sizes {
			if err := s.Audio().ReadPacket(&p); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.Payload, bytes.Repeat([]byte{byte(n)}, n)) {
				t.Errorf("SRTP %v: %d bytes of %d", secure, len(p.Payload), n)
			}
		}
	}
}
