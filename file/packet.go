package file

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// A Codec names how the packets of a track are coded.
type Codec string

// The codecs of tracks, and what the data of one packet is.
const (
	VP8  Codec = "VP8"  // a frame (RFC 6386)
	VP9  Codec = "VP9"  // a frame or superframe
	AV1  Codec = "AV1"  // a temporal unit in the low-overhead format
	H264 Codec = "H264" // an access unit in the byte stream format (H.264 Annex B)
	Opus Codec = "opus" // a packet (RFC 6716 section 3)
	AAC  Codec = "AAC"  // a raw frame, without an ADTS header
	PCM  Codec = "L16"  // signed 16-bit little-endian samples, channels interleaved
)

// Video reports whether tracks of this codec have pictures.
func (c Codec) Video() bool { return c == VP8 || c == VP9 || c == AV1 || c == H264 }

// A Track describes one sequence of packets in a file.
type Track struct {
	Codec Codec

	// Width and Height are the size of the picture in pixels, up to 65535. Zero
	// is unknown; a writer then takes it from the first key frame.
	Width, Height int

	// Rate is the number of samples per second of audio and Channels the number
	// of channels, up to 8. Opus always runs at 48000, and has two channels if
	// this is zero.
	Rate, Channels int

	// PreSkip is, for Opus, the number of samples at 48 kHz that a decoder gives
	// before the first that is to be heard (RFC 7845 section 4.2).
	PreSkip int

	// Config is what a decoder needs before the first packet. H264: parameter
	// sets in the byte stream format; a writer takes them from the first key frame
	// if there are none. Opus: a header packet (RFC 7845 section 5.1), which a
	// writer makes if there is none. AAC: the AudioSpecificConfig (ISO/IEC
	// 14496-3 section 1.6.2.1), without which there is no writing it.
	Config []byte
}

// A Packet is one coded frame of a track.
type Packet struct {
	Track int // index into the tracks

	// Time is when the packet's first sample is played or its picture shown,
	// from the beginning of the file. With a pre-skip the first packet of Opus
	// lies before zero. Packets with pictures are in decoding order, so that
	// their times may go back.
	Time time.Duration

	// Duration is how long it is played or shown, or zero if that is unknown. An
	// Opus packet with less than its samples last is trimmed at its end.
	Duration time.Duration

	// Key says that decoding can start here. It is set on packets of audio that
	// are read, and not needed on those that are written.
	Key bool

	// Data is the packet itself. A reader reuses its memory, which is the
	// caller's until the next read into the same Packet; a writer keeps none of
	// it.
	Data []byte
}

// A PacketReader reads the packets of a file in the order in which they lie
// there. None in this package is safe for concurrent use.
type PacketReader interface {
	// Tracks returns the tracks of the file that can be read. They must not be
	// changed.
	Tracks() []Track

	// ReadPacket fills p. The error is [io.EOF] at the end of the file, wraps
	// [io.ErrUnexpectedEOF] if the file ends within a packet, or [ErrMalformed],
	// or is what the input returned.
	ReadPacket(p *Packet) error
}

// A PacketWriter writes packets to a file in the order in which they are passed,
// which should be that of their times, give or take a second between tracks.
// None in this package is safe for concurrent use.
type PacketWriter interface {
	// WritePacket writes p. If the error wraps [ErrPacket] nothing was written
	// and the file goes on; any other error is final.
	WritePacket(p *Packet) error

	// Close writes what waits in memory and completes the header if the output
	// can seek. It does not close the output. It returns the first error that
	// writing met, and the same again when called again.
	Close() error
}

var (
	// ErrTrack is wrapped by the error for tracks of which no file can be made:
	// none or too many, or one that lacks what its codec needs. For a codec that
	// the format cannot hold the error is [errors.ErrUnsupported].
	ErrTrack = errors.New("track cannot be written")

	// ErrPacket is wrapped by the error for a packet that has no place in its
	// file: of a track that does not exist, of no or too many bytes, of a time
	// that the format cannot express, or not in the form that its codec asks for.
	ErrPacket = errors.New("packet cannot be written")
)

const (
	// maxPacket is the largest packet that is read or written: an intra frame
	// of 4:2:0 video at 4096x2160, uncompressed.
	maxPacket = 16 << 20

	// maxTime bounds times: their conversion to any clock of a file fits an
	// int64, and a header's mistake is not taken for a file of a hundred years.
	maxTime = 10000 * time.Hour

	maxTracks = 16

	opusRate = 48000
)

func packetError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrPacket, fmt.Sprintf(format, args...))
}

func trackError(i int, format string, args ...any) error {
	return fmt.Errorf("%w: track %d: %s", ErrTrack, i, fmt.Sprintf(format, args...))
}

// checkTracks returns a copy of tracks with defaults filled in.
func checkTracks(tracks []Track, format string, codecs ...Codec) ([]Track, error) {
	if len(tracks) == 0 || len(tracks) > maxTracks {
		return nil, fmt.Errorf("%s: %w: %d of them, want 1 to %d", format, ErrTrack, len(tracks), maxTracks)
	}
	tracks = append([]Track(nil), tracks...)
	for i := range tracks {
		t := &tracks[i]
		if err := t.check(i, codecs); err != nil {
			return nil, fmt.Errorf("%s: %w", format, err)
		}
		t.Config = append([]byte(nil), t.Config...)
	}
	return tracks, nil
}

func (t *Track) check(i int, codecs []Codec) error {
	known := false
	for _, c := range codecs {
		known = known || c == t.Codec
	}
	if !known {
		return fmt.Errorf("track %d: codec %q: %w", i, t.Codec, errors.ErrUnsupported)
	}
	if t.Codec.Video() {
		if t.Width < 0 || t.Width > math.MaxUint16 || t.Height < 0 || t.Height > math.MaxUint16 {
			return trackError(i, "a picture of %dx%d", t.Width, t.Height)
		}
		if t.Codec == H264 && len(t.Config) > 0 {
			var sets parameterSets
			if sets.add(t.Config); !sets.complete() {
				return trackError(i, "Config has no usable sequence and picture parameter set")
			}
		}
		return nil
	}
	if t.Codec == Opus {
		t.Rate = opusRate
		if t.Channels == 0 {
			t.Channels = 2
		}
		if t.PreSkip < 0 || t.PreSkip > math.MaxUint16 {
			return trackError(i, "a pre-skip of %d samples", t.PreSkip)
		}
		if len(t.Config) == 0 {
			if t.Channels > 2 {
				return trackError(i, "%d channels of Opus without a header in Config", t.Channels)
			}
			t.Config = appendOpusHead(nil, t)
		}
		h, err := parseOpusHead(t.Config)
		if err != nil {
			return trackError(i, "Config: %v", err)
		}
		t.Channels, t.PreSkip = h.Channels, h.PreSkip
	}
	if t.Codec == AAC && (len(t.Config) < 2 || len(t.Config) > 64) {
		return trackError(i, "Config is %d bytes, want an AudioSpecificConfig", len(t.Config))
	}
	if t.Channels < 1 || t.Channels > 8 {
		return trackError(i, "%d channels, want 1 to 8", t.Channels)
	}
	if t.Rate < 1000 || t.Rate > 384000 {
		return trackError(i, "%d Hz, want 1000 to 384000", t.Rate)
	}
	return nil
}

// duration returns how long the data of a packet lasts, or 0 if it doesn't tell.
func (t *Track) duration(data []byte) time.Duration {
	switch t.Codec {
	case Opus:
		return samplesToTime(int64(opusSamples(data)), opusRate)
	case AAC:
		return samplesToTime(1024, t.Rate)
	case PCM:
		return samplesToTime(int64(len(data)/(2*t.Channels)), t.Rate)
	}
	return 0
}

// delay is what players take off the times in a file because of the pre-skip.
func (t *Track) delay() time.Duration {
	return samplesToTime(int64(t.PreSkip), opusRate)
}

// check returns the error for a packet that none of these tracks could hold.
func (p *Packet) check(tracks []Track) error {
	switch {
	case p.Track < 0 || p.Track >= len(tracks):
		return packetError("track %d of %d", p.Track, len(tracks))
	case len(p.Data) == 0:
		return packetError("no data")
	case len(p.Data) > maxPacket:
		return packetError("%d bytes, want at most %d", len(p.Data), maxPacket)
	case p.Time > maxTime || p.Time < -time.Minute:
		return packetError("time %v", p.Time)
	case p.Duration < 0 || p.Duration > maxTime:
		return packetError("duration %v", p.Duration)
	}
	t := &tracks[p.Track]
	switch {
	case t.Codec == Opus && opusSamples(p.Data) == 0:
		return packetError("not a packet of Opus")
	case t.Codec == PCM && len(p.Data)%(2*t.Channels) != 0:
		return packetError("%d bytes of PCM in %d channels", len(p.Data), t.Channels)
	}
	return nil
}

// samplesToTime returns how long n samples last, to the nearest nanosecond.
func samplesToTime(n int64, rate int) time.Duration {
	r := int64(rate)
	return time.Duration(n/r*int64(time.Second) + divide(n%r*int64(time.Second), r))
}

// timeToSamples returns the nearest number of samples.
func timeToSamples(d time.Duration, rate int) int64 {
	seconds := int64(d / time.Second)
	return seconds*int64(rate) + divide(int64(d%time.Second)*int64(rate), int64(time.Second))
}

// divide rounds to the nearest.
func divide(a, b int64) int64 {
	if a < 0 {
		return -((-a + b/2) / b)
	}
	return (a + b/2) / b
}

// set fills p, reusing the memory of its data.
func (p *Packet) set(track int, t, d time.Duration, key bool, data []byte) {
	p.Track, p.Time, p.Duration, p.Key = track, t, d, key
	p.Data = append(p.Data[:0], data...)
}
