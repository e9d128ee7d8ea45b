package main

import (
	"cmp"
	"encoding/binary"
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
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A recording reads a call to its end, and writes what comes to a file: samples to
// a WAV file, or packets and samples to one with tracks.
type recording struct {
	name   string // "": no file
	limit  time.Duration
	out    *output
	config *session.Config
	coded  bool // packets of audio go into the file as they come
	tracks bool // the file is not a WAV file

	progress *progress
	begin    sync.Once
	adapter  *audio.Adapter

	mu      sync.Mutex
	sync    lipsync
	wav     *file.WAVWriter
	film    file.PacketWriter // nil until the first media
	shape   audio.Format      // of its samples
	sound   int               // track of audio in the file
	refused int               // packets that had no place in the file
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
		return nil // a WAV file
	}
	r.tracks, r.coded = true, packets
	return nil
}

// run returns, in a word, why the call ended.
func (r *recording) run(s *session.Session) (string, error) {
	r.progress = newProgress(r.out, s.Call, r.config, r.limit)
	if r.config.Video != nil && r.config.Audio != nil {
		r.sync.hold = holdLines
	}
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

// at returns the place in the recording of what came at arrival, as far as it is
// known.
func (r *recording) at(track int, t time.Duration, arrival time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sync.at(track, t, arrival)
}

// samples records frames of audio.
func (r *recording) samples(s *session.Session) error {
	var f audio.Frame
	for first := true; ; first = false {
		if err := s.Audio().ReadFrame(&f); err != nil {
			return err
		}
		now := time.Now()
		if first {
			from := address(s.RemoteAddr())
			r.heard(event{Address: from, Format: f.Format.String()}, fmt.Sprintf("Receiving from %s, %v.", from, f.Format))
		}
		at := r.at(trackSound, f.Time, now)
		if left := r.limit - at; r.limit > 0 && f.Duration() > left {
			f.Samples = f.Samples[:max(0, f.Format.Samples(left))]
		}
		if err := r.writeSamples(&f, now); err != nil {
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
	o := opusOrder{wait: r.config.Audio.MaxDelay}
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
		} else {
			o.end()
		}
		for q, ok := o.pop(p.Arrival); ok; q, ok = o.pop(p.Arrival) {
			at := r.at(trackSound, q.time, q.arrival)
			if r.limit > 0 && at >= r.limit {
				return errLimit
			}
			if err := r.write(&file.Packet{Track: trackSound, Time: q.time, Data: q.data}, q.arrival); err != nil {
				return err
			}
			r.progress.reach(at + opusDuration(q.data))
		}
		if err != nil {
			return err
		}
	}
}

// pictures records frames of video.
func (r *recording) pictures(s *session.Session) error {
	var f video.Frame
	for first := true; ; first = false {
		if err := s.Video().ReadFrame(&f); err != nil {
			return err
		}
		now := time.Now()
		if first {
			from := address(s.RemoteVideo())
			p := r.config.Video.Codecs[0]
			e := event{Media: "video", Address: from, VideoCodec: p.String(), VideoFormat: size(f.Width, f.Height)}
			r.heard(e, fmt.Sprintf("Receiving video from %s, %v %s.", from, p, e.VideoFormat))
		}
		at := r.at(trackPicture, f.Time, now)
		if r.limit > 0 && at >= r.limit {
			return errLimit
		}
		r.mu.Lock()
		r.width, r.height = f.Width, f.Height
		r.mu.Unlock()
		if err := r.write(&file.Packet{Track: trackPicture, Time: f.Time, Key: f.Key, Data: f.Data}, now); err != nil {
			return err
		}
		r.progress.reach(at)
	}
}

// writeSamples writes a frame that came at arrival.
func (r *recording) writeSamples(f *audio.Frame, arrival time.Time) error {
	switch {
	case r.name == "":
		return nil
	case !r.tracks:
		if r.wav == nil {
			var err error
			if r.wav, err = file.CreateWAV(r.name, f.Format); err != nil {
				return err
			}
		}
		return r.wav.WriteFrame(f)
	}
	r.mu.Lock()
	if r.shape.Rate == 0 {
		r.shape = f.Format
	}
	r.mu.Unlock()
	samples := f.Samples
	if f.Format != r.shape || r.adapter != nil {
		var err error
		if r.adapter == nil {
			if r.adapter, err = audio.NewAdapter(r.shape); err != nil {
				return err
			}
		}
		if samples, err = r.adapter.Append(nil, f); err != nil {
			return err
		}
	}
	if len(samples) == 0 {
		return nil
	}
	data := make([]byte, 0, 2*len(samples))
	for _, v := range samples {
		data = binary.LittleEndian.AppendUint16(data, uint16(v))
	}
	return r.write(&file.Packet{Track: trackSound, Time: f.Time, Data: data}, arrival)
}

// Tracks of a recording; in the file the first is that of video, if there is one.
const (
	trackPicture = iota
	trackSound
)

// write takes a packet of audio or video with the time of its line.
func (r *recording) write(p *file.Packet, arrival time.Time) error {
	if r.name == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sync.hands(p, arrival, r.put)
}

// put writes a packet that has its place.
func (r *recording) put(p *file.Packet) error {
	if r.film == nil {
		if err := r.create(); err != nil {
			return err
		}
	}
	d := p.Duration
	if p.Track == trackSound {
		p.Track = r.sound
		d = r.length(p.Data)
	}
	err := r.film.WritePacket(p)
	if errors.Is(err, file.ErrPacket) {
		if r.refused++; r.refused == 1 {
			r.out.warn(fmt.Sprintf("left out of %s: %v", r.name, err))
		}
		return nil
	}
	r.end = max(r.end, p.Time+d)
	return err
}

// length returns how long the data of a packet of audio lasts.
func (r *recording) length(data []byte) time.Duration {
	if r.coded {
		return opusDuration(data)
	}
	return r.shape.Duration(len(data) / 2)
}

// create creates the file, video first.
func (r *recording) create() error {
	var tracks []file.Track
	if v := r.config.Video; v != nil {
		tracks = append(tracks, file.Track{Codec: file.Codec(strings.ToUpper(v.Codecs[0].Name))})
	}
	r.sound = len(tracks)
	switch a := r.config.Audio; {
	case a == nil:
	case r.coded:
		tracks = append(tracks, file.Track{Codec: file.Opus})
	default:
		if r.shape.Rate == 0 { // video is first
			impl, err := codec.Lookup(a.Codecs[0])
			if err == nil {
				r.shape, err = impl.Format(a.Codecs[0])
			}
			if err != nil {
				return err
			}
		}
		tracks = append(tracks, file.Track{Codec: file.PCM, Rate: r.shape.Rate, Channels: r.shape.Channels})
	}
	var err error
	r.film, err = file.Create(r.name, tracks...)
	return err
}

// wrote says what is in the file, or nothing if there is none.
func (r *recording) wrote() string {
	switch {
	case r.wav != nil:
		return fmt.Sprintf("%s of %v", r.wav.Duration().Round(time.Millisecond), r.wav.Format())
	case r.film == nil:
		return ""
	}
	var parts []string
	if v := r.config.Video; v != nil {
		parts = append(parts, strings.TrimSpace(v.Codecs[0].Name+" "+size(r.width, r.height)))
	}
	if r.coded {
		parts = append(parts, "Opus")
	} else if r.config.Audio != nil {
		parts = append(parts, r.shape.String())
	}
	return fmt.Sprintf("%s of %s", r.end.Round(time.Millisecond), strings.Join(parts, " and "))
}

// close completes the file.
func (r *recording) close() error {
	err := r.sync.settle(r.put)
	if r.film != nil {
		err = cmp.Or(err, r.film.Close())
	}
	if r.wav != nil {
		err = cmp.Or(err, r.wav.Close())
	}
	return err
}
