package netem_test

import (
	"fmt"
	"time"

	"github.com/parley-media/parley/transport/netem"
)

func ExamplePath() {
	p, err := netem.New(netem.Config{Delay: 40 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	p.Push(now, []byte("hello"))
	_, early := p.Pull(now.Add(39*time.Millisecond), nil)
	b, ok := p.Pull(p.Next(), nil)
	fmt.Println(early, ok, string(b))
	// Output: false true hello
}
