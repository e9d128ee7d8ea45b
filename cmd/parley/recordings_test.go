package main

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
)

func TestRecordings(t *testing.T) {
	const d = 1500 * time.Millisecond
	for _, c := range []struct {
		name     string
		recv     []string
		send     []string
		reason   string
		duration time.Duration
		format   audio.Format
		codec    string
	}{
		{"duration", []string{"--duration", "730ms"}, nil, "duration", 730 * time.Millisecond, mono8k, "PCMU/8000"},
		{"duration of less than a frame", []string{"--duration", "5ms"}, nil, "duration", 5 * time.Millisecond, mono8k, "PCMU/8000"},
		{"payload type 8", nil, []string{"--payload-type", "8"}, "bye", d, mono8k, "PCMA/8000"},
		{"ptime", nil, []string{"--ptime", "33ms"}, "bye", d, mono8k, "PCMU/8000"},
		{"least ptime", nil, []string{"--ptime", "1ms"}, "bye", d, mono8k, "PCMU/8000"},
		{"greatest ptime", nil, []string{"--ptime", "120ms"}, "bye", d, mono8k, "PCMU/8000"},
		{"L16 of a chosen rate", []string{"--codec", "l16/16000", "--payload-type", "97"}, []string{"--codec", "l16/16000", "--payload-type", "97"}, "bye", d, audio.Format{Rate: 16000, Channels: 1}, "L16/16000"},
		{"static L16", nil, []string{"--codec", "l16/44100/2"}, "bye", d, audio.Format{Rate: 44100, Channels: 2}, "L16/44100/2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.wav")
			recv := begin(append([]string{"recv", "--listen", "127.0.0.1:0", "--out", out}, c.recv...)...)
			format := c.format
			send := begin(append([]string{"send", toneWAV(t, format, d), "--to", recv.until(t, "listening").Address}, c.send...)...)
			send.until(t, "listening")
			if e := send.until(t, "started"); e.Codec != c.codec {
				t.Errorf("sent as %s, want %s", e.Codec, c.codec)
			}
			recv.until(t, "started")
			if e := recv.end(t); e.Reason != c.reason || e.PacketsLost != 0 || e.PacketsDiscarded != 0 {
				t.Errorf("recv ends with %s", e.line)
			}
			sent := send.end(t)
			if sent.Reason != "sent" {
				t.Errorf("send ends with %s", sent.line)
			}
			s := readSound(t, out)
			if c.duration < 100*time.Millisecond {
				if s.duration() != c.duration {
					t.Errorf("it lasts %v, want %v", s.duration(), c.duration)
				}
				return
			}
			if c.reason == "bye" { // the last packet is filled up
				s, gaps := s.trimmed().joined()
				if math.Abs(milliseconds(gaps)-sent.StalledMS) > 2 {
					t.Errorf("gaps of %v together, and the sender stalled for %v ms", gaps, sent.StalledMS)
				}
				s.check(t, format, c.duration, 2*time.Millisecond)
				return
			}
			s.check(t, format, c.duration, 0)
		})
	}
}

// A clocked recording has what a listener would have heard, until the end of
// the call.
func TestClockedRecordings(t *testing.T) {
	const d = 1500 * time.Millisecond
	for _, playout := range []string{"adaptive", "fixed"} {
		t.Run(playout, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.wav")
			recv := begin("recv", "--listen", "127.0.0.1:0", "--out", out, "--playout", playout)
			send := begin("send", toneWAV(t, mono8k, d), "--to", recv.until(t, "listening").Address)
			recv.until(t, "started")
			e := recv.end(t)
			if e.Reason != "bye" || e.PacketsReceived != 75 {
				t.Errorf("recv ends with %s", e.line)
			}
			send.until(t, "listening")
			send.until(t, "started")
			if sent := send.end(t); sent.StalledMS > 0 || e.ConcealedMS > 0 || e.JitterMS > 10 {
				t.Logf("this machine was busy elsewhere: jitter %v ms, concealed %v ms, stalled %v ms", e.JitterMS, e.ConcealedMS, sent.StalledMS)
				return
			}
			// A packet that comes later than the fastest ones is played sooner after it came.
			if e.DelayMS < 20-e.JitterMS || e.DelayMS > 200 {
				t.Errorf("played %v ms after arrival", e.DelayMS)
			}
			s := readSound(t, out)
			if s.duration() < d || s.duration() > d+500*time.Millisecond {
				t.Errorf("it lasts %v, want %v and the time until the call ends", s.duration(), d)
			}
			// What follows fades out. Wherever the tone is made longer or shorter, while the
			// playout gets to know the network or this machine is busy for a moment, it goes
			// on up to half a sample beside its phase, so that it is heard in pieces.
			const piece = 50 * time.Millisecond
			s = s.trimmed()
			for at := d / 2; at < d-100*time.Millisecond; at += piece {
				part := s
				part.samples = s.samples[mono8k.Samples(at):mono8k.Samples(at+piece)]
				part.check(t, mono8k, piece, 0)
			}
		})
	}
}

// sendPackets sends packets of 20 ms, of formats with 160 octets in each.
func sendPackets(t *testing.T, to string, payloadTypes ...uint8) {
	t.Helper()
	far, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	for i, pt := range payloadTypes {
		p := rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: pt, SSRC: 1, SequenceNumber: uint16(i), Timestamp: uint32(160 * i)},
			Payload: bytes.Repeat([]byte{0x2a}, 160),
		}
		b, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// A far end that changes to a codec of another rate is recorded on, at the rate that
// the file began with.
func TestRecordingKeepsItsRate(t *testing.T) {
	for _, name := range []string{"out.wav", "out.mkv"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), name)
			recv := begin("recv", "--listen", "127.0.0.1:0", "--out", out, "--timeout", "200ms")
			sendPackets(t, recv.until(t, "listening").Address, 0, 0, 0, 9, 9, 9, 0, 0) // PCMU, G.722
			recv.until(t, "started")
			if e := recv.end(t); e.Reason != "timeout" || e.PacketsReceived != 8 {
				t.Errorf("recv ends with %s", e.line)
			}
			if name != "out.wav" {
				return
			}
			if s := readSound(t, out); s.format != mono8k || s.duration() != 160*time.Millisecond {
				t.Errorf("%v of %v", s.duration(), s.format)
			}
		})
	}
}

// A program that reads the events is told when recording fails.
func TestFailedEnd(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "calls")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	recv := begin("recv", "--listen", "127.0.0.1:0", "--out", filepath.Join(folder, "out.wav"))
	to := recv.until(t, "listening").Address
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	sendPackets(t, to, 0, 0, 0)
	recv.until(t, "started")
	if e := recv.until(t, "end"); e.Reason != "failed" || !strings.Contains(e.line, "out.wav") {
		t.Errorf("recv ends with %s", e.line)
	}
	recv.exit(t, statusFailed)
}

// --timeout ends a call whose far end has gone without a word.
func TestTimeout(t *testing.T) {
	const timeout = 300 * time.Millisecond
	out := filepath.Join(t.TempDir(), "out.wav")
	recv := begin("recv", "--listen", "127.0.0.1:0", "--out", out, "--timeout", timeout.String())
	sendPackets(t, recv.until(t, "listening").Address, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	last := time.Now()
	recv.until(t, "started")
	e := recv.end(t)
	if waited := time.Since(last); waited < timeout || waited > timeout+2*time.Second {
		t.Errorf("it ended %v after the last packet, want %v", waited, timeout)
	}
	if e.Reason != "timeout" || e.PacketsReceived != 10 || e.PacketsLost != 0 {
		t.Errorf("recv ends with %s", e.line)
	}
	if s := readSound(t, out); s.duration() != 200*time.Millisecond {
		t.Errorf("it lasts %v, want 200ms", s.duration())
	}
}

// A loop ends when there is nothing, or nothing any more, to repeat.
func TestLoopEnds(t *testing.T) {
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	to := sink.LocalAddr().String()

	send := begin("send", toneWAV(t, mono8k, 0), "--loop", "--to", to)
	send.until(t, "listening")
	send.until(t, "started")
	if e := send.until(t, "end"); e.PacketsSent != 0 {
		t.Errorf("an empty file: %s", e.line)
	}
	send.exit(t, statusFailed)

	name := toneWAV(t, mono8k, 100*time.Millisecond)
	send = begin("send", name, "--loop", "--to", to)
	send.until(t, "listening")
	send.until(t, "started")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	send.exit(t, statusFailed)
	if s := send.stderr.String(); !strings.Contains(s, name) {
		t.Errorf("a file that is gone: %q", s)
	}
}

// What is at --out is left alone until there is something to record.
func TestOutIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	old, missing := filepath.Join(dir, "old.wav"), filepath.Join(dir, "new.wav")
	if err := os.WriteFile(old, []byte("before"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{old, missing} {
		if err := writable(name); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(old); string(b) != "before" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file is left behind: %v", err)
	}
}

// What is left of a file is sent, and that something is missing is said.
func TestSendWhatWasCutOff(t *testing.T) {
	name := toneWAV(t, mono8k, 400*ms)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, info.Size()-3200); err != nil {
		t.Fatal(err)
	}
	recv := begin("recv", "--listen", "127.0.0.1:0")
	send := begin("send", name, "--to", recv.until(t, "listening").Address)
	if e := send.drain(t, statusFailed); e.Reason != "failed" || !strings.Contains(e.line, "3200 bytes of samples are missing") {
		t.Errorf("send ends with %s", e.line)
	}
	if e := recv.drain(t, statusDone); e.PacketsReceived != 10 {
		t.Errorf("recv ends with %s", e.line)
	}
}
