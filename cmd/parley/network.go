package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/transport"
)

// networkFlags are what send and recv have in common beside codecs.
type networkFlags struct {
	DTMFPayloadType int    `name:"dtmf-payload-type" default:"101" placeholder:"N" help:"Payload type of telephone events, or the next one that is free if a codec has 101; --dtmf-payload-type=-1 for none."`
	SRTP            string `name:"srtp" placeholder:"KEY" help:"Encrypt and authenticate. KEY is in base64 as in a=crypto, with SUITE: before it unless its length tells: 30 bytes for AES_CM_128_HMAC_SHA1_80, 28 and 44 for AEAD_AES_128_GCM and AEAD_AES_256_GCM, 46 for AES_256_CM_HMAC_SHA1_80."`
	NACK            bool   `name:"nack" help:"Ask for lost packets, and send again those that the far end asks for."`
	FIR             bool   `name:"fir" help:"Ask for key frames by full intra request too, and not by picture loss indication alone."`
	RTCPMux         bool   `name:"rtcp-mux" help:"Use the port of RTP for RTCP too."`
	Latch           bool   `help:"Send to where media comes from, if that is not where it was said to be."`
	Pcap            string `name:"pcap" placeholder:"FILE" help:"Write all packets to a file that Wireshark reads, decrypted."`
}

// apply puts the flags into the configuration of a session, and returns what
// has to be called when the session is closed.
func (f *networkFlags) apply(c *session.Config) (done func() error, err error) {
	if f.DTMFPayloadType < -1 || f.DTMFPayloadType == 0 || f.DTMFPayloadType > 127 { // 0 is that of pcmu
		return nil, useError{fmt.Errorf("--dtmf-payload-type %d is neither -1 nor in 1..127", f.DTMFPayloadType)}
	}
	if f.FIR && c.Video == nil {
		return nil, useError{errors.New("--fir is for video, and there is none")}
	}
	if c.Audio != nil {
		c.Audio.RTCP.NACK = f.NACK
		c.Audio.DTMF = f.DTMFPayloadType
		if f.DTMFPayloadType == 101 {
			c.Audio.DTMF = 0 // which gives way to a codec that has this number
		}
	}
	if c.Video != nil {
		c.Video.RTCP.NACK, c.Video.RTCP.FIR = f.NACK, f.FIR
	}
	c.Mux = c.Mux || f.RTCPMux
	if f.Latch {
		c.Latch = transport.LatchSymmetric
	}
	if f.SRTP != "" {
		key, err := parseKey(f.SRTP)
		if err != nil {
			return nil, useError{fmt.Errorf("--srtp: %w", err)}
		}
		c.SRTP = &session.SRTP{Local: key, Remote: key}
	}
	if f.Pcap == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(f.Pcap)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewWriter(file)
	capture := transport.NewCapture(buffered)
	c.Capture = &session.Capture{To: capture}
	return func() error { return errors.Join(capture.Close(), buffered.Flush(), file.Close()) }, nil
}

// parseKey reads an SRTP key: base64, or a suite, a colon and base64.
func parseKey(s string) (transport.SRTPKey, error) {
	suite, text, named := strings.Cut(s, ":")
	if !named {
		text = s
	}
	master, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return transport.SRTPKey{}, errors.New("the key is not base64")
	}
	key := transport.SRTPKey{Profile: transport.SRTPProfile(suite), Master: master}
	if !named {
		switch len(master) {
		case 28:
			key.Profile = transport.AEAD_AES_128_GCM
		case 30:
			key.Profile = transport.AES_CM_128_HMAC_SHA1_80
		case 44:
			key.Profile = transport.AEAD_AES_256_GCM
		case 46:
			key.Profile = transport.AES_256_CM_HMAC_SHA1_80
		default:
			return key, fmt.Errorf("a key of %d bytes, want 28, 30, 44 or 46", len(master))
		}
	}
	return key, key.Check()
}

// distinct returns an error if two flags name one file, which writing the one would
// cost the other. Empty names are those of flags that are not given.
func distinct(names ...string) error {
	seen := make(map[string]os.FileInfo)
	for _, name := range names {
		if name == "" || name == "-" || isPipe(name) {
			continue
		}
		info, _ := os.Stat(name)
		path, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		for other, there := range seen {
			if path == other || info != nil && there != nil && os.SameFile(info, there) {
				return useError{fmt.Errorf("%s is named twice, and would be overwritten", name)}
			}
		}
		seen[path] = info
	}
	return nil
}
