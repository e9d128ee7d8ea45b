package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/payload"
)

// A source is a file that is sent: samples of a WAV file, or packets of which one
// track of audio and one of video are taken.
type source struct {
	name string
	fps  float64 // of a byte stream of H.264; 0: as it tells
	wav  *file.WAVReader
	pipe *io.PipeReader    // what wav reads if it can be read only once; closing it ends that
	in   file.PacketReader // nil for a WAV file
	done func() error      // closes in

	sound, picture *sourceTrack // nil: none
	passed         []string     // codecs of tracks that cannot be sent
	mute           bool         // one of them is of sound
}

type sourceTrack struct {
	file.Track
	index int
}

// openSource opens the named file. Common WAV files are read without another program. A
// pipe, or "-" for standard input, has to be one, since it cannot be looked into first.
func openSource(ctx context.Context, name string, fps float64) (*source, error) {
	s := &source{name: name, fps: fps}
	if name == "-" || isPipe(name) {
		return s, s.openPipe(ctx)
	}
	var wavErr error
	if isWAV(name) {
		if s.wav, wavErr = file.OpenWAV(name); wavErr == nil {
			return s, nil
		}
	}
	if err := s.open(ctx); err != nil {
		err = cmp.Or(wavErr, err)
		if ctx.Err() != nil { // it ended the ffmpeg program
			err = errInterrupted
		}
		return nil, err
	}
	for i, t := range s.in.Tracks() {
		to := &s.sound
		if t.Codec.Video() {
			to = &s.picture
		}
		switch {
		case !sendable(t):
			s.passed = append(s.passed, string(t.Codec))
			s.mute = s.mute || !t.Codec.Video()
		case *to == nil:
			*to = &sourceTrack{t, i}
		}
	}
	return s, nil
}

// isPipe reports whether a name is that of a pipe, or a device, which is read or written
// once and in order.
func isPipe(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// openPipe waits for whoever writes to the pipe, unless ctx ends before. Nothing can
// interrupt the opening of a pipe, and reading standard input, so it is not done here.
func (s *source) openPipe(ctx context.Context) error {
	var copied *io.PipeWriter
	s.pipe, copied = io.Pipe()
	go func() {
		f, err := os.Stdin, error(nil)
		if s.name != "-" {
			f, err = os.Open(s.name)
		}
		if err == nil {
			_, err = io.Copy(copied, f)
			f.Close()
		}
		copied.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { s.pipe.Close() })
	defer stop()
	var err error
	if s.wav, err = file.NewWAVReader(s.pipe); err == nil {
		return nil
	}
	s.pipe.Close()
	if ctx.Err() != nil {
		return errInterrupted
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

var errInterrupted = errors.New("interrupted")

// isWAV goes by the name and, if that tells nothing, by what is in the file.
func isWAV(name string) bool {
	if ext := strings.ToLower(filepath.Ext(name)); ext == ".wav" || ext == ".wave" {
		return true
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var start [12]byte
	_, err = io.ReadFull(f, start[:])
	return err == nil && string(start[:4]) == "RIFF" && string(start[8:]) == "WAVE"
}

// sendable reports whether there is a payload format for the packets of a track,
// or for what they decode to.
func sendable(t file.Track) bool {
	switch t.Codec {
	case file.H264, file.VP8, file.VP9:
		return true
	case file.Opus, file.PCM:
		return t.Channels <= 2
	}
	return false
}

func (s *source) open(ctx context.Context) error {
	if s.fps == 0 {
		in, err := file.OpenPlayable(ctx, s.name)
		if err != nil {
			return err
		}
		s.in, s.done = in, in.Close
		return nil
	}
	f, err := os.Open(s.name)
	if err != nil {
		return err
	}
	var start [4]byte
	in, err := (*file.AnnexBReader)(nil), errors.New("it does not begin with a start code")
	if _, e := io.ReadFull(f, start[:]); e == nil && (string(start[:]) == "\x00\x00\x00\x01" || string(start[:3]) == "\x00\x00\x01") {
		in, err = file.NewAnnexBReader(io.MultiReader(bytes.NewReader(start[:]), f))
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("%s: --fps is for a byte stream of H.264: %w", s.name, err)
	}
	in.FrameDuration = time.Duration(float64(time.Second) / s.fps)
	s.in, s.done = in, f.Close
	return nil
}

func (s *source) Close() error {
	if s.pipe != nil {
		return s.pipe.Close()
	}
	if s.wav != nil {
		return s.wav.Close()
	}
	return s.done()
}

// rewind opens the file again. After an error it is closed.
func (s *source) rewind(ctx context.Context) (err error) {
	if s.wav != nil {
		wav, err := file.OpenWAV(s.name)
		if err == nil {
			s.wav.Close()
			s.wav = wav
		}
		return err
	}
	s.done()
	s.done = func() error { return nil }
	return s.open(ctx)
}

// hasAudio reports whether there is audio to send.
func (s *source) hasAudio() bool { return s.wav != nil || s.sound != nil }

// drop leaves out what is not wanted, and returns an error that says why if
// nothing is left.
func (s *source) drop(noAudio, noVideo bool) error {
	if noAudio && s.wav != nil {
		return useError{fmt.Errorf("--no-audio: %s has nothing else", s.name)}
	}
	if noAudio {
		s.sound, s.mute = nil, false
	}
	if noVideo {
		s.picture = nil
	}
	switch {
	case s.hasAudio() || s.picture != nil:
		return nil
	case len(s.passed) > 0:
		return fmt.Errorf("%s: nothing in it can be sent: %s is neither a payload format nor decoded here", s.name, strings.Join(s.passed, ", "))
	}
	return fmt.Errorf("%s: nothing in it can be sent", s.name)
}

// format returns the shape of the sound.
func (s *source) format() audio.Format {
	if s.wav != nil {
		return s.wav.Format()
	}
	return audio.Format{Rate: s.sound.Rate, Channels: s.sound.Channels}
}

// coded reports whether the packets of the sound can be sent as they are, as p. Those
// with a gain are encoded anew, where that can be.
func (s *source) coded(p codec.Params) bool {
	if s.wav != nil || s.sound.Codec != file.Opus || !strings.EqualFold(p.Name, "opus") {
		return false
	}
	impl, err := codec.Lookup(p)
	return s.sound.Gain() == 1 || err != nil || impl.NewEncoder == nil
}

// decoder returns what makes samples of the packets of the sound.
func (s *source) decoder() (codec.Decoder, error) {
	if s.sound.Codec == file.PCM {
		return littleEndian{}, nil
	}
	p := codec.Params{Name: "opus", ClockRate: 48000, Channels: 2}
	if s.sound.Channels == 2 {
		p.FMTP = opus.FMTP{Stereo: true, SpropStereo: true}.String()
	}
	impl, err := codec.Lookup(p)
	if err != nil {
		return nil, err
	}
	if impl.NewDecoder == nil {
		return nil, fmt.Errorf("%w: no decoder for %s", codec.ErrUnknown, p)
	}
	d, err := impl.NewDecoder(p)
	if gain := s.sound.Gain(); gain != 1 && err == nil {
		return amplifier{d, gain}, nil
	}
	return d, err
}

// amplifier applies the gain of a file.
type amplifier struct {
	codec.Decoder
	gain float64
}

func (a amplifier) Decode(dst []int16, b []byte) ([]int16, error) {
	n := len(dst)
	dst, err := a.Decoder.Decode(dst, b)
	audio.Amplify(dst[n:], a.gain)
	return dst, err
}

// littleEndian decodes the samples of files.
type littleEndian struct{}

func (littleEndian) Decode(dst []int16, b []byte) ([]int16, error) {
	for ; len(b) > 1; b = b[2:] {
		dst = append(dst, int16(uint16(b[0])|uint16(b[1])<<8))
	}
	return dst, nil
}

// described adds to the format of the pictures what a far end has to know before
// they come.
func (s *source) described(p codec.Params) codec.Params {
	if s.picture.Codec != file.H264 {
		return p
	}
	f := payload.H264FMTP{PacketizationMode: 1}
	for nal := range payload.AnnexB(s.picture.Config) {
		info, err := payload.ParseH264SPS(nal)
		if err == nil && f.Profile == 0 {
			f.Profile, f.Constraints, f.Level = info.Profile, info.Constraints, info.Level
		}
		f.ParameterSets = append(f.ParameterSets, nal)
	}
	p.FMTP = f.String()
	return p
}
