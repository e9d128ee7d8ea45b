package peer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/peer"
)

// turn has the browser offer a direction, and checks the answer to it. pion as
// the far end is not told, since it could not go back.
func (b *browser) turn(t *testing.T, p *peer.Peer, offered, answered string) {
	t.Helper()
	answer, err := p.Answer(t.Context(), strings.Replace(b.offer(t), "a=sendrecv", "a="+offered, 1))
	if err != nil {
		t.Fatal(err)
	}
	if line(answer, "a="+answered) == "" {
		t.Errorf("the answer to %s is not %s\n%s", offered, answered, answer)
	}
	answer = strings.Replace(answer, "a="+answered, "a=sendrecv", 1)
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
}

// The far end may change the direction of a line to any other, from inactive
// too, and the call keeps to it.
func TestDirectionsChange(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	p, _ := b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 160, 160)
	defer meanwhile(func(int) error {
		return p.Audio().WriteFrame(&audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)})
	})()
	defer p.Close()
	received := func() int64 {
		var s parley.Stats
		p.Stats(&s)
		return s.Audio.Received
	}
	for _, way := range [][2]string{
		{"sendonly", "recvonly"},
		{"recvonly", "sendonly"},
		{"inactive", "inactive"},
		{"recvonly", "sendonly"},
		{"inactive", "inactive"},
		{"sendonly", "recvonly"},
		{"inactive", "inactive"},
		{"sendrecv", "sendrecv"},
	} {
		b.turn(t, p, way[0], way[1])
		settle(t, b)
		before := received()
		if sends := strings.HasPrefix(way[1], "send"); sends {
			heard(t, b)
		}
		receives := strings.HasSuffix(way[1], "recv") || way[1] == "recvonly"
		if receives {
			eventually(t, 5*time.Second, way[1]+": packets", func() bool { return received() > before })
		}
		if !receives && received() > before+1 {
			t.Errorf("%s: %d packets received", way[1], received()-before)
		}
	}
}

// settle waits until what was on its way has come, or for a packet to be on it.
func settle(t *testing.T, b *browser) {
	t.Helper()
	pause := time.NewTimer(100 * time.Millisecond)
	defer pause.Stop()
	<-pause.C
	for {
		select {
		case <-b.heard:
		default:
			return
		}
	}
}

func heard(t *testing.T, b *browser) {
	t.Helper()
	select {
	case <-b.heard:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing is heard")
	}
}

// The direction of a line that states none is that of the session, or both ways
// (RFC 8866, section 6.7).
func TestDirectionsUnstated(t *testing.T) {
	e := listen(t, nil)
	chromium := recorded(t, "chromium")
	for _, tt := range []struct{ session, answered string }{{"", "sendrecv"}, {"a=sendonly\r\n", "recvonly"}, {"a=recvonly\r\n", "sendonly"}} {
		offer := strings.Replace(chromium, "a=sendrecv\r\n", "", 1)
		offer = strings.Replace(offer, "m=audio", tt.session+"m=audio", 1)
		p, answer, err := e.Answer(t.Context(), offer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if line(answer, "a="+tt.answered) == "" {
			t.Errorf("the answer to %q is not %s\n%s", tt.session, tt.answered, answer)
		}
		p.Close()
	}
}

// A browser may have several lines of audio, of which the next becomes the first
// when that is turned down.
func TestSecondAudio(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	b.talk(t, 160, 160)
	second := &browser{pc: b.pc}
	if _, err := second.addLine(pcmuCapability, sendrecv); err != nil {
		t.Fatal(err)
	}
	p, _ := b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.talk(t, 160, 160)
	lines := slices.Collect(p.Audios())
	if len(lines) != 2 || lines[0] != p.Audio() || lines[0].Mid() == lines[1].Mid() {
		t.Fatalf("%d lines", len(lines))
	}
	read := func(a *parley.Audio) {
		t.Helper()
		a.SetReadDeadline(time.Now().Add(5 * time.Second))
		var f audio.Frame
		for range 10 {
			if err := a.ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
	}
	read(lines[0])
	read(lines[1])
	offer := strings.Replace(strings.Replace(b.offer(t), "BUNDLE 0 1", "BUNDLE 1", 1), "m=audio 9", "m=audio 0", 1)
	answer, err := p.Answer(t.Context(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if p.Audio() != lines[1] || line(answer, "a=group:") != "a=group:BUNDLE 1" {
		t.Fatalf("the audio is %+v\n%s", p.Audio(), answer)
	}
	read(lines[1])
}

// A far end that puts another track on a line, as conference servers do with one that is
// free, and browsers with one that they only received on, has it called by its new name.
// Without a track it keeps the old one.
func TestTrackIsAnother(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	p, _ := b.call(t, e, nil)
	for _, step := range []struct{ msid, direction, want string }{
		{"stream alice", "sendrecv", "alice"},
		{"", "recvonly", "alice"},
		{"stream bob", "sendrecv", "bob"},
		{"stream carol", "sendrecv", "carol"},
	} {
		var offer strings.Builder
		for l := range strings.Lines(b.offer(t)) {
			switch {
			case strings.HasPrefix(l, "a=msid:") && step.msid == "":
			case strings.HasPrefix(l, "a=msid:"):
				offer.WriteString("a=msid:" + step.msid + "\r\n")
			case strings.HasPrefix(l, "a=sendrecv"):
				offer.WriteString("a=" + step.direction + "\r\n")
			default:
				offer.WriteString(l)
			}
		}
		answer, err := p.Answer(t.Context(), offer.String())
		if err != nil {
			t.Fatal(err)
		}
		answer = strings.Replace(answer, "a=sendonly", "a=sendrecv", 1)
		if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
			t.Fatal(err)
		}
		if got := p.Audio().Label(); got != step.want {
			t.Errorf("%q is called %q, want %q", step.msid, got, step.want)
		}
	}
	p.Close()
	var names []string
	for {
		event, err := p.ReadEvent(t.Context())
		if err != nil {
			break
		}
		if event.Kind == parley.LineAdded || event.Kind == parley.Renamed {
			names = append(names, event.Detail)
		}
	}
	if want := []string{"audio", "alice", "bob", "carol"}; !slices.Equal(names, want) {
		t.Errorf("told %q, want %q", names, want)
	}
}

// What a far end offers beyond what a call holds is turned down.
func TestTooManyLines(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	for range parley.MaxLines {
		if _, err := (&browser{pc: b.pc}).addLine(pcmuCapability, sendrecv); err != nil {
			t.Fatal(err)
		}
	}
	p, answer := b.call(t, e, nil)
	if n := len(slices.Collect(p.Audios())); n != parley.MaxLines || strings.Count(answer, "m=audio 0 ") != 1 {
		t.Errorf("%d lines\n%s", n, answer)
	}
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A line that cannot be, because it is turned down or there is no codec for it,
// does the others no harm.
func TestUselessLines(t *testing.T) {
	e := listen(t, nil)
	chromium := recorded(t, "chromium")
	at := strings.Index(chromium, "m=audio")
	session, audio := strings.Replace(chromium[:at], "BUNDLE 0", "BUNDLE 0 1 2", 1), chromium[at:]
	video := strings.NewReplacer("m=audio 38481 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "m=video 9 UDP/TLS/RTP/SAVPF 120",
		":111 ", ":120 ", "opus/48000/2", "VP8/90000", "a=mid:0", "a=mid:2").Replace(audio)
	for name, useless := range map[string]string{
		"turned down": strings.NewReplacer("m=video 9 ", "m=video 0 ", "a=mid:2", "a=mid:1").Replace(video),
		"no codec":    strings.NewReplacer("VP8/90000", "AV2/90000", "SAVPF 120", "SAVPF 121", ":120 ", ":121 ", "a=mid:2", "a=mid:1").Replace(video),
	} {
		t.Run(name, func(t *testing.T) {
			p, answer, err := e.Answer(t.Context(), session+audio+useless+video, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if p.Audio() == nil || p.Video() == nil || p.Video().Mid() != "2" {
				t.Errorf("audio %v, video %v\n%s", p.Audio(), p.Video(), answer)
			}
			if !strings.Contains(answer, "m=video 0 ") {
				t.Errorf("not turned down\n%s", answer)
			}
		})
	}
}

// An answer leaves nothing to be said by an offer of this end.
func TestAnswerIsEnough(t *testing.T) {
	e := listen(t, nil)
	for _, way := range []string{"sendrecv", "sendonly", "recvonly", "inactive"} {
		p, _, err := e.Answer(t.Context(), strings.Replace(recorded(t, "chromium"), "a=sendrecv", "a="+way, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-p.Negotiate():
			t.Errorf("%s: an offer is asked for", way)
		case <-time.After(50 * time.Millisecond):
		}
		p.Close()
	}
}

// A page that prefers other codecs from now on offers those only, and gets an answer
// with no others, and with the telephone events that go with them.
func TestCodecsChange(t *testing.T) {
	e := listen(t, nil)
	chromium := recorded(t, "chromium")
	all := line(chromium, "m=audio")
	p, _, err := e.Answer(t.Context(), chromium, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, tt := range []struct{ offered, want string }{{"9 110 126", "9 126"}, {"8 0 126", "0 8 126"}, {"111 110 126", "111 110"}} {
		answer, err := p.Answer(t.Context(), strings.Replace(chromium, all, "m=audio 38481 UDP/TLS/RTP/SAVPF "+tt.offered, 1))
		if err != nil {
			t.Fatal(err)
		}
		if got := line(answer, "m=audio"); !strings.HasSuffix(got, " UDP/TLS/RTP/SAVPF "+tt.want) {
			t.Errorf("%s are answered with %s", tt.offered, got)
		}
		if got, want := strings.Count(answer, "a=rtpmap:"), len(strings.Fields(tt.want)); got != want {
			t.Errorf("%d formats are named, of %d", got, want)
		}
	}
}

// A page may change to a codec that it has not offered before.
func TestCodecIsNew(t *testing.T) {
	e := listen(t, nil)
	chromium := recorded(t, "chromium")
	with := func(format string) string {
		return strings.Replace(chromium, line(chromium, "m=audio"), "m=audio 38481 UDP/TLS/RTP/SAVPF "+format, 1)
	}
	p, _, err := e.Answer(t.Context(), with("0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, format := range []string{"8", "111", "0"} {
		answer, err := p.Answer(t.Context(), with(format))
		if err != nil {
			t.Fatal(err)
		}
		if got := line(answer, "m=audio"); !strings.HasSuffix(got, " UDP/TLS/RTP/SAVPF "+format) {
			t.Errorf("%s is answered with %s", format, got)
		}
	}
}

// FuzzReanswer has a far end offer any text while a call goes on.
func FuzzReanswer(f *testing.F) {
	e := listen(f, &peer.Config{Interface: func(name string) bool { return strings.HasPrefix(name, "lo") }})
	chromium := recorded(f, "chromium")
	for _, way := range []string{"a=sendonly", "a=inactive", "a=x"} {
		f.Add(strings.Replace(chromium, "a=sendrecv", way, 1))
	}
	f.Add(strings.Replace(chromium, "m=audio 38481", "m=audio 0", 1))
	f.Add(strings.Replace(chromium, "a=mid:0", "a=mid:1", 1))
	f.Fuzz(func(t *testing.T, offer string) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		p, _, err := e.Answer(ctx, chromium, &peer.CallConfig{Gather: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Answer(ctx, offer); err != nil && !errors.Is(err, peer.ErrOffer) {
			t.Errorf("error %v", err)
		}
	})
}

// However fast candidates are found, a description that is not to have them has
// none.
func TestNoCandidates(t *testing.T) {
	e := listen(t, nil)
	for range 100 {
		p, offer, err := e.Offer(t.Context(), &peer.CallConfig{Gather: -1})
		if err != nil {
			t.Fatal(err)
		}
		if line(offer, "a=candidate:") != "" || line(offer, "a=end-of-candidates") != "" {
			t.Errorf("the offer has candidates\n%s", offer)
		}
		if _, err := p.ReadCandidate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if offer, err = p.Offer(t.Context(), nil); err == nil && line(offer, "a=candidate:") != "" {
			t.Errorf("the second offer has candidates\n%s", offer)
		}
		p.Close()
	}
}
