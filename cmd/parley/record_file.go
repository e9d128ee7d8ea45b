package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
)

// writeSamples writes a frame with its place in the recording, in the format of the
// first one.
func (r *recording) writeSamples(f *audio.Frame, at time.Duration) error {
	if r.name == "" {
		return nil
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
	if !r.tracks {
		if r.wav == nil {
			var err error
			if r.pipe != nil {
				r.wav, err = file.NewWAVWriter(r.pipe, r.shape)
			} else {
				r.wav, err = file.CreateWAV(r.name, r.shape)
			}
			if err != nil {
				return err
			}
		}
		return r.wav.WriteFrame(&audio.Frame{Format: r.shape, Samples: samples})
	}
	if len(samples) == 0 {
		return nil
	}
	data := make([]byte, 0, 2*len(samples))
	for _, v := range samples {
		data = binary.LittleEndian.AppendUint16(data, uint16(v))
	}
	return r.write(&file.Packet{Track: trackSound, Time: at, Data: data})
}

// Tracks of a recording; in the file the first is that of video, if there is one.
const (
	trackPicture = iota
	trackSound
)

// write writes a packet of audio or video with its place in the recording.
func (r *recording) write(p *file.Packet) error {
	if r.name == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
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

// undecodable reports whether the video in the file lacks what it takes to decode it.
func (r *recording) undecodable() bool {
	v := r.config.Video
	return r.film != nil && v != nil && strings.EqualFold(v.Codecs[0].Name, "H264") && r.seen && r.width == 0
}

// close completes the file.
func (r *recording) close() error {
	var err error
	if r.film != nil {
		err = r.film.Close()
	}
	if r.wav != nil {
		if r.adapter != nil { // the last milliseconds
			err = r.wav.WriteFrame(&audio.Frame{Format: r.shape, Samples: r.adapter.Flush(nil)})
		}
		err = cmp.Or(err, r.wav.Close())
	}
	return err
}
