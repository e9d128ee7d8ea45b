package peer_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley/dtmf"
)

// Keys that this end presses are telephone events for the far end (RFC 4733), on
// the clock of the codec if it has those: each has one timestamp, the marker at its
// beginning and three ends.
func TestSendDigits(t *testing.T) {
	for _, tt := range []struct {
		codec webrtc.RTPCodecCapability
		pt    webrtc.PayloadType
		event webrtc.PayloadType
		rate  uint32
	}{
		{opusCapability, 111, 97, 48000},
		{opusCapability, 111, 101, 8000},
		{pcmuCapability, 0, 101, 8000},
	} {
		t.Run(fmt.Sprintf("%s %d", tt.codec.MimeType, tt.rate), func(t *testing.T) {
			const keys = "0123456789*#ABCD"
			const length, gap = 60 * time.Millisecond, 40 * time.Millisecond
			e := listen(t, nil)
			event := webrtc.RTPCodecParameters{
				RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: tt.rate, SDPFmtpLine: "0-16"},
				PayloadType:        tt.event,
			}
			b := newBrowserOf(t, []webrtc.RTPCodecParameters{{RTPCodecCapability: tt.codec, PayloadType: tt.pt}, event}, sendrecv)
			p, _ := b.call(t, e, nil)
			if err := p.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := p.SendDigits(t.Context(), keys, &dtmf.Options{Duration: length, Gap: gap}); err != nil {
				t.Fatal(err)
			}
			type key struct {
				stamp   uint32
				code    uint8
				ends    int
				marker  bool
				longest uint16
			}
			var all []key
			patience := time.After(5 * time.Second)
			for len(all) < len(keys) || all[len(all)-1].ends < 3 {
				var packet *rtp.Packet
				select {
				case packet = <-b.heard:
				case <-patience:
					t.Fatalf("%d keys: %+v", len(all), all)
				}
				if packet.PayloadType != uint8(tt.event) {
					continue
				}
				if len(packet.Payload) != 4 {
					t.Fatalf("an event of %d bytes", len(packet.Payload))
				}
				code, end, duration := packet.Payload[0], packet.Payload[1]&0x80 != 0, binary.BigEndian.Uint16(packet.Payload[2:])
				if len(all) == 0 || all[len(all)-1].stamp != packet.Timestamp {
					all = append(all, key{stamp: packet.Timestamp, code: code, marker: packet.Marker})
				} else if packet.Marker {
					t.Error("a marker in the middle of a key")
				}
				k := &all[len(all)-1]
				if code != k.code || duration < k.longest {
					t.Errorf("event %d of %d units, after %+v", code, duration, k)
				}
				k.longest = duration
				if end {
					k.ends++
				}
			}
			// A machine that is busy makes a gap longer, but not all of them.
			punctual := 0
			units := func(d time.Duration) uint32 { return uint32(d * time.Duration(tt.rate) / time.Second) }
			for i, k := range all {
				digit, ok := dtmf.DigitOf(k.code)
				if !ok || digit != dtmf.Digit(keys[i]) || !k.marker || k.ends != 3 || uint32(k.longest) != units(length) {
					t.Errorf("key %d is %v: %+v, want %c of %d units", i, digit, k, keys[i], units(length))
				}
				if i == 0 {
					continue
				}
				step := k.stamp - all[i-1].stamp
				if step+1 < units(length+gap) { // of which one may be rounding
					t.Errorf("key %d begins %d units after the one before, want %d", i, step, units(length+gap))
				}
				if step == units(length+gap) {
					punctual++
				}
			}
			if punctual == 0 {
				t.Error("no gap is as long as it should be")
			}
		})
	}
}

// Of telephone events with several clock rates a page is offered back those of
// the codec, as long as there are some.
func TestEventsOfTheCodec(t *testing.T) {
	for _, tt := range []struct {
		name, offer string
		from, to    string
		want        []string
		not         []string
	}{
		{"Opus", "chromium", "", "", []string{"a=rtpmap:111 opus/48000/2", "a=rtpmap:110 telephone-event/48000"}, []string{"a=rtpmap:126 "}},
		{"PCMU", "chromium", " 111 63 9 0 8 13 110 126", " 0 111 63 9 8 13 110 126", []string{"a=rtpmap:126 telephone-event/8000"}, []string{"a=rtpmap:110 "}},
		{"none that fit", "firefox", "", "", []string{"a=rtpmap:109 opus/48000/2", "a=rtpmap:101 telephone-event/8000"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			offer := recorded(t, tt.offer)
			if !strings.Contains(offer, tt.from) {
				t.Fatalf("no %q in %s", tt.from, line(offer, "m=audio"))
			}
			p, answer, err := listen(t, nil).Answer(t.Context(), strings.Replace(offer, tt.from, tt.to, 1), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for _, want := range tt.want {
				pt := strings.Fields(strings.TrimPrefix(want, "a=rtpmap:"))[0]
				if line(answer, want) == "" || !slices.Contains(strings.Fields(line(answer, "m=audio")), pt) {
					t.Errorf("no %s in\n%s", want, answer)
				}
			}
			for _, not := range tt.not {
				if line(answer, not) != "" {
					t.Errorf("%s in\n%s", not, answer)
				}
			}
		})
	}
}
