package stream

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
)

// collecting takes all packets, of which it keeps the numbers.
type collecting struct{ taken []int }

func (*collecting) Takes(*codec.Params) bool { return true }
func (c *collecting) Take(p *Packet) {
	c.taken = append(c.taken, int(p.Payload[0])<<8|int(p.Payload[1]))
}

// Of what comes at once after a stall, that which is very late is not taken: it would
// wait at the far end from then on. A path that has become slower for good is no stall.
func TestDivertAfterStall(t *testing.T) {
	for name, tt := range map[string]struct {
		at   func(n int) time.Duration // when packet n, from 51 on, arrives
		want []int                     // of these, up to packet 150
	}{
		"all at once": {
			func(n int) time.Duration { return max(time.Duration(n)*20*ms, 2*time.Second) },
			append([]int{51}, span(76, 150)...), // the first one only comes late
		},
		"in 50 ms":           {func(n int) time.Duration { return max(time.Duration(n)*20*ms, 400*ms+time.Duration(n)*ms) }, span(51, 150)},
		"slower from now on": {func(n int) time.Duration { return time.Duration(n)*20*ms + 700*ms }, span(51, 150)},
	} {
		f := newFar(t, ReceiverConfig{})
		var c collecting
		f.r.Divert(&c, true)
		for n := range 150 {
			at := time.Duration(n) * 20 * ms
			if n >= 50 {
				at = tt.at(n)
			}
			f.send(at, n)
		}
		if want := append(span(1, 50), tt.want...); !slices.Equal(c.taken, want) {
			t.Errorf("%s: %v were taken, want %v", name, c.taken, want)
		}
		if s := f.stats(); int(s.Late) != 150-len(c.taken) {
			t.Errorf("%s: %d were late", name, s.Late)
		}
	}
}

// span returns the numbers from one to another.
func span(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}
