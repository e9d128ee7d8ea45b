package room_test

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/room"
	"github.com/parley-media/parley/session"
)

// Two telephones are in a room, which is gone when they are.
func ExampleHandler_Room() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var h room.Handler
	served := make(chan error, 2)
	for range 2 {
		call, err := session.Open(ctx, &session.Config{})
		if err != nil {
			fmt.Println(err)
			return
		}
		go func() { served <- parley.Serve(ctx, call.Call, h.Room("kitchen")) }()
	}
	for h.Rooms()["kitchen"] < 2 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(h.Rooms())
	cancel()
	<-served
	<-served
	fmt.Println(h.Rooms())
	// Output:
	// map[kitchen:2]
	// map[]
}
