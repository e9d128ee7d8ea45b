package peer_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
)

// A server that does not answer holds up nothing: neither the call, nor what is
// agreed on while the server is still being asked.
func TestGatheringHoldsUpNothing(t *testing.T) {
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	config := &peer.Config{
		Codecs:  []codec.Params{pcmu, vp8},
		Servers: []peer.Server{{URLs: []string{"stun:" + silent.LocalAddr().String()}}},
	}
	from, to := listen(t, config), listen(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var called *peer.Peer
	caller, err := from.Dial(ctx, func(ctx context.Context, offer string) (answer string, err error) {
		called, answer, err = to.Answer(ctx, offer, nil)
		return answer, err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	defer called.Close()
	begin := time.Now()
	if err := caller.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, caller, called, nil)
	if err := called.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, called, caller, nil)
	// The server is given up after five seconds, of which one has gone by before.
	if took := time.Since(begin); took > 2500*time.Millisecond {
		t.Errorf("the exchanges took %v", took)
	}
	watch(t, caller.Video(), called.Video(), 1)
	if err := called.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
}
