package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// setsOfClip are the parameter sets of a clip of 320 by 240.
const setsOfClip = "sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA="

func h264(payloadType uint8, fmtp string) codec.Params {
	return codec.Params{Name: "H264", PayloadType: payloadType, ClockRate: 90000, Channels: 1, FMTP: fmtp}
}

func vp9(payloadType uint8, fmtp string) codec.Params {
	return codec.Params{Name: "VP9", PayloadType: payloadType, ClockRate: 90000, Channels: 1, FMTP: fmtp}
}

// A format of the answer has the payload type of the offer and, where both ends
// have to have the same, its parameters. Payload types are those of the far end.
func TestVideoFormats(t *testing.T) {
	for name, tt := range map[string]struct {
		offered, local []codec.Params
		answer         string // "" if there is none
		send, receive  string // of the answerer
	}{
		"VP8": {
			offered: []codec.Params{with(vp8, 100, "max-fs=1200;max-fr=30")}, local: []codec.Params{with(vp8, 96, "max-fs=3600")},
			answer: "100 VP8/90000 max-fs=3600", send: "100 VP8/90000 max-fs=1200;max-fr=30", receive: "100 VP8/90000 max-fs=3600",
		},
		"VP9 of another profile": {
			offered: []codec.Params{vp9(98, "profile-id=2")}, local: []codec.Params{vp9(98, "")},
		},
		"VP9 of the same profile": {
			offered: []codec.Params{vp9(98, "profile-id=2"), vp9(99, "profile-id=0")}, local: []codec.Params{vp9(98, "")},
			answer: "99 VP9/90000 ", send: "99 VP9/90000 profile-id=0", receive: "99 VP9/90000 ",
		},
		"H.264, the lower level": {
			offered: []codec.Params{h264(97, "profile-level-id=42e01f;packetization-mode=1")},
			local:   []codec.Params{h264(96, "packetization-mode=1;profile-level-id=42e015")},
			answer:  "97 H264/90000 packetization-mode=1;profile-level-id=42e015",
			send:    "97 H264/90000 profile-level-id=42e01f;packetization-mode=1", receive: "97 H264/90000 packetization-mode=1;profile-level-id=42e015",
		},
		"H.264, levels of their own": {
			offered: []codec.Params{h264(97, "profile-level-id=42e00b;packetization-mode=1;level-asymmetry-allowed=1")},
			local:   []codec.Params{h264(96, "packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1")},
			answer:  "97 H264/90000 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
			send:    "97 H264/90000 profile-level-id=42e00b;packetization-mode=1;level-asymmetry-allowed=1",
			receive: "97 H264/90000 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		},
		"H.264 of another mode": {
			offered: []codec.Params{h264(97, "profile-level-id=42e01f")}, local: []codec.Params{h264(96, "packetization-mode=1;profile-level-id=42e01f")},
		},
		"H.264 of another mode, no profile there": { // who takes single units only has no use for fragments
			offered: []codec.Params{h264(97, "")}, local: []codec.Params{h264(96, "packetization-mode=1;profile-level-id=42e01f")},
		},
		"H.264 of another profile": {
			offered: []codec.Params{h264(97, "profile-level-id=640c1f")}, local: []codec.Params{h264(96, "profile-level-id=42e01f")},
		},
		"H.264, interleaved": {
			offered: []codec.Params{h264(97, "packetization-mode=2")}, local: []codec.Params{h264(96, "packetization-mode=2")},
		},
		"H.264, nonsense": {
			offered: []codec.Params{h264(97, "profile-level-id=xx")}, local: []codec.Params{h264(96, "")},
		},
		"H.264, told apart": {
			offered: []codec.Params{
				h264(96, "profile-level-id=42e01f;packetization-mode=1"), h264(97, "profile-level-id=42e01f;packetization-mode=0"),
				h264(98, "profile-level-id=640c1f;packetization-mode=1"), h264(99, "profile-level-id=4d001f;packetization-mode=1"),
			},
			local:  []codec.Params{h264(120, "packetization-mode=0;profile-level-id=42e01f"), h264(121, "packetization-mode=1;profile-level-id=4d001f")},
			answer: "97 H264/90000 profile-level-id=42e01f 99 H264/90000 packetization-mode=1;profile-level-id=4d001f",
			send:   "97 H264/90000 profile-level-id=42e01f;packetization-mode=0", receive: "97 H264/90000 profile-level-id=42e01f 99 H264/90000 packetization-mode=1;profile-level-id=4d001f",
		},
		"H.264, nothing stated here": {
			offered: []codec.Params{h264(97, "profile-level-id=640c1f;packetization-mode=1")}, local: []codec.Params{h264(96, "")},
			answer: "97 H264/90000 packetization-mode=1;profile-level-id=640c1f",
			send:   "97 H264/90000 profile-level-id=640c1f;packetization-mode=1", receive: "97 H264/90000 packetization-mode=1;profile-level-id=640c1f",
		},
		"H.264, no profile there": { // as of FFmpeg when the encoder has not said
			offered: []codec.Params{h264(97, "packetization-mode=1")}, local: []codec.Params{h264(96, "packetization-mode=1;profile-level-id=42e01f")},
			answer: "97 H264/90000 packetization-mode=1;profile-level-id=42e01f",
			send:   "97 H264/90000 packetization-mode=1", receive: "97 H264/90000 packetization-mode=1;profile-level-id=42e01f",
		},
		"H.264, no profile at all": {
			offered: []codec.Params{h264(97, "packetization-mode=1")}, local: []codec.Params{h264(96, "packetization-mode=1")},
			answer: "97 H264/90000 packetization-mode=1", send: "97 H264/90000 packetization-mode=1", receive: "97 H264/90000 packetization-mode=1",
		},
		"parameter sets of the far end": {
			offered: []codec.Params{h264(97, "packetization-mode=1; "+setsOfClip+"; profile-level-id=42C00D")}, local: []codec.Params{h264(96, "packetization-mode=1;profile-level-id=42e01f")},
			answer: "97 H264/90000 packetization-mode=1;profile-level-id=42c00d",
			send:   "97 H264/90000 packetization-mode=1;profile-level-id=42C00D", receive: "97 H264/90000 packetization-mode=1;profile-level-id=42c00d;" + setsOfClip,
		},
		"parameter sets of our own": {
			offered: []codec.Params{h264(97, "packetization-mode=1;profile-level-id=42c00d")}, local: []codec.Params{h264(96, setsOfClip+";packetization-mode=1;profile-level-id=42c00d")},
			answer: "97 H264/90000 packetization-mode=1;profile-level-id=42c00d;" + setsOfClip,
			send:   "97 H264/90000 packetization-mode=1;profile-level-id=42c00d;" + setsOfClip, receive: "97 H264/90000 packetization-mode=1;profile-level-id=42c00d",
		},
		"what else an offer has": {
			offered: []codec.Params{{Name: "H265", PayloadType: 95, ClockRate: 90000}, vp8, {Name: "rtx", PayloadType: 97, ClockRate: 90000, FMTP: "apt=96"}, {Name: "ulpfec", PayloadType: 98, ClockRate: 90000}},
			local:   []codec.Params{{Name: "rtx", PayloadType: 97, ClockRate: 90000, FMTP: "apt=96"}, vp8, {Name: "H265", PayloadType: 95, ClockRate: 90000}},
			answer:  "96 VP8/90000 ", send: "96 VP8/90000 ", receive: "96 VP8/90000 ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			offer := &Description{Video: &VideoDescription{Addr: addr("192.0.2.1:4000"), Codecs: tt.offered}}
			local := &Description{Video: &VideoDescription{Addr: addr("192.0.2.2:4000"), Codecs: tt.local}}
			answer, agreed, err := Answer(parse(t, marshal(t, offer)), local)
			if tt.answer == "" {
				if !errors.Is(err, ErrNoCommonCodec) {
					t.Errorf("%v, want ErrNoCommonCodec", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text := func(codecs ...codec.Params) string { return strings.Join(formats(codecs), " ") }
			if got := text(answer.Video.Codecs...); got != tt.answer {
				t.Errorf("answer: got  %s\nwant %s", got, tt.answer)
			}
			if got := text(agreed.Video.Send); got != tt.send {
				t.Errorf("send: got  %s\nwant %s", got, tt.send)
			}
			if got := text(agreed.Video.Receive...); got != tt.receive {
				t.Errorf("receive: got  %s\nwant %s", got, tt.receive)
			}
			checkVideoAgreement(t, offer, answer, agreed)
		})
	}
}

// The answer says where RTCP of pictures goes, unless it shares the port of RTP.
func TestVideoAnswerRTCP(t *testing.T) {
	apart := addr("192.0.2.2:5001")
	for _, mux := range []bool{false, true} {
		offer := &Description{Video: &VideoDescription{Addr: addr("192.0.2.1:4000"), Codecs: []codec.Params{vp8}, Mux: mux}}
		local := &Description{Video: &VideoDescription{Addr: addr("192.0.2.2:4000"), RTCP: apart, Codecs: []codec.Params{vp8}, Mux: true}}
		answer, _, err := Answer(parse(t, marshal(t, offer)), local)
		if err != nil {
			t.Fatal(err)
		}
		if v := parse(t, marshal(t, answer)).Video; v.Mux != mux || (v.RTCP == apart) == mux {
			t.Errorf("offered on one port: %t; answered: %t, RTCP at %v", mux, v.Mux, v.RTCP)
		}
	}
}

// The answer to real offers, by an end with PCMU and VP8, H.264 and all feedback.
func TestAnswerToVideoShapes(t *testing.T) {
	for name, want := range map[string]string{
		"ffmpeg -an":                             "v 96 H264/90000 to 192.0.2.7:5004 sendrecv",
		"ffmpeg with both":                       "v 96 VP8/90000 to 192.0.2.8:5004 sendrecv; a PCMU/8000 to 192.0.2.9:5006",
		"GStreamer":                              "other audio; v 96 H264/90000 to 192.0.2.1:5000 recvonly nack pli fir",
		"linphone":                               "a PCMU/8000 to 192.0.2.81:7078; other text; v 96 VP8/90000 to 192.0.2.81:9078 sendonly pli fir; other video",
		"audio turned down, video first of DTLS": "",
		"broken video beside audio":              "other video; a PCMU/8000 to 192.0.2.1:5002",
		"held by an address":                     "a PCMU/8000 to 192.0.2.1:5002; v 96 vp8/90000 to invalid AddrPort recvonly",
	} {
		local := &Description{Addr: addr("192.0.2.99:4000"), Codecs: []codec.Params{pcmu}, Video: &VideoDescription{
			Addr: addr("192.0.2.99:4002"), Codecs: []codec.Params{vp8, h264(97, "")}, Feedback: parley.VideoFeedback{NACK: true, PLI: true, FIR: true},
		}}
		var offer *Description
		for _, s := range videoShapes {
			if s.name == name {
				offer = parse(t, s.text)
			}
		}
		answer, agreed, err := Answer(offer, local)
		if want == "" {
			if !errors.Is(err, ErrNoCommonCodec) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b []string
		for _, p := range answer.places() {
			switch p.kind {
			case placeAudio:
				b = append(b, fmt.Sprintf("a %v to %v", agreed.Send, agreed.Remote))
			case placeVideo:
				v := agreed.Video
				s := fmt.Sprintf("v %d %v to %v %v", v.Send.PayloadType, v.Send, v.Remote, v.Direction)
				for _, f := range []struct {
					set  bool
					name string
				}{{v.Feedback.NACK, "nack"}, {v.Feedback.PLI, "pli"}, {v.Feedback.FIR, "fir"}} {
					if f.set {
						s += " " + f.name
					}
				}
				b = append(b, s)
			default:
				b = append(b, "other "+p.Media)
			}
		}
		if got := strings.Join(b, "; "); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if offer.Video != nil && answer.Video != nil && answer.Video.AVPF != offer.Video.AVPF {
			t.Errorf("%s: AVPF %v answered with %v", name, offer.Video.AVPF, answer.Video.AVPF)
		}
		checkVideoAgreement(t, offer, answer, agreed)
	}
}

// Audio and video are agreed on, held and encrypted apart from one another.
func TestVideoApartFromAudio(t *testing.T) {
	keys := func(profile transport.SRTPProfile) []Crypto {
		c, err := NewCrypto(profile)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const gcm, cm = transport.AEAD_AES_128_GCM, transport.AES_CM_128_HMAC_SHA1_80
	end := func(host string) *Description {
		return &Description{
			Addr: addr(host + ":4000"), Codecs: []codec.Params{pcmu},
			Video: &VideoDescription{Addr: addr(host + ":4002"), Codecs: []codec.Params{vp8}},
		}
	}
	for name, tt := range map[string]struct {
		change func(offer, local *Description)
		want   string
	}{
		"both":            {func(_, _ *Description) {}, "audio sendrecv video sendrecv"},
		"no video here":   {func(_, l *Description) { l.Video = nil }, "audio sendrecv"},
		"no video there":  {func(o, _ *Description) { o.Video = nil }, "audio sendrecv"},
		"no audio here":   {func(_, l *Description) { l.Addr, l.Codecs = addr("0.0.0.0:0"), nil; *l = Description{Video: l.Video} }, "video sendrecv"},
		"no audio there":  {func(o, _ *Description) { *o = Description{Video: o.Video} }, "video sendrecv"},
		"video held":      {func(o, _ *Description) { o.Video.Direction = parley.SendOnly }, "audio sendrecv video recvonly"},
		"audio held":      {func(o, _ *Description) { o.Direction = parley.Inactive }, "audio inactive video sendrecv"},
		"no common audio": {func(_, l *Description) { l.Codecs = []codec.Params{g722} }, "video sendrecv"},
		"no common video": {func(_, l *Description) { l.Video.Codecs = []codec.Params{vp9(98, "")} }, "audio sendrecv"},
		"audio encrypted": {func(o, l *Description) { o.Crypto, l.Crypto = keys(gcm), keys(gcm) }, "audio sendrecv AEAD_AES_128_GCM video sendrecv"},
		"each with its suite": {func(o, l *Description) {
			o.Crypto, l.Crypto, o.Video.Crypto, l.Video.Crypto = keys(gcm), keys(gcm), keys(cm), keys(cm)
		}, "audio sendrecv AEAD_AES_128_GCM video sendrecv AES_CM_128_HMAC_SHA1_80"},
		"video without a key":   {func(o, l *Description) { o.Crypto, l.Crypto, l.Video.Crypto = keys(gcm), keys(gcm), keys(gcm) }, "audio sendrecv AEAD_AES_128_GCM"},
		"video encrypted there": {func(o, _ *Description) { o.Video.Crypto = keys(gcm) }, "audio sendrecv"},
		"no common suite":       {func(o, l *Description) { o.Crypto, l.Crypto = keys(gcm), keys(cm) }, "video sendrecv"},
	} {
		t.Run(name, func(t *testing.T) {
			offer, local := end("192.0.2.1"), end("192.0.2.2")
			tt.change(offer, local)
			answer, agreed, err := Answer(parse(t, marshal(t, offer)), local)
			if err != nil {
				t.Fatal(err)
			}
			var b []string
			if agreed.Send.Name != "" {
				b = append(b, "audio", agreed.Direction.String())
				if p := agreed.LocalKey.Profile; p != "" {
					b = append(b, string(p))
				}
			}
			if v := agreed.Video; v != nil {
				b = append(b, "video", v.Direction.String())
				if p := v.LocalKey.Profile; p != "" {
					b = append(b, string(p))
				}
			}
			if got := strings.Join(b, " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			checkVideoAgreement(t, offer, answer, agreed)
		})
	}
}

func TestVideoNegotiationErrors(t *testing.T) {
	key, _ := NewCrypto(transport.AEAD_AES_128_GCM)
	other, _ := NewCrypto(transport.AEAD_AES_128_GCM)
	other[0].Tag = 9
	d := func(crypto []Crypto, codecs ...codec.Params) *Description {
		return &Description{Video: &VideoDescription{Addr: addr("192.0.2.1:4000"), Codecs: codecs, Crypto: crypto}}
	}
	mux := func(d *Description) *Description { d.Video.Mux = true; return d }
	audio := &Description{Addr: addr("192.0.2.1:4000"), Codecs: []codec.Params{pcmu}}
	answerErr := func(o, l *Description) error { _, _, err := Answer(o, l); return err }
	agreeErr := func(o, a *Description) error { _, err := Agree(o, a); return err }
	for name, tt := range map[string]struct {
		err  error
		is   error
		want string
	}{
		"no codec":           {answerErr(d(nil, vp8), d(nil, vp9(97, "a=b"))), ErrNoCommonCodec, `video: theirs ["96 VP8/90000 "], ours ["97 VP9/90000 a=b"]`},
		"audio for video":    {answerErr(d(nil, vp8), audio), ErrNoCommonCodec, "theirs video alone, ours audio alone"},
		"video for audio":    {answerErr(audio, d(nil, vp8)), ErrNoCommonCodec, "theirs audio alone, ours video alone"},
		"insecure answer":    {agreeErr(d(key, vp8), d(nil, vp8)), ErrDescription, "video: answer without encryption to an offer with it"},
		"insecure offer":     {answerErr(d(nil, vp8), d(key, vp8)), ErrDescription, "video: offer without encryption, and this end wants it"},
		"suite not offered":  {agreeErr(d(key, vp8), d(other, vp8)), ErrDescription, "video: answer takes crypto 9 AEAD_AES_128_GCM, offered [{1 AEAD_AES_128_GCM key}]"},
		"the same key":       {agreeErr(d(key, vp8), d(key, vp8)), ErrDescription, "video: both ends have the same key"},
		"looks like RTCP":    {agreeErr(mux(d(nil, with(vp8, 72, ""))), mux(d(nil, with(vp8, 72, "")))), ErrDescription, "payload type 72 or 72 of VP8/90000 looks like RTCP on the port of both"},
		"other codec agreed": {agreeErr(d(nil, vp8), d(nil, vp9(96, ""))), ErrNoCommonCodec, `video: theirs ["96 VP9/90000 "], ours ["96 VP8/90000 "]`},
		"audio answered":     {agreeErr(d(nil, vp8), audio), ErrNoCommonCodec, "theirs audio alone, ours video alone"},
		"nothing here":       {answerErr(audio, &Description{}), ErrNoCommonCodec, "theirs audio alone, ours nothing"},
	} {
		if want := tt.is.Error() + ": " + tt.want; !errors.Is(tt.err, tt.is) || tt.err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", name, tt.err, want)
		}
	}
}
