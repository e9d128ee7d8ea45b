package parley

import (
	"context"
	"os"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// WriteFrame queues the samples of f to be sent on the media clock, and blocks
// while the queue is full: it is for what was made in advance, such as a file or
// synthetic speech. What comes as fast as time goes by is for [Audio.WriteLive]. A
// frame may have any length, rate and number of channels, and goes on in the new codec
// when that changes in the midst of it. Samples follow each other whatever their f.Time
// says; that is for video, which leaves with the sound of the same Time. In a call with
// video a step of up to 10 s between frames whose times were continuous before is a
// pause, and f waits for its time.
//
// Before the call is connected the clock runs already, and what leaves is lost;
// [Call.WaitConnected] waits for that. While the direction does not let this end
// send, frames go by unheard at the same pace.
//
// The error wraps [audio.ErrFormat] if the format of f or the number of its
// samples is wrong, and [codec.ErrUnknown] if this build has no encoder for the
// call's codec. It is [os.ErrDeadlineExceeded] after the write deadline, when a
// part of f may have been taken, and an [*EndError] after the end of the call or of
// the line.
func (a *Audio) WriteFrame(f *audio.Frame) error { return a.writeFrame(context.Background(), f, false) }

// WriteLive is [Audio.WriteFrame] for frames that come as fast as time goes by, such
// as those that ReadFrame gives or a mixer makes. It never waits for room: while a
// WriteFrame does, and while a part of what Say says has not been heard and more is to come,
// f is left out.
//
// After a stall of this machine, or of the one who writes, all that was missed comes
// at once. WriteFrame sends all of it, so that the far end hears everything, and
// everything that follows, up to 200 ms later for the rest of the call. WriteLive
// leaves out what has no room, and in the next two seconds what keeps the queue from
// becoming empty, as far as possible by whole pitch periods, which are not missed.
// LeftOut of [AudioStats] counts it. Without stalls, and beside nobody who writes in
// advance, nothing is left out.
//
// Silence that was read need not be written. The times of frames make no pauses.
// What WriteFrame has queued is sent first, and in full.
func (a *Audio) WriteLive(f *audio.Frame) error { return a.writeFrame(context.Background(), f, true) }

func (a *Audio) writeFrame(ctx context.Context, f *audio.Frame, live bool) (err error) {
	if err := f.Check(); err != nil {
		return err
	}
	defer a.call.guard(&err)
	format, flushes, err := a.takeTurn(ctx, f, live)
	if err != nil || format.Rate == 0 {
		return err
	}
	defer a.endTurn()
	rest := *f
	for {
		left, err := a.writeAs(ctx, &rest, format, flushes, live)
		n := min(f.Format.Samples(left), len(rest.Samples))
		if err != nil || n == 0 {
			return err
		}
		done := len(rest.Samples) - n
		rest.Samples, rest.Time = rest.Samples[done:], rest.Time+f.Format.Duration(done)
		before := flushes
		if format, flushes, err = a.target(); err != nil || flushes != before {
			return err
		}
	}
}

// takeTurn waits until nobody else writes frames, and returns what the sender takes then.
// The format is zero if f is not to be written: a live frame is left out where the other
// one waits for room, since there is none for it either, and a loop that writes it is what
// makes room; and in the midst of what is said.
func (a *Audio) takeTurn(ctx context.Context, f *audio.Frame, live bool) (format audio.Format, flushes int, err error) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	a.hushLocked()
	if a.writing {
		crowded, late := false, false
		err = a.wait(ctx, &a.waiting.turn, func() bool {
			crowded = live && a.waiting.room > 0
			late = !live && expired(a.writeDeadline)
			return !a.writing || crowded || late
		})
		switch {
		case err != nil:
			return format, 0, err
		case !a.writing:
		case crowded:
			a.sender.LeaveOut(f.Duration())
			return format, 0, nil
		default:
			return format, 0, os.ErrDeadlineExceeded
		}
	}
	if live && a.sayingLocked() {
		a.sender.LeaveOut(f.Duration())
		return format, 0, nil
	}
	format, flushes, err = a.targetLocked()
	a.writing = err == nil
	return format, flushes, err
}

func (a *Audio) endTurn() {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	a.writing = false
	if a.waiting.turn > 0 {
		a.call.cond.Broadcast()
	}
}

// writeAs writes a frame in the format of the sender, and returns what is left of it
// when that has gone over to another one.
func (a *Audio) writeAs(ctx context.Context, f *audio.Frame, format audio.Format, flushes int, live bool) (left time.Duration, err error) {
	if a.adapter != nil && (a.adapter.Format() != format || a.adapterFlushes != flushes) {
		a.adapter = nil
	}
	if a.adapter == nil && f.Format == format {
		return a.queue(ctx, format, flushes, f.Samples, f.Time, live)
	}
	if a.adapter == nil {
		if a.adapter, err = audio.NewAdapter(format); err != nil {
			return 0, err
		}
		a.adapterFlushes = flushes
	}
	if a.adapted, err = a.adapter.Append(a.adapted[:0], f); err != nil {
		return 0, err
	}
	return a.queue(ctx, format, flushes, a.adapted, f.Time, live)
}

// target returns what the sender takes.
func (a *Audio) target() (format audio.Format, flushes int, err error) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return a.targetLocked()
}

func (a *Audio) targetLocked() (format audio.Format, flushes int, err error) {
	if format = a.sender.Format(); format.Rate == 0 {
		err = codec.NoEncoder(a.sender.Codec())
	}
	return format, a.flushes, err
}

// queue gives samples of the given time to the sender, and waits while it has no
// room, unless they are live. What is left of them when the queue is flushed is
// dropped, and returned when the sender goes over to another format.
func (a *Audio) queue(ctx context.Context, format audio.Format, flushes int, samples []int16, at time.Duration, live bool) (left time.Duration, err error) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if end := a.overLocked(); end != nil {
		return 0, end
	}
	if live {
		return 0, a.queueLiveLocked(&audio.Frame{Format: format, Samples: samples, Time: at}, flushes)
	}
	for len(samples) > 0 {
		if a.waiting.turn > 0 { // a live frame has to know that there is no room
			c.cond.Broadcast()
		}
		late, over := false, false
		err := a.wait(ctx, &a.waiting.room, func() bool {
			late = expired(a.writeDeadline)
			over = a.flushes != flushes || a.sender.Format() != format
			return late || over || a.sender.Room() >= format.Channels
		})
		switch {
		case err != nil:
			return 0, err
		case ctx.Err() != nil: // or else this would come behind the Flush of Say
			return 0, ctx.Err()
		case a.overLocked() != nil:
			return 0, a.overLocked()
		case over && a.flushes != flushes:
			return 0, nil
		case over:
			return format.Duration(len(samples)), nil
		case late:
			return 0, os.ErrDeadlineExceeded
		}
		n := min(len(samples), a.sender.Room()/format.Channels*format.Channels)
		part := audio.Frame{Format: format, Samples: samples[:n], Time: at}
		now := time.Now()
		a.sayLocked(now, &part)
		if err := a.sender.Write(now, &part); err != nil {
			return 0, err
		}
		samples = samples[n:]
		at += format.Duration(n)
		a.written = at
		a.sendDueLocked(now)
	}
	return 0, nil
}

func (a *Audio) queueLiveLocked(f *audio.Frame, flushes int) error {
	if a.flushes != flushes || a.sender.Format() != f.Format {
		return nil
	}
	now := time.Now()
	a.replies.writeLive(now, f)
	if err := a.sender.WriteLive(now, f); err != nil {
		return err
	}
	a.written = f.Time + f.Duration()
	a.sendDueLocked(now)
	return nil
}

// nearly is how long before its time a packet may leave: the loop, which works in
// steps of a millisecond, would send it after that.
const nearly = time.Millisecond

// sendDueLocked sends the packet that what was just written has made due, without the
// lock meanwhile; the ones after it are for the loop. Who reads a frame and answers it
// at once needs no other run of the loop for that.
func (a *Audio) sendDueLocked(now time.Time) {
	c := a.call
	defer c.schedule()
	next := a.sender.Next()
	if c.running || next.IsZero() || next.Sub(now) >= nearly {
		return
	}
	buf := packets.Get().(*[packetSize]byte)
	defer packets.Put(buf)
	b, what := a.mediaLocked(later(now, next), buf[:0])
	if what == nothing {
		return
	}
	a.direct = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		a.direct = false
	}()
	a.send(b, what)
}

// Flush drops what waits to be sent, as when the far end interrupts, and says
// what became of all that was written since the Flush before. What leaves next
// fades out over the given time, 8 ms being enough, so that no click is heard; 0
// means a cut. A WriteFrame that waits for room returns, without an error and
// without the rest of its frame; Say returns [ErrFlushed]. Digits are sent to their
// end.
func (a *Audio) Flush(fade time.Duration) stream.Played {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return a.flushLocked(fade)
}

func (a *Audio) flushLocked(fade time.Duration) stream.Played {
	a.flushes++
	played := a.sender.Flush(fade)
	a.replies.flush(time.Now())
	for s := a.sayings; s != nil; s = s.next {
		s.flush(played)
	}
	a.sayings = nil
	a.call.cond.Broadcast()
	a.call.schedule()
	return played
}

// Played says what became so far of what was written since the last Flush.
func (a *Audio) Played() stream.Played {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return a.sender.Played()
}

// Drain blocks until everything written so far has been sent and its time has passed,
// so that nothing of it is cut off when the call is closed next. It does not wait for
// what others write meanwhile, such as the rest of a frame that is being written. The
// error is that of ctx, or an [*EndError] if the call or the line ends before.
//
// The far end hears it later, by what the network takes and its jitter buffer holds, 100
// to 200 ms as a rule. Telephones drop that when signalling hangs up, as by a BYE of SIP:
// who wants the end of a goodbye to be heard waits for so long before it.
func (a *Audio) Drain(ctx context.Context) error { return a.drain(ctx, nil) }

// drain is Drain, of what was said in s unless that is nil.
func (a *Audio) drain(ctx context.Context, s *saying) error {
	defer a.call.watch(ctx)()
	if err := a.flushAdapter(ctx); err != nil {
		return err
	}
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil {
		s.read = true
	}
	written, _ := a.sender.Progress()
	var sent bool
	var end time.Time // of what was sent
	return a.wait(ctx, &a.waiting.drain, func() bool {
		drained := a.sender.Drained()
		if !sent {
			if _, left := a.sender.Progress(); left-written < 0 || a.sender.PendingDigits() > 0 {
				return false
			}
			sent, end = true, drained
			s.over(a.sender.Played())
		}
		leaving := (a.leaving || a.direct) && !drained.After(end) // or else it is a later packet
		return !leaving && !time.Now().Before(end)
	})
}

// flushAdapter queues what the change of the sampling rate has held back.
func (a *Audio) flushAdapter(ctx context.Context) (err error) {
	defer a.call.guard(&err)
	a.call.mu.Lock()
	others := a.writing // then what is held back goes on with what they write
	a.writing = true
	a.call.mu.Unlock()
	if others {
		return nil
	}
	defer a.endTurn()
	if a.adapter == nil {
		return nil
	}
	format, flushes, err := a.target()
	if err != nil || a.adapter.Format() != format || a.adapterFlushes != flushes {
		return err
	}
	a.adapted = a.adapter.Flush(a.adapted[:0])
	_, err = a.queue(ctx, format, flushes, a.adapted, a.written, false)
	return err
}
