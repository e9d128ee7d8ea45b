package record_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/record"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/session"
)

// A telephone is recorded until it hangs up.
func ExampleHandler() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	ctx := context.Background()
	local := netip.MustParseAddrPort("127.0.0.1:0")
	machine, err := session.Open(ctx, &session.Config{Local: local})
	if err != nil {
		fmt.Println(err)
		return
	}
	caller, err := session.Open(ctx, &session.Config{Local: local, Remote: machine.LocalAddr()})
	if err != nil {
		fmt.Println(err)
		return
	}

	served := make(chan error)
	go func() {
		served <- parley.Serve(ctx, machine.Call, record.Handler{
			Folder: folder,
			Name:   func(*parley.Call) string { return "alice" },
			Done:   func(r record.Recording) { fmt.Println(filepath.Base(r.File), r.Duration > 0, r.Err) },
		})
	}()
	err = caller.Audio().WriteFrame(&audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 1600)})
	if err != nil {
		fmt.Println(err)
		return
	}
	caller.Audio().Drain(ctx)
	caller.Close()
	fmt.Println(<-served)
	// Output:
	// alice.wav true <nil>
	// call ended: bye
}
