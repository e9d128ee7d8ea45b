package session_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
)

// A camera offers what it sends: H.264, of which the parameter sets are in the
// description, and nothing that can be heard.
const camera = `v=0
o=- 1 1 IN IP4 192.0.2.2
s=-
c=IN IP4 192.0.2.2
t=0 0
m=video 5004 RTP/AVP 96 97
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=42c00d;sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA=
a=rtpmap:97 H265/90000
a=rtcp-fb:* nack pli
a=sendonly
`

func ExampleAnswer_video() {
	offer, err := session.ParseDescription([]byte(camera))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, agreed, err := session.Answer(offer, &session.Description{
		Video: &session.VideoDescription{
			Addr:     netip.MustParseAddrPort("192.0.2.1:4000"),
			Codecs:   []codec.Params{{Name: "VP8", PayloadType: 96, ClockRate: 90000}, {Name: "H264", PayloadType: 98, ClockRate: 90000}},
			Feedback: offer.Video.Feedback,
		},
		ID: 3014,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("this end is", agreed.Video.Direction, "and may ask for key frames:", agreed.Video.Feedback.PLI)
	text, err := answer.Marshal()
	fmt.Print(strings.ReplaceAll(string(text), "\r\n", "\n"), err)
	// Output:
	// this end is recvonly and may ask for key frames: true
	// v=0
	// o=- 3014 0 IN IP4 192.0.2.1
	// s=Parley
	// c=IN IP4 192.0.2.1
	// t=0 0
	// m=video 4000 RTP/AVP 96
	// a=rtpmap:96 H264/90000
	// a=fmtp:96 packetization-mode=1;profile-level-id=42c00d
	// a=rtcp-fb:* nack pli
	// a=recvonly
	// <nil>
}

// A session answers an offer of video alone: it takes no ports for audio.
func ExampleOpenAnswer_video() {
	offer, err := session.ParseDescription([]byte(camera))
	if err != nil {
		fmt.Println(err)
		return
	}
	s, answer, err := session.OpenAnswer(context.Background(), &session.Config{
		Local: netip.MustParseAddrPort("127.0.0.1:0"),
		Video: &session.VideoConfig{Codecs: []codec.Params{{Name: "H264", PayloadType: 96, ClockRate: 90000}}},
	}, offer)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	fmt.Println("audio:", s.Audio() != nil, answer.Addr.IsValid())
	fmt.Println("video:", s.Video().Codec(), "from", s.RemoteVideo(), answer.Video.Addr.Port() == s.LocalVideo().Port())
	// Output:
	// audio: false false
	// video: H264/90000 from 192.0.2.2:5004 true
}
