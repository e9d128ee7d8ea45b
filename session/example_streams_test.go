package session_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
)

// A recorder that is sent a copy of a call (SIPREC) has a stream of each party, and here
// records them as the two sides of one file. The labels are those of the metadata that
// the INVITE carries beside this, which say who it is. A re-INVITE is parsed the same way:
// Answer and Update for the streams that are open, OpenAnswer for new ones; what answers
// it has to Follow these answers.
func ExampleParseStreams() {
	invite := "v=0\no=SRC 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n" +
		"m=audio 7628 RTP/AVP 8 0\na=label:96\na=sendonly\n" +
		"m=audio 7630 RTP/AVP 8 0\na=label:97\na=sendonly\n"
	offers, err := session.ParseStreams([]byte(invite))
	if err != nil {
		fmt.Println(err) // 488 Not Acceptable Here
		return
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	rec, err := file.CreateRecorder(filepath.Join(dir, "call.wav"), file.RecorderConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rec.Close() // at the BYE, as the sessions
	answers := make(session.Streams, len(offers))
	for i, offer := range offers {
		if offer == nil {
			continue // turned down
		}
		s, answer, err := session.OpenAnswer(context.Background(), &session.Config{
			Local: netip.MustParseAddrPort("127.0.0.1:0"),
			Audio: &session.AudioConfig{
				Codecs:    []codec.Params{pcma},
				Direction: parley.RecvOnly,
				Playout:   stream.Fixed, // one delay for both sides, whatever their networks do
				MinDelay:  150 * time.Millisecond,
			},
		}, offer)
		if err != nil {
			continue // video, for instance
		}
		defer s.Close()
		if _, _, err = rec.AddCall(s.Call); err != nil { // the first is the left side
			fmt.Println(err)
			return
		}
		answers[i] = answer
		fmt.Println("stream", offer.Label, "comes from", s.RemoteAddr())
	}
	body, err := answers.Marshal()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Count(string(body), "a=recvonly"), "streams are received")
	// Output:
	// stream 96 comes from 127.0.0.1:7628
	// stream 97 comes from 127.0.0.1:7630
	// 2 streams are received
}
