package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A recording reads a call to its end, and writes what comes to a file: samples to
// a WAV file, or packets and samples to one with tracks.
type recording struct {
	name   string    // "": no file
	pipe   io.Writer // in place of a file of that name; nil: none
	limit  time.Duration
	out    *output
	config *session.Config
	coded  bool // packets of audio go into the file as they come
	tracks bool // the file is not a WAV file

	progress *progress
	begin    sync.Once
	adapter  *audio.Adapter

	mu      sync.Mutex
	placed  bool
	zero    time.Duration // what the beginning of the recording is on the timeline of the call
	wav     *file.WAVWriter
	film    file.PacketWriter // nil until the first media
	shape   audio.Format      // of its samples
	sound   int               // track of audio in the file
	refused int               // packets that had no place in the file
	seen    bool              // a picture came
	width   int
	height  int
	end     time.Duration // of what was written
}

// check finds out what kind of file there is to be, and whether it can hold what
// comes.
func (r *recording) check(playout string) error {
	var sound, pictures string
	if r.config.Audio != nil {
		sound = strings.ToLower(r.config.Audio.Codecs[0].Name)
	}
	if r.config.Video != nil {
		pictures = strings.ToUpper(r.config.Video.Codecs[0].Name)
	}
	packets := sound == "opus" && (playout == "" || playout == "in-order")
	ext := strings.ToLower(filepath.Ext(r.name))
	refuse := func(format string, args ...any) error {
		return useError{fmt.Errorf("--out %s: %s", r.name, fmt.Sprintf(format, args...))}
	}
	if r.name == "" {
		return nil
	}
	switch ext {
	case ".webm", ".mkv":
	case ".mp4", ".m4a":
		if pictures != "" && pictures != "H264" {
			return refuse("an MP4 file holds H.264, and not %s; a .webm file does", pictures)
		}
		if sound != "" && !packets {
			return refuse("an MP4 file holds Opus, and not samples; a .mkv file does")
		}
	case ".ogg", ".opus":
		if pictures != "" || !packets {
			return refuse("an Ogg file holds Opus, and nothing else")
		}
	case ".ivf":
		if sound != "" || pictures != "VP8" && pictures != "VP9" {
			return refuse("an IVF file holds VP8 or VP9, and no audio")
		}
	case ".h264", ".264":
		if sound != "" || pictures != "H264" {
			return refuse("such a file holds H.264, and no audio")
		}
	default:
		if pictures != "" {
			return refuse("video goes into a file named .webm, .mkv, .mp4, .ivf or .h264")
		}
		if ext != "" && ext != ".wav" && ext != ".wave" && !isPipe(r.name) {
			return refuse("audio goes into a file named .wav, .webm, .mkv, .mp4, .m4a, .ogg or .opus")
		}
		return nil // a WAV file
	}
	r.tracks, r.coded = true, packets
	return nil
}

// run returns, in a word, why the call ended.
func (r *recording) run(s *session.Session) (string, error) {
	r.progress = newProgress(r.out, s.Call, r.config, r.limit)
	var lines []func(*session.Session) error
	switch {
	case r.config.Audio == nil:
	case r.coded:
		lines = append(lines, r.packets)
	default:
		lines = append(lines, r.samples)
	}
	if r.config.Video != nil {
		lines = append(lines, r.pictures)
	}
	ended := make(chan error, len(lines))
	for _, line := range lines {
		go func() { ended <- line(s) }()
	}
	var first error
	for range lines {
		err := <-ended
		if first == nil || errors.Is(first, errLimit) && !errors.Is(err, errLimit) && !errors.Is(err, os.ErrDeadlineExceeded) {
			first = err
		}
		switch {
		case errors.Is(err, errLimit):
			r.hurry(s) // what is short of the limit on the other line is on its way
		case err != nil:
			s.EndWith(&parley.EndError{Reason: parley.Closed}) // the other line ends, too
		}
	}
	r.stop()
	switch {
	case errors.Is(first, errLimit):
		return "duration", nil
	case first == io.EOF:
		first = s.Err()
	}
	return reasonOf(first)
}

// errLimit is that what was asked for has been recorded.
var errLimit = errors.New("the limit is reached")

// grace is how long one line waits for what another one has already.
const grace = 300 * time.Millisecond

func (r *recording) hurry(s *session.Session) {
	at := time.Now().Add(grace)
	if r.config.Audio != nil {
		s.Audio().SetReadDeadline(at)
	}
	if r.config.Video != nil {
		s.Video().SetReadDeadline(at)
	}
}

// stop ends the progress, if it has begun.
func (r *recording) stop() {
	begun := true
	r.begin.Do(func() { begun = false })
	if begun {
		r.progress.stop()
	}
}

// heard tells that the first media of a line has come.
func (r *recording) heard(e event, text string) {
	e.Event = "started"
	r.out.emit(e, text)
	r.begin.Do(r.progress.start)
}

// at returns the place in the recording of what has the time t on the timeline of
// the call. That begins with the first packet of audio or video; a recording of
// one of them begins with what is recorded first.
func (r *recording) at(t time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.placed {
		r.placed = true
		if r.config.Audio == nil || r.config.Video == nil {
			r.zero = t
		}
	}
	return max(0, t-r.zero)
}

// samples records frames of audio.
func (r *recording) samples(s *session.Session) error {
	var f audio.Frame
	for first := true; ; first = false {
		if err := s.Audio().ReadFrame(&f); err != nil {
			return err
		}
		if first {
			from := address(s.RemoteAddr())
			r.heard(event{Address: from, Format: f.Format.String()}, fmt.Sprintf("Receiving from %s, %v.", from, f.Format))
		}
		at := r.at(f.Time)
		if left := r.limit - at; r.limit > 0 && f.Duration() > left {
			f.Samples = f.Samples[:max(0, f.Format.Samples(left))]
		}
		if err := r.writeSamples(&f, at); err != nil {
			return err
		}
		at += f.Duration()
		r.progress.reach(at)
		if r.limit > 0 && at >= r.limit {
			return errLimit
		}
	}
}

// packets records packets of Opus.
func (r *recording) packets(s *session.Session) error {
	var p stream.Packet
	o := packetOrder{wait: r.config.Audio.MaxDelay}
	for first := true; ; {
		err := s.Audio().ReadPacket(&p)
		if err == nil && !strings.EqualFold(p.Codec.Name, "opus") {
			continue
		}
		if err == nil && first {
			first = false
			from := address(s.RemoteAddr())
			r.heard(event{Address: from, Codec: p.Codec.String()}, fmt.Sprintf("Receiving from %s, %v.", from, p.Codec))
		}
		if err == nil {
			o.push(&p)
		}
		for q := o.pop(p.Arrival, err != nil); q != nil; q = o.pop(p.Arrival, err != nil) {
			at := r.at(q.Time)
			if r.limit > 0 && at >= r.limit {
				return errLimit
			}
			if err := r.write(&file.Packet{Track: trackSound, Time: at, Data: q.Payload}); err != nil {
				return err
			}
			r.progress.reach(at + opusDuration(q.Payload))
		}
		if err != nil {
			return err
		}
	}
}

// noSets is why H.264 of an unknown size cannot be decoded.
const noSets = "no parameter sets of H.264 have come, without which nothing can be decoded: give --sdp with sprop-parameter-sets"

// pictures records frames of video.
func (r *recording) pictures(s *session.Session) error {
	var f video.Frame
	p := r.config.Video.Codecs[0]
	for first := true; ; {
		if err := s.Video().ReadFrame(&f); err != nil {
			return err
		}
		if !f.Fits(p.Name) {
			continue
		}
		if first {
			first = false
			from := address(s.RemoteVideo())
			e := event{Media: "video", Address: from, VideoCodec: p.String(), VideoFormat: size(f.Width, f.Height)}
			r.heard(e, strings.TrimSpace(fmt.Sprintf("Receiving video from %s, %v %s", from, p, e.VideoFormat))+".")
			if f.Width == 0 && f.Fits("H264") {
				r.out.warn(noSets)
			}
		}
		at := r.at(f.Time)
		if r.limit > 0 && at >= r.limit {
			return errLimit
		}
		r.mu.Lock()
		r.seen, r.width, r.height = true, f.Width, f.Height
		r.mu.Unlock()
		if err := r.write(&file.Packet{Track: trackPicture, Time: at, Key: f.Key, Data: f.Data}); err != nil {
			return err
		}
		r.progress.reach(at)
	}
}
