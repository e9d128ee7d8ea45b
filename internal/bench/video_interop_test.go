//go:build interop

package bench

import "testing"

// The yardstick is there and does its work. Ratios are for people to judge, on a
// quiet machine.
func TestVideo(t *testing.T) {
	emptied(t)
	t.Log(VideoHeader())
	rows := 0
	err := Video(t.Context(), Options{Rounds: 2}, func(r VideoRow) {
		rows++
		t.Log(r)
		if r.Missing != "" {
			t.Fatalf("%s: missing: %s (Debian packages gcc and libc6-dev)", r.Path, r.Missing)
		}
		if r.Theirs.Min <= 0 || r.Ratio.Min <= 0 || r.Ours.Min <= 0 || r.Allocs != 0 {
			t.Errorf("%+v", r)
		}
	})
	if err != nil || rows != len(videoTasks()) {
		t.Errorf("%d rows, %v", rows, err)
	}
}
