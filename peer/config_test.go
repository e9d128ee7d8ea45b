package peer_test

import (
	"net/netip"
	"testing"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
)

// What an endpoint would not heed is refused: a range of ports without a beginning, as a
// firewall has one, and a codec that no offer would have. So is what no call could be made
// with, or from elsewhere.
func TestListenRefuses(t *testing.T) {
	for name, c := range map[string]*peer.Config{
		"range without a beginning": {PortMax: 41299},
		"range upside down":         {PortMin: 41299, PortMax: 41200},
		"payload type":              {Codecs: []codec.Params{{Name: "opus", PayloadType: 200, ClockRate: 48000, Channels: 2}}},
		"address of nobody":         {PublicIP: netip.IPv4Unspecified()},
		"address of many":           {PublicIP: netip.MustParseAddr("224.0.0.1")},
		"server without a scheme":   {Servers: []peer.Server{{URLs: []string{"stun.example.com:3478"}}}},
	} {
		if e, err := peer.Listen(c); err == nil {
			e.Close()
			t.Errorf("%s: taken", name)
		}
	}
}
