package session

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// Descriptions in the shape that widespread programs give them.
func TestDescriptionsOfPrograms(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{
			"GStreamer", // without a=ptime, with attributes of its own
			`v=0
o=- 16227433371398345478 1 IN IP4 192.0.2.1
s=Session streamed with GStreamer
i=rtsp-server
t=0 0
a=tool:GStreamer
a=type:broadcast
a=range:npt=now-
m=audio 5002 RTP/AVP 96
c=IN IP4 192.0.2.1
b=AS:76
a=rtpmap:96 OPUS/48000/2
a=fmtp:96 sprop-stereo=0;minptime=10
a=control:stream=0
a=ts-refclk:local
a=mediaclk:sender
`, "192.0.2.1:5002 [OPUS/48000/2] 0s sprop-stereo=0;minptime=10",
		},
		{
			"VLC", // to a multicast group, with the time to live
			`v=0
o=- 15374891258317 15374891258317 IN IP4 studio
s=Unnamed
i=N/A
c=IN IP4 239.255.12.42/255
t=0 0
a=tool:vlc 3.0.18
a=recvonly
a=type:broadcast
a=charset:UTF-8
m=audio 5004 RTP/AVP 10
b=RR:0
a=rtpmap:10 L16/44100/2
`, "239.255.12.42:5004 [L16/44100/2] 0s ",
		},
		{
			"baresip",
			`v=0
o=- 3344522 1 IN IP4 192.0.2.7
s=-
c=IN IP4 192.0.2.7
t=0 0
a=tool:baresip 1.0.0
m=audio 21234 RTP/AVP 96 9 8 0 101
b=AS:128
a=rtpmap:96 opus/48000/2
a=fmtp:96 stereo=1;sprop-stereo=1
a=rtpmap:9 G722/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:21235
a=sendrecv
a=label:1
a=rtcp-rsize
a=ssrc:771382 cname:sip:alice@example.com
a=ptime:20
`, "192.0.2.7:21234 [opus/48000/2 G722/8000 PCMA/8000 PCMU/8000 telephone-event/8000] 20ms stereo=1;sprop-stereo=1",
		},
		{
			"Asterisk",
			`v=0
o=- 1532884 1532884 IN IP4 192.0.2.50
s=Asterisk
c=IN IP4 192.0.2.50
t=0 0
m=audio 12064 RTP/AVP 0 8 3 18 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:3 GSM/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:150
a=sendrecv
`, "192.0.2.50:12064 [PCMU/8000 PCMA/8000 GSM/8000 G729/8000 telephone-event/8000] 20ms ",
		},
		{
			"a second audio line and a fraction of a ptime",
			`v=0
o=- 1 1 IN IP6 2001:db8::5
s=-
c=IN IP6 2001:db8::5
t=0 0
m=audio 7000 RTP/AVPF 97 127
a=rtpmap:97 L16/48000
a=ptime:2.5
m=audio 8000 RTP/AVP 0
`, "[2001:db8::5]:7000 [L16/48000] 2.5ms ",
		},
	} {
		for _, newline := range []string{"\n", "\r\n"} {
			d, err := ParseDescription([]byte(strings.ReplaceAll(tt.text, "\n", newline)))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if got := fmt.Sprint(d.Addr, d.Codecs, d.PTime, " ", d.Codecs[0].FMTP); strings.ReplaceAll(got, "  ", " ") != tt.want {
				t.Errorf("%s: got  %s\nwant %s", tt.name, got, tt.want)
			}
			roundTrip(t, d)
		}
	}
}

// roundTrip fails the test unless d survives being written and read.
func roundTrip(t *testing.T, d *Description) {
	t.Helper()
	text, err := d.Marshal()
	if err != nil {
		t.Fatalf("%+v: %v", d, err)
	}
	got, err := ParseDescription(text)
	if err != nil {
		t.Fatalf("%v in our own\n%s", err, text)
	}
	want := *d
	want.Addr = netip.AddrPortFrom(d.Addr.Addr().WithZone(""), d.Addr.Port())
	if !reflect.DeepEqual(*got, want) {
		t.Fatalf("wrote %+v\nread  %+v\nby\n%s", want, *got, text)
	}
}

// Each error says, behind the sentinel, what is wrong, with the piece of text
// that is.
func TestDescriptionErrorsSayWhat(t *testing.T) {
	const head = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\n"
	const c = "c=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	for text, want := range map[string]string{
		head + c + "m=video 5004 RTP/AVP 96\r\n":                             "\"m=video 5004 RTP/AVP 96\": no payload format that is known by number or by rtpmap",
		head + "t=0 0\r\nm=audio 5004 RTP/AVP 0\r\n":                         "no connection address (c=)",
		head + "c=IN IP4 example.com\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n": `connection address "example.com" is not an IP address`,
		head + c + "m=audio 0 RTP/AVP 0\r\n":                                 "audio port 0: turned down",
		head + c + "m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\n":                    "audio over UDP/TLS/RTP/SAVPF has its keys by DTLS, as in WebRTC; want RTP/AVP, or RTP/SAVP with a=crypto",
		head + c + "m=audio 5004 RTP/AVP 200\r\n":                            `payload type "200"`,
		head + c + "m=audio 5004 RTP/AVP 96 97\r\n":                          "no payload format that is known by number or by rtpmap",
		head + c + "m=audio 5004 RTP/AVP 96\r\na=rtpmap:96 opus\r\n":         `rtpmap "96 opus"`,
		head + c + "m=audio 5004 RTP/AVP 96\r\na=rtpmap:96 opus/-1\r\n":      `clock rate in rtpmap "96 opus/-1"`,
		head + c + "m=audio 5004 RTP/AVP 96\r\na=rtpmap:96 L16/8000/x\r\n":   `channels in rtpmap "96 L16/8000/x"`,
		head + c + "m=audio 5004 RTP/AVP 0\r\na=ptime:-20\r\n":               `ptime "-20"`,
		head + c + "m=audio 5004 RTP/AVP 0\r\na=ptime:1e9\r\n":               `ptime "1e9"`,
		strings.Repeat("x", maxDescription+1):                                "65537 bytes, more than 65536",
	} {
		_, err := ParseDescription([]byte(text))
		if full := ErrDescription.Error() + ": " + want; !errors.Is(err, ErrDescription) || err.Error() != full {
			t.Errorf("got  %v\nwant %s\nfor\n%.300s", err, full, text)
		}
	}
}

func TestMarshalErrors(t *testing.T) {
	addr := netip.MustParseAddrPort("192.0.2.1:5004")
	key, _ := transport.NewSRTPKey(transport.AEAD_AES_128_GCM)
	with := func(p codec.Params) Description { return Description{Addr: addr, Codecs: []codec.Params{p}} }
	for name, d := range map[string]Description{
		"nothing":              {},
		"no address":           {Codecs: []codec.Params{pcmu}},
		"no codec":             {Addr: addr},
		"port 0":               {Addr: netip.MustParseAddrPort("192.0.2.1:0"), Codecs: []codec.Params{pcmu}},
		"port 65535":           {Addr: netip.MustParseAddrPort("192.0.2.1:65535"), Codecs: []codec.Params{pcmu}},
		"no name":              with(codec.Params{PayloadType: 96, ClockRate: 8000}),
		"lines in a name":      with(codec.Params{Name: "x\r\na=evil", PayloadType: 96, ClockRate: 8000}),
		"a slash in a name":    with(codec.Params{Name: "x/8000", PayloadType: 96, ClockRate: 8000}),
		"lines in fmtp":        with(codec.Params{Name: "x", PayloadType: 96, ClockRate: 8000, FMTP: "a=1\nm=video 1 RTP/AVP 0"}),
		"no clock rate":        with(codec.Params{Name: "x", PayloadType: 96}),
		"payload type 128":     with(codec.Params{Name: "x", PayloadType: 128, ClockRate: 8000}),
		"ptime below 0":        {Addr: addr, Codecs: []codec.Params{pcmu}, PTime: -time.Second},
		"index":                {Addr: addr, Codecs: []codec.Params{pcmu}, Index: 1},
		"no section":           {Addr: addr, Codecs: []codec.Params{pcmu}, Others: []Section{{}}},
		"lines in section":     {Addr: addr, Codecs: []codec.Params{pcmu}, Others: []Section{{"video", "RTP/AVP", "96\r\na=x"}}},
		"empty key":            {Addr: addr, Codecs: []codec.Params{pcmu}, Crypto: []Crypto{{Tag: 1}}},
		"tag 0":                {Addr: addr, Codecs: []codec.Params{pcmu}, Crypto: []Crypto{{Key: key}}},
		"a tag twice":          {Addr: addr, Codecs: []codec.Params{pcmu}, Crypto: []Crypto{{Tag: 1, Key: key}, {Tag: 1, Key: key}}},
		"heard at 0.0.0.0":     {Addr: netip.MustParseAddrPort("0.0.0.0:5004"), Codecs: []codec.Params{pcmu}},
		"a payload type twice": {Addr: addr, Codecs: []codec.Params{pcmu, {Name: "x", ClockRate: 8000}}},
		"ptime of an hour":     {Addr: addr, Codecs: []codec.Params{pcmu}, PTime: time.Hour},
	} {
		if text, err := d.Marshal(); !errors.Is(err, ErrDescription) {
			t.Errorf("%s: error %v, want ErrDescription; wrote\n%s", name, err, text)
		}
	}
}
