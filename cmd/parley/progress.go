package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley"
)

// progress shows how far a call has come: a line on a terminal, and the event
// "stats" once a second.
type progress struct {
	out   *output
	call  *parley.Call
	total time.Duration // 0: unknown
	done  atomic.Int64  // audio written or recorded, in nanoseconds

	once    sync.Once
	stopped chan struct{}
	ended   chan struct{}
}

func newProgress(out *output, call *parley.Call, total time.Duration) *progress {
	p := &progress{out: out, call: call, total: total, stopped: make(chan struct{}), ended: make(chan struct{})}
	go p.run()
	return p
}

func (p *progress) advance(d time.Duration) { p.done.Add(int64(d)) }

// stop ends the reports. It may be called more than once.
func (p *progress) stop() {
	p.once.Do(func() { close(p.stopped) })
	<-p.ended
}

func (p *progress) run() {
	defer close(p.ended)
	tick := time.NewTicker(reportEvery / 4)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-p.stopped:
			return
		case <-tick.C:
		}
		var s parley.Stats
		p.call.Stats(&s)
		done := time.Duration(p.done.Load()) - s.Audio.Queued
		note := fmt.Sprintf("lost %d, jitter %.1f ms", s.Audio.Lost, milliseconds(s.Audio.Jitter))
		if s.Audio.PacketsSent > 0 {
			note = fmt.Sprintf("far end: loss %.1f %%, jitter %.1f ms", s.Audio.RemoteLoss*100, milliseconds(s.Audio.RemoteJitter))
		}
		p.out.bar(done, p.total, note)
		if n%4 == 0 {
			position := milliseconds(done)
			p.out.emit(event{Event: "stats", PositionMS: &position, statistics: statsOf(p.call)}, "")
		}
	}
}
