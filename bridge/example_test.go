package bridge_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/bridge"
	"github.com/parley-media/parley/session"
)

// A caller and a callee are joined. When the caller hangs up, so does the bridge.
func ExampleJoin() {
	ctx := context.Background()
	open := func(remote netip.AddrPort) *session.Session {
		s, err := session.Open(ctx, &session.Config{Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: remote})
		if err != nil {
			panic(err)
		}
		return s
	}
	a, b := open(netip.AddrPort{}), open(netip.AddrPort{})
	caller, callee := open(a.LocalAddr()), open(b.LocalAddr())
	defer b.Close()
	defer callee.Close()

	go func() {
		f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
		for range 25 {
			caller.Audio().WriteFrame(&f)
			callee.Audio().WriteFrame(&f)
		}
		caller.Audio().Drain(ctx)
		caller.Close()
	}()
	err := bridge.Join(ctx, a.Call, b.Call, nil)
	fmt.Println("joined until", a.Err(), err)
	a.Close()
	// Output: joined until call ended: bye <nil>
}
