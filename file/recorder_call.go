package file

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// AddCall records what the far end of a call sends: it adds tracks for its audio and
// its video, as far as the call and the format of the file have them, and reads both
// from now on, so that nobody else can. (Where somebody else has to, the call's
// audio and video are the sources of an [audio.Relay] and a [video.Relay], and the
// recorder has subscriptions of these, in tracks whose Timeline is the call.) The
// other side is for [Recorder.AddSent].
//
// WebM and Matroska take all lines that the call has now, and all other formats the
// first audio and the first video. The recordings are in the order of
// [parley.Call.Audios] and of [parley.Call.Videos]. Beyond the first of either, a
// line that the file cannot have, for its codec or because the file is full, is left
// out: its recording is nil.
//
// Opus stays as it is coded (the call then gives packets for good, no frames), and
// what else can be heard becomes PCM; for a format that has neither the error wraps
// [errors.ErrUnsupported]. The recording goes on until the call ends, or the tracks
// or the recorder are closed; it does not close the call.
//
// Called again, as after [parley.Call.WaitLines], AddCall returns the recordings of the lines
// that the call has got since. Such a line goes on in the track of one of the same codec
// that the call has no more, as of a camera that was taken away and is there again. For
// any other WebM and Matroska have a further track, and no other format.
func (r *Recorder) AddCall(c *parley.Call) (audios []*AudioRecording, videos []*VideoRecording, err error) {
	sounds, pictures := slices.Collect(c.Audios()), slices.Collect(c.Videos())
	again := r.knows(c)
	if r.web == nil && !again {
		sounds, pictures = sounds[:min(len(sounds), 1)], pictures[:min(len(pictures), 1)]
	}
	switch r.ext {
	case ".ivf", ".h264", ".264":
		sounds = nil
	case ".wav", ".ogg", ".opus":
		pictures = nil
	}
	if again {
		return r.addLater(c, sounds, pictures)
	}
	if len(sounds) == 0 && len(pictures) == 0 {
		return nil, nil, fmt.Errorf("%s: the call has nothing for such a file: %w", r.name, errors.ErrUnsupported)
	}
	defer func() {
		if err == nil {
			return
		}
		for _, a := range audios {
			if a != nil {
				a.Close()
			}
		}
		for _, v := range videos {
			if v != nil {
				v.Close()
			}
		}
		audios, videos = nil, nil
	}()
	for i, line := range sounds {
		t := RecorderTrack{Track: r.soundOf(line.Codec()), Timeline: c}
		if i > 0 { // it is not on the timeline of the call
			t.Timeline = nil
		}
		a, err := r.AddAudio(t)
		if err != nil && (i == 0 || !leftOut(err)) {
			return audios, videos, err
		}
		audios = append(audios, a)
	}
	for i, line := range pictures {
		v, err := r.AddVideo(RecorderTrack{Track: Track{Codec: filmed(line)}, Timeline: c})
		if err != nil && (i == 0 || !leftOut(err)) {
			return audios, videos, err
		}
		videos = append(videos, v)
	}
	for i, a := range audios {
		if a != nil {
			err = cmp.Or(err, a.recordLine(sounds[i]))
			r.know(c, sounds[i], a)
		}
	}
	for i, v := range videos {
		if v != nil {
			err = cmp.Or(err, v.Record(pictures[i]))
			r.know(c, pictures[i], v)
		}
	}
	return audios, videos, err
}

// A recordedLine is a line of a call that is recorded, or was.
type recordedLine struct {
	call *parley.Call
	line parley.Line
	in   ender
}

// know notes that a line is recorded, in the place of the one before in that track, if
// there was one: far ends may swap lines for as long as they like.
func (r *Recorder) know(c *parley.Call, line parley.Line, in ender) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = slices.DeleteFunc(r.lines, func(l recordedLine) bool { return l.in == in })
	r.lines = append(r.lines, recordedLine{c, line, in})
}

// knows reports whether lines of the call are recorded.
func (r *Recorder) knows(c *parley.Call) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lines, func(l recordedLine) bool { return l.call == c })
}

// addLater records the lines of a call that are not recorded yet.
func (r *Recorder) addLater(c *parley.Call, sounds []*parley.Audio, pictures []*parley.Video) (audios []*AudioRecording, videos []*VideoRecording, err error) {
	for _, line := range sounds {
		t := r.soundOf(line.Codec())
		in, fresh := r.free(c, line, t.Codec)
		if !fresh || in == nil && r.web == nil {
			continue
		}
		a, _ := in.(*AudioRecording)
		if a != nil {
			a.leaveTimeline()
		} else if a, err = r.AddAudio(RecorderTrack{Track: t}); err != nil {
			if leftOut(err) {
				continue
			}
			return audios, videos, err
		}
		if err := a.recordLine(line); err != nil {
			return audios, videos, err
		}
		r.know(c, line, a)
		audios = append(audios, a)
	}
	for _, line := range pictures {
		t := RecorderTrack{Track: Track{Codec: filmed(line)}, Timeline: c}
		in, fresh := r.free(c, line, t.Codec)
		if !fresh || in == nil && r.web == nil {
			continue
		}
		v, _ := in.(*VideoRecording)
		if v == nil {
			if v, err = r.AddVideo(t); err != nil {
				if leftOut(err) {
					continue
				}
				return audios, videos, err
			}
		}
		if err := v.Record(line); err != nil {
			return audios, videos, err
		}
		r.know(c, line, v)
		videos = append(videos, v)
	}
	return audios, videos, nil
}

// free returns the track in which a line of the call can go on, or nil. It reports false
// if the line is recorded already.
func (r *Recorder) free(c *parley.Call, line parley.Line, codec Codec) (in ender, fresh bool) {
	there := map[parley.Line]bool{}
	for a := range c.Audios() {
		there[a] = true
	}
	for v := range c.Videos() {
		there[v] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := map[ender]bool{}
	for _, l := range r.lines {
		if l.line == line {
			return nil, false
		}
		taken[l.in] = taken[l.in] || there[l.line]
	}
	for _, l := range r.lines {
		if t := l.in.base(); l.call == c && !taken[l.in] && !t.closed && t.codec == codec {
			return l.in, true
		}
	}
	return nil, true
}

// leaveTimeline is for a track whose next source is not on the timeline of the one before.
func (t *recording) leaveTimeline() {
	t.rec.mu.Lock()
	defer t.rec.mu.Unlock()
	t.clock.leave(t)
	t.clock, t.own, t.aside = &recorderClock{}, true, nil
}

// leftOut reports whether err only says that the file cannot have a track.
func leftOut(err error) bool {
	return errors.Is(err, ErrTrack) || errors.Is(err, errors.ErrUnsupported)
}

// recordLine records what is heard on a line.
func (a *AudioRecording) recordLine(line *parley.Audio) error {
	if a.codec == Opus && isOpus(line.Codec()) {
		return a.RecordPackets(line)
	}
	return a.Record(line)
}

// AddSent records the other side of a call: what this end sends on a line of audio.
// It adds a track for that, which in a WAV file with one side becomes the right one.
//
// The file has what has left, where it left: what a Flush of the line drops is not
// in it, and what is not sent is silent. So with what is heard recorded as the handler
// reads it, the two sides are as the handler had them: its answer to a word comes
// after that word in the file, by as much as it took. What the far end hears of it is
// later by the way there. Nobody who writes to the line is held up; what could not be
// written in time is counted in [AudioRecording.Skipped].
//
// Opus stays as it is coded, as with [Recorder.AddCall]. Errors are those of
// [Recorder.AddAudio] and [parley.Audio.Tap]. The recording goes on until the call or
// the line ends, or the track or the recorder is closed.
func (r *Recorder) AddSent(line *parley.Audio) (*AudioRecording, error) {
	tap, err := line.Tap()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	a, err := r.AddAudio(RecorderTrack{Track: r.beside(r.soundOf(line.Codec()))})
	if err != nil {
		tap.Close()
		return nil, err
	}
	r.mu.Lock()
	a.tap = tap
	r.mu.Unlock()
	source := sentSource{tap}
	if a.codec == Opus && isOpus(line.Codec()) {
		err = a.RecordPackets(source)
	} else {
		var f audio.Frame
		err = r.record(&a.recording, source, func() error {
			if err := tap.ReadFrame(&f); err != nil {
				return sourceError{err}
			}
			return a.writeFrame(f.Captured, f.Captured, &f)
		})
	}
	if err != nil { // the track was closed already
		tap.Close()
	}
	return a, err
}

// A sentSource is a tap that belongs to the recorder.
type sentSource struct{ *parley.Tap }

// beside makes a track of a WAV file fit the side that is there already.
func (r *Recorder) beside(t Track) Track {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ext == ".wav" {
		t.Channels = 1
		if len(r.tracks) > 0 {
			t.Rate = r.tracks[0].Rate
		}
	}
	return t
}

func isOpus(p codec.Params) bool { return strings.EqualFold(p.Name, string(Opus)) }

// soundOf returns the track for the sound of a call: as it is coded, or else PCM
// where the format has it, or else Opus.
func (r *Recorder) soundOf(p codec.Params) Track {
	switch {
	case isOpus(p) && r.ext != ".wav":
		return Track{Codec: Opus, Channels: 2}
	case r.ext != ".wav" && r.ext != ".mkv" && encodesOpus():
		return Track{Codec: Opus, Channels: 1}
	}
	t := Track{Codec: PCM, Rate: p.ClockRate, Channels: 1}
	if c, err := codec.Lookup(p); err == nil {
		if f, err := c.Format(p); err == nil {
			t.Rate, t.Channels = f.Rate, f.Channels
		}
	}
	return t
}

// filmed returns the codec in which the far end sends its pictures, which need not be
// that of ours: before any has come, most likely that.
func filmed(line *parley.Video) Codec {
	var s parley.VideoStats
	line.Stats(&s)
	return picturesOf(cmp.Or(s.Codec, line.Codec().Name))
}

// picturesOf returns the codec of the given rtpmap name.
func picturesOf(name string) Codec {
	for _, c := range []Codec{VP8, VP9, AV1, H264} {
		if strings.EqualFold(name, string(c)) {
			return c
		}
	}
	return Codec(name)
}
