package session

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// A far end holds the call with an address that takes nothing, and comes back. This end
// stays at the address that it has told, of the several that it has: on hold, when the
// call goes on, and in an offer of its own meanwhile.
func TestAddressStaysWhenHeld(t *testing.T) {
	if c, err := net.Dial("udp", "[::1]:9"); err != nil {
		t.Skip("no IPv6 on this machine:", err)
	} else {
		c.Close()
	}
	offer := func(addr, port string) *Description {
		t.Helper()
		d, err := ParseDescription(fmt.Appendf(nil, "v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN %s\nt=0 0\n"+
			"m=audio %s RTP/AVP 0\nm=video 7630 RTP/AVP 96\na=rtpmap:96 VP8/90000\n", addr, port))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, nowhere := range map[string]struct{ addr, port string }{
		"0.0.0.0":        {"IP4 0.0.0.0", "7628"},
		"::":             {"IP6 ::", "7628"},
		"without audio":  {"IP6 ::1", "0"},
		"neither of two": {"IP6 ::", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			s, answer, err := OpenAnswer(t.Context(), &Config{
				Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8}},
			}, offer("IP6 ::1", "7628"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			at := answer.host()
			if at != netip.IPv6Loopback() {
				t.Fatalf("answered with %v", at)
			}
			for i, d := range []*Description{offer(nowhere.addr, nowhere.port), offer("IP6 ::1", "7628")} {
				local, err := s.Describe()
				if err != nil {
					t.Fatal(err)
				}
				answer, agreed, err := Answer(d, local)
				if err == nil {
					err = s.Update(agreed)
				}
				if err != nil {
					t.Fatal(err)
				}
				own, err := s.Describe()
				if err != nil {
					t.Fatal(err)
				}
				if answer.host() != at || own.host() != at {
					t.Errorf("offer %d: answered with %v, offered %v, want %v", i, answer.host(), own.host(), at)
				}
			}
		})
	}
}

// A telephone goes on at an address of the other family, as where it leaves one network for
// another, or hands the call over. It is answered with an address of that family where this
// end has one, unless the addresses of this end are not for it to choose.
func TestAnswerFollowsTheFamily(t *testing.T) {
	if c, err := net.Dial("udp", "[::1]:9"); err != nil {
		t.Skip("no IPv6 on this machine:", err)
	} else {
		c.Close()
	}
	four, six := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	elsewhere := netip.MustParseAddr("198.51.100.1")
	film := &VideoConfig{Codecs: []codec.Params{vp8}}
	for _, tt := range []struct {
		name   string
		config Config
		told   netip.Addr // in the place of the described one; zero: that
		offers []string   // c=, of audio and video
		want   []netip.Addr
	}{
		{"there and back", Config{}, netip.Addr{}, []string{"IP4 127.0.0.1", "IP6 ::1", "IP6 ::", "IP4 127.0.0.1"}, []netip.Addr{four, six, six, four}},
		{"with video", Config{Audio: &AudioConfig{}, Video: film}, netip.Addr{}, []string{"IP6 ::1", "IP4 127.0.0.1"}, []netip.Addr{six, four}},
		{"pictures alone", Config{Video: film}, netip.Addr{}, []string{"IP6 ::1", "IP4 127.0.0.1"}, []netip.Addr{six, four}},
		{"told by the program", Config{}, elsewhere, []string{"IP4 127.0.0.1", "IP6 ::1"}, []netip.Addr{four, elsewhere}},
		{"advertised", Config{Advertise: elsewhere}, netip.Addr{}, []string{"IP4 127.0.0.1", "IP6 ::1"}, []netip.Addr{elsewhere, elsewhere}},
		{
			"one local address",
			Config{Local: local, Latch: transport.LatchSymmetric},
			netip.Addr{},
			[]string{"IP4 127.0.0.1", "IP6 ::1"},
			[]netip.Addr{four, four},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s *Session
			for i, addr := range tt.offers {
				offer, err := ParseDescription([]byte("v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN " + addr + "\nt=0 0\n" +
					"m=audio 7628 RTP/AVP 0\nm=video 7630 RTP/AVP 96\na=rtpmap:96 VP8/90000\n"))
				if err != nil {
					t.Fatal(err)
				}
				var answer *Description
				var agreed *Agreed
				if s == nil {
					s, answer, err = OpenAnswer(t.Context(), &tt.config, offer)
					if err == nil {
						t.Cleanup(func() { s.Close() })
					}
				} else {
					var own *Description
					if own, err = s.Describe(); err == nil {
						if tt.told.IsValid() {
							own.Addr = netip.AddrPortFrom(tt.told, own.Addr.Port())
						}
						answer, agreed, err = Answer(offer, own)
					}
					if err == nil {
						err = s.Update(agreed)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := answer.host(); got != tt.want[i] {
					t.Errorf("offer %d of %s: answered with %v, want %v", i, addr, got, tt.want[i])
				}
				if v := answer.Video; tt.config.Video != nil && v.Addr.Addr() != tt.want[i] {
					t.Errorf("offer %d of %s: video answered with %v, want %v", i, addr, v.Addr, tt.want[i])
				}
			}
		})
	}
}
