package conference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/mix"
)

// What is mixed is for browsers; telephones get what they can take of it.
const (
	rate = 48000
	tick = 20 * time.Millisecond
)

// A Room is where the members of a conference meet. Each one hears all others, and
// not itself. Each line of video that a member has when it comes shows one of the
// others who send pictures, in the order in which they came; if there are more of them
// than lines, the first line shows who speaks, or has spoken last. Pictures, of which
// everybody sends one line, are passed on as they are, to those who have their codec.
// What a member sends is on the lines that [parley.Call.Incoming] gives when it comes:
// when they are others, or there are more, it should leave and come again. Who is only to
// listen has its audio turned to [parley.SendOnly], at any time, by
// [parley.Audio.SetDirection].
//
// Members come and go, and one who is slow or stuck harms nobody. One whose network does
// not carry the pictures goes without them for a while, see [parley.Video.WriteFrame], since
// there is nothing smaller to pass on. The methods may be used from any goroutine.
type Room struct {
	began  time.Time
	open   context.Context
	close  context.CancelFunc
	mixing sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the mixer
	mixer   *mix.Mixer
	members []*member // in the order in which they came
	floor   floor
	stats   parley.VideoStats
	next    time.Duration // Time of what is mixed next
}

// NewRoom returns an empty room, which has a clock until Close.
func NewRoom() *Room {
	r := newRoom()
	r.mixing.Go(r.mix)
	return r
}

func newRoom() *Room {
	mixer, err := mix.New(mix.Config{Format: audio.Format{Rate: rate, Channels: 1}})
	if err != nil {
		panic(err) // of a format that is right
	}
	r := &Room{mixer: mixer, began: time.Now()}
	r.open, r.close = context.WithCancel(context.Background())
	return r
}

// Close ends the clock of the room. Those who are still in it are let go, and nobody is
// let in any more: Join returns an error that wraps [os.ErrClosed].
func (r *Room) Close() error {
	r.close()
	r.mixing.Wait()
	return nil
}

// Join lets a caller in until the call ends, or ctx is cancelled, after which it may
// join another room. The error is nil at the end of the call, that of ctx, [ErrNoAudio],
// one that wraps [os.ErrClosed] when the room is closed, which leaves the call as it is
// too, or why a line has failed, which ends the call. Meanwhile nobody else may read the
// call, write to it, or set deadlines.
func (r *Room) Join(ctx context.Context, c *parley.Call) error {
	if c.Audio() == nil {
		return ErrNoAudio
	}
	if r.open.Err() != nil {
		return errClosed
	}
	m := r.add(c)
	defer r.remove(m)
	present, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	defer context.AfterFunc(r.open, func() { leave(errClosed) })()
	interrupted := make(chan struct{})
	context.AfterFunc(present, func() {
		defer close(interrupted)
		m.audio.SetReadDeadline(time.Unix(1, 0))
	})
	var lines sync.WaitGroup
	start := func(line func() error) {
		lines.Go(func() {
			if err := line(); failed(err) {
				leave(err)
			}
		})
	}
	start(func() error { return m.speak(present) })
	screens := slices.Collect(c.Videos())
	for i, v := range screens {
		start(func() error { return r.show(present, m, v, i, len(screens)) })
	}
	err := r.listen(m)
	if err == io.EOF || !failed(err) {
		err = errEnded
	}
	leave(err)
	lines.Wait()
	<-interrupted
	m.audio.SetReadDeadline(time.Time{})
	switch err = context.Cause(present); {
	case err == errEnded:
		return nil
	case err != errClosed && ctx.Err() == nil:
		c.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
	}
	return err
}

// failed reports whether a line has stopped with an error that is not its end, or that of
// its call.
func failed(err error) bool {
	_, ended := errors.AsType[*parley.EndError](err)
	return err != nil && !ended
}

// errEnded is why a member is not present any more whose call, or line, has ended.
var errEnded = errors.New("conference: the call has ended")

var errClosed = fmt.Errorf("conference: the room: %w", os.ErrClosed)

// ErrNoAudio is returned for a call in which nothing can be said.
var ErrNoAudio = errors.New("conference: the call has no audio")

// mix is the clock of the room.
func (r *Room) mix() {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for n := int64(0); ; {
		select {
		case <-clock.C:
		case <-r.open.Done():
			return
		}
		n = r.advance(n, int64(time.Since(r.began)/tick))
	}
}

// advance makes the ticks from n to the one that is due next, which it returns. After a
// pause of this machine the time that is lost is left out, and what was said meanwhile.
func (r *Room) advance(n, due int64) int64 {
	if lost := due - backlog - n; lost > 0 {
		r.mu.Lock()
		r.mixer.Skip(int(min(lost, 1000)) * r.mixer.Format().Samples(tick))
		r.mu.Unlock()
		n += lost
	}
	for ; n < due; n++ {
		r.step(time.Duration(n) * tick)
	}
	return due
}

func (r *Room) step(at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mixer.Mix(r.mixer.Format().Samples(tick))
	r.next = at + tick
	if at%look == 0 {
		r.lookLocked(at)
	}
	r.floor.step(r.members, at)
	for _, m := range r.members {
		select {
		case f := <-m.spare:
			f.Samples = m.input.Append(f.Samples[:0])
			f.Time = at
			m.hears <- f
		default:
		}
	}
}
