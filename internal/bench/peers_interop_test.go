//go:build interop

package bench

import (
	"testing"
	"time"
)

// Every program is there, and what is sent to it comes back. Ratios are for people
// to judge, on a quiet machine.
func TestPeersBesideAiortc(t *testing.T) {
	options := PeersOptions{Calls: 2, Rounds: 1, Turn: 500 * time.Millisecond, Command: peersCommand}
	rows := 0
	err := Peers(t.Context(), options, func(r PeersRow) {
		rows++
		t.Log(r)
		if r.Missing != "" || r.Ours == nil || r.Theirs == nil || r.Ours.Median <= 0 || r.Theirs.Median <= 0 {
			t.Errorf("%s beside %s: missing: %s", r.Work, r.Reference, r.Missing)
		}
	})
	if err != nil || rows != 6 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
