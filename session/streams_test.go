package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// siprec returns what a recording client offers of a call (RFC 7866, section 7.1.1), with
// these ports of audio and then one of a fax.
func siprec(ports ...int) []byte {
	var b strings.Builder
	b.WriteString("v=0\r\no=SRC 2890844526 2890844526 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n")
	for i, port := range ports {
		fmt.Fprintf(&b, "m=audio %d RTP/AVP 8 0\r\na=label:%d\r\na=sendonly\r\n", port, 96+i)
	}
	b.WriteString("m=image 6000 udptl t38\r\n")
	return []byte(b.String())
}

// answerStreams answers each stream of an offer, from ports that follow each other.
func answerStreams(t *testing.T, offer []byte) ([]*Agreed, Streams) {
	t.Helper()
	offers, err := ParseStreams(offer)
	if err != nil {
		t.Fatal(err)
	}
	answers, agreed := make(Streams, len(offers)), make([]*Agreed, len(offers))
	for i, d := range offers {
		if d == nil {
			continue
		}
		local := &Description{
			Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(4000+2*i)), ID: uint64(7 + i),
			Codecs: []codec.Params{{Name: "PCMA", PayloadType: 8, ClockRate: 8000}},
		}
		if answers[i], agreed[i], err = Answer(d, local); err != nil {
			t.Fatal(err)
		}
		answers[i].Label = d.Label
	}
	return agreed, answers
}

// described returns the o= and m= lines of a description, and the labels and directions.
func described(t *testing.T, s Streams) (all []string) {
	t.Helper()
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.SplitSeq(string(text), "\r\n") {
		switch {
		case strings.HasPrefix(l, "o="), strings.HasPrefix(l, "m="):
			all = append(all, l)
		case strings.HasPrefix(l, "a=label"), strings.HasPrefix(l, "a=recvonly"):
			all[len(all)-1] += " " + l
		}
	}
	return all
}

func compare(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("answered\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRecordingSession goes through what a recorder is offered in the course of a call:
// both parties, a third one, and one that leaves.
func TestRecordingSession(t *testing.T) {
	agreed, first := answerStreams(t, siprec(5000, 5002))
	compare(t, described(t, first), "o=- 7 0 IN IP4 192.0.2.1",
		"m=audio 4000 RTP/AVP 8 a=label:96 a=recvonly", "m=audio 4002 RTP/AVP 8 a=label:97 a=recvonly", "m=image 0 udptl t38")
	for i, a := range agreed[:2] {
		if want := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), uint16(5000+2*i)); a.Remote != want || a.Direction != parley.RecvOnly {
			t.Errorf("stream %d is of %v, %v; want %v, recvonly", i, a.Remote, a.Direction, want)
		}
	}

	_, again := answerStreams(t, siprec(5000, 5002))
	again.Follow(first)
	compare(t, described(t, again), described(t, first)...) // nothing new: the same version

	_, left := answerStreams(t, siprec(5000, 0))
	left.Follow(again)
	compare(t, described(t, left), "o=- 7 1 IN IP4 192.0.2.1",
		"m=audio 4000 RTP/AVP 8 a=label:96 a=recvonly", "m=audio 0 RTP/AVP 8 0", "m=image 0 udptl t38")

	_, other := answerStreams(t, siprec(0, 5004))
	other.Follow(left)
	compare(t, described(t, other), "o=- 7 2 IN IP4 192.0.2.1", // still the same session
		"m=audio 0 RTP/AVP 8 0", "m=audio 4002 RTP/AVP 8 a=label:97 a=recvonly", "m=image 0 udptl t38")

	if _, err := ParseStreams(siprec(0, 0)); !errors.Is(err, ErrDescription) {
		t.Errorf("nothing but streams that are turned down: %v, want ErrDescription", err)
	}
	if _, err := ParseStreams(siprec(make([]int, maxStreams)...)); !errors.Is(err, ErrDescription) || !strings.Contains(err.Error(), "65 media lines") {
		t.Errorf("more streams than there may be: %v", err)
	}
}

// FuzzParseStreams: what is read can be written, and read again.
func FuzzParseStreams(f *testing.F) {
	f.Add(siprec(5000, 5002))
	f.Add(siprec(0, 5002, 5004))
	for _, d := range descriptions {
		f.Add([]byte(d.text))
	}
	for _, s := range videoShapes {
		f.Add([]byte(s.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseStreams(text)
		if err != nil {
			if !errors.Is(err, ErrDescription) {
				t.Fatal(err)
			}
			return
		}
		written, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseStreams(written)
		if err != nil || len(again) != len(s) {
			t.Fatalf("%d streams, %d when they were written: %v\n%s", len(s), len(again), err, written)
		}
	})
}

// TestOfferedStreams is the other end, which offers a stream for each of two sessions.
func TestOfferedStreams(t *testing.T) {
	pcma := []codec.Params{{Name: "PCMA", PayloadType: 8, ClockRate: 8000}}
	offers := Streams{
		{Addr: netip.MustParseAddrPort("192.0.2.2:5000"), Codecs: pcma, Direction: parley.SendOnly, Label: "1", ID: 3},
		{Addr: netip.MustParseAddrPort("192.0.2.3:5000"), Codecs: pcma, Direction: parley.SendOnly, Label: "2", ID: 4},
	}
	text, err := offers.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseStreams(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range read {
		if d.Addr != offers[i].Addr || d.Label != offers[i].Label || d.ID != 3 {
			t.Errorf("stream %d is read as %v, label %q of session %d", i, d.Addr, d.Label, d.ID)
		}
	}
	_, answers := answerStreams(t, text)
	for i := range answers {
		a, err := Agree(offers[i], answers[i])
		if err != nil {
			t.Fatal(err)
		}
		if a.Remote != answers[i].Addr || a.Direction != parley.SendOnly {
			t.Errorf("stream %d goes %v to %v, want sendonly to %v", i, a.Direction, a.Remote, answers[i].Addr)
		}
	}
	for _, s := range []Streams{nil, {nil}, {nil, offers[0]}, {offers[0], {}}} {
		if _, err := s.Marshal(); !errors.Is(err, ErrDescription) {
			t.Errorf("%v is written: %v", s, err)
		}
	}
}
