package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

var (
	pcma      = codec.Params{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1}
	g722      = codec.Params{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1}
	opus96    = codec.Params{Name: "opus", PayloadType: 96, ClockRate: 48000, Channels: 2}
	events101 = codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, Channels: 1, FMTP: "0-16"}
	events97  = codec.Params{Name: "telephone-event", PayloadType: 97, ClockRate: 48000, Channels: 1, FMTP: "0-16"}
	cn        = codec.Params{Name: "CN", PayloadType: 13, ClockRate: 8000, Channels: 1}
)

// with returns p with another payload type and other parameters.
func with(p codec.Params, payloadType uint8, fmtp string) codec.Params {
	p.PayloadType, p.FMTP = payloadType, fmtp
	return p
}

func parse(t testing.TB, text string) *Description {
	t.Helper()
	d, err := ParseDescription([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

// summary tells what was agreed; fields that say nothing are left out.
func summary(a *Agreed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v to %v %v", a.Direction, a.Remote, a.RemoteRTCP)
	if a.Mux {
		b.WriteString(" mux")
	}
	fmt.Fprintf(&b, " send %v receive", formats([]codec.Params{a.Send}))
	fmt.Fprintf(&b, " %v", formats(a.Receive))
	if a.Event.Name != "" {
		fmt.Fprintf(&b, " event %d/%d", a.Event.PayloadType, a.Event.ClockRate)
	}
	if a.Noise.Name != "" {
		fmt.Fprintf(&b, " noise %d", a.Noise.PayloadType)
	}
	if a.RED.Name != "" {
		fmt.Fprintf(&b, " red %d", a.RED.PayloadType)
	}
	fmt.Fprintf(&b, " %v", a.PTime)
	return b.String()
}

// The exchanges of RFC 3264, section 10, with addresses for its names of hosts.
func TestOfferAnswerOfRFC3264(t *testing.T) {
	// Section 10.1: audio and two videos, of which we take the audio alone.
	offer := parse(t, `v=0
o=alice 2890844526 2890844526 IN IP4 192.0.2.1
s=
c=IN IP4 192.0.2.1
t=0 0
m=audio 49170 RTP/AVP 0
a=rtpmap:0 PCMU/8000
m=video 51372 RTP/AVP 31
a=rtpmap:31 H261/90000
m=video 53000 RTP/AVP 32
a=rtpmap:32 MPV/90000
`)
	bob := &Description{Addr: addr("192.0.2.2:49920"), ID: 2890844730, Version: 2890844730, Codecs: []codec.Params{pcma, pcmu}}
	answer, agreed, err := Answer(offer, bob)
	if err != nil {
		t.Fatal(err)
	}
	text, err := answer.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const want = `v=0
o=- 2890844730 2890844730 IN IP4 192.0.2.2
s=Parley
c=IN IP4 192.0.2.2
t=0 0
m=audio 49920 RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=sendrecv
m=video 0 RTP/AVP 31
m=video 0 RTP/AVP 32
`
	if got := strings.ReplaceAll(string(text), "\r\n", "\n"); got != want {
		t.Errorf("answer\n%s\nwant\n%s", got, want)
	}
	if got, want := summary(agreed), "sendrecv to 192.0.2.1:49170 192.0.2.1:49171 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	// Bob then moves his port and offers again: the refused streams keep their places.
	moved := *bob
	moved.Addr = addr("192.0.2.2:65422")
	moved.Codecs = []codec.Params{pcmu}
	moved.Follow(answer)
	if moved.Version != 2890844731 || len(moved.Others) != 2 {
		t.Errorf("second offer: %s", describe(&moved))
	}
	alice := &Description{Addr: addr("192.0.2.1:49170"), Codecs: []codec.Params{pcmu}}
	answer, agreed, err = Answer(&moved, alice)
	if err != nil || len(answer.Others) != 2 || agreed.Remote != moved.Addr {
		t.Errorf("second answer: %v %v, %v", answer, agreed, err)
	}

	// Section 10.2: one of several codecs, which are settled while nothing is sent.
	offer = parse(t, `v=0
o=alice 2890844526 2890844526 IN IP4 192.0.2.1
s=
c=IN IP4 192.0.2.1
t=0 0
m=audio 62986 RTP/AVP 0 4 18
a=rtpmap:0 PCMU/8000
a=rtpmap:4 G723/8000
a=rtpmap:18 G729/8000
a=inactive
`)
	answer = parse(t, `v=0
o=bob 2890844730 2890844731 IN IP4 192.0.2.2
s=
c=IN IP4 192.0.2.2
t=0 0
m=audio 54344 RTP/AVP 0 4
a=rtpmap:0 PCMU/8000
a=rtpmap:4 G723/8000
a=inactive
`)
	agreed, err = Agree(offer, answer)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(agreed), "inactive to 192.0.2.2:54344 192.0.2.2:54345 send [0 PCMU/8000 ] receive [0 PCMU/8000  4 G723/8000 ] 20ms"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	offer.Codecs, answer.Codecs = offer.Codecs[1:2], answer.Codecs[1:]
	offer.Direction, answer.Direction = parley.SendRecv, parley.SendRecv
	agreed, err = Agree(offer, answer)
	if err != nil || agreed.Send.Name != "G723" || agreed.Direction != parley.SendRecv {
		t.Errorf("second exchange: %v, %v", agreed, err)
	}
}

// Both ends of an exchange, by what their descriptions say.
func TestOfferAnswer(t *testing.T) {
	type d = Description
	list := func(p ...codec.Params) []codec.Params { return p }
	a, b := addr("192.0.2.1:4000"), addr("192.0.2.2:5000")
	red := codec.Params{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2}
	for _, tt := range []struct {
		name         string
		offer, local d
		want         string // what the answerer has agreed
		wantOfferer  string
	}{
		{
			"the offer's order and payload types",
			d{Codecs: list(with(opus96, 111, "useinbandfec=1"), g722, pcmu, cn, with(events97, 110, "0-16"), with(events101, 126, "0-15"))},
			d{Codecs: list(events101, pcmu, opus96, cn)},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [111 opus/48000/2 useinbandfec=1] " +
				"receive [111 opus/48000/2  0 PCMU/8000  13 CN/8000  126 telephone-event/8000 0-16] event 126/8000 20ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [111 opus/48000/2 ] " +
				"receive [111 opus/48000/2 useinbandfec=1 0 PCMU/8000  13 CN/8000  126 telephone-event/8000 0-15] event 126/8000 20ms",
		},
		{
			"telephone events of the clock rate",
			d{Codecs: list(events101, opus96, events97)},
			d{Codecs: list(events101, opus96, events97)},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [96 opus/48000/2 ] " +
				"receive [96 opus/48000/2  101 telephone-event/8000 0-16 97 telephone-event/48000 0-16] event 97/48000 20ms",
			"",
		},
		{
			"no telephone events on one side",
			d{Codecs: list(g722, events101)},
			d{Codecs: list(g722, events97)},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [9 G722/8000 ] receive [9 G722/8000 ] 20ms", "",
		},
		{
			"packet times: what the far end likes, within what it takes",
			d{Codecs: list(pcmu), PTime: 40 * time.Millisecond, MaxPTime: 30 * time.Millisecond},
			d{Codecs: list(pcmu), PTime: 10 * time.Millisecond},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 30ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 10ms",
		},
		{
			"packets are not made ever shorter",
			d{Codecs: list(pcmu), PTime: 100 * time.Microsecond},
			d{Codecs: list(pcmu)},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 10ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 10ms",
		},
		{
			"but for an end that likes them so",
			d{Codecs: list(pcmu), PTime: time.Millisecond},
			d{Codecs: list(pcmu), PTime: 5 * time.Millisecond},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 5ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 5ms",
		},
		{
			"or for one that takes no longer ones",
			d{Codecs: list(pcmu), MaxPTime: 4 * time.Millisecond},
			d{Codecs: list(pcmu), MaxPTime: 100 * time.Microsecond},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 4ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 2.5ms",
		},
		{
			"frames of Opus have few lengths",
			d{Codecs: list(with(opus96, 96, "minptime=10")), PTime: 5 * time.Millisecond},
			d{Codecs: list(opus96), PTime: 30 * time.Millisecond},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [96 opus/48000/2 minptime=10] receive [96 opus/48000/2 ] 10ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [96 opus/48000/2 ] receive [96 opus/48000/2 minptime=10] 20ms",
		},
		{
			"stereo if both have it, nonsense left out",
			d{Codecs: list(with(opus96, 96, "stereo=1;sprop-stereo=1;usedtx=1;maxaveragebitrate=512000"))},
			d{Codecs: list(with(opus96, 120, "sprop-stereo=1;maxplaybackrate=99"))},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [96 opus/48000/2 stereo=1;usedtx=1] receive [96 opus/48000/2 sprop-stereo=1;maxplaybackrate=99] 20ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [96 opus/48000/2 ] receive [96 opus/48000/2 stereo=1;sprop-stereo=1;usedtx=1;maxaveragebitrate=512000] 20ms",
		},
		{
			"stereo",
			d{Codecs: list(with(opus96, 96, "stereo=1"))},
			d{Codecs: list(with(opus96, 120, "sprop-stereo=1"))},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [96 opus/48000/2 stereo=1] receive [96 opus/48000/2 sprop-stereo=1] 20ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [96 opus/48000/2 ] receive [96 opus/48000/2 stereo=1] 20ms",
		},
		{
			"redundancy of a format that both have",
			d{Codecs: list(with(red, 63, "96/96"), opus96)},
			d{Codecs: list(with(opus96, 120, ""), with(red, 121, "120/120"))},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [96 opus/48000/2 ] receive [96 opus/48000/2  63 red/48000/2 96/96] red 63 20ms", "",
		},
		{
			"redundancy of one that only the offer has",
			d{Codecs: list(with(red, 63, "97/96"), with(red, 65, "65/96"), with(red, 64, ""), opus96)},
			d{Codecs: list(opus96, red)},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [96 opus/48000/2 ] receive [96 opus/48000/2  64 red/48000/2 ] red 64 20ms", "",
		},
		{
			"comfort noise at another clock rate than the codec's",
			d{Codecs: list(opus96, pcmu, cn)},
			d{Codecs: list(opus96, cn)},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [96 opus/48000/2 ] receive [96 opus/48000/2  13 CN/8000 ] 20ms", "",
		},
		{
			"comfort noise, with other payload types than ours",
			d{Codecs: list(pcmu, with(cn, 98, ""))},
			d{Codecs: list(pcmu, cn)},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000  98 CN/8000 ] noise 98 20ms", "",
		},
		{
			"RTCP on the same port",
			d{Codecs: list(pcmu), Mux: true, RTCP: addr("192.0.2.9:999")},
			d{Codecs: list(pcmu), Mux: true, RTCP: addr("192.0.2.2:5009")},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4000 mux send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5000 mux send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
		},
		{
			"RTCP where it is said to be",
			d{Codecs: list(pcmu), Mux: true, RTCP: addr("192.0.2.9:999")},
			d{Codecs: list(pcmu), RTCP: addr("0.0.0.0:5009")},
			"sendrecv to 192.0.2.1:4000 192.0.2.9:999 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
			"sendrecv to 192.0.2.2:5000 192.0.2.2:5009 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
		},
		{
			"a payload type that looks like RTCP on the same port",
			d{Codecs: list(with(pcmu, 72, "")), Mux: true},
			d{Codecs: list(pcmu), Mux: true},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [72 PCMU/8000 ] receive [72 PCMU/8000 ] 20ms", "",
		},
		{
			"held",
			d{Codecs: list(pcmu), Direction: parley.SendOnly},
			d{Codecs: list(pcmu)},
			"recvonly to 192.0.2.1:4000 192.0.2.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
			"sendonly to 192.0.2.2:5000 192.0.2.2:5001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
		},
		{
			"held by both",
			d{Codecs: list(pcmu), Direction: parley.SendOnly},
			d{Codecs: list(pcmu), Direction: parley.SendOnly},
			"inactive to 192.0.2.1:4000 192.0.2.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
			"inactive to 192.0.2.2:5000 192.0.2.2:5001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
		},
		{
			"held as in RFC 2543",
			d{Codecs: list(pcmu), Addr: addr("0.0.0.0:4000"), Direction: parley.SendOnly},
			d{Codecs: list(pcmu)},
			"recvonly to invalid AddrPort invalid AddrPort send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
			"sendonly to 192.0.2.2:5000 192.0.2.2:5001 send [0 PCMU/8000 ] receive [0 PCMU/8000 ] 20ms",
		},
		{
			"AMR in the layout that both have",
			d{Codecs: list(codec.Params{Name: "AMR", PayloadType: 96, ClockRate: 8000}, codec.Params{Name: "AMR", PayloadType: 97, ClockRate: 8000, FMTP: "mode-set=7; octet-align=1"})},
			d{Codecs: list(codec.Params{Name: "amr", PayloadType: 100, ClockRate: 8000, FMTP: "octet-align=1"})},
			"sendrecv to 192.0.2.1:4000 192.0.2.1:4001 send [97 AMR/8000 mode-set=7; octet-align=1] receive [97 amr/8000 octet-align=1] 20ms", "",
		},
	} {
		if !tt.offer.Addr.IsValid() {
			tt.offer.Addr = a
		}
		tt.local.Addr = b
		answer, agreed, err := Answer(&tt.offer, &tt.local)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := summary(agreed); got != tt.want {
			t.Errorf("%s: answerer\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
		roundTrip(t, parse(t, marshal(t, answer)))
		agreed, err = Agree(&tt.offer, parse(t, marshal(t, answer)))
		if err != nil {
			t.Errorf("%s: offerer: %v", tt.name, err)
			continue
		}
		if got := summary(agreed); tt.wantOfferer != "" && got != tt.wantOfferer {
			t.Errorf("%s: offerer\ngot  %s\nwant %s", tt.name, got, tt.wantOfferer)
		}
	}
}

func marshal(t testing.TB, d *Description) string {
	t.Helper()
	text, err := d.Marshal()
	if err != nil {
		t.Fatalf("%s: %v", describe(d), err)
	}
	return string(text)
}

// An answer may have payload types of its own: each end is sent what it listed.
func TestAgreeOnUnequalPayloadTypes(t *testing.T) {
	offer := &Description{Addr: addr("192.0.2.1:4000"), Codecs: []codec.Params{pcmu, opus96, events97}}
	answer := &Description{Addr: addr("192.0.2.2:5000"), Codecs: []codec.Params{
		with(g722, 9, ""), with(opus96, 107, ""), with(events97, 108, "0-15"),
	}}
	agreed, err := Agree(offer, answer)
	if err != nil {
		t.Fatal(err)
	}
	const want = "sendrecv to 192.0.2.2:5000 192.0.2.2:5001 send [107 opus/48000/2 ] receive [96 opus/48000/2  97 telephone-event/48000 0-16] event 108/48000 20ms"
	if got := summary(agreed); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Digits are sent by the telephone events that the far end has, which may be those of
// 8000 Hz alone beside Opus.
func TestTelephoneEventsOfTheFarEnd(t *testing.T) {
	const narrow = "a=rtpmap:101 telephone-event/8000\n"
	for list, want := range map[string]string{
		"107 0 101\na=rtpmap:107 opus/48000/2\n" + narrow:                                       "opus/48000/2 101/8000",
		"107 0 101 98\na=rtpmap:107 opus/48000/2\na=rtpmap:98 telephone-event/48000\n" + narrow: "opus/48000/2 98/48000",
		"0 101\n" + narrow:                          "PCMU/8000 101/8000",
		"0 98\na=rtpmap:98 telephone-event/48000\n": "PCMU/8000 0/0",
		"107 0\na=rtpmap:107 opus/48000/2\n":        "opus/48000/2 0/0",
	} {
		offer := parse(t, "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP "+list)
		s := open(t, Config{Local: local, Audio: &AudioConfig{Codecs: []codec.Params{opus96, pcmu}}})
		ours, err := s.Describe()
		if err != nil {
			t.Fatal(err)
		}
		_, agreed, err := Answer(offer, ours)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%v %d/%d", agreed.Send, agreed.Event.PayloadType, agreed.Event.ClockRate); got != want {
			t.Errorf("%s: got %s, want %s", list, got, want)
		}
	}
}

// An answer may list one of our formats under two payload types: it is received once.
func TestAgreeOnAFormatTwice(t *testing.T) {
	s := open(t, Config{Local: local})
	offer, err := s.Describe()
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := Agree(offer, &Description{Addr: addr("127.0.0.1:4000"), Codecs: []codec.Params{
		pcmu, with(pcmu, 96, ""), with(events101, 98, ""), events101,
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "sendrecv to 127.0.0.1:4000 127.0.0.1:4001 send [0 PCMU/8000 ] receive [0 PCMU/8000  101 telephone-event/8000 0-16] event 98/8000 20ms"
	if got := summary(agreed); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := s.Update(agreed); err != nil {
		t.Error(err)
	}
}

// baresip's offer is answered in its suite, with its tag and with our own key.
func TestAnswerToBaresip(t *testing.T) {
	offer := parse(t, baresip)
	crypto, err := NewCrypto()
	if err != nil {
		t.Fatal(err)
	}
	answer, agreed, err := Answer(offer, &Description{
		Addr: addr("192.0.2.1:4000"), Codecs: []codec.Params{pcma, pcmu, events101}, Crypto: crypto,
	})
	if err != nil {
		t.Fatal(err)
	}
	text := marshal(t, answer)
	for _, want := range []string{"m=audio 4000 RTP/SAVP 0 101\r\n", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:", "a=fmtp:101 0-16\r\n"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("answer without %q:\n%s", want, text)
		}
	}
	theirs, err := Agree(offer, parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range [][2]transport.SRTPKey{
		{agreed.LocalKey, crypto[2].Key},
		{agreed.RemoteKey, offer.Crypto[0].Key},
		{theirs.LocalKey, offer.Crypto[0].Key},
		{theirs.RemoteKey, crypto[2].Key},
	} {
		if k[0].Profile != transport.AES_CM_128_HMAC_SHA1_80 || string(k[0].Master) != string(k[1].Master) {
			t.Errorf("%x is not %x", k[0].Master, k[1].Master)
		}
	}
	if agreed.Event.PayloadType != 101 || agreed.Event.FMTP != "0-15" || agreed.PTime != 20*time.Millisecond {
		t.Errorf("%+v", agreed)
	}
}

func TestNegotiationErrors(t *testing.T) {
	keys := make([][]Crypto, 3)
	for i := range keys {
		keys[i], _ = NewCrypto(transport.AEAD_AES_128_GCM)
	}
	cm, _ := NewCrypto(transport.AES_CM_128_HMAC_SHA1_80)
	d := func(crypto []Crypto, codecs ...codec.Params) *Description {
		return &Description{Addr: addr("192.0.2.1:4000"), Codecs: codecs, Crypto: crypto}
	}
	mux := func(d *Description) *Description { d.Mux = true; return d }
	for name, tt := range map[string]struct {
		run  func() error
		is   error
		want string
	}{
		"no codec": {
			func() error { _, _, err := Answer(d(nil, pcmu, events101), d(nil, g722, events101)); return err },
			ErrNoCommonCodec, "theirs [PCMU/8000 telephone-event/8000], ours [G722/8000 telephone-event/8000]",
		},
		"an offer to a group": {
			func() error {
				_, _, err := Answer(&Description{Addr: addr("239.255.12.42:5004"), Codecs: []codec.Params{pcmu}}, d(nil, pcmu))
				return err
			},
			ErrDescription, "239.255.12.42:5004 is a multicast or broadcast address, and a call has one far end",
		},
		"an answer from everywhere": {
			func() error {
				_, err := Agree(d(nil, pcmu), &Description{Addr: addr("255.255.255.255:4000"), Codecs: []codec.Params{pcmu}})
				return err
			},
			ErrDescription, "255.255.255.255:4000 is a multicast or broadcast address, and a call has one far end",
		},
		"video to a group": {
			func() error {
				video := func(a string) *Description {
					return &Description{Video: &VideoDescription{Addr: addr(a), Codecs: []codec.Params{vp8}}}
				}
				_, _, err := Answer(video("[ff02::1]:4000"), video("[::1]:4000"))
				return err
			},
			ErrDescription, "video: [ff02::1]:4000 is a multicast or broadcast address, and a call has one far end",
		},
		"no codec in the answer": {
			func() error { _, err := Agree(d(nil, pcmu, events101), d(nil, g722, events101)); return err },
			ErrNoCommonCodec, "theirs [G722/8000 telephone-event/8000], ours [PCMU/8000 telephone-event/8000]",
		},
		"insecure answer wanted": {
			func() error { _, _, err := Answer(d(keys[0], pcmu), d(nil, pcmu)); return err },
			ErrDescription, "offer of encryption, and this end has no key for it",
		},
		"insecure offer": {
			func() error { _, _, err := Answer(d(nil, pcmu), d(keys[0], pcmu)); return err },
			ErrDescription, "offer without encryption, and this end wants it",
		},
		"insecure answer": {
			func() error { _, err := Agree(d(keys[0], pcmu), d(nil, pcmu)); return err },
			ErrDescription, "answer without encryption to an offer with it",
		},
		"secure answer": {
			func() error { _, err := Agree(d(nil, pcmu), d(keys[0], pcmu)); return err },
			ErrDescription, "answer with encryption to an offer without",
		},
		"no suite": {
			func() error { _, _, err := Answer(d(keys[0], pcmu), d(cm, pcmu)); return err },
			ErrDescription, "no common crypto suite: theirs [{1 AEAD_AES_128_GCM key}], ours [{1 AES_CM_128_HMAC_SHA1_80 key}]",
		},
		"suite not offered": {
			func() error { _, err := Agree(d(keys[0], pcmu), d(cm, pcmu)); return err },
			ErrDescription, "answer takes crypto 1 AES_CM_128_HMAC_SHA1_80, offered [{1 AEAD_AES_128_GCM key}]",
		},
		"two keys in an answer": {
			func() error { _, err := Agree(d(keys[0], pcmu), d(append(keys[1], cm...), pcmu)); return err },
			ErrDescription, "2 crypto attributes in an answer, want one",
		},
		"our own key": {
			func() error { _, err := Agree(d(keys[0], pcmu), d(keys[0], pcmu)); return err },
			ErrDescription, "both ends have the same key",
		},
		"RTCP look-alike": {
			func() error { _, err := Agree(mux(d(nil, pcmu)), mux(d(nil, with(pcmu, 72, "")))); return err },
			ErrDescription, "payload type 0 or 72 of PCMU/8000 looks like RTCP on the port of both",
		},
	} {
		err := tt.run()
		if !errors.Is(err, tt.is) || err.Error() != tt.is.Error()+": "+tt.want {
			t.Errorf("%s: got\n%v\nwant\n%v: %s", name, err, tt.is, tt.want)
		}
	}
}
