package conference

import (
	"testing"
	"testing/synctest"
)

// Who watches is let go at the end of the call, also while nothing is shown.
func TestWatchEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		show := NewShow(newCall(t))
		defer show.Close()
		c := newCall(t)
		watched := make(chan error, 1)
		go func() { watched <- show.Watch(t.Context(), c) }()
		synctest.Wait()
		c.Close()
		synctest.Wait()
		select {
		case err := <-watched:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("still watching")
			show.Close()
			<-watched
		}
	})
}
