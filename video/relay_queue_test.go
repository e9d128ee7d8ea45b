package video

import "testing"

// A subscriber that keeps up has the memory of the frames that waited at once, not
// of all that have a place in its queue.
func TestQueueKeepsLittleMemory(t *testing.T) {
	q := (&Relay{}).newQueue(64).(*queue)
	var f Frame
	for n := range 1000 {
		q.Push(&Frame{Data: make([]byte, 1+n%2*9999), Key: true})
		if n%3 == 2 { // three at once
			for q.Pop(&f) {
			}
		}
	}
	kept := 0
	for i := range q.ring {
		if cap(q.ring[i].Data) > 0 {
			kept++
		}
	}
	if kept != 3 {
		t.Errorf("memory is kept in %d places, want 3", kept)
	}
}
