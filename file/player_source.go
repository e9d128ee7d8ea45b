package file

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/parley-media/parley/audio"
)

// OpenPlayable opens any file that can be played to a call: those of [Open], and WAV,
// whose samples become packets of PCM. So does sound, by the ffmpeg program where that is
// found, of other codecs than Opus and of more than two channels.
func OpenPlayable(ctx context.Context, name string) (PacketReadCloser, error) {
	f, err := openTwice(name)
	if err != nil {
		return nil, err
	}
	var start [12]byte
	n, _ := io.ReadFull(f, start[:])
	f.Close()
	if n < len(start) || string(start[8:]) != "WAVE" || !slices.Contains([]string{"RIFF", "RF64", "BW64"}, string(start[:4])) {
		return openAs(ctx, name, true)
	}
	w, err := OpenWAV(name)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, audio.ErrFormat) { // GSM, ADPCM and the like, or more channels
		if ff, err := openFFmpeg(ctx, name, true); err == nil {
			return ff, nil
		}
	}
	if err != nil {
		return nil, err
	}
	format := w.Format()
	return &wavPackets{WAVReader: w, tracks: []Track{{Codec: PCM, Rate: format.Rate, Channels: format.Channels}}}, nil
}

// wavPackets reads the frames of a WAV file as packets.
type wavPackets struct {
	*WAVReader
	tracks []Track
	frame  audio.Frame
}

func (w *wavPackets) Tracks() []Track { return w.tracks }

func (w *wavPackets) ReadPacket(p *Packet) error {
	if err := w.ReadFrame(&w.frame); err != nil {
		return err
	}
	p.Track, p.Time, p.Duration, p.Key = 0, w.frame.Time, w.frame.Duration(), true
	p.Data = p.Data[:0]
	for _, s := range w.frame.Samples {
		p.Data = binary.LittleEndian.AppendUint16(p.Data, uint16(s))
	}
	return nil
}

// lateStart is how late the first packet of a file is at least if its times do not
// begin with the file, as those of what was cut out of a stream.
const lateStart = time.Second

// maxAhead is how many packets of one track are read to see where the other one begins.
const maxAhead = 100

// A playSource reads one track of sound and one of pictures of a file, from any
// position, as often as is wanted.
type playSource struct {
	name         string
	begin        func() (PacketReadCloser, error) // opens the file
	in           PacketReadCloser
	tracks       []Track  // as they were at first
	sound, image int      // the first track of each, -1: none
	unknown      []string // codecs of tracks that are not among them
	begun        bool     // a packet was read since the file was opened
	zero         time.Duration
	ahead        []Packet // were read to find that out
}

func openSource(ctx context.Context, name string) (*playSource, error) {
	begin := func() (PacketReadCloser, error) { return OpenPlayable(ctx, name) }
	s := &playSource{name: name, begin: begin, sound: -1, image: -1}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.tracks = s.in.Tracks()
	for i, t := range s.tracks {
		switch {
		case t.Codec.Video() && s.image < 0:
			s.image = i
		case !t.Codec.Video() && s.sound < 0:
			s.sound = i
		}
	}
	for _, name := range unknown(s.in) {
		if strings.HasPrefix(name, "A_") && s.sound < 0 || strings.HasPrefix(name, "V_") && s.image < 0 {
			s.unknown = append(s.unknown, name)
		}
	}
	return s, nil
}

// unknown returns the codecs of tracks that a reader leaves out.
func unknown(in PacketReader) []string {
	switch r := in.(type) {
	case *openFile:
		return unknown(r.PacketReader)
	case *FFmpegReader:
		return r.webm.unknown
	case *WebMReader:
		return r.unknown
	}
	return nil
}

// open begins at the beginning.
func (s *playSource) open() error {
	if s.in != nil {
		s.in.Close()
		s.in = nil
	}
	in, err := s.begin()
	if err != nil {
		return err
	}
	s.in, s.begun, s.zero, s.ahead = in, false, 0, nil
	return nil
}

// read fills p with the next packet of the two tracks, by its time from the beginning.
func (s *playSource) read(p *Packet) error {
	if len(s.ahead) == 0 {
		if err := s.next(p); err != nil {
			return err
		}
		if !s.begun && p.Time > lateStart {
			s.look(*p)
		}
		s.begun = true
	}
	if len(s.ahead) > 0 {
		*p, s.ahead = s.ahead[0], s.ahead[1:]
	}
	p.Time -= s.zero
	return nil
}

// look finds the time at which a file begins whose first packet is p: the track that
// begins first need not come first.
func (s *playSource) look(p Packet) {
	first := p.Track
	for {
		s.zero = p.Time
		p.Data = bytes.Clone(p.Data)
		s.ahead = append(s.ahead, p)
		if p.Track != first || s.sound < 0 || s.image < 0 || len(s.ahead) == maxAhead || s.next(&p) != nil {
			break
		}
	}
	for _, p := range s.ahead {
		s.zero = min(s.zero, p.Time)
	}
	if s.zero <= lateStart {
		s.zero = 0
	}
}

// next fills p with the next packet of the two tracks, as it is.
func (s *playSource) next(p *Packet) error {
	for {
		if s.in == nil {
			return os.ErrClosed
		}
		if err := s.in.ReadPacket(p); err != nil {
			return err
		}
		if p.Duration == 0 && p.Track < len(s.tracks) {
			p.Duration = s.tracks[p.Track].duration(p.Data)
		}
		if p.Track == s.sound || p.Track == s.image {
			return nil
		}
	}
}

func (s *playSource) close() {
	if s.in != nil {
		s.in.Close()
		s.in = nil
	}
}
