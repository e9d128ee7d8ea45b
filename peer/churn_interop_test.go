//go:build interop

package peer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/census"
	"github.com/parley-media/parley/peer"
)

// A page calls and goes away at any stage, over and over, and nothing is left.
func TestChurnChromium(t *testing.T) {
	p, e := watching(t), listen(t, nil)
	call := func(t *testing.T, stage int) {
		p.do(t, "start")
		p.do(t, "tone", 440)
		p.do(t, "camera", "camera", 1, options{"codec": "VP8"})
		p.do(t, "channel", "chat")
		far, answer, err := e.Answer(t.Context(), p.do(t, "offer", 300), &peer.CallConfig{})
		if err != nil {
			t.Fatal(err)
		}
		echoes(t, far)
		if stage == unanswered { // it goes away without a word; nobody can tell
			p.do(t, "stop")
			far.Close()
			return
		}
		p.do(t, "accept", answer)
		if stage == talking {
			p.connect(t, far)
			p.do(t, "sleep", 100)
		} else {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			far.WaitConnected(ctx) //nolint:errcheck // or not
		}
		p.do(t, "stop")
		noticed(t, far, 10*time.Second)
	}
	calls := func(n int) {
		for i := range n {
			t.Run(fmt.Sprint(i%stages), func(t *testing.T) { call(t, i%stages) })
		}
	}
	calls(stages)
	before := census.Rested()
	calls(3 * stages)
	leaves(t, before, census.Census{Goroutines: 2, Files: 1, Heap: 1 << 20}) // of the page's requests
}
