package session

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/transport"
)

// pass writes a description and reads it, as the signalling between two ends
// does.
func pass(t *testing.T, d *Description) *Description {
	t.Helper()
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDescription(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return got
}

// offerAnswer makes a call between two ends by offer and answer.
func offerAnswer(t *testing.T, caller, callee Config) (x, y *Session, agreed *Agreed) {
	t.Helper()
	caller.Local, callee.Local = local, local
	x = open(t, caller)
	offer, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	y, answer, err := OpenAnswer(t.Context(), &callee, pass(t, offer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { y.Close() })
	if agreed, err = Agree(offer, pass(t, answer)); err != nil {
		t.Fatal(err)
	}
	if err := x.Update(agreed); err != nil {
		t.Fatal(err)
	}
	return x, y, agreed
}

// talks makes one end say a second of a value, and checks
// that the other one hears most of it.
func talks(t *testing.T, from, to *Session, value int16) {
	t.Helper()
	go func() {
		for range 50 {
			if from.Audio().WriteFrame(tone(value)) != nil {
				return
			}
		}
	}()
	heard := 0
	var f audio.Frame
	to.Audio().SetReadDeadline(time.Now().Add(patience))
	for heard < 20 {
		if err := to.Audio().ReadFrame(&f); err != nil {
			t.Fatalf("after %d frames: %v", heard, err)
		}
		if near := f.Samples[len(f.Samples)/2] - value; f.Kind == audio.Media && near > -40 && near < 40 {
			heard++
		}
	}
}

func TestCallsByOfferAndAnswer(t *testing.T) {
	l16 := codec.Params{Name: "L16", PayloadType: 97, ClockRate: 8000, Channels: 1}
	other := l16
	other.PayloadType = 98
	red := codec.Params{Name: "red", PayloadType: 121, ClockRate: 8000, Channels: 1, FMTP: "0/0"}
	redundant := &AudioConfig{Codecs: []codec.Params{pcmu, red}, Redundancy: 1, ComfortNoise: true}
	for name, tt := range map[string]struct{ caller, callee Config }{
		"plain":          {Config{}, Config{}},
		"other numbers":  {Config{Audio: &AudioConfig{Codecs: []codec.Params{l16}}}, Config{Audio: &AudioConfig{Codecs: []codec.Params{other}}}},
		"redundancy":     {Config{Audio: redundant}, Config{Audio: redundant}},
		"redundancy, no": {Config{Audio: redundant}, Config{}},
		"encrypted":      {Config{Secure: true}, Config{}},
		"one port":       {Config{Mux: true}, Config{Mux: true}},
		"one port, no":   {Config{Mux: true}, Config{}},
		"both encrypted": {Config{Secure: true, Mux: true}, Config{Secure: true, Mux: true}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range []*Config{&tt.caller, &tt.callee} {
				a := AudioConfig{}
				if c.Audio != nil {
					a = *c.Audio
				}
				// On a busy machine a reader may have no time for so long that it would be
				// brought back to the present, and what it has missed be discarded.
				a.MaxDelay = 5 * time.Second
				c.Audio = &a
			}
			x, y, agreed := offerAnswer(t, tt.caller, tt.callee)
			if want := tt.caller.Mux && tt.callee.Mux; agreed.Mux != want {
				t.Errorf("RTCP on one port: %v, want %v", agreed.Mux, want)
			}
			if secure := agreed.LocalKey.Profile != ""; secure != tt.caller.Secure {
				t.Errorf("encrypted: %v, want %v", secure, tt.caller.Secure)
			}
			talks(t, x, y, 1000)
			talks(t, y, x, -1000)
			for _, s := range []*Session{x, y} {
				var stats parley.Stats
				if s.Stats(&stats); stats.Audio.Discarded != 0 {
					t.Errorf("%d packets not understood", stats.Audio.Discarded)
				}
			}
			x.Close()
			var f audio.Frame
			var err error
			for err == nil {
				err = y.Audio().ReadFrame(&f)
			}
			if err != io.EOF {
				t.Errorf("the goodbye: %v", err)
			}
		})
	}
}

// A second offer puts the far end on hold and changes the codec; a third one
// undoes it. Neither restarts anything.
func TestReoffer(t *testing.T) {
	pcma, _ := codec.Static(8)
	both := &AudioConfig{Codecs: []codec.Params{pcmu, pcma}}
	x, y, _ := offerAnswer(t, Config{Audio: both}, Config{Audio: both})
	first, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(change func(offer *Description)) {
		t.Helper()
		offer, err := x.Describe()
		if err != nil {
			t.Fatal(err)
		}
		change(offer)
		offer.Follow(first)
		if offer.Version <= first.Version {
			t.Errorf("version %d after %d", offer.Version, first.Version)
		}
		first = offer
		ours, err := y.Describe()
		if err != nil {
			t.Fatal(err)
		}
		answer, theirs, err := Answer(pass(t, offer), ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := y.Update(theirs); err != nil {
			t.Fatal(err)
		}
		mine, err := Agree(offer, pass(t, answer))
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Update(mine); err != nil {
			t.Fatal(err)
		}
	}
	talks(t, x, y, 992)
	exchange(func(d *Description) { d.Direction = parley.Inactive })
	var before, after parley.Stats
	time.Sleep(50 * time.Millisecond) // what is on its way
	y.Stats(&before)
	for range 10 {
		if err := x.Audio().WriteFrame(tone(992)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	if y.Stats(&after); after.Audio.Received != before.Audio.Received {
		t.Errorf("%d packets on hold", after.Audio.Received-before.Audio.Received)
	}
	exchange(func(d *Description) { d.Codecs, d.Direction = []codec.Params{pcma, pcmu}, parley.SendRecv })
	if got := x.Audio().Codec(); got.Name != "PCMA" {
		t.Errorf("sends %v after PCMA was agreed on", got)
	}
	talks(t, x, y, 1008)
}

// A far end whose offer changes the codec sends in the last one until it has our answer.
func TestReofferWhilePacketsAreOnTheirWay(t *testing.T) {
	pcma, _ := codec.Static(8)
	friend := from(t, "127.0.0.1:0")
	offer := &Description{Addr: netip.MustParseAddrPort(friend.LocalAddr().String()), Codecs: []codec.Params{pcmu}}
	s, _, err := OpenAnswer(t.Context(), &Config{Local: local, Audio: &AudioConfig{Codecs: []codec.Params{pcmu, pcma}}}, offer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	received := func(want int64) {
		t.Helper()
		var stats parley.Stats
		until(t, "the packets", func() bool { s.Stats(&stats); return stats.Audio.Received == want })
		if stats.Audio.Discarded != 0 {
			t.Errorf("%d packets discarded", stats.Audio.Discarded)
		}
	}
	for seq := range 5 {
		send(t, friend, s, packet(1, seq))
	}
	received(5)
	ours, err := s.Describe()
	if err != nil {
		t.Fatal(err)
	}
	offer.Codecs = []codec.Params{pcma}
	_, agreed, err := Answer(offer, ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(agreed); err != nil {
		t.Fatal(err)
	}
	for seq := range 10 {
		b := packet(1, 5+seq)
		if seq >= 5 {
			b[1] = pcma.PayloadType
		}
		send(t, friend, s, b)
	}
	received(15)
}

// A call that this end holds stays held when the far end offers anew, as it does to
// refresh the session (RFC 6337, section 5.3), and one that the far end holds is
// resumed by it. That goes for audio and video.
func TestHoldOutlastsARefresh(t *testing.T) {
	const same = parley.Direction(255)
	c := Config{Local: local, Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8}}}
	far := func(d parley.Direction) *Description {
		return &Description{
			Addr: addr("127.0.0.1:4000"), Codecs: []codec.Params{pcmu}, Direction: d,
			Video: &VideoDescription{Addr: addr("127.0.0.1:4002"), Codecs: []codec.Params{vp8}, Direction: d},
		}
	}
	s, _, err := OpenAnswer(t.Context(), &c, far(parley.SendRecv))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, step := range []struct {
		name  string
		offer bool             // of this end
		ours  parley.Direction // same: as it is described
		far   parley.Direction
		want  parley.Direction
	}{
		{"held by us", true, parley.SendOnly, parley.RecvOnly, parley.SendOnly},
		{"refreshed by them", false, same, parley.SendRecv, parley.SendOnly},
		{"and by us", true, same, parley.RecvOnly, parley.SendOnly},
		{"held by both", false, same, parley.SendOnly, parley.Inactive},
		{"resumed by them", false, same, parley.SendRecv, parley.SendOnly},
		{"resumed by us", true, parley.SendRecv, parley.SendRecv, parley.SendRecv},
		{"held by them", false, same, parley.SendOnly, parley.RecvOnly},
		{"refreshed by us", true, same, parley.SendOnly, parley.RecvOnly},
		{"resumed by them again", false, same, parley.SendRecv, parley.SendRecv},
		{"held in an answer", false, parley.Inactive, parley.SendRecv, parley.Inactive},
		{"refreshed", false, same, parley.SendRecv, parley.Inactive},
	} {
		ours, err := s.Describe()
		if err != nil {
			t.Fatal(err)
		}
		if step.ours != same {
			ours.Direction, ours.Video.Direction = step.ours, step.ours
		}
		var agreed *Agreed
		if step.offer {
			agreed, err = Agree(ours, far(step.far))
		} else {
			_, agreed, err = Answer(far(step.far), ours)
		}
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if err := s.Update(agreed); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if agreed.Direction != step.want || agreed.Video.Direction != step.want {
			t.Errorf("%s: audio %v, video %v, want %v", step.name, agreed.Direction, agreed.Video.Direction, step.want)
		}
	}
}

// A second offer changes the key of one end. The packets of the other one, whose
// key stays, go on under it: past the wrap of their sequence numbers, and with the
// next SRTCP index.
func TestReofferWithAnotherKey(t *testing.T) {
	x, y, _ := offerAnswer(t, Config{Secure: true}, Config{})
	rtp := func(from, to *transport.SRTP, seq uint16) {
		t.Helper()
		b := packet(77, 0)
		binary.BigEndian.PutUint16(b[2:], seq)
		coded, err := from.EncryptRTP(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = to.DecryptRTP(nil, coded); err != nil {
			t.Errorf("packet %d: %v", seq, err)
		}
	}
	rtcp := func(from, to *transport.SRTP) {
		t.Helper()
		coded, err := from.EncryptRTCP(nil, rtcpctl.AppendRR(nil, 77, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = to.DecryptRTCP(nil, coded); err != nil {
			t.Errorf("report: %v", err)
		}
	}
	xBefore, yBefore := x.leg.srtp.Load(), y.leg.srtp.Load()
	for _, seq := range []uint16{65534, 65535, 0} {
		rtp(yBefore, xBefore, seq)
	}
	rtcp(yBefore, xBefore)
	last, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	reoffer(t, x, y, last, func(offer *Description) {
		if offer.Crypto, err = NewCrypto(); err != nil {
			t.Fatal(err)
		}
	})
	xAfter, yAfter := x.leg.srtp.Load(), y.leg.srtp.Load()
	rtp(yAfter, xBefore, 1) // the remote key of y alone has changed
	rtcp(yAfter, xBefore)
	rtp(yBefore, xAfter, 2) // and the local one of x
	rtcp(yBefore, xAfter)
	rtp(xAfter, yAfter, 0)
	rtcp(xAfter, yAfter)
}

// A payload type that looks like RTCP with a marker is agreed on where RTCP has a port of
// its own. Then its packets are media, and RTCP on the port of RTP is what it was
// otherwise.
func TestPayloadTypesLikeRTCP(t *testing.T) {
	for _, number := range []uint8{64, 77, 95} {
		friend := from(t, "127.0.0.1:0")
		like := pcmu
		like.PayloadType = number
		offer := &Description{Addr: netip.MustParseAddrPort(friend.LocalAddr().String()), Codecs: []codec.Params{like}, Mux: true}
		s, answer, err := OpenAnswer(t.Context(), &Config{Local: local, Mux: true}, offer)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if answer.Mux {
			t.Errorf("%d on the port of RTCP", number)
		}
		for seq := range 10 {
			b := packet(1, seq)
			b[1] = number | 0x80
			send(t, friend, s, b)
		}
		send(t, friend, s, rtcpctl.AppendRR(nil, 1, []rtcpctl.ReportBlock{{SSRC: s.Audio().SSRC(), Lost: 3}}))
		until(t, "ten packets and a report", func() bool {
			var stats parley.Stats
			s.Stats(&stats)
			return stats.Audio.Received == 10 && stats.Audio.RemoteLost == 3
		})
	}
}

// After a transfer, the far end wants a plain call to be encrypted. It becomes so, with
// keys that stay, and does not become plain again.
func TestPlainCallBecomesEncrypted(t *testing.T) {
	film := &VideoConfig{Codecs: []codec.Params{vp8}}
	x, _, _ := offerAnswer(t, Config{Audio: &AudioConfig{}, Video: film}, Config{Audio: &AudioConfig{}, Video: film})
	y := open(t, Config{Secure: true, Audio: &AudioConfig{}, Video: film})
	last, err := y.Describe()
	if err != nil {
		t.Fatal(err)
	}
	var keys []transport.SRTPKey
	for range 2 {
		last = reoffer(t, y, x, last, func(*Description) {})
		ours, err := x.Describe()
		if err != nil {
			t.Fatal(err)
		}
		_, agreed, err := Answer(pass(t, last), ours)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, agreed.LocalKey, agreed.Video.LocalKey)
	}
	if string(keys[0].Master) != string(keys[2].Master) || string(keys[1].Master) != string(keys[3].Master) || string(keys[0].Master) == string(keys[1].Master) {
		t.Error("keys have changed, or audio and video have the same")
	}
	talks(t, x, y, 1000)
	talks(t, y, x, -1000)
	ours, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	plain := &Description{Addr: addr("127.0.0.1:4000"), Codecs: []codec.Params{pcmu}}
	if _, _, err := Answer(plain, ours); !errors.Is(err, ErrDescription) {
		t.Errorf("a plain offer after that: %v", err)
	}
	plain.Crypto = []Crypto{{Tag: 1, Key: transport.SRTPKey{Profile: "NULL"}}} // as if by hand
	if _, _, err := Answer(plain, &Description{Addr: ours.Addr, Codecs: ours.Codecs, keyable: true}); !errors.Is(err, ErrDescription) {
		t.Errorf("an unknown suite: %v", err)
	}
	if x.leg.srtp.Load() == nil || x.video.srtp.Load() == nil {
		t.Error("not encrypted")
	}
}

// A far end that changes its key sends under the last one until it has our answer. That
// is heard, each packet once, until it comes under the new key or for two seconds; and
// what is forged, or under another key, never.
func TestRekeyedWhilePacketsAreOnTheirWay(t *testing.T) {
	for _, p := range transport.SRTPProfiles {
		far := &Description{Addr: addr("127.0.0.1:4000"), Codecs: []codec.Params{pcmu}}
		offer := func() *Description {
			t.Helper()
			crypto, err := NewCrypto(p)
			if err != nil {
				t.Fatal(err)
			}
			far.Crypto = crypto
			return pass(t, far)
		}
		s, answer, err := OpenAnswer(t.Context(), &Config{Local: local}, offer())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		speaks := func() *transport.SRTP {
			t.Helper()
			protect, err := transport.NewSRTP(far.Crypto[0].Key, answer.Crypto[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			return protect
		}
		var agreed *Agreed
		rekey := func() *transport.SRTP {
			t.Helper()
			ours, err := s.Describe()
			if err != nil {
				t.Fatal(err)
			}
			if _, agreed, err = Answer(offer(), ours); err != nil {
				t.Fatal(err)
			}
			if err := s.Update(agreed); err != nil {
				t.Fatal(err)
			}
			return speaks()
		}
		r := &reader{leg: s.leg, plain: make([]byte, packetSize)}
		seq := 0
		hears := func(after time.Duration, from *transport.SRTP, want bool) (rtp, rtcp []byte) {
			t.Helper()
			rtp, err := from.EncryptRTP(nil, packet(1, seq))
			if err != nil {
				t.Fatal(err)
			}
			seq++
			if rtcp, err = from.EncryptRTCP(nil, rtcpctl.AppendRR(nil, 1, nil)); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(after)
			if _, ok := r.decrypt(at, transport.RTCP, rtcp); ok != want {
				t.Errorf("%s: report %d, %v after new keys: %v, want %v", p, seq, after, ok, want)
			}
			if _, ok := r.decrypt(at, transport.RTP, rtp); ok != want {
				t.Errorf("%s: packet %d, %v after new keys: %v, want %v", p, seq, after, ok, want)
			}
			return rtp, rtcp
		}
		first := speaks()
		hears(0, first, true)
		second := rekey()
		if err := s.Update(agreed); err != nil { // as with the descriptions of 183 and of 200
			t.Fatal(err)
		}
		rtp, rtcp := hears(1500*time.Millisecond, first, true)
		if _, ok := r.decrypt(time.Now(), transport.RTP, rtp); ok {
			t.Errorf("%s: a replay", p)
		}
		if _, ok := r.decrypt(time.Now(), transport.RTCP, rtcp); ok {
			t.Errorf("%s: a replay of a report", p)
		}
		if _, ok := r.decrypt(time.Now(), transport.RTP, packet(1, seq)); ok {
			t.Errorf("%s: a plain packet", p)
		}
		hears(1600*time.Millisecond, second, true)
		hears(1600*time.Millisecond, first, false) // since the new key was heard
		third := rekey()
		hears(2100*time.Millisecond, second, false)
		hears(2100*time.Millisecond, third, true)
		fourth := rekey()
		hears(0, second, false) // the last one alone
		hears(0, third, true)
		hears(0, fourth, true)
		far.Addr = addr("127.0.0.1:4002")
		fifth := rekey()
		hears(0, fourth, false) // it is the key of one who was replaced
		hears(0, fifth, true)
		far.Addr = addr("127.0.0.1:4000")
	}
}

// Without an address of its own, an answer has the one that leads to where the offer
// says that the far end is.
func TestAnswerLeadsToTheOffer(t *testing.T) {
	film := &VideoConfig{Codecs: []codec.Params{vp8}}
	answer := func(c Config, audio, video string) netip.Addr {
		t.Helper()
		text := "v=0\no=- 1 1 IN IP4 192.0.2.2\ns=-\nt=0 0\n"
		if audio != "" {
			text += "m=audio 7628 RTP/AVP 0\nc=IN " + audio + "\n"
		}
		if video != "" {
			text += "m=video 7630 RTP/AVP 96\nc=IN " + video + "\na=rtpmap:96 VP8/90000\n"
		}
		offer, err := ParseDescription([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s, answer, err := OpenAnswer(t.Context(), &c, offer)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return answer.host()
	}
	// 192.0.2.1 stands for the internet.
	internet := answer(Config{}, "IP4 192.0.2.1", "")
	four, six := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	if c, err := net.Dial("udp", "[::1]:9"); err == nil {
		c.Close()
	} else { // no such address to answer with
		six = internet
	}
	elsewhere := netip.MustParseAddr("198.51.100.1")
	for name, tt := range map[string]struct {
		config       Config
		audio, video string
		want         netip.Addr
	}{
		"IPv4":              {Config{}, "IP4 127.0.0.1", "", four},
		"IPv6":              {Config{}, "IP6 ::1", "", six},
		"IPv6, IPv4 only":   {Config{Local: netip.MustParseAddrPort("0.0.0.0:0"), Latch: transport.LatchSymmetric}, "IP6 ::1", "", internet},
		"video":             {Config{Video: film}, "", "IP6 ::1", six},
		"audio on hold":     {Config{Audio: &AudioConfig{}, Video: film}, "IP4 0.0.0.0", "IP6 ::1", six},
		"all on hold":       {Config{}, "IP4 0.0.0.0", "", internet},
		"one local address": {Config{Local: local, Latch: transport.LatchSymmetric}, "IP6 ::1", "", four},
		"advertised":        {Config{Advertise: elsewhere}, "IP6 ::1", "", elsewhere},
		"IPv4 in IPv6":      {Config{Advertise: netip.AddrFrom16(elsewhere.As16())}, "IP4 127.0.0.1", "", elsewhere},
	} {
		if got := answer(tt.config, tt.audio, tt.video); got != tt.want {
			t.Errorf("%s: answered with %v, want %v", name, got, tt.want)
		}
	}
}

// RTCP on one port is offered and turned down. To a far end that is learnt it goes to
// the port after that of RTP, in audio and video; and to the same one if another offer
// is taken.
func TestMuxTurnedDown(t *testing.T) {
	s := open(t, Config{
		Local: local, Mux: true, Latch: transport.LatchSymmetric,
		Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8}},
	})
	for i, mux := range []bool{false, true} {
		offer, err := s.Describe()
		if err != nil {
			t.Fatal(err)
		}
		said := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), 7000+4*uint16(i))
		agreed, err := Agree(offer, &Description{
			Addr: said, Codecs: []codec.Params{pcmu}, Mux: mux,
			Video: &VideoDescription{Addr: said, Codecs: []codec.Params{vp8}, Mux: mux},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(agreed); err != nil {
			t.Fatal(err)
		}
		rtp := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), 8000)
		want := remote{rtp, netip.AddrPortFrom(rtp.Addr(), 8001)}
		if mux {
			want.rtcp = rtp
		}
		// A source that proves itself, by a clock of its own.
		for name, l := range map[string]*leg{"audio": s.leg, "video": s.video} {
			at := time.Now().Add(time.Minute) // past what is left of the last one
			l.mu.Lock()
			for n := range 4 {
				l.latch.RTP(at.Add(time.Duration(n)*20*time.Millisecond), rtp, transport.LatchHeader{
					PayloadType: l.formats[0].PayloadType,
					Seq:         uint16(n),
					Timestamp:   uint32(n * l.formats[0].ClockRate / 50),
				})
			}
			l.follow()
			l.mu.Unlock()
			if got := *l.remote.Load(); got != want {
				t.Errorf("%s, mux %v: sent to %v and %v, want %v and %v", name, mux, got.rtp, got.rtcp, want.rtp, want.rtcp)
			}
		}
	}
}

func TestSecureNeedsKeys(t *testing.T) {
	x := open(t, Config{Local: local})
	offer, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenAnswer(t.Context(), &Config{Local: local, Secure: true}, offer); !errors.Is(err, ErrDescription) {
		t.Errorf("a plain offer was answered: %v", err)
	}
	// Without keys nothing is heard or sent.
	friend := from(t, "127.0.0.1:0")
	s := open(t, Config{Local: local, Secure: true, Remote: netip.MustParseAddrPort(friend.LocalAddr().String())})
	speak(t, friend, s, 1, 5)
	until(t, "five packets that cannot be authenticated", func() bool {
		var n NetworkStats
		s.NetworkStats(&n)
		return n.Unauthenticated == 5
	})
	if err := s.Audio().WriteFrame(tone(1)); err != nil {
		t.Fatal(err)
	}
	until(t, "a packet that is not sent", func() bool {
		var stats parley.Stats
		s.Stats(&stats)
		return stats.Audio.SendErrors > 0
	})
}

// What began with keys from the API does not go on without any: keys are offered, and
// an agreement without them changes nothing.
func TestKeysFromTheAPIAreNotDropped(t *testing.T) {
	ours, theirs := key(t), key(t)
	x := open(t, Config{SRTP: &SRTP{Local: ours, Remote: theirs}, Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8}}})
	offer, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if len(offer.Crypto) == 0 || len(offer.Video.Crypto) == 0 {
		t.Errorf("offered with %d keys for audio and %d for video", len(offer.Crypto), len(offer.Video.Crypto))
	}
	plain := *offer
	plain.Crypto = nil
	video := *offer.Video
	video.Crypto = nil
	plain.Video = &video
	far := &Description{
		Addr: addr("127.0.0.1:4000"), Codecs: []codec.Params{pcmu},
		Video: &VideoDescription{Addr: addr("127.0.0.1:4002"), Codecs: []codec.Params{vp8}},
	}
	if _, err := Agree(offer, far); !errors.Is(err, ErrDescription) {
		t.Errorf("a plain answer: %v", err)
	}
	agreed, err := Agree(&plain, far) // as if by hand
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Update(agreed); !errors.Is(err, ErrDescription) {
		t.Errorf("an agreement without keys: %v", err)
	}
	agreed.Send.Name = ""
	if err := x.Update(agreed); !errors.Is(err, ErrDescription) {
		t.Errorf("an agreement without keys for video: %v", err)
	}
	if x.leg.srtp.Load() == nil || x.video.srtp.Load() == nil {
		t.Error("keys were dropped")
	}
	y, answer, err := OpenAnswer(t.Context(), &Config{Local: local}, pass(t, offer))
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if agreed, err = Agree(offer, pass(t, answer)); err != nil {
		t.Fatal(err)
	}
	if err := x.Update(agreed); err != nil {
		t.Fatal(err)
	}
	talks(t, x, y, 1000)
}

// Describe, Update and what tells of a session may be called at the same time; the
// keys are the same ones each time.
func TestDescribeAtTheSameTime(t *testing.T) {
	s := open(t, Config{Local: local, Secure: true})
	key, err := NewCrypto(transport.AEAD_AES_128_GCM)
	if err != nil {
		t.Fatal(err)
	}
	var all [16]*Description
	var w sync.WaitGroup
	begin := make(chan struct{})
	for i := range all {
		w.Go(func() {
			<-begin
			d, err := s.Describe()
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = d
			agreed, err := Agree(d, &Description{Addr: addr("127.0.0.1:4000"), Codecs: []codec.Params{pcmu}, Crypto: key})
			if err == nil {
				err = s.Update(agreed)
			}
			if err != nil {
				t.Error(err)
			}
			s.RemoteAddr()
			s.NetworkStats(new(NetworkStats))
		})
	}
	close(begin)
	w.Wait()
	for _, d := range all {
		if d == nil || !reflect.DeepEqual(d.Crypto, all[0].Crypto) {
			t.Fatalf("keys of their own: %v", d)
		}
	}
}

func TestWrongKeys(t *testing.T) {
	key, err := transport.NewSRTPKey(transport.AEAD_AES_128_GCM)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), &Config{Local: local, SRTP: &SRTP{Local: key}}); !errors.Is(err, transport.ErrSRTPKey) {
		s.Close()
		t.Errorf("one key of two: %v", err)
	} else if strings.Contains(err.Error(), string(key.Master)) {
		t.Error("the error tells the key")
	}
}
