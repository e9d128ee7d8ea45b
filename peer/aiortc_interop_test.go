//go:build interop

package peer_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// A python is a running program of aiortc, testdata/echo_aiortc.py.
type python struct {
	in  io.Writer
	out *bufio.Scanner
}

func startPython(t *testing.T, role string) *python {
	t.Helper()
	const program = "/usr/bin/python3" // the one that Debian's packages are for
	if err := exec.Command(program, "-c", "import aiortc").Run(); err != nil {
		t.Fatalf("aiortc: %v (Debian package python3-aiortc)", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, program, "testdata/echo_aiortc.py", role)
	var errors strings.Builder
	cmd.Stderr = &errors
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("aiortc: %s", errors.String())
		}
	})
	p := &python{in: in, out: bufio.NewScanner(out)}
	p.out.Buffer(nil, 1<<20)
	return p
}

func (p *python) write(t *testing.T, value any) {
	t.Helper()
	if err := json.NewEncoder(p.in).Encode(value); err != nil {
		t.Fatal(err)
	}
}

func (p *python) read(t *testing.T, value any) {
	t.Helper()
	if !p.out.Scan() {
		t.Fatalf("aiortc says nothing: %v", p.out.Err())
	}
	if err := json.Unmarshal(p.out.Bytes(), value); err != nil {
		t.Fatalf("%v: %s", err, p.out.Text())
	}
}

// aiortc hears, sees and reads what it sends, whoever has called.
func TestAiortc(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"offer", "answer"} {
		t.Run(role, func(t *testing.T) {
			e, python := listen(t, nil), startPython(t, role)
			var far *peer.Peer
			var err error
			if role == "offer" {
				var offer, answer string
				python.read(t, &offer)
				far, answer, err = e.Answer(t.Context(), offer, nil)
				if err == nil {
					python.write(t, answer)
				}
			} else {
				far, err = e.Dial(t.Context(), func(_ context.Context, offer string) (answer string, err error) {
					python.write(t, offer)
					python.read(t, &answer)
					return answer, nil
				}, &peer.CallConfig{Videos: 1})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			echoes(t, far)
			var channel parley.Channel
			var m parley.Message
			if role == "offer" {
				if channel, err = far.AcceptChannel(t.Context()); err == nil {
					err = channel.ReadMessage(t.Context(), &m)
				}
				if err == nil {
					err = channel.WriteMessage(t.Context(), &m)
				}
			} else {
				if channel, err = far.OpenChannel(t.Context(), &parley.ChannelConfig{Label: "chat"}); err == nil {
					err = channel.WriteMessage(t.Context(), &parley.Message{Text: true, Data: []byte("hello")})
				}
				if err == nil {
					err = channel.ReadMessage(t.Context(), &m)
				}
			}
			if err != nil || string(m.Data) != "hello" || !m.Text {
				t.Errorf("%q, %v", m.Data, err)
			}
			var got struct {
				Hz, Level, Left, Right int
				Size, Text             string
			}
			python.read(t, &got)
			t.Logf("%+v", got)
			if d := got.Hz - 440; d*d > 4 || got.Level < 6000 || got.Level > 10000 {
				t.Errorf("aiortc hears %d Hz at %d, want 440 at 8000", got.Hz, got.Level)
			}
			if !strings.Contains(got.Size, "x") || got.Left < 190 || got.Right > 70 {
				t.Errorf("aiortc sees %s with %d on the left and %d on the right, want 220 and 40", got.Size, got.Left, got.Right)
			}
			if got.Text != "hello" {
				t.Errorf("aiortc reads %q", got.Text)
			}
			python.write(t, "done")
			took := noticed(t, far, 8*time.Second)
			t.Logf("%v, %v later", far.Err(), took)
		})
	}
}
