package transform_test

import (
	"context"
	"fmt"

	"github.com/parley-media/parley/apps/data"
	"github.com/parley-media/parley/apps/transform"
	"github.com/parley-media/parley/server"
)

// Browsers see themselves as outlines, and their pings are answered.
func ExampleHandler() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Handle("/offer", data.Handler{Media: transform.Handler{Effect: "edges"}})
	fmt.Println(s.Shutdown(context.Background()))
	// Output: <nil>
}
