package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

// hold counts what is played to it. It stands for a call that waits.
type hold struct{ heard time.Duration }

func (h *hold) WriteFrame(f *audio.Frame) error {
	h.heard += f.Duration()
	return nil
}

// One file is music for all who wait.
func ExampleOpenPlayer() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "music.wav")
	w, err := file.CreateWAV(name, audio.Format{Rate: 8000, Channels: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.WriteSilence(100 * time.Millisecond)
	w.Close()

	player, err := file.OpenPlayer(context.Background(), name, file.PlayerConfig{Paused: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	var first, second hold
	for _, h := range []*hold{&first, &second} {
		if err := player.AddAudio(h); err != nil { // or AddCall(call)
			fmt.Println(err)
			return
		}
	}
	player.Play()
	if err := player.Wait(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	position := player.Position().Round(100 * time.Millisecond)
	player.Remove(&first)
	player.Close()
	fmt.Println(first.heard, second.heard, position)
	// Output: 100ms 100ms 100ms
}
