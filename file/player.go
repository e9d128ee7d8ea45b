package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/video"
)

// PlayerConfig describes a [Player].
type PlayerConfig struct {
	// Paused waits for [Player.Play] before the first frame.
	Paused bool

	// Loop begins anew at the end, for ever.
	Loop bool

	// Error, if it is not nil, is told when a call or another writer takes no more,
	// which is then removed, and of the first picture that a writer leaves out because
	// it has gone over to another codec, which wraps [errors.ErrUnsupported]: pictures
	// go on at a key frame once it has come back. It is called by the goroutine that
	// found out, and must neither remove anything nor close the player itself.
	Error func(error)
}

// A Player plays a file into any number of calls, at the pace at which it is to be
// heard and seen. Its methods may be used from any goroutine. What is live, such as a
// camera, is no file: examples/camera has it come over RTP.
//
//	player, err := file.OpenPlayer(ctx, "music.webm", file.PlayerConfig{})
//	if err != nil {
//		return err
//	}
//	defer player.Close()
//	if err := player.AddCall(call); err != nil {
//		return err
//	}
//	err = player.Wait(ctx)
//
// It plays what [Open] reads, and WAV: the first track of sound and the first with
// pictures. Sound is passed on as it is coded to calls of the same codec (Opus),
// and decoded for all others; pictures are never decoded, so a call must have
// their codec. Sound and pictures of one time are written for the same time, and
// the times of frames go on through pauses, seeking and loops: they count from the
// moment the player was opened.
//
// A call may come and go at any time: it gets what is played from then on, pictures
// from a key frame on. One that is slow loses what it had no time for, and harms
// nobody. The player closes no call.
//
// Seeking, in any format, reads the file forward from its beginning, and nothing is
// played for as long as that takes. Sound goes on with the packet, of 20 ms as a rule,
// that begins at the position or after it, and pictures with the next key frame.
// Positions count from the first packet if that is more than a second into the file, as
// where it was cut out of a stream.
type Player struct {
	report func(error)
	source *playSource
	stop   context.CancelFunc
	opened time.Time
	done   sync.WaitGroup // the pump, and the lines that can be interrupted

	mu       sync.Mutex
	wake     *alarm // of the pump
	lines    []*playLine
	rings    [2]playRing   // of sound and of pictures
	from     time.Duration // play time that the last seek was for
	changed  chan struct{} // closed, and made anew, when ended or err change
	loop     bool
	paused   bool
	rests    bool // paused by its end only
	closed   bool
	ended    bool // nothing is left
	err      error
	seeking  bool
	target   time.Duration // in the file
	held     bool          // play time waits at from, until what is sought has been read
	moved    int           // a seek was asked for since
	origin   time.Time     // when play time was 0; meaningless while paused
	elapsed  time.Duration // play time, while paused
	pausedAt time.Time
	segments []playSegment
}

// A playSegment is where in the file a stretch of play time begins.
type playSegment struct{ play, file time.Duration }

// OpenPlayer opens the named file and begins to play it. The context is for the
// process of ffmpeg, if the file needs it. Errors are those of [Open] and
// [OpenWAV].
func OpenPlayer(ctx context.Context, name string, c PlayerConfig) (*Player, error) {
	ctx, stop := context.WithCancel(ctx)
	source, err := openSource(ctx, name)
	if err != nil {
		stop()
		return nil, err
	}
	p := &Player{
		report:   c.Error,
		source:   source,
		stop:     stop,
		opened:   time.Now(),
		wake:     newAlarm(),
		changed:  make(chan struct{}),
		loop:     c.Loop,
		paused:   c.Paused,
		segments: []playSegment{{}},
	}
	p.origin = p.opened
	p.done.Go(p.pump)
	return p, nil
}

// Tracks returns the tracks that are played: of sound, of pictures, or both.
func (p *Player) Tracks() []Track {
	var tracks []Track
	for _, i := range []int{p.source.sound, p.source.image} {
		if i >= 0 {
			tracks = append(tracks, p.source.tracks[i])
		}
	}
	return tracks
}

// Unknown returns the codecs of sound if there is none that is known, and of pictures
// likewise, by their names in Matroska, such as "V_MPEGH/ISO/HEVC". They are not played.
func (p *Player) Unknown() []string { return slices.Clone(p.source.unknown) }

// AddCall plays to the first audio and the first video of a call, as far as the call
// and the file have sound and pictures. [Player.AddAudio] and [Player.AddVideo] play
// to its other lines. The error wraps [errors.ErrUnsupported] if it has not the codec of the
// pictures, or [codec.ErrUnknown] if it has not that of the sound and there is no
// decoder for it.
func (p *Player) AddCall(c *parley.Call) error {
	added := false
	if c.Audio() != nil && p.source.sound >= 0 {
		if err := p.AddAudio(c.Audio()); err != nil {
			return err
		}
		added = true
	}
	if c.Video() != nil && p.source.image >= 0 {
		if err := p.AddVideo(c.Video()); err != nil {
			if added {
				p.Remove(c.Audio())
			}
			return err
		}
		added = true
	}
	if !added {
		return fmt.Errorf("%s: nothing for the call: %w", p.source.name, errors.ErrUnsupported)
	}
	return nil
}

// RemoveCall stops playing to a call, which drops what waits to be sent.
func (p *Player) RemoveCall(c *parley.Call) {
	if c.Audio() != nil {
		p.Remove(c.Audio())
	}
	if c.Video() != nil {
		p.Remove(c.Video())
	}
}

// AddAudio plays the sound to a writer. If it takes coded packets, as the audio of
// a call does, it gets these where the codecs agree. A writer that blocks for long
// should have a method SetWriteDeadline, by which it is interrupted when it is
// removed. Errors are those of [Player.AddCall].
func (p *Player) AddAudio(w audio.Writer) error {
	if p.source.sound < 0 {
		return fmt.Errorf("%s: it has no sound: %w", p.source.name, errors.ErrUnsupported)
	}
	l, err := newSoundLine(w, p.source.tracks[p.source.sound])
	if err != nil {
		return fmt.Errorf("%s: %w", p.source.name, err)
	}
	return p.add(l)
}

// AddVideo plays the pictures to a writer. What is said of [Player.AddAudio] holds
// here too.
func (p *Player) AddVideo(w video.Writer) error {
	if p.source.image < 0 {
		return fmt.Errorf("%s: it has no pictures: %w", p.source.name, errors.ErrUnsupported)
	}
	l, err := newPictureLine(w, p.source.tracks[p.source.image])
	if err != nil {
		return fmt.Errorf("%s: %w", p.source.name, err)
	}
	return p.add(l)
}

func (p *Player) add(l *playLine) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.errClosed()
	}
	l.player = p
	l.moved = p.moved
	l.beginLocked(p.ring(l.picture), p.nowLocked())
	p.lines = append(p.lines, l)
	if l.deadline == nil {
		go l.run()
	} else {
		p.done.Go(l.run)
	}
	return nil
}

func (p *Player) errClosed() error { return fmt.Errorf("%s: %w", p.source.name, os.ErrClosed) }

// Remove stops playing to a writer that was added, which has it for itself when
// Remove returns, if it can be interrupted.
func (p *Player) Remove(w any) {
	p.mu.Lock()
	var gone []chan struct{}
	for _, l := range p.lines {
		if l.writer == w {
			l.stopLocked()
			l.flushLocked()
			if l.deadline != nil {
				gone = append(gone, l.gone)
			}
		}
	}
	p.mu.Unlock()
	for _, c := range gone {
		<-c
	}
}

func (p *Player) ring(picture bool) *playRing {
	if picture {
		return &p.rings[1]
	}
	return &p.rings[0]
}

// nowLocked returns the present play time.
func (p *Player) nowLocked() time.Duration {
	if p.paused {
		return p.elapsed
	}
	if now := time.Since(p.origin); !p.held || now < p.from {
		return now
	}
	return p.from
}

// arriveLocked lets play time go on, from where it was held.
func (p *Player) arriveLocked() {
	if now := p.nowLocked(); p.held && !p.paused {
		p.origin = time.Now().Add(-now)
	}
	p.held = false
}

// wakeLocked makes everybody look again.
func (p *Player) wakeLocked() {
	p.wake.poke()
	for _, l := range p.lines {
		l.wake.poke()
	}
}

// Play goes on after a pause, or from the beginning after the end.
func (p *Player) Play() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.errClosed()
	}
	if p.ended {
		p.seekLocked(0)
	}
	if p.paused {
		p.elapsed = max(p.elapsed, min(p.sentLocked(), p.elapsed+time.Since(p.pausedAt)))
		p.paused, p.origin = false, time.Now().Add(-p.elapsed)
	}
	p.wakeLocked()
	return nil
}

// sentLocked returns until when all lines have been given what to play.
func (p *Player) sentLocked() (until time.Duration) {
	for i, l := range p.lines {
		if i == 0 || l.end < until {
			until = l.end
		}
	}
	return until
}

// Pause holds the position. What the calls have already, a tenth of a second, is
// still sent, and Play goes on at once behind that.
func (p *Player) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pauseLocked()
}

func (p *Player) pauseLocked() {
	p.rests = false
	if !p.paused {
		p.elapsed, p.paused, p.pausedAt = p.nowLocked(), true, time.Now()
		for _, l := range p.lines {
			l.running = false
		}
		p.wakeLocked()
	}
}

// Stop drops what waits to be sent, and pauses at the beginning.
func (p *Player) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pauseLocked()
	p.seekLocked(0)
}

// Seek goes on at another position, which is taken for 0 if it is negative, also after
// the end. Beyond the end there is nothing to play. What waits to be sent is dropped; what comes in
// its place is due 40 ms later, when what is on its way is over, or for a writer that
// cannot drop anything when all is over that it has, a tenth of a second later.
func (p *Player) Seek(to time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.errClosed()
	}
	p.seekLocked(max(to, 0))
	return nil
}

func (p *Player) seekLocked(to time.Duration) {
	p.seeking, p.target = true, to
	p.moved++
	p.ended, p.err = false, nil
	if p.rests {
		p.rests, p.paused, p.origin = false, false, time.Now().Add(-p.elapsed)
	}
	p.arriveLocked()
	now := p.nowLocked()
	p.from, p.held = now, true
	for i := range p.rings {
		p.rings[i].clear()
	}
	for _, l := range p.lines {
		l.behind, l.running = l.picture, false
		l.next = p.ring(l.picture).base
		if l.flushLocked() {
			l.end = min(l.end, now+playFlushed)
		}
		p.from = max(p.from, l.end) // behind what has left, as times don't go back
	}
	p.segments = append(p.segments[:0], playSegment{p.from, to})
	p.wakeLocked()
}

// SetLoop makes the file begin anew at its end, or not. The file is read a second
// ahead: in its last second it is too late for that end.
func (p *Player) SetLoop(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loop = on
}

// Position returns what is played now, as a position in the file.
func (p *Player) Position() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pruneLocked()
	return max(p.nowLocked()-p.segments[0].play, 0) + p.segments[0].file
}

// pruneLocked forgets what was played.
func (p *Player) pruneLocked() {
	for now := p.nowLocked(); len(p.segments) > 1 && p.segments[1].play <= now; {
		p.segments = append(p.segments[:0], p.segments[1:]...)
	}
}

// Wait blocks until everything has been played. The error is nil then, or that of
// reading the file, wraps [os.ErrClosed] if the player was closed, or is that of
// ctx.
func (p *Player) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		err, over, changed := p.err, p.ended || p.closed, p.changed
		if p.closed && !p.ended {
			err = p.errClosed()
		}
		p.mu.Unlock()
		if over {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// announceLocked tells those who wait that something has ended.
func (p *Player) announceLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Close ends the player. It waits for its goroutines, but for those in writers
// that cannot be interrupted, and leaves to the calls what they have already.
func (p *Player) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for _, l := range p.lines {
			l.stopLocked()
		}
		p.announceLocked()
		p.wakeLocked()
		p.stop()
	}
	p.mu.Unlock()
	p.done.Wait()
	return nil
}
