package conference_test

import (
	"context"
	"fmt"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/conference"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/server"
)

// All who call hear each other.
func ExampleRoom() {
	room := conference.NewRoom()
	defer room.Close()
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Handle("/offer", parley.HandlerFunc(room.Join))
	fmt.Println(s.Shutdown(context.Background()))
	// Output: <nil>
}

// The next one who publishes is heard and seen by the next one who watches.
func ExampleShow() {
	shows := make(chan *conference.Show)
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.HandleWHIP("/publish", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		show := conference.NewShow(c)
		defer show.Close()
		select {
		case shows <- show:
		case <-ctx.Done():
		}
		<-ctx.Done()
		return nil
	}))
	s.HandleWHEP("/watch", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		select {
		case show := <-shows:
			return show.Watch(ctx, c)
		case <-ctx.Done():
			return nil
		}
	}))
	fmt.Println(s.Shutdown(context.Background()))
	// Output: <nil>
}

// What is published is recorded too, beside those who watch.
func ExampleShow_Pictures() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.HandleWHIP("/publish", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		show := conference.NewShow(c) // for others to watch
		defer show.Close()
		rec, err := file.CreateRecorder("published.mkv", file.RecorderConfig{})
		if err != nil {
			return err
		}
		defer rec.Close()
		if sound := show.Sound(); sound != nil {
			heard := sound.Subscribe()
			defer heard.Close()
			track, err := rec.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.PCM}, Timeline: c})
			if err != nil {
				return err
			}
			if err := track.Record(heard); err != nil {
				return err
			}
		}
		if pictures := show.Pictures(); pictures != nil {
			seen := pictures.Subscribe()
			defer seen.Close()
			track, err := rec.AddVideo(file.RecorderTrack{Track: file.Track{Codec: file.H264}, Timeline: c}) // or what comes
			if err != nil {
				return err
			}
			if err := track.Record(seen); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return nil
	}))
	fmt.Println(s.Shutdown(context.Background()))
	// Output: <nil>
}
