//go:build interop

package session

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/stream"
)

// captured is a datagram of a capture, with its time since the first one.
type captured struct {
	at      time.Duration
	payload []byte
}

// readSIPp reads a capture of SIPp: a little-endian pcap file of Ethernet, IPv4
// and UDP.
func readSIPp(t *testing.T, name string) []captured {
	t.Helper()
	path := filepath.Join("/usr/share/sip-tester", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (Debian package sip-tester)", err)
	}
	le, be := binary.LittleEndian, binary.BigEndian
	if len(b) < 24 || le.Uint32(b) != 0xa1b2c3d4 || le.Uint32(b[20:]) != 1 {
		t.Fatalf("%s: not the pcap file that was expected", path)
	}
	var all []captured
	var first time.Duration
	for b = b[24:]; len(b) >= 16; {
		at := time.Duration(le.Uint32(b))*time.Second + time.Duration(le.Uint32(b[4:]))*time.Microsecond
		size := int(le.Uint32(b[8:]))
		frame := b[16 : 16+size]
		b = b[16+size:]
		ip := frame[14:]
		header := int(ip[0]&15) * 4
		if be.Uint16(frame[12:]) != 0x0800 || ip[9] != 17 {
			continue
		}
		if len(all) == 0 {
			first = at
		}
		all = append(all, captured{at - first, ip[header+8 : be.Uint16(ip[2:])]})
	}
	return all
}

// replay sends a capture to a session with its timing.
func replay(t *testing.T, packets []captured, to netip.AddrPort) {
	t.Helper()
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begin := time.Now()
	for _, p := range packets {
		time.Sleep(time.Until(begin.Add(p.at)))
		if _, err := conn.Write(p.payload); err != nil {
			t.Fatal(err)
		}
	}
}

// The digits of SIPp's captures, as they are on the wire: each one once.
func TestDigitsOfSIPp(t *testing.T) {
	for name, digit := range map[string]string{
		"0": "0", "1": "1", "2": "2", "3": "3", "4": "4", "5": "5", "6": "6", "7": "7", "8": "8", "9": "9", "star": "*", "pound": "#",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packets := readSIPp(t, "dtmf_2833_"+name+".pcap")
			events := codec.Params{Name: "telephone-event", PayloadType: packets[0].payload[1] & 0x7f, ClockRate: 8000, Channels: 1}
			s := open(t, Config{Local: local, Audio: &AudioConfig{Codecs: []codec.Params{pcmu, events}}})
			replay(t, packets, s.LocalAddr())
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if d, err := s.ReadDigit(ctx); err != nil || d.String() != digit {
				t.Errorf("got %v, %v", d, err)
			}
			// A second one would be there, or come after the last packet at once.
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if d, err := s.ReadDigit(ctx); err == nil {
				t.Errorf("and then %v", d)
			}
		})
	}
}

// The audio of SIPp's capture, to the sample.
func TestAudioOfSIPp(t *testing.T) {
	t.Parallel()
	packets := readSIPp(t, "g711a.pcap")
	pcma, _ := codec.Static(8)
	s := open(t, Config{Local: local, Audio: &AudioConfig{Codecs: []codec.Params{pcma}, Playout: stream.InOrder}})
	var want []int16
	for _, p := range packets {
		want = g711.AppendPCMFromALaw(want, p.payload[12:])
	}
	heard := make(chan []int16, 1)
	go func() {
		var pcm []int16
		var f audio.Frame
		for len(pcm) < len(want) && s.Audio().ReadFrame(&f) == nil {
			if f.Kind != audio.Media {
				t.Errorf("%v at %v", f.Kind, f.Time)
			}
			pcm = append(pcm, f.Samples...)
		}
		heard <- pcm
	}()
	replay(t, packets, s.LocalAddr())
	select {
	case pcm := <-heard:
		if !slices.Equal(pcm, want) {
			t.Errorf("%d samples, not the %d that were sent", len(pcm), len(want))
		}
	case <-time.After(10 * time.Second):
		t.Error("not all was heard")
	}
	var stats parley.Stats
	if s.Stats(&stats); stats.Audio.Received != int64(len(packets)) || stats.Audio.Lost != 0 {
		t.Errorf("%+v", stats.Audio)
	}
}
