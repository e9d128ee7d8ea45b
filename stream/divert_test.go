package stream

import (
	"fmt"
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

// A source whose clock is slow by far, as that of a browser on a busy machine, is always
// later than before: that of its packets two come at once is no stall.
func TestDivertOfSlowSource(t *testing.T) {
	for _, each := range []time.Duration{20 * ms, 22 * ms, 24 * ms, 30 * ms} {
		f := newFar(t, ReceiverConfig{})
		var c collecting
		f.r.Divert(&c, true)
		for n := range 1000 {
			at := time.Duration(n) * each
			if n%10 == 9 {
				at -= each - 5*ms
			}
			f.send(at, n)
		}
		if want := span(1, 1000); !slices.Equal(c.taken, want) {
			t.Errorf("a packet each %v: %d of 1000 were taken", each, len(c.taken))
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

// What is left of a key that was pressed before is not taken, copies of its end included,
// and leaves no gap in the numbers. Other events are, whenever they have begun.
func TestDivertWhileKeyIsHeld(t *testing.T) {
	f := newFar(t, ReceiverConfig{Codecs: []codec.Params{l16, {Name: "telephone-event", PayloadType: 101, ClockRate: 8000}}})
	n := 0
	press := func(code byte, duration int, end byte, stamp uint32) {
		p := f.packet(n, 0)
		p.PayloadType, p.Timestamp, p.Payload = 101, stamp, []byte{code, end, byte(duration >> 8), byte(duration)}
		f.push(time.Duration(n)*20*ms, p)
		n++
	}
	say := func() {
		f.send(time.Duration(n)*20*ms, n)
		n++
	}
	say()
	say()
	press(5, 160, 0, 0)
	var c numbering
	f.r.Divert(&c, true)
	press(5, 320, 0, 0)
	say() // some do so meanwhile
	press(5, 480, 0, 0)
	press(5, 640, 0x80, 0)
	press(5, 640, 0x80, 0)
	say()
	press(36, 160, 0, 0)
	press(5, 160, 0, 0) // a far end whose clock stands still
	press(5, 320, 0x80, 0)
	say()
	want := []string{"L16 0", "L16 1", "telephone-event 2", "telephone-event 3", "telephone-event 4", "L16 5"}
	if !slices.Equal(c.taken, want) {
		t.Errorf("taken %v, want %v", c.taken, want)
	}
}

// numbering takes all packets, of which it keeps the codecs, and the numbers from that of
// the first.
type numbering struct {
	taken []string
	first int64
}

func (*numbering) Takes(*codec.Params) bool { return true }
func (c *numbering) Take(p *Packet) {
	if len(c.taken) == 0 {
		c.first = p.Seq
	}
	c.taken = append(c.taken, fmt.Sprint(p.Codec.Name, " ", p.Seq-c.first))
}
