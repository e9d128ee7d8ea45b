package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
)

// Where decoding can begin in H.264, packet by packet: '.' is one that is lost,
// 'i' a message, 's' and 'p' parameter sets, 'K' and 'P' the first slice of a
// picture, 'k' and 'q' another one, and a space ends the frame.
func TestVideoH264Begins(t *testing.T) {
	units := map[rune][]byte{
		'i': {6, 5, 1, 0, 0x80}, 's': {0x67, 0x42, 0xe0, 0x1f}, 'p': {0x68, 0xce},
		'K': {0x65, 0x88, 1}, 'k': {0x65, 0x40, 1}, 'P': {0x41, 0x88, 1}, 'q': {0x41, 0x40, 1},
	}
	const described = "packetization-mode=1;sprop-parameter-sets=Z0LgHw==,aM4="
	for _, tt := range []struct {
		fmtp, packets, want string // the frames that come out
	}{
		{"", "spK Pq P", "0 1 2"},
		{"", "ispK Pq P", "0 1 2"},
		{"", "iipK Pq P", ""},
		{"", "Kspk Pq P", ""},
		{described, "K Pq P", "0 1 2"},
		{described, "iKk Pq P", "0 1 2"},
		{described, "k Pq P", ""},
		{described, "q P K P", "2 3"},
		{described, "K P. Kk P", "0 2 3"}, // the end of a frame was lost, by its marker
		{"", "spK P. Kk P", "0"},
		{described, "K P. .k P", "0"},
		{described, "spK P. .pKk P", "0"},
		{"", "spK P. ispKk P", "0 2 3"},
	} {
		c := newCamera(t, VideoReceiverConfig{Codecs: []codec.Params{{Name: "H264", PayloadType: 96, ClockRate: 90000, FMTP: tt.fmtp}}})
		var seen []string
		at := videoBegin
		for n, frame := range strings.Fields(tt.packets) {
			for i, u := range frame {
				if u != '.' {
					c.r.Push(at, &rtp.Packet{
						Header:  rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: c.seq, Timestamp: uint32(n) * 3000, Marker: i == len(frame)-1},
						Payload: units[u],
					})
				}
				c.seq++
			}
			at = at.Add(33 * ms)
		}
		c.r.End()
		var f video.Frame
		for c.r.Pull(at, &f) {
			seen = append(seen, fmt.Sprint(f.Timestamp/3000))
		}
		if got := strings.Join(seen, " "); got != tt.want {
			t.Errorf("%q with %q: saw %q, want %q", tt.packets, tt.fmtp, got, tt.want)
		}
	}
}

// Senders set the marker at the end of each unit, and give parameter sets the timestamp of
// the picture before. Of units as in TestVideoH264Begins, '!' is a marker, and '<' that what
// follows has that timestamp.
func TestVideoH264Markers(t *testing.T) {
	units := map[rune][]byte{
		's': {0x67, 0x42, 0xe0, 0x1f}, 'p': {0x68, 0xce},
		'K': {0x65, 0x88, 1}, 'k': {0x65, 0x40, 1}, 'P': {0x41, 0x88, 1}, 'q': {0x41, 0x40, 1},
		'F': {0x5c, 0x81, 0x88, 1}, 'f': {0x5c, 0x01, 1}, 'e': {0x5c, 0x41, 1}, // fragments of a picture
	}
	for _, tt := range []struct {
		packets string
		still   bool   // all timestamps are the same
		want    string // the frames that come out, with the number of their units
	}{
		{"spKk! Pq! P!", false, "0:4 1:2 2:1"},
		{"s!p!Kk! Pq! P!", false, "0:4 1:2 2:1"},
		{"spK! P! <s!<p!K! P!", false, "0:3 1:1 2:3 3:1"},
		{"spK! P! <s<pK! P!", false, "0:3 1:1 2:3 3:1"},
		{"s!p!K! P! s!p!K! P!", false, "0:3 1:1 2:3 3:1"},
		// When it is known, a frame ends with the next one. That from which it is known is
		// lost, and so is the very last one, as without markers.
		{"s!p!K!k! P!q! P! s!p!K!k! P!q! P!q!", false, "0:3 3:4 4:2"},
		{"spK! Ff!e! P! spK! Ff!e! P!", false, "0:3 3:3 4:1"},
		{"spKk! Pq! P!", true, "0:4 0:2 0:1"},
	} {
		c := newCamera(t, VideoReceiverConfig{Codecs: []codec.Params{{Name: "H264", PayloadType: 96, ClockRate: 90000}}})
		var seen []string
		pull := func() {
			var f video.Frame
			for c.r.Pull(videoBegin, &f) {
				seen = append(seen, fmt.Sprintf("%d:%d", f.Timestamp/3000, strings.Count(string(f.Data), "\x00\x00\x00\x01")))
			}
		}
		for n, frame := range strings.Fields(tt.packets) {
			timestamp := uint32(n) * 3000
			if tt.still {
				timestamp = 0
			}
			at := timestamp
			for i, u := range frame {
				switch u {
				case '!':
					continue
				case '<':
					at = timestamp - 3000
					continue
				}
				c.r.Push(videoBegin, &rtp.Packet{
					Header:  rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: c.seq, Timestamp: at, Marker: strings.HasPrefix(frame[i+1:], "!")},
					Payload: units[u],
				})
				c.seq++
				at = timestamp
				pull()
			}
		}
		c.r.End()
		pull()
		if got := strings.Join(seen, " "); got != tt.want {
			t.Errorf("%q: saw %q, want %q", tt.packets, got, tt.want)
		}
	}
}

// At the start and when another source takes its place, a key frame is waited for
// before a recovery point is good enough.
func TestVideoH264Recovery(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{Codecs: []codec.Params{{Name: "H264", PayloadType: 96, ClockRate: 90000}}})
	var f video.Frame
	var seen []string
	at := time.Duration(0)
	for ssrc := range uint32(2) {
		for n := range 45 { // at 30 frames a second, with a recovery point in every 20th
			units := [][]byte{{0x67, 0x42, 0xe0, 0x1f}, {0x68, 0xce}, {6, 6, 1, 0xc4, 0x80}, {0x41, 0x88, 1}}
			if n%20 > 0 {
				units = units[3:]
			}
			for i, u := range units {
				c.push(at, &rtp.Packet{
					Header:  rtp.Header{Version: 2, PayloadType: 96, SSRC: ssrc, SequenceNumber: c.seq, Timestamp: c.ts, Marker: i == len(units)-1},
					Payload: u,
				})
				c.seq++
			}
			for c.r.Pull(videoBegin.Add(at), &f) {
				seen = append(seen, fmt.Sprintf("%d:%d", ssrc, n))
			}
			c.ts += 3000
			at += time.Second / 30
		}
	}
	if got, want := fmt.Sprint(seen), "[0:40 0:41 0:42 0:43 0:44 1:40 1:41 1:42 1:43 1:44]"; got != want {
		t.Errorf("saw %s, want %s", got, want)
	}
}
