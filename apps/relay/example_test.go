package relay_test

import (
	"context"
	"fmt"

	"github.com/parley-media/parley/apps/relay"
	"github.com/parley-media/parley/server"
)

// An encoder publishes by WHIP, and players watch by WHEP. At /offer, browsers do
// either.
func ExampleHandler() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	var stage relay.Handler
	s.HandleWHIP("/publish", stage.Publisher())
	s.HandleWHEP("/watch", stage.Watcher())
	s.Handle("/offer", &stage)
	fmt.Println(s.Shutdown(context.Background()))
	// Output: <nil>
}
