package session

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/parley-media/parley/codec"
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
