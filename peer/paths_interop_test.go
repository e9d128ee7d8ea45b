//go:build interop

package peer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// hole returns the address of a server that takes what comes and never answers.
func hole(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: outside(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// Servers that nobody answers at delay neither the answer nor the connection, nor
// what is agreed on next.
func TestUnreachableServers(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := open(t, headless.Chromium)
	silent := hole(t)
	e := listen(t, &peer.Config{Servers: []peer.Server{
		{URLs: []string{"stun:" + silent}},
		{URLs: []string{"turn:" + silent + "?transport=udp"}, Username: "alice", Password: "secret"},
	}})
	whole := t // pion waits for relays, all together at the end
	for _, gather := range []time.Duration{0, -1} {
		twice(t, fmt.Sprintf("gather %v", gather), func(t *testing.T) error {
			p.do(t, "start", options{"iceServers": []options{
				{"urls": "stun:" + silent},
				{"urls": "turn:" + silent, "username": "alice", "credential": "secret"},
			}})
			p.do(t, "tone", 440)
			q := *p
			q.trickle = gather < 0
			offer := q.do(t, "offer", 100)
			begin := time.Now()
			far, answer, err := e.Answer(t.Context(), offer, &peer.CallConfig{Gather: gather})
			answered := time.Since(begin)
			if err != nil {
				t.Fatal(err)
			}
			echoes(whole, far)
			accepted := q.number(t, "clock")
			q.do(t, "accept", answer)
			if q.trickle {
				q.carry(t, far)
			}
			q.connect(t, far)
			connected := time.Duration((q.number(t, "(() => connectedAt)") - accepted) * float64(time.Millisecond))
			q.do(t, "hears", far.Audio().Mid(), 440)

			// Another line, while the servers are still being asked.
			q.do(t, "camera", "camera", 1, options{"codec": "VP8"})
			offer = q.do(t, "offer", 0)
			begin = time.Now()
			answer, err = far.Answer(t.Context(), offer)
			again := time.Since(begin)
			if err != nil {
				t.Fatal(err)
			}
			q.do(t, "accept", answer)
			q.shows(t, far.Video().Mid(), 1)
			q.do(t, "stop")
			t.Logf("answered in %v, connected in %v, answered again in %v", answered, connected, again)
			if answered > time.Second || connected > 2*time.Second || again > 400*time.Millisecond {
				return fmt.Errorf("answered in %v, connected in %v, answered again in %v", answered, connected, again)
			}
			return nil
		})
	}
}

// Candidates may come late, more than once, or be none.
func TestCandidatesChromium(t *testing.T) {
	t.Parallel() // it waits most of the time
	p, e := open(t, headless.Chromium), listen(t, nil)
	p.do(t, "start")
	p.do(t, "tone", 440)
	far, answer, err := e.Answer(t.Context(), p.do(t, "offer", 0), &peer.CallConfig{Gather: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	echoes(t, far)
	p.do(t, "accept", answer)
	theirs := func() []peer.Candidate {
		var all []peer.Candidate
		for {
			var found *peer.Candidate
			if err := json.Unmarshal([]byte(p.do(t, "candidate")), &found); err != nil {
				t.Fatal(err)
			}
			if found == nil {
				return all
			}
			all = append(all, *found)
		}
	}()
	var ours []peer.Candidate
	for {
		found, err := far.ReadCandidate(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, found)
	}
	if len(theirs) == 0 || len(ours) == 0 {
		t.Fatalf("%d candidates of the page, %d of this end", len(theirs), len(ours))
	}
	p.do(t, "sleep", 3000)
	if state := p.do(t, "(() => pc.connectionState)"); state == "connected" {
		t.Fatal("connected without a candidate")
	}
	for _, broken := range []string{"candidate:1 1 udp", "nonsense", "candidate:1 1 udp 1 256.1.1.1 9 typ host", "candidate:1 1 udp 1 127.0.0.1 99999 typ host", strings.Repeat("candidate:", 1000)} {
		if err := far.AddCandidate(peer.Candidate{Candidate: broken}); !errors.Is(err, peer.ErrCandidate) {
			t.Errorf("%.40q: error %v", broken, err)
		}
	}
	for range 3 {
		for _, c := range append(theirs, peer.Candidate{}) {
			if err := far.AddCandidate(c); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
		for _, c := range ours {
			p.do(t, "add", c)
		}
		p.do(t, "add", nil)
	}
	p.connect(t, far)
	p.do(t, "hears", far.Audio().Mid(), 440)
	if err := far.AddCandidate(theirs[0]); err != nil { // later still
		t.Error(err)
	}
	if err := far.Err(); err != nil {
		t.Error(err)
	}
	p.do(t, "stop")
	noticed(t, far, 5*time.Second)
	if err := far.AddCandidate(theirs[0]); err == nil {
		t.Error("a call that has ended takes a candidate")
	} else if _, ok := errors.AsType[*parley.EndError](err); !ok {
		t.Errorf("error %v", err)
	}
}

// Offers of both ends cross time and again, whichever comes to the other end
// first, and the call goes on.
func TestGlareChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{"codec": "VP8"})
	far := p.call(t, e, nil)
	echoes(t, far)
	sound, first := far.Audio().Mid(), far.Video().Mid()
	p.do(t, "hears", sound, 440)
	p.do(t, "gap", sound)
	for round := range 4 {
		// The page changes a direction, this end wants one line more.
		way := []string{"recvonly", "sendrecv"}[round%2]
		p.do(t, "turn", first, way)
		if round < 2 {
			if err := far.RequestVideo(); err != nil {
				t.Fatal(err)
			}
		}
		theirs := p.do(t, "offer", 0)
		ours, err := far.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		refuse := func() {
			if _, err := far.Answer(t.Context(), theirs); !errors.Is(err, peer.ErrGlare) {
				t.Fatalf("round %d: error %v", round, err)
			}
		}
		var answer string
		if round < 2 { // theirs comes first
			refuse()
			answer = p.do(t, "answer", ours, 0)
		} else { // ours does
			answer = p.do(t, "answer", ours, 0)
			refuse()
		}
		if err := far.SetAnswer(t.Context(), answer); err != nil {
			t.Fatal(err)
		}
		p.reoffer(t, far)
		if got := p.do(t, "turned", first); got != way {
			t.Errorf("round %d: turned %s, want %s", round, got, way)
		}
		if n := len(mids(far)); n != min(round+2, 3) {
			t.Errorf("round %d: %d lines of video", round, n)
		}
	}
	p.shows(t, first, 1)
	p.do(t, "hears", sound, 440)
	silent := p.number(t, "gap", sound)
	t.Logf("silent for %.0f ms", silent)
	if silent > 1000 { // nothing of all this is about the sound
		t.Errorf("silent for %.0f ms", silent)
	}
	p.do(t, "stop")
}
