//go:build interop

package dtmf_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/dtmf"
)

// captured is a UDP payload of a capture.
type captured struct {
	at      time.Time
	payload []byte
}

// readCapture reads a little-endian pcap file of Ethernet, IPv4 and UDP.
func readCapture(t *testing.T, path string) []captured {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if len(b) < 24 || le.Uint32(b) != 0xa1b2c3d4 || le.Uint32(b[20:]) != 1 {
		t.Fatalf("%s: not the pcap file that was expected", path)
	}
	var all []captured
	for b = b[24:]; len(b) >= 16; {
		at := time.Unix(int64(le.Uint32(b)), int64(le.Uint32(b[4:]))*1000)
		size := int(le.Uint32(b[8:]))
		frame := b[16 : 16+size]
		b = b[16+size:]
		ip := frame[14:]
		header := int(ip[0]&15) * 4
		if binary.BigEndian.Uint16(frame[12:]) != 0x0800 || ip[9] != 17 {
			continue
		}
		all = append(all, captured{at, ip[header+8 : binary.BigEndian.Uint16(ip[2:])]})
	}
	return all
}

// Each capture of SIPp has one digit, whose three ends share a sequence number.
func TestSIPpCaptures(t *testing.T) {
	for name, digit := range map[string]dtmf.Digit{
		"0": '0', "1": '1', "2": '2', "3": '3', "4": '4', "5": '5', "6": '6', "7": '7', "8": '8', "9": '9',
		"star": '*', "pound": '#',
	} {
		path := filepath.Join("/usr/share/sip-tester", "dtmf_2833_"+name+".pcap")
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: install the Debian package sip-tester", err)
		}
		r := newReceiver(t, dtmf.ReceiverConfig{})
		var reports []dtmf.Report
		var units uint16
		packets := readCapture(t, path)
		for _, c := range packets {
			if len(c.payload) < 16 {
				t.Fatalf("%s: packet of %d bytes", name, len(c.payload))
			}
			be := binary.BigEndian
			units = max(units, be.Uint16(c.payload[14:]))
			if err := r.Push(c.at, be.Uint16(c.payload[2:]), be.Uint32(c.payload[4:]), c.payload[12:]); err != nil {
				t.Fatal(err)
			}
			for x, ok := r.Pull(c.at); ok; x, ok = r.Pull(c.at) {
				reports = append(reports, x)
			}
		}
		if x, ok := r.Pull(packets[len(packets)-1].at.Add(time.Second)); ok {
			t.Errorf("%s: %+v timed out", name, x)
		}
		if len(reports) != 2 || reports[0].End || !reports[1].End || reports[0].Digit != digit || reports[1].Digit != digit {
			t.Errorf("%s: got %+v", name, reports)
			continue
		}
		want := time.Duration(units) * time.Second / 8000
		if d := reports[1].Duration - want; d.Abs() > 20*ms {
			t.Errorf("%s: %v, want %v", name, reports[1].Duration, want)
		}
		t.Logf("%s: %d packets, %v for %v in %v", name, len(packets), digit, reports[1].Duration, reports[1].Time.Sub(reports[0].Time))
	}
}

const harvard = `The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.
It is easy to tell the depth of a well. These days a chicken leg is a rare dish. Rice is often served in round bowls.
The juice of lemons makes fine punch. The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage.
Four hours of steady work faced us. A large size in stockings is hard to sell. One two three four five six seven eight nine zero.
The boy was there when the sun rose. A rod is used to catch pink salmon. The source of the huge river is the clear spring.
Kick the ball straight and follow through. Help the woman get back to her feet. A pot of tea helps to pass the evening.
Smoky fires lack flame and heat. The soft cushion broke the man's fall. The salt breeze came across from the sea. `

// No digit is heard in speech.
func TestDetectorTalkOffSpeech(t *testing.T) {
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Fatalf("%v: install the Debian package espeak-ng", err)
	}
	var total time.Duration
	for _, voice := range []string{"en-us", "en-us+f2", "en-us+f5", "en-gb+m3", "de+f3", "fr+f4", "it+m7", "en-us+croak"} {
		for _, pitch := range []string{"30", "60", "90"} {
			out, err := exec.Command("espeak-ng", "-v", voice, "-p", pitch, "--stdout", strings.Repeat(harvard, 2)).Output()
			if err != nil {
				t.Fatalf("espeak-ng: %v", err)
			}
			const header = 44
			rate := int(binary.LittleEndian.Uint32(out[24:]))
			samples := make([]int16, (len(out)-header)/2)
			for i := range samples {
				samples[i] = int16(binary.LittleEndian.Uint16(out[header+2*i:]))
			}
			total += time.Duration(len(samples)) * time.Second / time.Duration(rate)
			if got := detect(t, rate, samples); len(got) != 0 {
				t.Errorf("%s, pitch %s: got %+v", voice, pitch, got)
			}
		}
	}
	t.Logf("%v of speech", total.Round(time.Second))
}
