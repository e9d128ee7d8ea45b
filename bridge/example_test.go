package bridge_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/bridge"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
)

func openHere(remote netip.AddrPort) *session.Session {
	s, err := session.Open(context.Background(), &session.Config{Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: remote})
	if err != nil {
		panic(err)
	}
	return s
}

// A caller and a callee are joined. When the caller hangs up, so does the bridge.
func ExampleJoin() {
	ctx := context.Background()
	a, b := openHere(netip.AddrPort{}), openHere(netip.AddrPort{})
	caller, callee := openHere(a.LocalAddr()), openHere(b.LocalAddr())
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

// Both sides of a call that is joined are recorded, each as the other one is sent it: the
// caller left and the callee right.
func ExampleJoin_recorded() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "call.wav")
	ctx := context.Background()
	a, b := openHere(netip.AddrPort{}), openHere(netip.AddrPort{})
	caller, callee := openHere(a.LocalAddr()), openHere(b.LocalAddr())
	defer callee.Close()

	go func() {
		for _, end := range []struct {
			call  *session.Session
			value int16
		}{{caller, 1000}, {callee, 2000}} {
			f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 4000)}
			for i := range f.Samples {
				f.Samples[i] = end.value
			}
			end.call.Audio().WriteFrame(&f)
		}
		callee.Audio().Drain(ctx)
		caller.Close()
	}()

	rec, err := file.CreateRecorder(name, file.RecorderConfig{})
	if err != nil {
		panic(err)
	}
	for _, listener := range []*session.Session{b, a} { // the callee hears the caller
		if _, err := rec.AddSent(listener.Audio()); err != nil {
			panic(err)
		}
	}
	if err := bridge.Join(ctx, a.Call, b.Call, nil); err != nil {
		panic(err)
	}
	b.Close()
	a.Close()
	if err := rec.Close(); err != nil {
		panic(err)
	}

	in, err := file.OpenWAV(name)
	if err != nil {
		panic(err)
	}
	defer in.Close()
	var left, right int16
	for f := new(audio.Frame); in.ReadFrame(f) == nil; {
		for i := 0; i < len(f.Samples); i += 2 {
			left, right = max(left, f.Samples[i]), max(right, f.Samples[i+1])
		}
	}
	fmt.Println((left+250)/500, (right+250)/500) // as far as PCMU tells
	// Output: 2 4
}
