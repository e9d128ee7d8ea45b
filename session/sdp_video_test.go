package session

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

const videoKey = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"

// videoShapes are descriptions as widespread programs lay them out, with what is
// read of their video and of the order of their media.
var videoShapes = []struct{ name, text, want string }{
	{
		"ffmpeg -an", // the address for the session, spaces between the parameters
		`v=0
o=- 0 0 IN IP4 127.0.0.1
s=No Name
c=IN IP4 192.0.2.7
t=0 0
a=tool:libavformat 59.27.100
m=video 5004 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA=; profile-level-id=42C00D
`, `video; video at 192.0.2.7:5004 [96 H264/90000 packetization-mode=1; sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA=; profile-level-id=42C00D] sendrecv`,
	},
	{
		"ffmpeg with both", // video first, each with an address of its own, static audio
		`v=0
o=- 0 0 IN IP4 127.0.0.1
s=No Name
t=0 0
a=tool:libavformat 59.27.100
m=video 5004 RTP/AVP 96
c=IN IP4 192.0.2.8
b=AS:300
a=rtpmap:96 VP8/90000
m=audio 5006 RTP/AVP 0
c=IN IP4 192.0.2.9
b=AS:64
`, `video audio 192.0.2.9:5006 [PCMU/8000]; video at 192.0.2.8:5004 [96 VP8/90000 ] sendrecv 300000 bit/s`,
	},
	{
		"GStreamer", // feedback for one format in RTP/AVPF, a direction for the session
		`v=0
o=- 1188340656180883 1 IN IP4 192.0.2.1
s=Session streamed with GStreamer
i=rtsp-server
t=0 0
a=tool:GStreamer
a=type:broadcast
a=sendonly
m=audio 5002 RTP/AVP 8
c=IN IP4 192.0.2.1
a=rtpmap:8 PCMA/8000
m=video 5000 RTP/AVPF 96
c=IN IP4 192.0.2.1
b=TIAS:2048000
b=AS:2100
a=rtpmap:96 H264/90000
a=framerate:30
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 goog-remb
a=fmtp:96 packetization-mode=1;profile-level-id=42e01f
`, `audio 192.0.2.1:5002 [PCMA/8000] video; video at 192.0.2.1:5000 [96 H264/90000 packetization-mode=1;profile-level-id=42e01f] sendonly avpf nack pli fir 2048000 bit/s`,
	},
	{
		"baresip", // RTP/AVP with feedback for all formats, keys of its own for each medium
		`v=0
o=- 2481822149 872859425 IN IP4 192.0.2.2
s=-
c=IN IP4 192.0.2.2
t=0 0
m=audio 7628 RTP/SAVP 0
a=rtpmap:0 PCMU/8000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:` + strings.ToUpper(videoKey[:1]) + videoKey[1:] + `
m=video 22450 RTP/SAVP 97 96 98
b=AS:512
a=rtpmap:97 H264/90000
a=fmtp:97 packetization-mode=0;profile-level-id=42e01f;max-br=3000
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:98 VP8/90000
a=fmtp:98 max-fs=3600
a=framerate:25.00
a=rtcp-fb:* nack
a=rtcp-fb:* nack pli
a=sendrecv
a=label:2
a=rtcp-rsize
a=content:main
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:` + videoKey + `
`, `audio 192.0.2.2:7628 [PCMU/8000] crypto video; video at 192.0.2.2:22450 [97 H264/90000 packetization-mode=0;profile-level-id=42e01f;max-br=3000 ` +
			`96 H264/90000 packetization-mode=1;profile-level-id=42e01f 98 VP8/90000 max-fs=3600] sendrecv nack pli 512000 bit/s crypto [{1 AES_CM_128_HMAC_SHA1_80 key}]`,
	},
	{
		"linphone", // feedback for some formats, of which H265 is none of ours; mux; a second video
		`v=0
o=alice 3747 2453 IN IP4 192.0.2.81
s=Talk
c=IN IP4 192.0.2.81
t=0 0
a=rtcp-fb:* nack
m=audio 7078 RTP/AVPF 0
m=text 0 RTP/AVP 99
m=video 9078 RTP/AVPF 96 97 100
a=rtpmap:96 VP8/90000
a=rtpmap:97 H264/90000
a=fmtp:97 profile-level-id=42801F
a=rtpmap:100 H265/90000
a=rtcp-mux
a=recvonly
a=rtcp-fb:* trr-int 5000
a=rtcp-fb:* ccm tmmbr
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 nack sli
a=rtcp-fb:96 ccm fir
a=rtcp-fb:97 nack pli
a=rtcp-fb:97 ccm fir
m=video 9080 RTP/AVPF 96
a=rtpmap:96 VP8/90000
a=content:slides
`, `audio 192.0.2.81:7078 [PCMU/8000] text video video(other); video at 192.0.2.81:9078 [96 VP8/90000  97 H264/90000 profile-level-id=42801F 100 H265/90000 ] recvonly mux avpf pli fir`,
	},
	{
		"audio turned down, video first of DTLS",
		`v=0
o=- 1 2 IN IP6 2001:db8::1
s=-
c=IN IP6 2001:db8::1
t=0 0
m=audio 0 RTP/AVP 0
m=video 9 UDP/TLS/RTP/SAVPF 96
a=rtpmap:96 VP8/90000
m=video 5000 RTP/AVP 34
a=rtcp:5007
a=inactive
`, `audio(other) video(other) video; video at [2001:db8::1]:5000 [34 H263/90000 ] inactive rtcp [2001:db8::1]:5007`,
	},
	{
		"broken video beside audio", // which is no reason to refuse the audio
		`v=0
o=- 1 2 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=video 5000 RTP/AVP 96
a=rtpmap:96 VP8/90000
b=AS:much
m=audio 5002 RTP/AVP 0
`, `video(other) audio 192.0.2.1:5002 [PCMU/8000]`,
	},
	{
		"held by an address",
		`v=0
o=- 1 2 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=audio 5002 RTP/AVP 0
m=video 5000 RTP/AVP 96
c=IN IP4 0.0.0.0
a=rtpmap:96 vp8/90000
`, `audio 192.0.2.1:5002 [PCMU/8000] video; video at 0.0.0.0:5000 [96 vp8/90000 ] sendonly`,
	},
}

// order tells the media of a description in order, and its video.
func order(d *Description) string {
	var b []string
	for _, p := range d.places() {
		switch {
		case p.kind == placeAudio:
			p.Media += fmt.Sprintf(" %v %v", d.Addr, d.Codecs)
			if d.Crypto != nil {
				p.Media += " crypto"
			}
		case p.kind == 0 && (p.Media == "video" || p.Media == "audio"):
			p.Media += "(other)"
		}
		b = append(b, p.Media)
	}
	s := strings.Join(b, " ")
	v := d.Video
	if v == nil {
		return s
	}
	s += fmt.Sprintf("; video at %v %v %v", v.Addr, formats(v.Codecs), v.Direction)
	if v.RTCP.IsValid() {
		s += fmt.Sprintf(" rtcp %v", v.RTCP)
	}
	for _, f := range []struct {
		set  bool
		name string
	}{{v.Mux, "mux"}, {v.AVPF, "avpf"}, {v.Feedback.NACK, "nack"}, {v.Feedback.PLI, "pli"}, {v.Feedback.FIR, "fir"}} {
		if f.set {
			s += " " + f.name
		}
	}
	if v.Bandwidth != 0 {
		s += fmt.Sprintf(" %d bit/s", v.Bandwidth)
	}
	if v.Crypto != nil {
		s += fmt.Sprintf(" crypto %v", v.Crypto)
	}
	return s
}

func TestVideoShapesOfPrograms(t *testing.T) {
	for _, tt := range videoShapes {
		for _, newline := range []string{"\n", "\r\n"} {
			d, err := ParseDescription([]byte(strings.ReplaceAll(tt.text, "\n", newline)))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if got := order(d); got != tt.want {
				t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
			}
			roundTrip(t, d)
		}
	}
}

// Where video is all that there is, what is wrong with it is told with its line.
func TestUnusableVideo(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
	for name, tt := range map[string]struct{ text, want string }{
		"turned down": {"m=video 0 RTP/AVP 96\na=rtpmap:96 VP8/90000\n", `"m=video 0 RTP/AVP 96": video port 0: turned down`},
		"a browser":   {"m=video 9 UDP/TLS/RTP/SAVPF 96\n", `"m=video 9 UDP/TLS/RTP/SAVPF 96": video over UDP/TLS/RTP/SAVPF has its keys by DTLS, as in WebRTC; want RTP/AVP, or RTP/SAVP with a=crypto`},
		"protocol":    {"m=video 9 udp 96\n", `"m=video 9 udp 96": video over udp, want RTP/AVP or RTP/SAVP`},
		"no key":      {"m=video 9 RTP/SAVP 96\na=rtpmap:96 VP8/90000\n", `"m=video 9 RTP/SAVP 96": video over RTP/SAVP without a key (a=crypto)`},
		"no rtpmap":   {"m=video 9 RTP/AVP 96\n", `"m=video 9 RTP/AVP 96": no payload format that is known by number or by rtpmap`},
		"no audio's":  {"m=video 9 RTP/AVP 0\n", `"m=video 9 RTP/AVP 0": no payload format that is known by number or by rtpmap`},
		"bandwidth":   {"m=video 9 RTP/AVP 96\na=rtpmap:96 VP8/90000\nb=TIAS:-1\n", `"m=video 9 RTP/AVP 96": bandwidth "TIAS:-1"`},
		"too much":    {"m=video 9 RTP/AVP 96\na=rtpmap:96 VP8/90000\nb=AS:9223372036854775807\n", `"m=video 9 RTP/AVP 96": bandwidth "AS:9223372036854775807"`},
		"port":        {"m=video 65535 RTP/AVP 96\n", `"m=video 65535 RTP/AVP 96": video port 65535`},
		"both":        {"m=audio 0 RTP/AVP 0\nm=video 0 RTP/AVP 96\n", "audio port 0: turned down"},
		"neither":     {"m=image 9 udptl t38\n", "no audio or video section"},
	} {
		_, err := ParseDescription([]byte(head + tt.text))
		if want := ErrDescription.Error() + ": " + tt.want; !errors.Is(err, ErrDescription) || err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", name, err, want)
		}
	}
}

func TestMarshalVideoErrors(t *testing.T) {
	good := VideoDescription{Addr: addr("192.0.2.1:5004"), Codecs: []codec.Params{vp8}}
	for name, change := range map[string]func(v *VideoDescription){
		"no address":       func(v *VideoDescription) { v.Addr = addr("192.0.2.1:0") },
		"nothing":          func(v *VideoDescription) { *v = VideoDescription{} },
		"no codec":         func(v *VideoDescription) { v.Codecs = nil },
		"lines in fmtp":    func(v *VideoDescription) { v.Codecs = []codec.Params{with(vp8, 96, "a=1\nm=audio 1 RTP/AVP 0")} },
		"payload type 128": func(v *VideoDescription) { v.Codecs = []codec.Params{with(vp8, 128, "")} },
		"bandwidth":        func(v *VideoDescription) { v.Bandwidth = -1 },
		"too much":         func(v *VideoDescription) { v.Bandwidth = maxBandwidth + 1 },
		"index":            func(v *VideoDescription) { v.Index = 1 },
		"index below 0":    func(v *VideoDescription) { v.Index = -1 },
		"empty key":        func(v *VideoDescription) { v.Crypto = []Crypto{{Tag: 1}} },
		"heard at 0.0.0.0": func(v *VideoDescription) { v.Addr = addr("0.0.0.0:5004") },
	} {
		v := good
		d := Description{Video: &v}
		if _, err := d.Marshal(); err != nil {
			t.Fatal(err)
		}
		change(&v)
		for _, d := range []Description{{Video: &v}, {Addr: good.Addr, Codecs: []codec.Params{pcmu}, Video: &v}} {
			if text, err := d.Marshal(); !errors.Is(err, ErrDescription) {
				t.Errorf("%s: error %v, want ErrDescription; wrote\n%s", name, err, text)
			}
		}
	}
}

// A session keeps its media lines, whatever comes and goes.
func TestFollowWithVideo(t *testing.T) {
	audio := Description{Addr: addr("192.0.2.1:4000"), Codecs: []codec.Params{pcmu}}
	video := VideoDescription{Addr: addr("192.0.2.1:4002"), Codecs: []codec.Params{vp8}}
	fax := Section{"image", "udptl", "t38"}
	off := func(media, formats string) Section { return Section{media, "RTP/AVP", formats} }
	with := func(a bool, v *VideoDescription, index int, others ...Section) *Description {
		d := Description{}
		if a {
			d = audio
		}
		if d.Index = index; v != nil {
			clone := *v
			d.Video = &clone
		}
		d.Others = others
		return &d
	}
	last := func(d *Description, index int) *Description { d.Video.Index = index; return d }
	first := func(d *Description) *Description { d.Video.First = true; return d }
	for _, tt := range []struct {
		name       string
		last, next *Description
		want       string
		version    uint64
	}{
		{"the same", with(true, &video, 0), with(true, &video, 0), "audio video", 0},
		{"the same, other order", first(with(true, &video, 0)), with(true, &video, 0), "video audio", 0},
		{"video added", with(true, nil, 0), with(true, &video, 0), "audio video", 1},
		{"video added behind another", with(true, nil, 0, fax), with(true, &video, 0), "audio image video", 1},
		{"video dropped", with(true, &video, 0), with(true, nil, 0), "audio video(other)", 1},
		{"video dropped, it was first", first(with(true, &video, 0)), with(true, nil, 0), "video(other) audio", 1},
		{"video back", with(true, nil, 1, off("video", "31")), with(true, &video, 0), "video audio", 1},
		{"audio dropped", with(true, &video, 1, fax), with(false, &video, 0), "video image audio(other)", 1},
		{"audio back", last(with(false, &video, 0, off("audio", "0")), 1), with(true, &video, 0), "audio video", 1},
		{"another kind", with(false, &video, 0), with(true, nil, 0), "video(other) audio", 1},
		{"an answer with more", with(true, nil, 0, off("video", "31")), with(true, nil, 0, off("video", "31"), fax), "audio video(other) image", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.last.Version = 6
			before := marshal(t, tt.last)
			tt.next.Follow(parse(t, before))
			got := parse(t, marshal(t, tt.next))
			var media []string
			for _, p := range got.places() {
				if p.kind == 0 && p.Media != "image" {
					p.Media += "(other)"
				}
				media = append(media, p.Media)
			}
			if s := strings.Join(media, " "); s != tt.want || got.Version != 6+tt.version {
				t.Errorf("got %s, version %d, want %s, %d", s, got.Version, tt.want, 6+tt.version)
			}
			if after := marshal(t, tt.last); after != before {
				t.Errorf("the description before has changed to\n%s", after)
			}
		})
	}
}

// An answer that follows the last one has the media lines of its own offer, which may
// have put another stream in the place of one that was turned down (RFC 3264, section
// 8.1).
func TestAnswerFollows(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
	for name, tt := range map[string]struct{ first, second, want string }{
		"fax for a video":       {"m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 31\n", "m=audio 4000 RTP/AVP 0\nm=image 4004 udptl t38\n", "audio image"},
		"audio for another one": {"m=audio 4000 UDP/TLS/RTP/SAVP 0\nm=audio 4002 RTP/AVP 0\n", "m=audio 4000 RTP/AVP 0\nm=audio 0 RTP/AVP 0\n", "audio audio(other)"},
		"audio behind a video":  {"m=video 0 RTP/AVP 31\nm=audio 4000 RTP/AVP 0\n", "m=audio 4000 RTP/AVP 0\nm=audio 0 RTP/AVP 0\n", "audio audio(other)"},
		"the same lines":        {"m=video 4002 RTP/AVP 31\nm=audio 4000 RTP/AVP 0\n", "m=video 4002 RTP/AVP 31\nm=audio 4000 RTP/AVP 0\n", "video(other) audio"},
		"a line more":           {"m=audio 4000 RTP/AVP 0\n", "m=audio 4000 RTP/AVP 0\nm=image 4004 udptl t38\n", "audio image"},
		"video where audio was": {"m=audio 0 RTP/AVP 0\nm=video 4002 RTP/AVP 96\na=rtpmap:96 VP8/90000\n", "m=video 4002 RTP/AVP 96\na=rtpmap:96 VP8/90000\nm=audio 4000 RTP/AVP 0\n", "video audio"},
	} {
		answer := func(media string) *Description {
			a, _, err := Answer(parse(t, head+media), &Description{
				Addr: addr("192.0.2.2:5000"), Codecs: []codec.Params{pcmu}, Video: &VideoDescription{Addr: addr("192.0.2.2:5002"), Codecs: []codec.Params{vp8}},
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return a
		}
		first, second := answer(tt.first), answer(tt.second)
		first.ID, first.Version = 7, 3
		before := order(second)
		second.Follow(first)
		var media []string
		for _, p := range parse(t, marshal(t, second)).places() {
			if p.kind == 0 && p.Media != "image" {
				p.Media += "(other)"
			}
			media = append(media, p.Media)
		}
		if got := strings.Join(media, " "); got != tt.want || order(second) != before || second.ID != 7 {
			t.Errorf("%s: got %s (%s), want %s as in %s", name, got, order(second), tt.want, before)
		}
		if second.Version != 4 && (name != "the same lines" || second.Version != 3) {
			t.Errorf("%s: version %d after 3", name, second.Version)
		}
		// Offered later, with a stream less, it keeps the line.
		next := *second
		next.Video, next.Others = nil, nil
		next.Index = 0
		if next.Follow(second); len(next.places()) != len(second.places()) {
			t.Errorf("%s: %s follows %s", name, order(&next), order(second))
		}
	}
}

// The feedback of a section is what all of its formats have.
func TestFeedbackOfFormats(t *testing.T) {
	all := parley.VideoFeedback{NACK: true, PLI: true, FIR: true}
	for text, want := range map[string]parley.VideoFeedback{
		"":           {},
		"* nack":     {NACK: true},
		"* nack pli": {PLI: true},
		"* NACK PLI": {PLI: true},
		"* ccm fir":  {FIR: true},
		"*  nack  pli ": {
			PLI: true,
		},
		"96 nack":                           {},
		"96 nack|97 nack":                   {NACK: true},
		"96 nack|97 nack pli":               {},
		"* nack|96 nack pli|97 nack pli":    {NACK: true, PLI: true},
		"96 nack|97 nack|* nack pli|x":      {NACK: true, PLI: true},
		"* nack|* nack pli|* ccm fir|98 no": all,
		"* nack rpsi|* nack sli|* ccm tstn": {},
		"300 nack|-1 nack|nack|*":           {},
	} {
		b := block{{'m', "video 9 RTP/AVP 96 97 98"}}
		for l := range strings.SplitSeq(text, "|") {
			b = append(b, line{'a', "rtcp-fb:" + l})
		}
		if got := b.feedback([]codec.Params{vp8, with(vp8, 97, ""), {Name: "rtx", PayloadType: 98, ClockRate: 90000}}); got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}

// What is put back in place is what was taken from there.
func TestArrange(t *testing.T) {
	d := &Description{Addr: addr("192.0.2.1:4000"), Codecs: []codec.Params{pcmu}, Others: []Section{{"a", "b", "c"}, {"d", "e", "f"}}}
	for index := range 3 {
		for videoIndex := range 3 {
			for _, first := range []bool{false, true} {
				d.Index = index
				d.Video = &VideoDescription{Addr: addr("192.0.2.1:4002"), Codecs: []codec.Params{vp8}, Index: videoIndex, First: first && index == videoIndex}
				before := d.places()
				c := *d.canonical()
				c.arrange(before)
				if !slices.Equal(before, c.places()) || !reflect.DeepEqual(&c, d.canonical()) {
					t.Errorf("audio %d, video %d, %v: %v became %v", index, videoIndex, first, before, c.places())
				}
			}
		}
	}
}

// A description in which all is said many times is read in a moment: formats are
// looked up once each.
func TestManyFormats(t *testing.T) {
	for _, media := range []string{"audio", "video"} {
		const head = "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nm="
		text := head + media + " 9 RTP/AVP" + strings.Repeat(" 34", 11000) + "\n" + strings.Repeat("a=\n", 10000)
		timely(t, func() (problem string) {
			begin := time.Now()
			if _, err := ParseDescription([]byte(text)); (err == nil) != (media == "video") {
				t.Error(err)
			}
			if d := time.Since(begin); d > 500*time.Millisecond {
				return fmt.Sprintf("%s: read in %v", media, d)
			}
			return ""
		})
	}
}
