package server

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/sdp/v3"

	"github.com/parley-media/parley/peer"
)

func TestBucket(t *testing.T) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var b bucket
	for _, step := range []struct {
		at   time.Duration
		want int // requests until one is refused
	}{
		{0, 100}, {0, 0}, {49 * time.Millisecond, 0}, {50 * time.Millisecond, 1}, {time.Second, 19}, {time.Hour, 100}, {time.Minute, 0}, {time.Hour + time.Second, 20},
	} {
		n := 0
		for b.take(begin.Add(step.at), perSecond, burst) {
			n++
		}
		if n != step.want {
			t.Errorf("after %v: %d requests, want %d", step.at, n, step.want)
		}
	}
}

func TestReadCandidate(t *testing.T) {
	for _, tt := range []struct {
		text               string
		useful, wellFormed bool
	}{
		{"", true, true},
		{"candidate:", true, true},
		{"candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1", true, true},
		{"a=candidate:" + strings.Repeat("1", 32) + " 1 UDP 2122260223 192.0.2.1 61764 typ host", true, true},
		{"1387637174 1 UDP 2122260223 2001:db8::1 61764 typ srflx raddr :: rport 0", true, true},
		{"candidate:1 1 udp 1 192.0.2.1 61764 typ relay", true, true},
		{"candidate:1 1 udp 1 fe80::1%eth0 61764 typ host", false, true},
		{"candidate:1 1 udp 1 192.0.2.1 0 typ host", false, true},
		{"candidate:1 2 udp 1 192.0.2.1 9 typ host", false, true},
		{"candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active", false, true},
		{"candidate:1 1 udp 1 3a2c1b.local 9 typ host", false, true},
		{"candidate:1 1 udp 1 192.0.2.1 9 typ other", false, true},
		{"candidate:1 0 udp 1 192.0.2.1 9 typ host", false, false},
		{"candidate:1 1 udp -1 192.0.2.1 9 typ host", false, false},
		{"candidate:1 1 udp 4294967296 192.0.2.1 9 typ host", false, false},
		{"candidate:1 1 udp 1 192.0.2.1 9 host", false, false},
		{"candidate:1 1 udp 1 192.0.2.1 9 type host", false, false},
		{"candidate:" + strings.Repeat("1", 33) + " 1 udp 1 192.0.2.1 9 typ host", false, false},
		{"candidate:1 1 udp 1 192.0.2.1 9 typ host\x00", false, false},
		{"hello", false, false},
	} {
		useful, wellFormed := readCandidate(tt.text)
		if useful != tt.useful || wellFormed != tt.wellFormed {
			t.Errorf("%q: useful %v, well-formed %v", tt.text, useful, wellFormed)
		}
	}
}

func TestUfrag(t *testing.T) {
	const plain, named = "candidate:1 1 udp 1 192.0.2.1 9 typ host generation 0", "candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr :: rport 9 generation 0 ufrag abcd network-id 1"
	empty, other := "", "efgh"
	for _, tt := range []struct {
		candidate peer.Candidate
		want      string
	}{
		{peer.Candidate{}, ""},
		{peer.Candidate{Candidate: plain}, ""},
		{peer.Candidate{Candidate: plain + " ufrag"}, ""},
		{peer.Candidate{Candidate: named}, "abcd"},
		{peer.Candidate{Candidate: named, UsernameFragment: &empty}, "abcd"},
		{peer.Candidate{Candidate: named, UsernameFragment: &other}, "efgh"},
	} {
		if got := ufrag(&tt.candidate); got != tt.want {
			t.Errorf("%+v: %q", tt.candidate, got)
		}
	}
	if got := ufrags("a=ice-ufrag:a\na=x\r\na=ice-ufrag:b\r\na=ice-ufrag:a\r\n"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
}

// The fragment of RFC 9725, section 4.3.2.
const rfcFragment = `a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1
a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1
a=candidate:2154773085 1 tcp 1518214911 198.51.100.2 9 typ host tcptype active generation 0 ufrag EsAw network-id 2
a=end-of-candidates
`

func TestParseFragment(t *testing.T) {
	f, err := parseFragment(rfcFragment)
	if err != nil {
		t.Fatal(err)
	}
	if f.ufrag != "EsAw" || f.pwd != "P2uYro0UCOQ4zxjKXaWCBui1" || len(f.candidates) != 5 || f.candidates[4].Candidate != "" || *f.candidates[1].SDPMid != "0" {
		t.Errorf("%+v", f)
	}
	if useful, no := usable(f.candidates); no != nil || len(useful) != 3 {
		t.Errorf("%d of use, refusal %v", len(useful), no)
	}
	for _, text := range []string{"", "\n\n", "s=-\n", "a\n", "ab=c\n", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\n", "a=ice-ufrag:Es\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\n", "a=ice-ufrag:Es w\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\n"} {
		if f, err := parseFragment(text); err == nil {
			t.Errorf("%q: %+v", text, f)
		}
	}
}

func chromiumOffer(t testing.TB) string {
	t.Helper()
	offer, err := os.ReadFile("../peer/testdata/offer-chromium.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(offer)
}

func TestRestarted(t *testing.T) {
	s := fragments{offer: chromiumOffer(t)}
	same := fragment{ufrag: "ag+R", pwd: "D4JYfWVrGfRWpVFBGpgDMXaX"}
	other := fragment{ufrag: "ag+R", pwd: "0123456789abcdefghijkl"}
	if s.restarts(&fragment{}) || s.restarts(&same) || !s.restarts(&other) {
		t.Error("the credentials do not decide")
	}
	got, err := s.restarted(&other)
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`a=candidate:.*\r\n`).ReplaceAllString(s.offer, "")
	want = strings.Replace(want, same.pwd, other.pwd, 1)
	want = strings.Replace(want, "3566535404902217837 2", "3566535404902217837 3", 1)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// The next fragment is compared with what holds from then on.
	if s.offer = got; s.restarts(&other) || !s.restarts(&same) {
		t.Error("the restart was forgotten")
	}
}

// Credentials may stand before the sections, for all of them (RFC 8839, section 5.4).
func TestRestartedForAllSections(t *testing.T) {
	const form = "v=0\r\no=- 1 %d IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n%sa=ice-ufrag:%s\r\na=ice-pwd:%s\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
	old := fragment{ufrag: "EsAw", pwd: "P2uYro0UCOQ4zxjKXaWCBui1"}
	other := fragment{ufrag: "xTgF", pwd: "0123456789abcdefghijkl"}
	s := fragments{offer: fmt.Sprintf(form, 1, "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", old.ufrag, old.pwd)}
	if s.restarts(&old) || !s.restarts(&other) {
		t.Error("the credentials do not decide")
	}
	got, err := s.restarted(&other)
	if want := fmt.Sprintf(form, 2, "", other.ufrag, other.pwd); err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
	if s.offer = got; s.restarts(&other) {
		t.Error("the restart was forgotten")
	}
}

// Each candidate makes this end send packets to somebody who may know nothing of it.
func TestTooManyCandidates(t *testing.T) {
	const session, media, candidate = "v=0\r\n", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
	section := func(n int) string { return media + strings.Repeat(candidate, n) }
	for _, tt := range []struct {
		name, offer string
		ok          bool
	}{
		{"as many as may be", session + section(100), true},
		{"one more", session + section(101), false},
		{"one more, with half of the line ends", strings.ReplaceAll(session+section(101), "\r\n", "\r"), false},
		{"said again in each section", session + strings.Repeat(section(100), 5), true},
		{"in too many sections", session + strings.Repeat(section(100), 6), false},
	} {
		if no := tooMany(tt.offer); (no == nil) != tt.ok {
			t.Errorf("%s: %+v", tt.name, no)
		}
	}
}

func TestExcerpt(t *testing.T) {
	const answer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 1\r\na=ice-options:trickle\r\na=fingerprint:sha-256 00\r\n" +
		"m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:none\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=mid:1\r\na=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\na=sendonly\r\na=end-of-candidates\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\n"
	const want = "a=ice-options:trickle\r\na=group:BUNDLE 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n"
	if got, err := excerpt(answer); err != nil || got != want {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, got, want)
	}
	for _, bad := range []string{"", answer[:strings.Index(answer, "m=video")]} {
		if got, err := excerpt(bad); err == nil {
			t.Errorf("%q", got)
		}
	}
}

func TestOneWay(t *testing.T) {
	const session = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
	const audio, video = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
	for _, tt := range []struct {
		offer, want string // want "": refused
	}{
		{session + audio + "a=sendrecv\r\na=mid:0\r\n", session + audio + "a=mid:0\r\na=sendonly\r\n"},
		{session + audio + "a=mid:0\r\n", session + audio + "a=mid:0\r\na=sendonly\r\n"},
		{session + audio + "a=sendonly\r\n", session + audio + "a=sendonly\r\n"},
		{session + "a=sendonly\r\n" + audio, session + "a=sendonly\r\n" + audio + "a=sendonly\r\n"},
		{session + "a=recvonly\r\n" + audio, ""},
		{session + audio + "a=inactive\r\n", ""},
		{session + audio + "a=sendonly\r\n" + video + "a=recvonly\r\n", ""},
		{session + "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=inactive\r\n" + video, session + "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=inactive\r\n" + video + "a=sendonly\r\n"},
		{session + "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=bundle-only\r\na=inactive\r\n", ""},
		{session + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sendrecv\r\n", session + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sendrecv\r\n"},
	} {
		got, err := oneWay(tt.offer, "sendonly")
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %q, %v", tt.offer, got, err)
		}
	}
}

func FuzzPatch(f *testing.F) {
	for _, s := range []string{
		"null", "[]", `[null]`, `{"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": null}`,
		`{"pc_id": "a", "candidates": [{"candidate": "", "sdp_mid": "0", "sdp_mline_index": 0}]}`, `{"type": "offer", "sdp": "v=0"}`, `{"candidate": null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, no := parsePatch(body)
		switch {
		case no != nil:
			if no.status != 400 || len(no.message) > 500 {
				t.Fatalf("%+v", no)
			}
			return
		case (p.SDP == "") == (len(p.candidates) == 0):
			t.Fatalf("neither or both: %+v", p)
		}
		useful, no := usable(p.candidates)
		if no == nil && (len(useful) > maxHeard || len(useful) > len(p.candidates)) {
			t.Fatalf("%d candidates", len(useful))
		}
	})
}

// Each message of a socket is one of four things, or refused.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"type": "bye"}`, `{"type": "bye", "candidate": ""}`, `{"type": "offer", "sdp": "v=0", "video_transform": "edges"}`, `{"type": "answer", "sdp": "v=0"}`,
		`{"type": "candidate", "candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0"}`, "null", `["bye"]`, `{"SDP": "v=0", "TYPE": "offer", "type": null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		offer, members, no := parseOffer(message)
		if no == nil && (offer.SDP == "" || offer.Type != "offer" || members == nil) || no != nil && (no.status != 400 || len(no.message) > 500) {
			t.Fatalf("%+v, %v, %+v", offer, members, no)
		}
		if isBye(message) {
			return
		}
		p, no := parsePatch(message)
		if no != nil {
			return
		}
		described := p.SDP != "" && (p.Type == "offer" || p.Type == "answer")
		if described == (len(p.candidates) > 0) || !described && p.Type != "" {
			t.Fatalf("neither or both: %+v", p)
		}
	})
}

func FuzzFragment(f *testing.F) {
	f.Add(rfcFragment)
	f.Add("a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\na=end-of-candidates")
	f.Add("m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n")
	offer := chromiumOffer(f)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFragment(text)
		if err != nil {
			return
		}
		s := fragments{offer: offer}
		if !s.restarts(&parsed) {
			return
		}
		if s.offer, err = s.restarted(&parsed); err != nil {
			t.Fatal(err)
		}
		if s.restarts(&parsed) {
			t.Fatalf("the same credentials restart again: %+v", parsed)
		}
		if n := strings.Count(s.offer, "\n"); n != strings.Count(offer, "\n")-strings.Count(offer, "a=candidate:") {
			t.Fatalf("%d lines", n)
		}
	})
}

func FuzzOneWay(f *testing.F) {
	f.Add(chromiumOffer(f))
	f.Add("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=recvonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendrecv\r\na=sendonly\r\n")
	f.Fuzz(func(t *testing.T, offer string) {
		one, err := oneWay(offer, "sendonly")
		if err != nil {
			return
		}
		excerpt(one) //nolint:errcheck // must not panic
		var d sdp.SessionDescription
		if err := d.UnmarshalString(one); err != nil {
			return // pion does not read all that it writes
		}
		for _, m := range d.MediaDescriptions {
			if _, bundled := m.Attribute("bundle-only"); m.MediaName.Port.Value == 0 && !bundled || m.MediaName.Media != "audio" && m.MediaName.Media != "video" {
				continue
			}
			if way := direction(m.Attributes, "sendrecv"); way != "sendonly" {
				t.Fatalf("%s in\n%s", way, one)
			}
		}
	})
}
