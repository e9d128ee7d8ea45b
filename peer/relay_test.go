package peer_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/pion/turn/v5"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
)

// A relay lets two ends meet that have no other way, and one that does not want
// to is told of at once.
func TestRelayOnly(t *testing.T) {
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	key := turn.GenerateAuthKey("alice", "parley", "secret")
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: "parley",
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) {
			return a.Username, key, a.Username == "alice"
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            socket,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	config := &peer.Config{Codecs: []codec.Params{pcmu}}
	from, to := listen(t, config), listen(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call := peer.CallConfig{
		Servers:   []peer.Server{{URLs: []string{"turn:" + socket.LocalAddr().String()}, Username: "alice", Password: "secret"}},
		RelayOnly: true,
		Gather:    5 * time.Second,
	}
	var called *peer.Peer
	begin := time.Now()
	caller, err := from.Dial(ctx, func(ctx context.Context, offer string) (answer string, err error) {
		if line(offer, "a=candidate:") == "" {
			t.Errorf("no candidate\n%s", offer)
		}
		called, answer, err = to.Answer(ctx, offer, nil)
		return answer, err
	}, &call)
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	defer called.Close()
	if d := time.Since(begin); d >= 2*time.Second { // as one takes that waits for a better way
		t.Errorf("connected after %v", d)
	}
	hearLevel(t, caller.Call, called.Call, 1000)
	hearLevel(t, called.Call, caller.Call, 2000)
	pair, err := caller.Connection().SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair.Local.Typ.String() != "relay" {
		t.Errorf("connected by %v, %v", pair, err)
	}

	call.Servers[0].Password = "guess"
	begin = time.Now()
	_, _, err = from.Offer(ctx, &call)
	if end, ok := errors.AsType[*parley.EndError](err); !ok || end.Reason != parley.NotConnected || end.Err == nil {
		t.Errorf("error %v", err)
	}
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("refused after %v", d)
	}
}
