package conference_test

import (
	"context"
	"fmt"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/conference"
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
