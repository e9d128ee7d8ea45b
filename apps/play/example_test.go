package play_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/play"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
)

// An announcement is played to a telephone, which is then hung up.
func ExampleHandler() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	name := filepath.Join(folder, "announcement.wav")
	w, err := file.CreateWAV(name, audio.Format{Rate: 8000, Channels: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.WriteSilence(200 * time.Millisecond)
	w.Close()

	ctx := context.Background()
	local := netip.MustParseAddrPort("127.0.0.1:0")
	telephone, err := session.Open(ctx, &session.Config{Local: local})
	if err != nil {
		fmt.Println(err)
		return
	}
	machine, err := session.Open(ctx, &session.Config{Local: local, Remote: telephone.LocalAddr()})
	if err != nil {
		fmt.Println(err)
		return
	}
	go parley.Serve(ctx, machine.Call, play.Handler{File: name})

	var f audio.Frame
	var heard time.Duration
	for telephone.Audio().ReadFrame(&f) == nil {
		heard += f.Duration()
	}
	fmt.Println(heard > 100*time.Millisecond, telephone.Err())
	// Output: true call ended: bye
}
