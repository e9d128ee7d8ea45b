package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
	"github.com/parley-media/parley/session"
)

// describe writes the session description.
func (c *sendCommand) describe(s *session.Session, config *session.Config) error {
	description, err := s.Describe()
	if err != nil {
		return err
	}
	var keys []session.Crypto
	if config.SRTP != nil {
		keys = []session.Crypto{{Tag: 1, Key: config.SRTP.Local}}
	}
	if config.Audio != nil {
		description.Addr, description.Crypto = config.Remote, keys // whoever reads it is to listen there
		if c.DTMF == "" {                                          // ffmpeg, for one, cannot read a description with more
			description.Codecs = config.Audio.Codecs
		}
	}
	if v := config.Video; v != nil {
		description.Video.Addr, description.Video.Crypto = v.Remote, keys
	}
	text, err := description.Marshal()
	if err != nil {
		return err
	}
	return os.WriteFile(c.WriteSDP, text, 0o666)
}

// described takes from a session description what is to be received.
func (c *recvCommand) described(config *session.Config) error {
	text, err := os.ReadFile(c.SDP)
	if err != nil {
		return err
	}
	if i := bytes.Index(text, []byte("\nv=")); i >= 0 && !bytes.HasPrefix(text, []byte("v=")) {
		text = text[i+1:] // behind the "SDP:" with which ffmpeg prints it
	}
	d, err := session.ParseDescription(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.SDP, err)
	}
	keys := d.Crypto
	if v := d.Video; v != nil {
		video := &session.VideoConfig{Local: v.Addr}
		for _, p := range v.Codecs {
			if isVideo(p.Name) {
				video.Codecs = append(video.Codecs, p)
			}
		}
		if len(video.Codecs) > 0 {
			config.Video = video
		}
		if len(v.Crypto) > 0 && len(d.Codecs) == 0 {
			keys = v.Crypto
		}
		if len(keys) > 0 != (len(v.Crypto) > 0) || len(keys) > 0 && !sameKey(keys[0], v.Crypto[0]) {
			return fmt.Errorf("%s: audio and video with different keys, or one of them without", c.SDP)
		}
		config.Mux = v.Mux
	}
	if len(keys) > 0 {
		config.SRTP = &session.SRTP{Local: keys[0].Key, Remote: keys[0].Key}
	}
	if codecs := decodable(d.Codecs); len(codecs) > 0 {
		config.Local, config.Mux = d.Addr, d.Mux
		config.Audio = &session.AudioConfig{Codecs: codecs, PTime: d.PTime}
	}
	if config.Audio == nil && config.Video == nil {
		return fmt.Errorf("%s: %w: %v", c.SDP, codec.ErrUnknown, d.Codecs)
	}
	return nil
}

func sameKey(a, b session.Crypto) bool { return a.Key.Equal(b.Key) }

// decodable leaves out what this build cannot decode. Telephone events, comfort
// noise and redundancy go behind the codecs. The description is that of the sender.
func decodable(all []codec.Params) []codec.Params {
	var some, beside []codec.Params
	for _, p := range all {
		switch strings.ToLower(p.Name) {
		case "telephone-event", "cn", "red":
			beside = append(beside, p)
			continue
		}
		if impl, err := codec.Lookup(p); err == nil && impl.NewDecoder != nil {
			some = append(some, opus.Sent(p))
		}
	}
	if some == nil {
		return nil
	}
	return append(some, beside...)
}
