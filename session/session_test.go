package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var local = netip.MustParseAddrPort("127.0.0.1:0")

func open(t *testing.T, c Config) *Session {
	t.Helper()
	if !c.Local.IsValid() {
		c.Local = local
	}
	s, err := Open(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// portsOf returns the ports from first to last, of 0 to 199, of those that this
// process has for itself. If another that runs these tests had the same, what a far
// end of its calls sends when they are over would come to ours.
func portsOf(t *testing.T, first, last uint16) *transport.Ports {
	t.Helper()
	base := 10000 + uint16(os.Getpid()%100)*200
	ports, err := transport.NewPorts(base+first, base+last)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

// tone returns 20 ms of a constant, which every codec here keeps.
func tone(v int16) *audio.Frame {
	f := &audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for i := range f.Samples {
		f.Samples[i] = v
	}
	return f
}

// hear reads until a frame of media comes, and returns a sample of it.
func hear(t *testing.T, s *Session) int16 {
	t.Helper()
	s.Audio().SetReadDeadline(time.Now().Add(patience))
	var f audio.Frame
	for {
		if err := s.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if f.Kind == audio.Media {
			return f.Samples[len(f.Samples)/2]
		}
	}
}

func say(t *testing.T, s *Session, v int16) {
	t.Helper()
	for range 10 {
		if err := s.Audio().WriteFrame(tone(v)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwoSessions(t *testing.T) {
	a := open(t, Config{}) // waits for whoever calls
	b := open(t, Config{Remote: a.LocalAddr()})
	if r := a.RemoteAddr(); r.IsValid() {
		t.Errorf("a knows %v before anybody called", r)
	}
	say(t, b, 1000)
	if v := hear(t, a); v < 950 || v > 1050 {
		t.Errorf("a heard %d, want about 1000", v)
	}
	if r := a.RemoteAddr(); r != b.LocalAddr() {
		t.Errorf("a learnt %v, want %v", r, b.LocalAddr())
	}
	say(t, a, -500)
	if v := hear(t, b); v < -550 || v > -450 {
		t.Errorf("b heard %d, want about -500", v)
	}
	a.Close()
	select {
	case <-b.Done():
	case <-time.After(patience):
		t.Fatal("b does not notice that a has hung up")
	}
	if end, ok := errors.AsType[*parley.EndError](b.Err()); !ok || end.Reason != parley.Bye {
		t.Errorf("b ended with %v, want bye", b.Err())
	}
}

func TestCloseFreesThePorts(t *testing.T) {
	s := open(t, Config{})
	address := s.LocalAddr()
	for range 3 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, Config{Local: address})
	if again.LocalAddr() != address {
		t.Errorf("opened %v, want %v", again.LocalAddr(), address)
	}
}

// packet returns an RTP packet of PCMU.
func packet(ssrc byte, seq int) []byte {
	b := append([]byte{0x80, 0, 0, byte(seq), 0, 0, byte(seq * 160 >> 8), byte(seq * 160), 0, 0, 0, ssrc}, make([]byte, 160)...)
	return b
}

func from(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *net.UDPConn, s *Session, b []byte) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(b, s.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

// speak sends n packets in real time, as a source has to that wants to be learnt.
func speak(t *testing.T, c *net.UDPConn, s *Session, ssrc byte, n int) {
	t.Helper()
	for seq := range n {
		if seq > 0 {
			time.Sleep(20 * time.Millisecond)
		}
		send(t, c, s, packet(ssrc, seq))
	}
}

// patience is for what happens at once, unless this machine has too much to do.
const patience = 20 * time.Second

// until polls for something that other goroutines do.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTelephoneEvents(t *testing.T) {
	event := func(payloadType uint8, name string, rate int) codec.Params {
		return codec.Params{Name: name, PayloadType: payloadType, ClockRate: rate, Channels: 1, FMTP: "0-16"}
	}
	opus := codec.Params{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
	taken := codec.Params{Name: "PCMA", PayloadType: 101, ClockRate: 8000}
	for name, tt := range map[string]struct {
		config AudioConfig
		want   []codec.Params
		sent   uint8 // of want; 0: none
	}{
		"none":               {AudioConfig{}, []codec.Params{event(101, "telephone-event", 8000)}, 101},
		"none, 101 is taken": {AudioConfig{Codecs: []codec.Params{pcmu, taken}}, []codec.Params{event(102, "telephone-event", 8000)}, 102},
		"none, opus":         {AudioConfig{Codecs: []codec.Params{opus}, DTMF: 96}, []codec.Params{event(96, "telephone-event", 48000), event(101, "telephone-event", 8000)}, 96},
		"none, opus and PCMU": {
			AudioConfig{Codecs: []codec.Params{opus, pcmu}},
			[]codec.Params{event(101, "telephone-event", 48000), event(102, "telephone-event", 8000)},
			101,
		},
		"none, three clock rates": {
			AudioConfig{Codecs: []codec.Params{pcmu, {Name: "L16", PayloadType: 102, ClockRate: 16000, Channels: 1}, {Name: "CN", PayloadType: 103, ClockRate: 32000}, opus}},
			[]codec.Params{event(101, "telephone-event", 8000), event(104, "telephone-event", 16000), event(105, "telephone-event", 48000)},
			101,
		},
		"none, nor wanted":  {AudioConfig{DTMF: -1}, nil, 0},
		"one":               {AudioConfig{Codecs: []codec.Params{pcmu, event(96, "Telephone-Event", 8000)}}, []codec.Params{event(96, "Telephone-Event", 8000)}, 96},
		"one, and a number": {AudioConfig{Codecs: []codec.Params{pcmu, event(96, "telephone-event", 8000)}, DTMF: 97}, []codec.Params{event(96, "telephone-event", 8000)}, 96},
		"one beside opus":   {AudioConfig{Codecs: []codec.Params{opus, event(96, "telephone-event", 8000)}}, []codec.Params{event(96, "telephone-event", 8000)}, 96},
	} {
		p, err := tt.config.parley()
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(slices.Clone(p.Receive), func(p codec.Params) bool { return !isEvent(p) })
		if !slices.Equal(got, tt.want) || p.Event.PayloadType != tt.sent {
			t.Errorf("%s: %q, of which %d is sent", name, formats(got), p.Event.PayloadType)
		}
	}
}

func TestStrangersAreNotHeard(t *testing.T) {
	friend, stranger := from(t, "127.0.0.1:0"), from(t, "127.0.0.2:0")
	for _, configured := range []bool{true, false} {
		c := Config{}
		if configured {
			c.Remote = netip.MustParseAddrPort(friend.LocalAddr().String())
		}
		s := open(t, c)
		speak(t, friend, s, 1, 6)
		var stats parley.Stats
		until(t, "six packets of the friend", func() bool { s.Stats(&stats); return stats.Audio.Received == 6 })
		for seq := range 10 {
			send(t, stranger, s, packet(2, seq))
			send(t, stranger, s, rtcpctl.AppendBYE(nil, 1, "says a stranger"))
		}
		until(t, "twenty datagrams of the stranger", func() bool { return foreign(s) == 20 })
		s.Stats(&stats)
		if stats.Audio.Received != 6 || s.Err() != nil || s.RemoteAddr().Addr() != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("configured %v: %d packets received, remote %v, ended: %v", configured, stats.Audio.Received, s.RemoteAddr(), s.Err())
		}
	}
}

func TestReportsOnTheMediaPort(t *testing.T) {
	friend := from(t, "127.0.0.1:0")
	s := open(t, Config{})
	speak(t, friend, s, 1, 5)
	bye := rtcpctl.AppendBYE(rtcpctl.AppendSDES(rtcpctl.AppendRR(nil, 1, nil), 1, "friend"), 1, "enough")
	send(t, friend, s, bye) // to the port for RTP
	<-s.Done()
	if err := s.Err(); err == nil || err.Error() != "call ended: bye: enough" {
		t.Errorf("ended with %v", err)
	}
}

// A far end that is not known yet may report before it speaks, as ffmpeg does, and then
// for seconds not again: what it says counts as soon as it is heard.
func TestReportBeforeTheFirstPacket(t *testing.T) {
	s := open(t, Config{})
	begun := time.Now()
	friend, stranger := netip.MustParseAddrPort("127.0.0.1:4000"), netip.MustParseAddrPort("127.0.0.2:4001")
	report := func(from netip.AddrPort, at time.Time) {
		sr := rtcpctl.AppendSR(nil, 1, rtcpctl.SenderInfo{NTP: rtcpctl.NTP(at)}, nil)
		s.leg.receiveRTCP(begun, from, rtcpctl.AppendSDES(sr, 1, "friend"))
	}
	captured := begun.Add(-time.Minute)
	report(netip.AddrPortFrom(friend.Addr(), 4001), captured)
	report(stranger, begun.Add(-time.Hour))
	for seq := range 3 {
		s.leg.receiveRTP(begun.Add(time.Duration(1+20*seq)*time.Millisecond), friend, packet(1, seq))
	}
	var f audio.Frame
	for range 3 { // the first was decoded before
		if err := s.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if d := f.Captured.Sub(captured); d < 0 || d > time.Second {
		t.Errorf("the third frame was captured at %v, want %v or a little later", f.Captured, captured)
	}
	var n NetworkStats
	if s.NetworkStats(&n); n.Foreign != 1 {
		t.Errorf("%d datagrams from others, want 1", n.Foreign)
	}
}

func TestGarbage(t *testing.T) {
	friend := from(t, "127.0.0.1:0")
	s := open(t, Config{Deadlines: parley.Deadlines{Silence: time.Minute}})
	speak(t, friend, s, 1, 5)
	wrongType := packet(1, 5)
	wrongType[1] = 77
	for _, b := range [][]byte{{}, {0}, {0x80}, {0x80, 200}, {0x80, 0, 1}, {0xBF, 0, 1, 2, 3}, {0, 1, 0, 0}, {22, 254, 253}, make([]byte, 1500), wrongType} {
		send(t, friend, s, b)
	}
	send(t, friend, s, packet(1, 6))
	var stats parley.Stats
	until(t, "the packet after the garbage", func() bool { s.Stats(&stats); return stats.Audio.Received == 7 }) // with what is not understood
	var network NetworkStats
	s.NetworkStats(&network)
	if network.Unknown != 7 || stats.Audio.Discarded == 0 || s.Err() != nil {
		t.Errorf("%d unknown, %d discarded, ended: %v", network.Unknown, stats.Audio.Discarded, s.Err())
	}
}

// Why nobody is heard who sends is part of the reason.
func TestUnexpected(t *testing.T) {
	for _, known := range []bool{false, true} {
		friend := from(t, "127.0.0.1:0")
		c := Config{Deadlines: parley.Deadlines{FirstMedia: 300 * time.Millisecond}}
		foreign := int64(3)
		if known {
			c.Remote, foreign = friend.LocalAddr().(*net.UDPAddr).AddrPort(), 0
		}
		s := open(t, c)
		for i := range 3 {
			b := packet(1, i)
			b[1] = 97
			send(t, friend, s, b)
		}
		<-s.Done()
		var n NetworkStats
		if s.NetworkStats(&n); n.Unexpected != 3 || n.UnexpectedType != 97 || n.Foreign != foreign {
			t.Errorf("known %v: %+v", known, n)
		}
		if err := s.Err().Error(); !strings.HasSuffix(err, "; 3 packets of a payload type that was not agreed on, the last of 97") {
			t.Errorf("known %v: %v", known, err)
		}
	}
}

// What the far end sends beside what was agreed on is no reason to hear nothing.
func TestExpected(t *testing.T) {
	friend := from(t, "127.0.0.1:0")
	s := open(t, Config{Remote: friend.LocalAddr().(*net.UDPAddr).AddrPort()})
	speak(t, friend, s, 1, 3)
	other := packet(1, 3)
	other[1] = 97
	send(t, friend, s, other)
	send(t, friend, s, packet(1, 4))
	var stats parley.Stats
	until(t, "the packet after the other one", func() bool { s.Stats(&stats); return stats.Audio.Received == 5 })
	var n NetworkStats
	if s.NetworkStats(&n); n.Unexpected != 0 {
		t.Errorf("%+v", n)
	}
}

func TestOpenErrors(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(canceled, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	taken := open(t, Config{})
	for name, c := range map[string]Config{
		"port in use":          {Local: taken.LocalAddr()},
		"address of others":    {Local: netip.MustParseAddrPort("192.0.2.1:4000")},
		"no remote port":       {Local: local, Remote: netip.MustParseAddrPort("192.0.2.1:0")},
		"remote without RTCP":  {Local: local, Remote: netip.MustParseAddrPort("192.0.2.1:65535")},
		"remote unspecified":   {Local: local, Remote: netip.MustParseAddrPort("0.0.0.0:4000")},
		"payload type twice":   {Local: local, Audio: &AudioConfig{Codecs: []codec.Params{{Name: "PCMU", ClockRate: 8000}, {Name: "PCMA", ClockRate: 8000}}}},
		"codec with no clock":  {Local: local, Audio: &AudioConfig{Codecs: []codec.Params{{Name: "PCMU"}}}},
		"payload type too big": {Local: local, Audio: &AudioConfig{Codecs: []codec.Params{{Name: "PCMU", ClockRate: 8000, PayloadType: 200}}}},
	} {
		if s, err := Open(t.Context(), &c); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

var pcmu = codec.Params{Name: "PCMU", ClockRate: 8000, Channels: 1}

func TestDescriptionRoundTrip(t *testing.T) {
	for _, d := range []*Description{
		{Addr: netip.MustParseAddrPort("192.0.2.1:5004"), Codecs: []codec.Params{pcmu}},
		{Addr: netip.MustParseAddrPort("[2001:db8::1]:5004"), PTime: 20 * time.Millisecond, Codecs: []codec.Params{
			{Name: "opus", PayloadType: 96, ClockRate: 48000, Channels: 2, FMTP: "useinbandfec=1"},
			{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1},
			pcmu,
		}},
		{Addr: netip.MustParseAddrPort("192.0.2.1:2"), PTime: 2500 * time.Microsecond, Codecs: []codec.Params{pcmu}},
	} {
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseDescription(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if diff := cmp.Diff(d, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}), cmpopts.IgnoreUnexported(Description{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// What ffmpeg, a SIP telephone and a server with several lines write.
var descriptions = []struct{ text, want string }{
	{
		"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=tool:libavformat 59\r\nm=audio 5004 RTP/AVP 0\r\nb=AS:64\r\n",
		"127.0.0.1:5004 [PCMU/8000] 0s",
	},
	{
		"v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9 8 101\r\nc=IN IP4 192.0.2.9\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:30\r\na=sendrecv\r\n",
		"192.0.2.9:4000 [G722/8000 PCMA/8000 telephone-event/8000] 30ms",
	},
	{
		"v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nt=0 0\nm=video 6000 RTP/AVP 96\na=rtpmap:96 VP8/90000\nm=audio 5000 RTP/AVP 97 98\na=rtpmap:97 L16/44100/2\n",
		"[::1]:5000 [L16/44100/2] 0s",
	},
}

func TestDescriptionsOfOthers(t *testing.T) {
	for _, tt := range descriptions {
		d, err := ParseDescription([]byte(tt.text))
		if err != nil {
			t.Errorf("%v in\n%s", err, tt.text)
			continue
		}
		if got := fmt.Sprint(d.Addr, d.Codecs, d.PTime); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestBadDescriptions(t *testing.T) {
	const head = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\n"
	const c = "c=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	for name, text := range map[string]string{
		"empty":            "",
		"no SDP":           "hello",
		"too large":        head + c + string(make([]byte, maxDescription)),
		"no audio":         head + c + "m=video 5004 RTP/AVP 96\r\n",
		"no address":       head + "t=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
		"a name":           head + "c=IN IP4 example.com\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
		"port 0":           head + c + "m=audio 0 RTP/AVP 0\r\n",
		"port 65535":       head + c + "m=audio 65535 RTP/AVP 0\r\n",
		"encrypted":        head + c + "m=audio 5004 RTP/SAVP 0\r\n",
		"payload type x":   head + c + "m=audio 5004 RTP/AVP x\r\n",
		"payload type 128": head + c + "m=audio 5004 RTP/AVP 128\r\n",
		"nothing known":    head + c + "m=audio 5004 RTP/AVP 96\r\n",
		"rtpmap cut off":   head + c + "m=audio 5004 RTP/AVP 96\r\na=rtpmap:96 opus\r\n",
		"rtpmap rate":      head + c + "m=audio 5004 RTP/AVP 96\r\na=rtpmap:96 opus/0\r\n",
		"rtpmap channels":  head + c + "m=audio 5004 RTP/AVP 96\r\na=rtpmap:96 L16/8000/0\r\n",
		"ptime":            head + c + "m=audio 5004 RTP/AVP 0\r\na=ptime:NaN\r\n",
	} {
		_, err := ParseDescription([]byte(text))
		if !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&Description{}).Marshal(); !errors.Is(err, ErrDescription) {
		t.Errorf("nothing to marshal: %v", err)
	}
}

func FuzzParseDescription(f *testing.F) {
	for _, d := range descriptions {
		f.Add([]byte(d.text))
	}
	for _, s := range videoShapes {
		f.Add([]byte(s.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseDescription(text)
		if err != nil {
			if !errors.Is(err, ErrDescription) {
				t.Fatal(err)
			}
			return
		}
		roundTrip(t, d)
	})
}

func ExampleParseDescription() {
	d, err := ParseDescription([]byte("v=0\no=- 0 0 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 5004 RTP/AVP 8\n"))
	fmt.Println(d.Addr, d.Codecs, err)
	// Output: 192.0.2.1:5004 [PCMA/8000] <nil>
}

func ExampleOpen() {
	s, err := Open(context.Background(), &Config{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Close()
	fmt.Println(s.Err())
	// Output: call ended: closed
}

func foreign(s *Session) int64 {
	var n NetworkStats
	s.NetworkStats(&n)
	return n.Foreign
}
