package file

import (
	"errors"
	"io"
	"time"
)

// playAhead is how much of a file is read before it is due: tracks may lie that far
// apart in it.
const playAhead = time.Second

// pump reads the file and hands packets to the lines, until the player is closed.
func (p *Player) pump() {
	defer p.source.close()
	defer p.stop()
	var packet Packet
	shift := time.Duration(0) // from the file to play time
	end := time.Duration(0)   // in play time, of what was read
	shown := time.Duration(0) // in play time, of the newest picture
	step := time.Duration(0)  // from one picture to the next
	any := false              // since the beginning was read last
	moved := 0
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return
		}
		seeking, target := p.seeking, p.target
		p.seeking = false
		if seeking {
			moved, shift = p.moved, p.from-target
			end, shown, any = p.from, shift, false
		}
		over := p.ended
		p.mu.Unlock()
		if over {
			p.wake.wait(0)
			continue
		}
		if seeking {
			if err := p.source.open(); err != nil {
				p.finish(moved, end, err)
				continue
			}
		}
		err := p.source.read(&packet)
		if errors.Is(err, io.EOF) && end == shown {
			end += min(step, time.Second) // the last picture lasts as long as the one before
		}
		switch {
		case err == nil:
			any = true
			at := packet.Time + shift
			end = max(end, at+packet.Duration)
			if untimed := packet.Duration == 0; untimed && at > shown {
				step, shown = at-shown, at
			} else if untimed && at < shown { // out of order
				step = min(step, shown-at)
			}
			if p.await(moved, at, playAhead) {
				p.push(moved, &packet, at)
			}
		case errors.Is(err, io.EOF) && p.again(moved, any, end):
			shift, any = end, false
			if err := p.source.open(); err != nil {
				p.finish(moved, end, err)
			}
		case errors.Is(err, io.EOF):
			if p.await(moved, end, 0) {
				p.finish(moved, end, nil)
			}
		default:
			if p.await(moved, end, 0) {
				p.finish(moved, end, err)
			}
		}
	}
}

// again reports whether the file is to begin anew, at a play time, and not elsewhere.
func (p *Player) again(moved int, any bool, end time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved != moved || !any || !p.loop || p.segments[len(p.segments)-1].play >= end {
		return false
	}
	p.pruneLocked()
	p.segments = append(p.segments, playSegment{end, 0})
	return true
}

// await waits until what was read is due, by its play time, but for so much. It
// returns false if that has become pointless.
func (p *Player) await(moved int, at, ahead time.Duration) bool {
	for {
		p.mu.Lock()
		if p.closed || p.moved != moved {
			p.mu.Unlock()
			return false
		}
		if at >= p.from {
			p.arriveLocked()
		}
		wait := at - ahead - p.nowLocked()
		paused := p.paused
		p.mu.Unlock()
		switch {
		case wait <= 0:
			return true
		case paused:
			wait = 0
		}
		p.wake.wait(wait)
	}
}

// An alarm waits for a time or for something else to happen.
type alarm struct {
	wake  chan struct{} // with room for one
	timer *time.Timer   // reused
}

func newAlarm() *alarm {
	a := &alarm{wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	a.timer.Stop()
	return a
}

// poke ends the present wait, or the next one.
func (a *alarm) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// wait waits for so long, or for ever if that is 0, unless it is poked.
func (a *alarm) wait(d time.Duration) {
	if d <= 0 {
		<-a.wake
		return
	}
	a.timer.Reset(d)
	select {
	case <-a.timer.C:
	case <-a.wake:
		a.timer.Stop()
	}
}

// push hands a packet to the lines. What lies before the position that was sought
// is for nobody, and neither is the beginning of sound that lies before that of the file,
// for a decoder to converge.
func (p *Player) push(moved int, packet *Packet, at time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	picture := packet.Track == p.source.image
	skip := max(-packet.Time, 0)
	if at += skip; p.closed || p.moved != moved || at < p.from || skip > 0 && (picture || skip >= packet.Duration) {
		return
	}
	p.ring(picture).push(packet, at, skip, p.nowLocked())
	for _, l := range p.lines {
		if l.picture == picture {
			l.wake.poke()
		}
	}
}

// finish ends what is played, for a reason or because all of it was, at a play time that
// may have passed by now.
func (p *Player) finish(moved int, end time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved == moved && !p.ended {
		p.ended, p.err = true, err
		p.elapsed, p.rests, p.paused = min(p.nowLocked(), end), !p.paused, true
		p.announceLocked()
	}
}
