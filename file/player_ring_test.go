package file

import (
	"testing"
	"time"
)

// A ring has the memory of what is in it, or was at once, not of all its places.
func TestPlayRingKeepsLittleMemory(t *testing.T) {
	const step = 40 * time.Millisecond
	var r playRing
	p := Packet{Duration: step}
	push := func(n int) {
		p.Data = append(p.Data[:0], make([]byte, 1+n%10*1000)...)
		r.push(&p, time.Duration(n)*step, 0, time.Duration(n)*step-playAhead)
	}
	n := 0
	for ; n < 2*maxPlayItems; n++ {
		push(n)
	}
	kept := len(r.free)
	for i := range r.items {
		if cap(r.items[i].data) > 0 {
			kept++
		}
	}
	if most := int((playAhead+playPast)/step) + 3; kept > most {
		t.Errorf("memory of %d items is kept, want that of %d at most", kept, most)
	}
	if allocs := testing.AllocsPerRun(100, func() { r.push(&p, time.Duration(n)*step, 0, time.Duration(n)*step-playAhead); n++ }); allocs != 0 {
		t.Errorf("an item allocates %v times", allocs)
	}
	r.clear()
	if len(r.free) > keptItems {
		t.Errorf("memory of %d items is kept", len(r.free))
	}
}

// What is ahead is bounded by its bytes too, but for one packet that is larger alone.
func TestPlayRingBounded(t *testing.T) {
	var r playRing
	large := make([]byte, maxPlayBytes+1)
	for n, size := range []int{maxPlayBytes + 1, maxPlayBytes / 3, maxPlayBytes / 3, maxPlayBytes / 3, maxPlayBytes / 3, 1, maxPlayBytes + 1, 1} {
		p := Packet{Duration: time.Millisecond, Data: large[:size]}
		r.push(&p, time.Duration(n)*time.Millisecond, 0, 0)
		if last := r.at(r.end() - 1); r.bytes > max(size, maxPlayBytes) || r.count == 0 || len(last.data) != size {
			t.Errorf("packet %d of %d bytes: %d packets, %d bytes", n, size, r.count, r.bytes)
		}
	}
	if r.end() != 8 || r.count != 1 {
		t.Errorf("%d packets of %d are left", r.count, r.end())
	}
}
