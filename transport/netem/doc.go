// Package netem is a bad network: it delays, loses, reorders and repeats
// packets, by rules and a seed.
//
// A [Path] is one direction. It has no clock, goroutine or socket: packets and
// times go in, packets come out when their time has come. So an hour of network
// takes a moment in a test, and is the same each time.
//
//	p, err := netem.New(netem.Config{
//		Seed:   1,
//		Delay:  40 * time.Millisecond,
//		Jitter: netem.Jitter{Shape: netem.Exponential, Spread: 5 * time.Millisecond, Correlation: 0.9},
//		Loss:   netem.Loss{Rate: 0.05, MeanBurst: 60 * time.Millisecond},
//	})
//	...
//	p.Push(now, packet)
//	for b, ok := p.Pull(now, buf[:0]); ok; b, ok = p.Pull(now, buf[:0]) {
//		receiver.Push(now, b)
//	}
//	sleepUntil(p.Next())
//
// A [Relay] does the same in real time, to UDP in both directions.
//
// A packet meets, in this order: loss, the bottleneck ([Config.Rate]), delay,
// reordering, duplication. Each has random numbers of its own, so that turning
// one on leaves what the others do as it was.
//
// Known limits: a path does not corrupt or cut packets; the bottleneck drops at
// the tail only; and in real time a packet leaves up to some milliseconds late,
// as the timers of the system go.
package netem
