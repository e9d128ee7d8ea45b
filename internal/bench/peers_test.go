package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// peersPart in the environment makes this test binary be a program of the bench.
const peersPart = "PARLEY_TEST_PEERS_PART"

func TestPeersPart(t *testing.T) {
	if role := os.Getenv(peersPart); role != "" {
		if err := ServePeers(t.Context(), role, os.Stdin, os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
}

func peersCommand(ctx context.Context, role string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestPeersPart$")
	cmd.Env = append(os.Environ(), peersPart+"="+role)
	return cmd, nil
}

// Two calls go through all that is measured but aiortc.
func TestPeers(t *testing.T) {
	progress := 0
	var rows []PeersRow
	options := PeersOptions{Calls: 2, Rounds: 2, Turn: 200 * time.Millisecond, Command: peersCommand, Python: []string{}, Progress: func(string, int, int) { progress++ }}
	if err := Peers(t.Context(), options, func(r PeersRow) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 6 || progress < 6 {
		t.Fatalf("%d rows and %d reports of progress", len(rows), progress)
	}
	for _, r := range rows {
		t.Log(r)
		if r.Work == "" || r.Unit == "" || r.Reference == "" || r.Calls != 2 || r.Rounds != 2 || (r.Theirs == nil) != (r.Missing != "") {
			t.Errorf("%+v", r)
		}
		if r.Reference == "aiortc, echo" && r.Missing == "" {
			t.Errorf("aiortc was found nowhere: %+v", r)
		}
		if r.Reference == "pion/webrtc alone" && (r.Missing != "" || r.Ours.Median <= 0 || r.Theirs.Median <= 0 || r.Ratio.Median <= 0 || r.Ratio.Median > 100) {
			t.Errorf("%+v", r)
		}
	}
}

func TestPeersCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	options := PeersOptions{Calls: 2, Rounds: 1000, Turn: 200 * time.Millisecond, Command: peersCommand, Python: []string{}, Progress: func(_ string, round, _ int) {
		if round == 1 {
			cancel()
		}
	}}
	err := Peers(ctx, options, func(PeersRow) { t.Error("a row") })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestServePeers(t *testing.T) {
	for role, requests := range map[string]string{
		roleFarEnds: `{"do":"answer"} {"do":"talk","group":"x"} {"do":"connect","group":"x","sdp":"v=0"}`,
		rolePion:    `{"do":"offer"} {"do":"answer","sdp":"v=0"}`,
		roleForward: `{"do":"offer"} {"do":"answer","sdp":"v=0"}`,
		roleEcho:    `{"do":"talk"}`,
	} {
		var replies strings.Builder
		if err := ServePeers(t.Context(), role, strings.NewReader(requests), &replies); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		if want, got := strings.Count(requests, "{"), strings.Count(replies.String(), `{"error":"`); got != want {
			t.Errorf("%s: %s, want %d errors", role, replies.String(), want)
		}
	}
	if err := ServePeers(t.Context(), rolePion, strings.NewReader("hello"), io.Discard); err == nil {
		t.Error("what is no request was taken")
	}
	if err := ServePeers(t.Context(), "cook", strings.NewReader(""), io.Discard); err == nil {
		t.Error("there is no cook")
	}
}

func TestPeersOptions(t *testing.T) {
	if err := Peers(t.Context(), PeersOptions{Calls: 1, Command: peersCommand}, nil); err == nil {
		t.Error("one call was taken")
	}
	broken := errors.New("no program")
	err := Peers(t.Context(), PeersOptions{Command: func(context.Context, string) (*exec.Cmd, error) { return nil, broken }}, nil)
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}
