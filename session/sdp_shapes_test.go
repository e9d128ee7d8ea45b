package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/parley-media/parley/codec"
)

// baresip is what baresip 1.0 offers with SDES.
const baresip = `v=0
o=- 2481822149 872859425 IN IP4 192.0.2.2
s=-
c=IN IP4 192.0.2.2
t=0 0
a=tool:baresip 1.0.0
m=audio 7628 RTP/SAVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
a=label:1
a=rtcp-rsize
a=ssrc:302072497 cname:sip:test@127.0.0.1
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:/sj8rK1rkLg9NS59C5OjgSypz6FnchPvoPsO4r6+
a=minptime:20
a=ptime:20
`

// shapes are descriptions as widespread programs lay them out, with all that is
// read of them.
var shapes = []struct{ name, text, want string }{
	{
		"baresip with SDES", baresip,
		"id 2481822149 872859425 at 192.0.2.2:7628 [PCMU/8000 telephone-event/8000] 20ms sendrecv " +
			"crypto [{1 AES_CM_128_HMAC_SHA1_80 key}]",
	},
	{
		"Asterisk with a fax section", // one of a protocol that has no payload types
		`v=0
o=- 1208334331 1208334333 IN IP4 192.0.2.50
s=Asterisk
c=IN IP4 192.0.2.50
t=0 0
m=audio 18222 RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:150
a=sendonly
m=image 0 udptl t38
`, "id 1208334331 1208334333 at 192.0.2.50:18222 [PCMA/8000 telephone-event/8000] 20ms max 150ms sendonly others [{image udptl t38}] 0",
	},
	{
		"linphone", // SAVPF, video first refused, keys with a lifetime and with MKI
		`v=0
o=alice 3747 2453 IN IP4 192.0.2.81
s=Talk
c=IN IP4 192.0.2.81
b=AS:380
t=0 0
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
a=record:off
m=video 0 RTP/SAVPF 96
a=rtpmap:96 VP8/90000
m=audio 7078 RTP/SAVPF 96 97 0 101
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:97 telephone-event/48000
a=rtpmap:101 telephone-event/8000
a=rtcp-mux
a=crypto:1 AEAD_AES_128_GCM inline:IjvFAXZ7ePFcCN7dPQ6r5QBHUiFK1bxk0y5hDA==
a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31
a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4
a=crypto:4 AES_192_CM_HMAC_SHA1_80 inline:xxxx
a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj UNENCRYPTED_SRTP
a=rtcp-fb:* trr-int 1000
`, "id 3747 2453 at 192.0.2.81:7078 [opus/48000/2 telephone-event/48000 PCMU/8000 telephone-event/8000] 0s sendrecv mux feedback " +
			"crypto [{1 AEAD_AES_128_GCM key} {2 AES_CM_128_HMAC_SHA1_80 key} {3 AES_CM_128_HMAC_SHA1_32 key}] others [{video RTP/SAVPF 96}] 1",
	},
	{
		"FreeSWITCH",
		`v=0
o=FreeSWITCH 1700000000 1700000001 IN IP4 198.51.100.3
s=FreeSWITCH
c=IN IP4 198.51.100.3
t=0 0
m=audio 24678 RTP/AVP 9 0 13 101
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:13 CN/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=rtcp:24679 IN IP4 198.51.100.3
`, "id 1700000000 1700000001 at 198.51.100.3:24678 [G722/8000 PCMU/8000 CN/8000 telephone-event/8000] 20ms sendrecv rtcp 198.51.100.3:24679",
	},
	{
		"ffmpeg with SDES", // a bandwidth before the rtpmap, no direction, no telephone events
		`v=0
o=- 0 0 IN IP4 127.0.0.1
s=No Name
c=IN IP4 192.0.2.9
t=0 0
a=tool:libavformat 59.27.100
m=audio 5004 RTP/SAVP 97
b=AS:96
a=rtpmap:97 opus/48000/2
a=fmtp:97 sprop-stereo=1
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj
`, "id 0 0 from 127.0.0.1 at 192.0.2.9:5004 [opus/48000/2] 0s sendrecv crypto [{1 AES_CM_128_HMAC_SHA1_80 key}]",
	},
	{
		"GStreamer", // session numbers beyond 63 bits, recvonly for the session
		`v=0
o=- 16227433371398345478 1 IN IP4 192.0.2.1
s=Session streamed with GStreamer
i=rtsp-server
t=0 0
a=tool:GStreamer
a=recvonly
m=audio 5002 RTP/AVPF 96
c=IN IP4 192.0.2.1
a=rtpmap:96 L16/48000/2
a=rtcp-fb:96 nack
a=maxptime:2.5
`, "id 16227433371398345478 1 at 192.0.2.1:5002 [L16/48000/2] 0s max 2.5ms recvonly feedback",
	},
	{
		"a telephone that holds as in RFC 2543",
		`v=0
o=- 9 10 IN IP4 192.0.2.33
s=-
c=IN IP4 0.0.0.0
t=0 0
m=audio 4000 RTP/AVP 0
`, "id 9 10 from 192.0.2.33 at 0.0.0.0:4000 [PCMU/8000] 0s sendonly",
	},
	{
		"DTLS first and SDES for those without", // an unknown bandwidth, no origin
		`v=0
b=WEIRD:1
t=0 0
m=audio 4000 UDP/TLS/RTP/SAVPF 0
c=IN IP6 2001:db8::1
a=fingerprint:sha-256 00
m=audio 4002 RTP/SAVP 0
c=IN IP6 2001:db8::1
a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
`, "id 0 0 at [2001:db8::1]:4002 [PCMU/8000] 0s sendrecv crypto [{7 AES_CM_128_HMAC_SHA1_32 key}] " +
			"others [{audio UDP/TLS/RTP/SAVPF 0} {application UDP/DTLS/SCTP webrtc-datachannel}] 1",
	},
}

// describe tells what d says; fields that say nothing are left out.
func describe(d *Description) string {
	var b strings.Builder
	fmt.Fprintf(&b, "id %d %d", d.ID, d.Version)
	if d.Origin.IsValid() {
		fmt.Fprintf(&b, " from %v", d.Origin)
	}
	fmt.Fprintf(&b, " at %v %v %v", d.Addr, d.Codecs, d.PTime)
	if d.MaxPTime != 0 {
		fmt.Fprintf(&b, " max %v", d.MaxPTime)
	}
	fmt.Fprintf(&b, " %v", d.Direction)
	if d.RTCP.IsValid() {
		fmt.Fprintf(&b, " rtcp %v", d.RTCP)
	}
	if d.Mux {
		b.WriteString(" mux")
	}
	if d.Feedback {
		b.WriteString(" feedback")
	}
	if d.Crypto != nil {
		fmt.Fprintf(&b, " crypto %v", d.Crypto)
	}
	if d.Others != nil {
		fmt.Fprintf(&b, " others %v %d", d.Others, d.Index)
	}
	return b.String()
}

func TestShapesOfPrograms(t *testing.T) {
	for _, tt := range shapes {
		for _, newline := range []string{"\n", "\r\n", " \r\n"} { // or with spaces at the ends
			d, err := ParseDescription([]byte(strings.ReplaceAll(tt.text, "\n", newline)))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if got := describe(d); got != tt.want {
				t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
			}
			roundTrip(t, d)
		}
	}
}

// What a program cannot use is told in its own words.
func TestUnusableShapes(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
	const key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	for name, tt := range map[string]struct{ text, want string }{
		"a browser": {
			head + "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\na=fingerprint:sha-256 00\na=setup:actpass\n",
			"audio over UDP/TLS/RTP/SAVPF has its keys by DTLS, as in WebRTC; want RTP/AVP, or RTP/SAVP with a=crypto",
		},
		"DTLS by its attribute": {
			head + "m=audio 9 RTP/SAVPF 0\na=fingerprint:sha-256 00\n",
			"audio over RTP/SAVPF has its keys by DTLS (a=fingerprint), want a=crypto",
		},
		"no key":                {head + "m=audio 9 RTP/SAVP 0\n", "audio over RTP/SAVP without a key (a=crypto)"},
		"no suite that we have": {head + "m=audio 9 RTP/SAVP 0\na=crypto:1 F8_128_HMAC_SHA1_80 " + key + "\n", `audio over RTP/SAVP without a crypto attribute that can be used: crypto 1: transport: unusable SRTP key: profile "F8_128_HMAC_SHA1_80"`},
		"RTCP port":             {head + "m=audio 9 RTP/AVP 0\na=rtcp:x\n", `RTCP port "x"`},
		"ptime":                 {head + "m=audio 9 RTP/AVP 0\na=ptime:1001\n", `ptime "1001"`},
		"session parameters":    {head + "m=audio 9 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 " + key + " WSH=64 FOO=1\n", "audio over RTP/SAVP without a crypto attribute that can be used: crypto 1: session parameters"},
		"RTCP port too large":   {head + "m=audio 9 RTP/AVP 0\na=rtcp:65536 IN IP4 192.0.2.1\n", `RTCP port "65536 IN IP4 192.0.2.1"`},
		"media line":            {head + "m=audio 9 RTP/AVP\n", `media line "audio 9 RTP/AVP"`},
		"no line":               {"v=0\nhello\n", `line "hello"`},
		"no version":            {"o=- 1 1 IN IP4 192.0.2.1\n", "no version (v=0)"},
		"turned down":           {head + "m=audio 0 RTP/AVP 0\n", "audio port 0: turned down"},
	} {
		_, err := ParseDescription([]byte(tt.text))
		if want := ErrDescription.Error() + ": " + tt.want; !errors.Is(err, ErrDescription) || err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", name, err, want)
		}
	}
}

// A line that is odd, and that a call can do without, is no reason to refuse it.
func TestOddShapes(t *testing.T) {
	const tail = "s=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/"
	const head = "v=0\no=- 1 2 IN IP4 192.0.2.1\n" + tail
	const key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	const at, then = " at 192.0.2.1:4000 [PCMU/8000]", " 0s sendrecv"
	for name, tt := range map[string]struct{ text, want string }{
		"a user name with a space": {"v=0\no=John Doe 1 2 IN IP4 192.0.2.9\n" + tail + "AVP 0\n", "id 1 2 from 192.0.2.9" + at + then},
		"no user name":             {"v=0\no= 1 2 IN IP4 192.0.2.1\n" + tail + "AVP 0\n", "id 1 2" + at + then},
		"an id below 0":            {"v=0\no=- -7123 2 IN IP4 192.0.2.9\n" + tail + "AVP 0\n", "id 0 2 from 192.0.2.9" + at + then},
		"an id of letters":         {"v=0\no=- x 2 IN IP4 192.0.2.1\n" + tail + "AVP 0\n", "id 0 2" + at + then},
		"half an origin":           {"v=0\no=- 1 2\n" + tail + "AVP 0\n", "id 1 2" + at + then},
		"no address in the origin": {"v=0\no=- 1 2 IN IP4\n" + tail + "AVP 0\n", "id 1 2" + at + then},
		"more after the origin":    {"v=0\no=- 1 2 IN IP4 192.0.2.9 x\n" + tail + "AVP 0\n", "id 1 2 from 192.0.2.9" + at + then},
		"an empty origin":          {"v=0\no=\n" + tail + "AVP 0\n", "id 0 0" + at + then},
		"a name for RTCP":          {head + "AVP 0\na=rtcp:4009 IN IP4 host.example\n", "id 1 2" + at + then},
		"no port for RTCP":         {head + "AVP 0\na=rtcp:0\n", "id 1 2" + at + then},
		"ptime 0":                  {head + "AVP 0\na=ptime:0\na=maxptime:0\n", "id 1 2" + at + then},
		"an rtpmap without rate":   {head + "AVP 0 101\na=rtpmap:101 telephone-event\n", "id 1 2" + at + then},
		"a bad rtpmap first":       {head + "AVP 101 0\na=rtpmap:101 x/0\n", "id 1 2" + at + then},
		"a line of a space":        {head + "AVP 0\n \n\t\r\na=ptime:30\n", "id 1 2" + at + " 30ms sendrecv"},
		"a window size":            {head + "SAVP 0\n" + key + " WSH=128\n", "id 1 2" + at + then + " crypto [{1 AES_CM_128_HMAC_SHA1_80 key}]"},
		"an optional parameter":    {head + "SAVP 0\n" + key + " wsh=64 -FOO=1 -BAR\n", "id 1 2" + at + then + " crypto [{1 AES_CM_128_HMAC_SHA1_80 key}]"},
	} {
		d := parse(t, tt.text)
		if got := describe(d); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tt.want)
		}
		roundTrip(t, d)
	}
}

// The version grows with each description that says something new, and the
// session is still the same when its end has moved.
func TestFollow(t *testing.T) {
	first, err := ParseDescription([]byte(shapes[1].text))
	if err != nil {
		t.Fatal(err)
	}
	same := *first
	same.ID, same.Version = 0, 0
	same.Follow(first)
	if got, want := describe(&same), describe(first); got != want {
		t.Errorf("unchanged: got\n%s\nwant\n%s", got, want)
	}
	held := *first
	held.Others, held.Version, held.Direction = nil, 0, 3
	held.Follow(&same)
	if held.Version != first.Version+1 || held.ID != first.ID || len(held.Others) != 1 {
		t.Errorf("held: %s after %s", describe(&held), describe(first))
	}
	moved := held
	moved.Addr = addr("192.0.2.51:18222")
	moved.Follow(&held)
	again := moved
	again.Follow(&moved)
	const want = "id 1208334331 1208334335 from 192.0.2.50 at 192.0.2.51:18222 [PCMA/8000 telephone-event/8000] 20ms max 150ms inactive others [{image udptl t38}] 0"
	if got := describe(&again); got != want {
		t.Errorf("moved: got\n%s\nwant\n%s", got, want)
	}
	roundTrip(t, &again)
}

// An IPv4 address is written as such, whatever form it has.
func TestIPv4InIPv6(t *testing.T) {
	mapped := func(port string) netip.AddrPort { return addr("[::ffff:192.0.2.1]:" + port) }
	d := &Description{
		Addr: mapped("4000"), Codecs: []codec.Params{pcmu}, RTCP: mapped("4009"), Origin: mapped("0").Addr(),
		Video: &VideoDescription{Addr: mapped("4002"), Codecs: []codec.Params{vp8}, RTCP: mapped("4007")},
	}
	text := marshal(t, d)
	if strings.Contains(text, "IP6") || strings.Count(text, "192.0.2.1") != 2 {
		t.Errorf("written as\n%s", text)
	}
	text = strings.ReplaceAll(text, "IP4 192.0.2.1", "IP6 ::ffff:192.0.2.1")
	if got := parse(t, text); got.Addr != addr("192.0.2.1:4000") || got.Video.RTCP != addr("192.0.2.1:4007") || got.Origin.IsValid() {
		t.Errorf("read as %+v, %+v", got, got.Video)
	}
}

// An offer has the payload types of the last description of its session, and others
// for what was not there (RFC 3264, section 8.3.2).
func TestFollowKeepsPayloadTypes(t *testing.T) {
	list := func(p ...codec.Params) []codec.Params { return p }
	red := codec.Params{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2, FMTP: "96/96"}
	rtx := codec.Params{Name: "rtx", PayloadType: 97, ClockRate: 90000, Channels: 1, FMTP: "apt=96;rtx-time=3000"}
	numbers := func(codecs []codec.Params) string {
		var all []string
		for _, p := range codecs {
			s := fmt.Sprintf("%d %s", p.PayloadType, p.Name)
			if isRed(p) || p.Name == "rtx" {
				s += " " + p.FMTP
			}
			all = append(all, s)
		}
		return strings.Join(all, ", ")
	}
	for name, tt := range map[string]struct {
		last, next []codec.Params
		mux        bool
		want       string
	}{
		"of the far end":          {list(with(opus96, 97, ""), with(events97, 96, "")), list(opus96, pcmu, events97, events101), false, "97 opus, 0 PCMU, 96 telephone-event, 101 telephone-event"},
		"all as they were":        {list(opus96, pcmu, events101), list(opus96, pcmu, events101), false, "96 opus, 0 PCMU, 101 telephone-event"},
		"used for something else": {list(pcmu, with(events101, 96, "")), list(pcmu, opus96, events101), false, "0 PCMU, 101 opus, 96 telephone-event"},
		"which is still there":    {list(pcmu, with(events101, 96, "")), list(opus96, pcmu, events101, events97), false, "101 opus, 0 PCMU, 96 telephone-event, 97 telephone-event"},
		"redundancy":              {list(with(opus96, 111, ""), with(pcma, 96, "")), list(red, opus96, pcma), false, "63 red 111/111, 111 opus, 96 PCMA"},
		"that look like RTCP":     {list(with(opus96, 77, "")), list(opus96), true, "96 opus"},
		"and RTCP has a port":     {list(with(opus96, 77, "")), list(opus96), false, "77 opus"},
		"two of one format":       {list(with(opus96, 97, "")), list(opus96, with(opus96, 98, "stereo=1"), with(pcma, 97, "")), false, "97 opus, 98 opus, 101 PCMA"},
	} {
		describe := func(codecs []codec.Params) *Description {
			return &Description{Addr: addr("192.0.2.1:4000"), Codecs: codecs, Mux: tt.mux}
		}
		next := describe(tt.next)
		before := numbers(tt.next)
		if next.Follow(describe(tt.last)); numbers(next.Codecs) != tt.want {
			t.Errorf("%s: got %s, want %s", name, numbers(next.Codecs), tt.want)
		}
		if numbers(tt.next) != before {
			t.Errorf("%s: the list has become %s", name, numbers(tt.next))
		}
	}
	video := func(p ...codec.Params) *Description {
		return &Description{Video: &VideoDescription{Addr: addr("192.0.2.1:4002"), Codecs: p}}
	}
	next := video(vp8, rtx, h264(98, "packetization-mode=1;profile-level-id=42e01f"))
	next.Follow(video(h264(97, "packetization-mode=0;profile-level-id=42e01f"), h264(96, "packetization-mode=1;profile-level-id=42e01f"), with(vp8, 100, "")))
	if got, want := numbers(next.Video.Codecs), "100 VP8, 101 rtx apt=100;rtx-time=3000, 96 H264"; got != want {
		t.Errorf("video: got %s, want %s", got, want)
	}
}

// What was answered in the payload types of the far end is offered with them again.
func TestReofferKeepsPayloadTypes(t *testing.T) {
	s, answer, err := OpenAnswer(t.Context(), &Config{Local: local, Audio: &AudioConfig{Codecs: []codec.Params{opus96, pcmu}}},
		parse(t, "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 97 96\na=rtpmap:97 opus/48000/2\na=rtpmap:96 telephone-event/48000\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	offer, err := s.Describe()
	if err != nil {
		t.Fatal(err)
	}
	offer.Follow(answer)
	if got, want := fmt.Sprint(formats(offer.Codecs)), "[97 opus/48000/2  0 PCMU/8000  96 telephone-event/48000 0-16 102 telephone-event/8000 0-16 13 CN/8000 ]"; got != want {
		t.Errorf("offers %s, want %s", got, want)
	}
	agreed, err := Agree(offer, &Description{Addr: addr("127.0.0.1:4000"), Codecs: offer.Codecs[:3]})
	if err != nil || s.Update(agreed) != nil || agreed.Send.PayloadType != 97 {
		t.Errorf("%v, %v", agreed, err)
	}
}

var addr = netip.MustParseAddrPort
