package session

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/transport"
)

// Two sessions speak at the same time, over each family of addresses and with
// each codec that every plain RTP program has.
func TestBothWays(t *testing.T) {
	for _, tt := range []struct {
		name  string
		local string
		codec codec.Params
	}{
		{"PCMU", "127.0.0.1:0", pcmu},
		{"PCMA over IPv6", "[::1]:0", codec.Params{Name: "PCMA", PayloadType: 8, ClockRate: 8000}},
		{"L16 stereo", "127.0.0.1:0", codec.Params{Name: "L16", PayloadType: 10, ClockRate: 44100, Channels: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Local: netip.MustParseAddrPort(tt.local), Audio: &AudioConfig{Codecs: []codec.Params{tt.codec}}}
			a := open(t, c)
			c.Remote = a.LocalAddr()
			b := open(t, c)
			say(t, b, 1000) // a learns where b is
			if v := hear(t, a); v < 950 || v > 1050 {
				t.Errorf("a heard %d, want about 1000", v)
			}
			say(t, a, -1000)
			say(t, b, 1000)
			if v := hear(t, b); v < -1050 || v > -950 {
				t.Errorf("b heard %d, want about -1000", v)
			}
		})
	}
}

// Without a local address a session reaches far ends of both families.
func TestAnyLocalAddress(t *testing.T) {
	for _, local := range []string{"127.0.0.1:0", "[::1]:0"} {
		a := open(t, Config{Local: netip.MustParseAddrPort(local)})
		b, err := Open(t.Context(), &Config{Remote: a.LocalAddr()})
		if err != nil {
			t.Fatal(err)
		}
		say(t, b, 1000)
		if v := hear(t, a); v < 950 || v > 1050 {
			t.Errorf("%s: heard %d, want about 1000", local, v)
		}
		if got := a.RemoteAddr().Addr(); got != a.LocalAddr().Addr() {
			t.Errorf("%s: the far end is %v", local, got)
		}
		b.Close()
	}
}

// A codec that this build does not have opens a call all the same: its packets
// can be received and sent coded, while frames are refused with the reason.
func TestUnknownCodecIsForCodedPacketsOnly(t *testing.T) {
	unknown := codec.Params{Name: "nothing-known", PayloadType: 99, ClockRate: 16000, Channels: 1}
	c := Config{Audio: &AudioConfig{Codecs: []codec.Params{unknown}}}
	a := open(t, c)
	c.Remote = a.LocalAddr()
	b := open(t, c)
	if b.Audio().Decodes() {
		t.Error("an unknown codec is decoded")
	}
	if err := b.Audio().WriteFrame(tone(1)); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("WriteFrame: %v, want ErrUnknown", err)
	}
	if err := a.Audio().ReadFrame(new(audio.Frame)); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("ReadFrame: %v, want ErrUnknown", err)
	}
	p := stream.Packet{Codec: unknown, Timeline: 1}
	for n := range 5 {
		time.Sleep(20 * time.Millisecond)
		p.Seq, p.Timestamp, p.Payload = int64(n), uint32(n*320), []byte{byte(n), 7}
		if err := b.Audio().WritePacket(&p); err != nil {
			t.Fatal(err)
		}
	}
	a.Audio().SetReadDeadline(time.Now().Add(patience))
	var got stream.Packet
	for n := range 5 {
		if err := a.Audio().ReadPacket(&got); err != nil {
			t.Fatal(err)
		}
		if got.Codec != unknown || !bytes.Equal(got.Payload, []byte{byte(n), 7}) {
			t.Errorf("packet %d: %+v", n, got)
		}
	}
}

// An Open that fails at any stage leaves no socket behind.
func TestOpenErrorFreesThePorts(t *testing.T) {
	probe := open(t, Config{})
	address := probe.LocalAddr()
	probe.Close()
	for name, c := range map[string]AudioConfig{
		"payload type twice": {Codecs: []codec.Params{pcmu, pcmu}},
		"ptime below 0":      {PTime: -20 * time.Millisecond},
		"ptime too long":     {PTime: time.Hour},
		"no payload type":    {DTMF: 128},
	} {
		if s, err := Open(t.Context(), &Config{Local: address, Audio: &c}); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	open(t, Config{Local: address})
}

// A program that does not look at the error of a parser gets one of its own.
func TestNoDescription(t *testing.T) {
	s := open(t, Config{})
	local, err := s.Describe()
	if err != nil {
		t.Fatal(err)
	}
	_, _, opened := OpenAnswer(t.Context(), nil, nil)
	_, _, answered := Answer(nil, local)
	_, _, asNobody := Answer(local, nil)
	_, offered := Agree(nil, local)
	_, agreed := Agree(local, nil)
	for i, err := range []error{opened, answered, asNobody, offered, agreed} {
		if !errors.Is(err, ErrDescription) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := s.Update(nil); err == nil {
		t.Error("an agreement on nothing is followed")
	}
}

// A call has one far end, and receives at an address of this machine.
func TestNoCallWithGroup(t *testing.T) {
	group := netip.MustParseAddrPort("239.255.12.42:5004")
	film := &VideoConfig{Codecs: []codec.Params{vp8}, Remote: group}
	for name, c := range map[string]Config{
		"to a group":       {Remote: group},
		"video to a group": {Video: film},
		"from a group":     {Local: group},
		"to all":           {Remote: netip.MustParseAddrPort("[::ffff:255.255.255.255]:5004")},
	} {
		s, err := Open(t.Context(), &c)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "multicast") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What cannot be reached, as it is of the other family of addresses, is said when a
// session is opened or agreed on, and not by counts of what could not be sent.
func TestOtherFamily(t *testing.T) {
	four, six := netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")
	far := map[netip.AddrPort]netip.AddrPort{four: netip.MustParseAddrPort("[2001:db8::1]:5004"), six: netip.MustParseAddrPort("192.0.2.1:5004")}
	for local, remote := range far {
		for name, c := range map[string]Config{
			"audio":     {Local: local, Remote: remote},
			"video":     {Local: local, Video: &VideoConfig{Codecs: []codec.Params{vp8}, Remote: remote}},
			"symmetric": {Local: local, Remote: remote, Latch: transport.LatchSymmetric},
		} {
			s, err := Open(t.Context(), &c)
			if err == nil {
				s.Close()
			}
			if learnt := name == "symmetric"; learnt != (err == nil) || err != nil && !strings.Contains(err.Error(), "there is no way from") {
				t.Errorf("%v, %s: %v", local, name, err)
			}
		}
		offer := &Description{Addr: remote, Codecs: []codec.Params{pcmu}}
		s, _, err := OpenAnswer(t.Context(), &Config{Local: local}, offer)
		if err == nil {
			s.Close()
			t.Errorf("%v: an offer of %v is answered", local, remote)
		}
		if s, _, err = OpenAnswer(t.Context(), nil, offer); err != nil {
			t.Errorf("an offer of %v: %v", remote, err)
			continue
		}
		s.Close()
	}
}

// Nobody to send to is no reason to fail: what is written goes by on the clock.
func TestWriteToNobody(t *testing.T) {
	s := open(t, Config{})
	say(t, s, 1)
	if err := s.Audio().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stats parley.Stats
	s.Stats(&stats)
	if stats.Audio.SendErrors != 10 || s.RemoteAddr().IsValid() {
		t.Errorf("%d errors of 10 packets, sent to %v", stats.Audio.SendErrors, s.RemoteAddr())
	}
	s.Audio().SetReadDeadline(time.Now())
	if err := s.Audio().ReadFrame(new(audio.Frame)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read from nobody: %v", err)
	}
}
