package parley

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// open makes the lines that the call begins with, under one name (RFC 3550,
// section 6.5.1).
func (c *Call) open(config *Config) (err error) {
	if config.Video != nil {
		c.cname = config.Video.CNAME
	}
	if config.Audio != nil {
		c.cname = cmp.Or(config.Audio.CNAME, c.cname)
		if _, err = c.addAudio(config.Audio); err != nil {
			return err
		}
	}
	if config.Video != nil {
		if _, err = c.addVideo(config.Video); err != nil {
			return err
		}
	}
	if len(c.lines) == 0 && config.Channels == nil {
		return errors.New("parley: a call needs a media line or channels")
	}
	return nil
}

func (c *Call) addAudio(config *AudioConfig) (*Audio, error) {
	if config.Leg == nil {
		return nil, errNoLeg
	}
	a, err := newAudio(c, config, cmp.Or(c.cname, config.CNAME))
	if err != nil {
		return nil, err
	}
	c.cname = a.rtcp.CNAME()
	if len(c.audios) == 0 {
		for _, v := range c.videos {
			v.joinLocked(a)
		}
	}
	c.audios = append(slices.Clone(c.audios), a)
	c.lines = append(slices.Clone(c.lines), &a.line)
	return a, nil
}

func (c *Call) addVideo(config *VideoConfig) (*Video, error) {
	if config.Leg == nil {
		return nil, errNoLeg
	}
	v, err := newVideo(c, config, cmp.Or(c.cname, config.CNAME))
	if err != nil {
		return nil, err
	}
	c.cname = v.rtcp.CNAME()
	c.videos = append(slices.Clone(c.videos), v)
	c.lines = append(slices.Clone(c.lines), &v.line)
	return v, nil
}

// Audio returns the first audio of the call, or nil if it has none, as a call of
// video alone.
func (c *Call) Audio() *Audio {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.audioLocked()
}

func (c *Call) audioLocked() *Audio {
	if len(c.audios) == 0 {
		return nil
	}
	return c.audios[0]
}

// Audios returns the lines of audio that the call has now, such as a microphone
// and the sound of a screen. The event [LineAdded] tells of new ones. The videos
// of the call are on one timeline with the first of them; the others have each
// their own.
func (c *Call) Audios() iter.Seq[*Audio] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Values(c.audios) // never changed in place
}

// Video returns the first video of the call, or nil if it has none.
func (c *Call) Video() *Video {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.videos) == 0 {
		return nil
	}
	return c.videos[0]
}

// Videos returns the videos that the call has now, such as a camera and a
// screen. The event [LineAdded] tells of new ones.
func (c *Call) Videos() iter.Seq[*Video] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Values(c.videos) // never changed in place
}

// Incoming returns the lines on which the far end sends: of each kind the first one that
// is open this way, or else the first, as on hold, or nil if there is none. A browser that
// takes a track away and adds another sends that on a line of its own, and keeps the line
// before to hear and to see by. [Call.WaitLines] tells when to look again.
func (c *Call) Incoming() (sound *Audio, pictures *Video) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return incoming(c.audios), incoming(c.videos)
}

// WaitLines blocks until lines of the call have come, gone, turned or got another label
// more than n times, and returns how often they have: after 0 that is at once, unless
// nothing has changed since the call was made. Unlike events it tells all who wait. It
// fails as [Call.WaitConnected] does.
func (c *Call) WaitLines(ctx context.Context, n int) (changes int, err error) {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.wait(ctx, &c.waiting, func() bool { return int(c.changes) > n })
	return int(c.changes), err
}

func incoming[L interface{ receivesLocked() bool }](all []L) (first L) {
	for _, l := range all {
		if l.receivesLocked() {
			return l
		}
	}
	if len(all) > 0 {
		first = all[0]
	}
	return first
}

func (l *line) receivesLocked() bool { return l.direction.Receives() }

// MaxLines bounds what a far end can make a call hold: so many lines of audio, and
// as many of video.
const MaxLines = 16

// ErrManyLines is returned for a line beyond [MaxLines].
var ErrManyLines = errors.New("parley: the call has too many lines")

var errNoLeg = errors.New("parley: a media line needs a leg")

// closeUnused closes the leg, which may be nil, of a line that could not be made.
func closeUnused(leg Leg) {
	if leg != nil {
		leg.Close()
	}
}

var errLineAddition = errors.New("parley: a line cannot be added")

// AttachAudio adds one more audio to a call, on which the far end has agreed. It is
// meant for packages that make legs. The call owns the leg from then on, also when
// AttachAudio fails. Applications use [Call.AddAudio].
func (c *Call) AttachAudio(config AudioConfig) (a *Audio, err error) {
	c.mu.Lock()
	err = c.endedLocked()
	if err == nil && len(c.audios) == MaxLines {
		err = ErrManyLines
	}
	if err == nil {
		a, err = c.addAudio(&config)
	}
	if err == nil {
		c.addedLocked(&a.line)
	}
	c.mu.Unlock()
	if err != nil {
		closeUnused(config.Leg)
		return nil, err
	}
	return a, nil
}

// AttachVideo does the same for a video.
func (c *Call) AttachVideo(config VideoConfig) (v *Video, err error) {
	c.mu.Lock()
	err = c.endedLocked()
	if err == nil && len(c.videos) == MaxLines {
		err = ErrManyLines
	}
	if err == nil {
		v, err = c.addVideo(&config)
	}
	if err == nil {
		c.addedLocked(&v.line)
	}
	c.mu.Unlock()
	if err != nil {
		closeUnused(config.Leg)
		return nil, err
	}
	return v, nil
}

// endedLocked returns why the call has ended, or nil.
func (c *Call) endedLocked() error {
	if c.end != nil {
		return errors.Join(errLineAddition, c.end)
	}
	return nil
}

func (c *Call) addedLocked(l *line) {
	l.changedLocked(LineAdded, l.label)
	c.schedule()
}

// Remove takes the line out of its call, which goes on: what was received and
// not read yet can be read, and then reading ends with [io.EOF] and writing with
// an [*EndError]. It is meant for packages that make legs. The leg is closed
// when the call is, at the latest.
func (l *line) Remove() {
	c := l.call
	c.mu.Lock()
	if c.end != nil || l.removed != nil {
		c.mu.Unlock()
		return
	}
	l.removed = &EndError{Reason: Removed}
	bye := l.endLocked(time.Now())
	l.life.over()
	c.lines = slices.DeleteFunc(slices.Clone(c.lines), func(o *line) bool { return o == l })
	c.videos = slices.DeleteFunc(slices.Clone(c.videos), func(v *Video) bool { return &v.line == l })
	c.audios = slices.DeleteFunc(slices.Clone(c.audios), func(a *Audio) bool { return &a.line == l })
	l.changedLocked(LineRemoved, l.label)
	c.cond.Broadcast()
	c.schedule() // the goodbye of another line may count now
	c.closing.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.closing.Done()
		if len(bye) > 0 {
			l.leg.WriteRTCP(bye) //nolint:errcheck // the far end has ended the line
		}
		l.closeLeg()
	}()
}

func (l *line) closeLeg() {
	if err := l.leg.Close(); err != nil {
		l.call.logger.Debug("closing a leg", "media", l.name, "error", err)
	}
}

// Mid returns the name of the line in session descriptions (RFC 8843), or "" if
// it has none.
func (l *line) Mid() string { return l.mid }

// Label returns what the far end calls the track, as browsers do (RFC 8830), or "". It
// may put another track on the line later, of which [Renamed] tells. The label stays while
// there is none.
func (l *line) Label() string {
	l.call.mu.Lock()
	defer l.call.mu.Unlock()
	return l.label
}

// SetLabel changes what the far end calls the track. It is meant for legs.
func (l *line) SetLabel(label string) {
	l.call.mu.Lock()
	defer l.call.mu.Unlock()
	if label != l.label {
		l.label = label
		l.changedLocked(Renamed, label)
	}
}

// Direction returns which ways media goes, as agreed with the far end last.
func (l *line) Direction() Direction {
	l.call.mu.Lock()
	defer l.call.mu.Unlock()
	return l.direction
}

// renewLocked takes notice of an update: who has said goodbye before it has not left.
func (l *line) renewLocked(now time.Time, d Direction, off bool) {
	l.off, l.bye, l.updated, l.former = off, nil, now, l.heard
	if d != l.direction {
		l.direction = d
		l.changedLocked(Turned, d.String())
	}
}

func (l *line) changedLocked(kind EventKind, detail string) {
	l.call.changes++
	l.emitLocked(Event{Kind: kind, Detail: detail})
}

// emitLocked adds an event of the line.
func (l *line) emitLocked(e Event) {
	e.Media, e.Mid = l.name, l.mid
	l.call.emitLocked(e)
}

// overLocked returns why the line or its call has ended, or nil.
func (l *line) overLocked() *EndError {
	if l.call.end != nil {
		return l.call.end
	}
	return l.removed
}

// A life ends with a line, for those who wait on another call meanwhile.
type life struct {
	context.Context
	end context.CancelFunc
}

func (l *life) over() {
	if l != nil {
		l.end()
	}
}

// within returns ctx for as long as the line is not over. The function that it returns
// lets go of it.
func (l *line) within(ctx context.Context) (context.Context, func()) {
	l.call.mu.Lock()
	defer l.call.mu.Unlock()
	if l.life == nil {
		l.life = &life{}
		l.life.Context, l.life.end = context.WithCancel(context.Background())
		if l.overLocked() != nil {
			l.life.over()
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.life, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// ended returns why the line, or its call, has ended, or nil.
func (l *line) ended() error {
	l.call.mu.Lock()
	defer l.call.mu.Unlock()
	if end := l.overLocked(); end != nil {
		return end
	}
	return nil
}

// wait is that of the call, for as long as the line exists.
func (l *line) wait(ctx context.Context, waiting *int, ready func() bool) error {
	return l.call.waitUntil(ctx, l.overLocked, waiting, ready)
}

// drain waits until all lines have sent what was written, as far as ctx lets it.
func (c *Call) drain(ctx context.Context) {
	for a := range c.Audios() {
		a.Drain(ctx) //nolint:errcheck // what cannot be sent in time is dropped
	}
	for v := range c.Videos() {
		v.Drain(ctx) //nolint:errcheck // the same
	}
}
