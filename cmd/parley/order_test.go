package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-media/parley/stream"
)

func TestPacketOrder(t *testing.T) {
	begin := time.Now()
	// Each packet of 20 ms is on time, unless it is said when it comes.
	packet := func(n int64, late time.Duration) *stream.Packet {
		at := time.Duration(n) * 20 * ms
		return &stream.Packet{Seq: n, Time: at, Arrival: begin.Add(at + late), Payload: fmt.Appendf(nil, "%d", n)}
	}
	for _, c := range []struct {
		name string
		in   []*stream.Packet
		want string
	}{
		{"in order", []*stream.Packet{packet(5, 0), packet(6, 0), packet(7, 0)}, "5@100ms 6@120ms 7@140ms "},
		{"swapped", []*stream.Packet{packet(0, 0), packet(2, 0), packet(1, 25*ms), packet(3, 0)}, "0@0s 1@20ms 2@40ms 3@60ms "},
		{"lost", []*stream.Packet{packet(0, 0), packet(2, 0), packet(3, 0), packet(20, 0)}, "0@0s 2@40ms 3@60ms 20@400ms "},
		{"too late", []*stream.Packet{packet(0, 0), packet(2, 0), packet(20, 0), packet(1, 400*ms)}, "0@0s 2@40ms 20@400ms "},
		{"twice", []*stream.Packet{packet(0, 0), packet(1, 0), packet(1, 0), packet(2, 0)}, "0@0s 1@20ms 2@40ms "},
		{"the last one is waited for", []*stream.Packet{packet(0, 0), packet(2, 0)}, "0@0s 2@40ms "},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := packetOrder{wait: 100 * ms}
			got := ""
			take := func(now time.Time, over bool) {
				for q := o.pop(now, over); q != nil; q = o.pop(now, over) {
					got += fmt.Sprintf("%s@%v ", q.Payload, q.Time)
				}
			}
			for _, p := range c.in {
				o.push(p)
				take(p.Arrival, false)
			}
			take(begin, true)
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
