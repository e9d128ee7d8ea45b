package session_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/transport"
)

var (
	pcma   = codec.Params{Name: "PCMA", PayloadType: 8, ClockRate: 8000}
	g722   = codec.Params{Name: "G722", PayloadType: 9, ClockRate: 8000}
	events = codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000, FMTP: "0-16"}
)

func ExampleDescription_Marshal() {
	d := session.Description{
		Addr:      netip.MustParseAddrPort("192.0.2.1:4000"),
		Codecs:    []codec.Params{g722, pcma, events},
		PTime:     20 * time.Millisecond,
		Mux:       true,
		Direction: parley.SendOnly,
		ID:        3014,
		Version:   1,
	}
	text, err := d.Marshal()
	fmt.Print(strings.ReplaceAll(string(text), "\r\n", "\n"), err)
	// Output:
	// v=0
	// o=- 3014 1 IN IP4 192.0.2.1
	// s=Parley
	// c=IN IP4 192.0.2.1
	// t=0 0
	// m=audio 4000 RTP/AVP 9 8 101
	// a=rtpmap:9 G722/8000
	// a=rtpmap:8 PCMA/8000
	// a=rtpmap:101 telephone-event/8000
	// a=fmtp:101 0-16
	// a=ptime:20
	// a=rtcp-mux
	// a=sendonly
	// <nil>
}

func ExampleAnswer() {
	offer, err := session.ParseDescription([]byte("v=0\no=- 1 1 IN IP4 192.0.2.2\ns=-\nc=IN IP4 192.0.2.2\nt=0 0\n" +
		"m=audio 7628 RTP/AVP 0 8 96\na=rtpmap:96 telephone-event/8000\na=ptime:30\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, agreed, err := session.Answer(offer, &session.Description{
		Addr:   netip.MustParseAddrPort("192.0.2.1:4000"),
		Codecs: []codec.Params{g722, pcma, events},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(agreed.Send, "to", agreed.Remote, "in packets of", agreed.PTime)
	fmt.Println("digits with payload type", agreed.Event.PayloadType)
	// Output:
	// PCMA/8000 to 192.0.2.2:7628 in packets of 30ms
	// digits with payload type 96
}

// An INVITE is answered by a session that speaks as both ends can. What the offer says
// of itself and the ports come from the SIP stack, which carries the answer in its 200 OK.
func ExampleOpenAnswer() {
	invite := "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n" +
		"m=audio 7628 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\n"
	offer, err := session.ParseDescription([]byte(invite))
	if err != nil {
		fmt.Println(err) // 400 Bad Request
		return
	}
	pcmu := codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000}
	s, answer, err := session.OpenAnswer(context.Background(), &session.Config{
		Local:     netip.MustParseAddrPort("127.0.0.1:0"),
		Latch:     transport.LatchSymmetric, // the far end may be behind a NAT; Advertise is for this end
		Audio:     &session.AudioConfig{Codecs: []codec.Params{pcma, pcmu}},
		Deadlines: parley.Deadlines{FirstMedia: 15 * time.Second, Silence: 30 * time.Second},
	}, offer)
	if err != nil {
		fmt.Println(err) // 488 Not Acceptable Here
		return
	}
	defer s.Close() // at the BYE
	body, err := answer.Marshal()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, media, _ := strings.Cut(string(body), "RTP/AVP ")
	formats, _, _ := strings.Cut(media, "\r\n")
	fmt.Println("the answer has", formats, "and", s.Audio().Codec(), "is sent to", s.RemoteAddr())
	// parley.Serve(ctx, s.Call, handler)
	// Output:
	// the answer has 8 0 101 and PCMA/8000 is sent to 127.0.0.1:7628
}

// An encrypted call is agreed on by both ends.
func ExampleAgree() {
	describe := func(addr string) *session.Description {
		crypto, err := session.NewCrypto(transport.AEAD_AES_128_GCM)
		if err != nil {
			panic(err)
		}
		return &session.Description{Addr: netip.MustParseAddrPort(addr), Codecs: []codec.Params{pcma}, Crypto: crypto}
	}
	offer := describe("192.0.2.1:4000")
	answer, _, err := session.Answer(offer, describe("192.0.2.2:5000"))
	if err != nil {
		fmt.Println(err)
		return
	}
	agreed, err := session.Agree(offer, answer)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(agreed.Send, "to", agreed.Remote, "with an", agreed.LocalKey)
	_, err = session.Agree(offer, &session.Description{Addr: answer.Addr, Codecs: answer.Codecs})
	fmt.Println(err)
	// Output:
	// PCMA/8000 to 192.0.2.2:5000 with an AEAD_AES_128_GCM key
	// session: unusable session description: answer without encryption to an offer with it
}
