package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/session"
)

// progress shows how far a call has come: a line on a terminal, and the event
// "stats" once a second.
type progress struct {
	out    *output
	call   *parley.Call
	config *session.Config
	total  time.Duration // 0: unknown
	done   atomic.Int64  // media written or recorded, in nanoseconds

	// position returns how much of it is over; nil: what is done and not queued.
	position func() time.Duration

	once    sync.Once
	stopped chan struct{}
	ended   chan struct{}

	// Counts of video when they were last looked at, and what follows.
	at     time.Time
	frames int64
	octets int64
	rate   string
}

// newProgress returns the progress of a call, which is shown once it is started.
func newProgress(out *output, call *parley.Call, config *session.Config, total time.Duration) *progress {
	return &progress{out: out, call: call, config: config, total: total, stopped: make(chan struct{}), ended: make(chan struct{})}
}

func (p *progress) start() { go p.run() }

func (p *progress) advance(d time.Duration) { p.done.Add(int64(d)) }

// reach notes that what is before t is done.
func (p *progress) reach(t time.Duration) {
	for old := p.done.Load(); int64(t) > old && !p.done.CompareAndSwap(old, int64(t)); old = p.done.Load() {
	}
}

// stop ends the reports of a progress that was started. It may be called more
// than once.
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
		if p.position != nil {
			done = p.position()
		}
		p.out.bar(done, p.total, p.note(&s))
		if n%4 == 0 {
			position, m := milliseconds(done), statsOf(p.call, p.config)
			p.out.emit(event{Event: "stats", PositionMS: &position, statistics: m.audio, videoStatistics: m.video}, "")
		}
	}
}

// note says in few words how the call goes.
func (p *progress) note(s *parley.Stats) string {
	var parts []string
	if a := &s.Audio; p.config.Audio != nil {
		note := fmt.Sprintf("lost %d, jitter %.1f ms", a.Lost, milliseconds(a.Jitter))
		if a.PacketsSent > 0 {
			note = "no report from the far end"
		}
		if !a.Reported.IsZero() {
			note = fmt.Sprintf("far end: loss %.1f %%, jitter %.1f ms", a.RemoteLoss*100, milliseconds(a.RemoteJitter))
		}
		parts = append(parts, note)
	}
	if v := &s.Video; p.config.Video != nil {
		sent := v.PacketsSent > 0
		frames, octets := v.Frames, v.Octets
		if sent {
			frames, octets = v.FramesSent, v.OctetsSent
		}
		if now := time.Now(); now.Sub(p.at) >= reportEvery {
			if d := now.Sub(p.at).Seconds(); !p.at.IsZero() {
				p.rate = fmt.Sprintf("%.1f fps, %.0f kbit/s", float64(frames-p.frames)/d, float64(octets-p.octets)*8/d/1000)
			}
			p.at, p.frames, p.octets = now, frames, octets
		}
		note := fmt.Sprintf("%d frames, %d key, %d lost", v.Frames, v.KeyFrames, v.Broken+v.Skipped+v.Dropped)
		if sent {
			note = fmt.Sprintf("%d frames", v.FramesSent)
			if _, loss := reported(&v.LineStats); loss != nil {
				note += fmt.Sprintf(", loss %.1f %%", *loss)
			}
		}
		if p.rate != "" {
			note = p.rate + ", " + note
		}
		parts = append(parts, "video: "+note)
	}
	return strings.Join(parts, "; ")
}
