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
		if err = c.addAudio(config.Audio); err != nil {
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

func (c *Call) addAudio(config *AudioConfig) error {
	a, err := newAudio(c, config, cmp.Or(c.cname, config.CNAME))
	if err != nil {
		return err
	}
	c.audio, c.cname = a, a.rtcp.CNAME()
	c.lines = append(slices.Clone(c.lines), &a.line)
	for _, v := range c.videos {
		v.joinLocked(a)
	}
	return nil
}

func (c *Call) addVideo(config *VideoConfig) (*Video, error) {
	v, err := newVideo(c, config, cmp.Or(c.cname, config.CNAME))
	if err != nil {
		return nil, err
	}
	c.cname = v.rtcp.CNAME()
	c.videos = append(slices.Clone(c.videos), v)
	c.lines = append(slices.Clone(c.lines), &v.line)
	return v, nil
}

// Audio returns the audio of the call, or nil if it has none, as a call of video
// alone.
func (c *Call) Audio() *Audio {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.audio
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

// maxVideos bounds what a far end can make a call hold.
const maxVideos = 16

var (
	errHasAudio     = errors.New("parley: the call has audio already")
	errManyVideos   = errors.New("parley: the call has too many videos")
	errLineAddition = errors.New("parley: a line cannot be added")
)

// AddAudio adds audio to a call that has none. It is meant for packages that
// make legs. The call owns the leg from then on, also when AddAudio fails.
func (c *Call) AddAudio(config AudioConfig) (*Audio, error) {
	c.mu.Lock()
	err := c.endedLocked()
	if err == nil && c.audio != nil {
		err = errHasAudio
	}
	if err == nil {
		err = c.addAudio(&config)
	}
	var a *Audio
	if err == nil {
		a = c.audio
		c.addedLocked(&a.line)
	}
	c.mu.Unlock()
	if err != nil {
		config.Leg.Close()
		return nil, err
	}
	return a, nil
}

// AddVideo adds one more video to a call. It is meant for packages that make
// legs. The call owns the leg from then on, also when AddVideo fails.
func (c *Call) AddVideo(config VideoConfig) (v *Video, err error) {
	c.mu.Lock()
	err = c.endedLocked()
	if err == nil && len(c.videos) == maxVideos {
		err = errManyVideos
	}
	if err == nil {
		v, err = c.addVideo(&config)
	}
	if err == nil {
		c.addedLocked(&v.line)
	}
	c.mu.Unlock()
	if err != nil {
		config.Leg.Close()
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
	c.emitLocked(Event{Kind: LineAdded, Media: l.name, Mid: l.mid, Detail: l.label})
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
	c.lines = slices.DeleteFunc(slices.Clone(c.lines), func(o *line) bool { return o == l })
	c.videos = slices.DeleteFunc(slices.Clone(c.videos), func(v *Video) bool { return &v.line == l })
	if c.audio != nil && &c.audio.line == l {
		c.audio = nil
	}
	c.emitLocked(Event{Kind: LineRemoved, Media: l.name, Mid: l.mid, Detail: l.label})
	c.cond.Broadcast()
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

// Label returns what the far end calls the track, as browsers do (RFC 8830), or
// "".
func (l *line) Label() string { return l.label }

// overLocked returns why the line or its call has ended, or nil.
func (l *line) overLocked() *EndError {
	if l.call.end != nil {
		return l.call.end
	}
	return l.removed
}

// wait is that of the call, for as long as the line exists.
func (l *line) wait(ctx context.Context, waiting *int, ready func() bool) error {
	return l.call.waitUntil(ctx, l.overLocked, waiting, ready)
}

// drain waits until all lines have sent what was written, as far as ctx lets it.
func (c *Call) drain(ctx context.Context) {
	if a := c.Audio(); a != nil {
		a.Drain(ctx) //nolint:errcheck // what cannot be sent in time is dropped
	}
	for v := range c.Videos() {
		v.Drain(ctx) //nolint:errcheck // the same
	}
}
