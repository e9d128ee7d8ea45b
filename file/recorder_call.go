package file

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// AddCall records what the far end of a call sends: it adds a track for the audio
// and one for the video, as far as the call and the format of the file have them,
// and reads both from now on, so that nobody else can. (Where somebody else has to,
// the call's audio and video are the sources of an [audio.Relay] and a
// [video.Relay], and the recorder has subscriptions of these, in tracks whose
// Timeline is the call.)
//
// Opus stays as it is coded (the call then gives packets for good, no frames), and what else can be heard becomes PCM; for a format
// that has neither the error wraps [errors.ErrUnsupported]. The recording goes on
// until the call ends, or the tracks or the recorder are closed; it does not close
// the call. A recording is nil for a line that is not recorded.
func (r *Recorder) AddCall(c *parley.Call) (*AudioRecording, *VideoRecording, error) {
	var a *AudioRecording
	var v *VideoRecording
	var err error
	if c.Audio() != nil && r.ext != ".ivf" && r.ext != ".h264" && r.ext != ".264" {
		if a, err = r.AddAudio(RecorderTrack{Track: r.soundOf(c.Audio().Codec()), Timeline: c}); err != nil {
			return nil, nil, err
		}
	}
	if c.Video() != nil && r.ext != ".wav" && r.ext != ".ogg" && r.ext != ".opus" {
		v, err = r.AddVideo(RecorderTrack{Track: Track{Codec: picturesOf(c.Video().Codec().Name)}, Timeline: c})
		if err != nil {
			if a != nil {
				a.Close()
			}
			return nil, nil, err
		}
	}
	if a == nil && v == nil {
		return nil, nil, fmt.Errorf("%s: the call has nothing for such a file: %w", r.name, errors.ErrUnsupported)
	}
	if a != nil && a.codec == Opus && isOpus(c.Audio().Codec()) {
		err = a.RecordPackets(c.Audio())
	} else if a != nil {
		err = a.Record(c.Audio())
	}
	if v != nil {
		err = cmp.Or(err, v.Record(c.Video()))
	}
	return a, v, err
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

// picturesOf returns the codec of the given rtpmap name.
func picturesOf(name string) Codec {
	for _, c := range []Codec{VP8, VP9, AV1, H264} {
		if strings.EqualFold(name, string(c)) {
			return c
		}
	}
	return Codec(name)
}
