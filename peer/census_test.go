package peer_test

import (
	"testing"

	"github.com/parley-media/parley/internal/census"
)

// leaves waits until all is as it was before but for the given slack.
func leaves(t *testing.T, before, slack census.Census) {
	t.Helper()
	after := census.Return(before, slack)
	t.Logf("before: %v; after: %v", before, after)
	if !after.Within(before, slack) {
		t.Error("more is left")
		before.Goroutines += slack.Goroutines
		after.LogGoroutines(t, before)
	}
}
