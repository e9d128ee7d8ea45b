// Command bridge joins two calls over plain RTP. It prints the ports at which it waits
// for the two telephones, and ends when one of them hangs up.
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	"github.com/parley-media/parley/bridge"
	"github.com/parley-media/parley/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	var calls [2]*session.Session
	for i := range calls {
		call, err := session.Open(ctx, &session.Config{}) // whoever sends first
		if err != nil {
			return err
		}
		defer call.Close()
		calls[i] = call
		fmt.Println(call.LocalAddr().Port())
	}
	b := bridge.New(calls[0].Call, calls[1].Call, nil)
	err := b.Run(ctx)
	var s bridge.Stats
	b.Stats(&s)
	fmt.Printf("%d packets forwarded one way, %d the other\n", s.AToB.Forwarded, s.BToA.Forwarded)
	return err
}
