package data_test

import (
	"context"
	"fmt"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/data"
	"github.com/parley-media/parley/peer"
)

// One program asks another one, which answers its pings beside its other work.
func ExampleHandler() {
	ctx := context.Background()
	far, err := peer.Listen(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer far.Close()
	near, err := peer.Listen(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer near.Close()
	served := make(chan error, 1)
	call, err := near.Dial(ctx, func(ctx context.Context, offer string) (string, error) {
		p, answer, err := far.Answer(ctx, offer, nil)
		if err == nil {
			go func() { served <- parley.Serve(context.Background(), p.Call, data.Handler{}) }()
		}
		return answer, err
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	ch, err := call.OpenChannel(ctx, &parley.ChannelConfig{Label: "chat"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"ping 17", "hello"} {
		if err := ch.WriteMessage(ctx, &parley.Message{Text: true, Data: []byte(text)}); err != nil {
			fmt.Println(err)
			return
		}
		var m parley.Message
		if err := ch.ReadMessage(ctx, &m); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(m.Data))
	}
	call.Close()
	<-served
	// Output:
	// pong 17
	// hello
}
