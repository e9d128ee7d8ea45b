package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/parley-media/parley/audio"
)

// RecorderConfig describes a [Recorder]. Its zero value will do.
type RecorderConfig struct {
	// Error, if it is not nil, is told at once when the file cannot be written any more,
	// when a source ends in another error than [io.EOF], [os.ErrClosed] and the end of a
	// call by this program, and of the first that a track leaves out because it is of
	// another codec, which wraps [errors.ErrUnsupported]. It is called by the goroutine
	// that found out, and must not close the recorder itself.
	Error func(error)
}

// A RecorderTrack describes one track of a [Recorder].
type RecorderTrack struct {
	// Track tells the codec. A rate or number of channels of PCM that is zero is
	// 48000 or 1; frames of any other format are converted.
	Track

	// Timeline, if it is not nil, is something that all tracks have in common
	// whose frames have their times from one clock, such as their source: frames
	// of the same time are then at the same time in the file. Without one, a track
	// has its place by the arrival of its frames.
	Timeline any
}

// A Recorder writes audio and video to a file while they happen: frames and
// packets of calls, or of any other source. Its methods, and those of its tracks,
// may be used from any goroutine.
//
//	rec, err := file.CreateRecorder("call.webm", file.RecorderConfig{})
//	if err != nil {
//		return err
//	}
//	defer rec.Close()
//	if _, _, err = rec.AddCall(call); err != nil {
//		return err
//	}
//	<-call.Done()
//
// The file's time begins with the first frame of any track. Each frame is where
// its own time says, as long as that goes with the time of its arrival, to some
// seconds; a timeline that stops, jumps or begins anew goes on at the time of
// arrival. What is missing is silence in PCM and a gap in what stays coded, so a
// track may be mute, change its source, begin late and end early. Frames that
// would lie before what is written are left out, and counted.
//
// WebM and Matroska files take further tracks at any time, up to 16 in all; the
// tracks of all others have to be there before the first frame. A WAV file has
// one track of PCM, or two of one channel each, which become left and right. The
// other formats are those of [Create]. Nothing is coded, but for frames of sound
// that are written to a track of Opus. As with the writers of packets, a file is playable while it is written and after a crash.
//
// Writes go to the file on a goroutine of the recorder, so that nothing is missing that
// is recorded while the disk stands still: up to 8 MiB wait for it. Beyond that those who
// write wait too, which is told to Error of the [RecorderConfig].
type Recorder struct {
	report   func(error)
	name     string
	ext      string
	file     *behind
	matroska bool

	mu     sync.Mutex
	tracks []Track
	clocks map[any]*recorderClock

	recordings []ender        // of the tracks
	lines      []recordedLine // of calls
	start      time.Time      // the file's zero; zero before the first frame
	out        PacketWriter   // nil before the first frame, and for WAV
	web        *growingWebM   // out, if it is one
	wav        *wavMixer
	err        error // the first one of the output
	told       bool
	slow       bool  // it was told that the disk is
	notice     error // that is to be told when the lock is released
	closed     bool
	end        time.Time       // of Close, which ends Duration
	pauses     []recorderPause // in order

	sources map[*recorderSource]struct{}
	reading sync.WaitGroup // sources that can be interrupted
}

// CreateRecorder creates the named file, or truncates it. The extension of the
// name is that of the format, as with [Create], or .wav; for any other the error
// wraps [errors.ErrUnsupported].
func CreateRecorder(name string, c RecorderConfig) (*Recorder, error) {
	r := &Recorder{
		report:  c.Error,
		name:    name,
		ext:     strings.ToLower(filepath.Ext(name)),
		clocks:  make(map[any]*recorderClock),
		sources: make(map[*recorderSource]struct{}),
	}
	if r.ext != ".wav" && beginning(r.ext) == nil {
		return nil, fmt.Errorf("%s: a file named %q: %w", name, r.ext, errors.ErrUnsupported)
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	r.file = newBehind(f, r.failed)
	r.matroska = r.ext == ".mkv"
	if r.matroska || r.ext == ".webm" {
		if r.web, err = newGrowingWebM(r.file, r.matroska); err == nil {
			err = r.file.wait() // what has no place for its beginning is no file
		}
		if err != nil {
			r.file.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if r.web.out.at == nil {
			r.file.Close()
			return nil, fmt.Errorf("%s: a file that cannot seek: %w", name, errors.ErrUnsupported)
		}
		r.out = r.web
	}
	return r, nil
}

// AddAudio adds a track of sound. The error wraps [ErrTrack] if the file cannot
// have it, or not any more, or [errors.ErrUnsupported] if it cannot have its
// codec.
func (r *Recorder) AddAudio(t RecorderTrack) (*AudioRecording, error) {
	if t.Codec == PCM {
		if t.Rate == 0 {
			t.Rate = opusRate
		}
		if t.Channels == 0 {
			t.Channels = 1
		}
	}
	if t.Codec.Video() {
		return nil, fmt.Errorf("%s: %w: %s is no sound", r.name, ErrTrack, t.Codec)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := &AudioRecording{recording: recording{rec: r, codec: t.Codec}, channels: t.Channels}
	if t.Codec == PCM {
		a.rate = t.Rate
		var err error
		if a.adapter, err = audio.NewAdapter(audio.Format{Rate: t.Rate, Channels: t.Channels}); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", r.name, ErrTrack, err)
		}
	}
	if err := r.addLocked(a, &a.recording, t); err != nil {
		return nil, err
	}
	return a, nil
}

// AddVideo adds a track with pictures. It begins with their first key frame.
// Errors are those of [Recorder.AddAudio].
func (r *Recorder) AddVideo(t RecorderTrack) (*VideoRecording, error) {
	if !t.Codec.Video() {
		return nil, fmt.Errorf("%s: %w: %s has no pictures", r.name, ErrTrack, t.Codec)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &VideoRecording{recording: recording{rec: r, codec: t.Codec}}
	if err := r.addLocked(v, &v.recording, t); err != nil {
		return nil, err
	}
	return v, nil
}

func (r *Recorder) addLocked(e ender, t *recording, d RecorderTrack) error {
	if err := r.usableLocked(); err != nil {
		return err
	}
	index := len(r.tracks)
	if r.web != nil {
		if !r.matroska && (d.Codec == H264 || d.Codec == PCM) {
			return fmt.Errorf("%s: %s, which WebM has not and Matroska (.mkv) has: %w", r.name, d.Codec, errors.ErrUnsupported)
		}
		var err error
		index, err = r.web.add(d.Track)
		switch {
		case errors.Is(err, ErrTrack) || errors.Is(err, errors.ErrUnsupported):
			return fmt.Errorf("%s: %w", r.name, err)
		case err != nil:
			return r.failLocked(err)
		}
	} else {
		if r.out != nil || r.wav != nil {
			return fmt.Errorf("%s: %w: the file has begun, and only WebM and Matroska take further tracks", r.name, ErrTrack)
		}
		if _, _, err := r.begin(io.Discard, append(r.tracks[:index:index], d.Track)); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	r.tracks = append(r.tracks, d.Track)
	r.recordings = append(r.recordings, e)
	t.index = index
	t.own = d.Timeline == nil
	if t.own {
		t.clock = &recorderClock{}
		return nil
	}
	if r.clocks[d.Timeline] == nil {
		r.clocks[d.Timeline] = &recorderClock{}
	}
	t.clock = r.clocks[d.Timeline]
	return nil
}

// begin returns the writer of a file whose tracks are known.
func (r *Recorder) begin(w io.Writer, tracks []Track) (PacketWriter, *wavMixer, error) {
	if r.ext != ".wav" {
		p, err := beginning(r.ext)(w, tracks)
		return p, nil, err
	}
	format := audio.Format{Rate: tracks[0].Rate, Channels: tracks[0].Channels}
	for i := range tracks {
		switch t := &tracks[i]; {
		case t.Codec != PCM:
			return nil, nil, fmt.Errorf("wav: track %d: codec %q: %w", i, t.Codec, errors.ErrUnsupported)
		case i > 1:
			return nil, nil, fmt.Errorf("wav: %w: it has two sides at most", ErrTrack)
		case i == 1 && (format.Channels != 1 || t.Channels != 1 || t.Rate != format.Rate):
			return nil, nil, fmt.Errorf("wav: %w: its two sides have one channel each, of the same rate", ErrTrack)
		}
	}
	format.Channels = max(format.Channels, len(tracks))
	ww, err := NewWAVWriter(w, format)
	if err != nil {
		return nil, nil, err
	}
	return nil, newWAVMixer(ww, len(tracks)), nil
}

func (r *Recorder) usableLocked() error {
	if r.err == nil && r.closed {
		return fmt.Errorf("%s: %w", r.name, os.ErrClosed)
	}
	return r.err
}

// openLocked makes the writer of a file whose tracks are known now.
func (r *Recorder) openLocked() error {
	if r.out != nil || r.wav != nil {
		return nil
	}
	var err error
	r.out, r.wav, err = r.begin(r.file, r.tracks)
	return r.failLocked(err)
}

// failLocked keeps the first error of the output. One of a packet that has no
// place in the file is none.
func (r *Recorder) failLocked(err error) error {
	if err == nil || errors.Is(err, ErrPacket) {
		return err
	}
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", r.name, err)
	}
	return r.err
}

// failed is told what became of something that was written before.
func (r *Recorder) failed(err error) {
	r.mu.Lock()
	r.failLocked(err)
	r.unlock()
}

// unlock releases the lock, and tells of an error that nobody knows yet.
func (r *Recorder) unlock() {
	if !r.slow && r.notice == nil && r.file.late.Load() {
		r.slow, r.notice = true, fmt.Errorf("%s: the disk is too slow: something of what came meanwhile may be missing", r.name)
	}
	err := r.notice
	r.notice = nil
	if r.err != nil && !r.told {
		r.told, err = true, r.err
	}
	r.mu.Unlock()
	if err != nil && r.report != nil {
		r.report(err)
	}
}

// presentLocked returns the time of the file at t, which is its beginning if it
// has not begun.
func (r *Recorder) presentLocked(t time.Time) time.Duration {
	if r.start.IsZero() {
		r.start = t
	}
	return t.Sub(r.start)
}

// Duration returns how long the recorder has been recording: since its first
// frame, and until Close.
func (r *Recorder) Duration() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start.IsZero() {
		return 0
	}
	if r.closed {
		return r.end.Sub(r.start)
	}
	return time.Since(r.start)
}

// Close ends all tracks, completes the file and closes it. It waits for the
// goroutines that read sources, but for those of sources that cannot be
// interrupted, which end with the next frame; see [AudioRecording.Record]. It
// returns the first error that writing met, and the same again when called again.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		r.reading.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.err
	}
	for s := range r.sources {
		s.interruptLocked()
	}
	for _, t := range r.recordings {
		t.endLocked()
	}
	r.closed, r.end = true, time.Now()
	r.failLocked(r.finishLocked())
	r.unlock()
	r.reading.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// finishLocked completes the file, whether or not it could be written.
func (r *Recorder) finishLocked() error {
	var err error
	switch {
	case r.err != nil:
	case len(r.tracks) > 0:
		err = r.openLocked()
	case r.out == nil:
		err = fmt.Errorf("%w: none was added", ErrTrack)
	}
	if r.wav != nil {
		err = errors.Join(err, r.wav.close())
	}
	if r.out != nil {
		err = errors.Join(err, r.out.Close())
	}
	if closing := r.file.Close(); !errors.Is(err, closing) {
		err = errors.Join(err, closing)
	}
	return err
}
