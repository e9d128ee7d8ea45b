package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asParley in the environment makes this test binary be parley, so that the
// tests of signals and of other programs run a process of exactly this code.
const asParley = "PARLEY_TEST_AS_PARLEY"

func TestMain(m *testing.M) {
	if os.Getenv(asParley) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// patience bounds each wait for something that has to come.
const patience = 30 * time.Second

// A said is a line of --json output.
type said struct {
	Event      string   `json:"event"`
	Call       string   `json:"call"`
	Address    string   `json:"address"`
	Codec      string   `json:"codec"`
	Format     string   `json:"format"`
	Reason     string   `json:"reason"`
	PositionMS *float64 `json:"position_ms"`
	statistics

	line string
}

// A program is a parley that runs with --json, in this process or in another.
type program struct {
	events <-chan said
	status <-chan int
	stderr *transcript
}

// A transcript is a buffer that may be read while it is written.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// begin runs parley in this process.
func begin(args ...string) *program {
	r, w := io.Pipe()
	status, stderr := make(chan int, 1), &transcript{}
	go func() {
		code := run(append([]string{"--json"}, args...), w, stderr)
		w.Close()
		status <- code
	}()
	return &program{events: listen(r), status: status, stderr: stderr}
}

// listen parses lines of JSON, until r ends. A line that is none has no event.
func listen(r io.Reader) <-chan said {
	events := make(chan said, 1000)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			s := said{line: lines.Text()}
			if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
				s.Event = ""
			}
			events <- s
		}
	}()
	return events
}

// until waits for an event, and fails if another one than "stats" comes before.
func (p *program) until(t *testing.T, event string) said {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case s, ok := <-p.events:
			switch {
			case !ok:
				t.Fatalf("the output ends before %q\n%s", event, p.stderr)
			case s.Event == event:
				return s
			case s.Event != "stats":
				t.Fatalf("%s before %q\n%s", s.line, event, p.stderr)
			}
		case <-timer.C:
			t.Fatalf("no %q within %v\n%s", event, patience, p.stderr)
		}
	}
}

// exit waits for the end, and fails unless the status is the one given.
func (p *program) exit(t *testing.T, status int) {
	t.Helper()
	select {
	case got := <-p.status:
		if got != status {
			t.Fatalf("exit status %d, want %d\n%s", got, status, p.stderr)
		}
	case <-time.After(patience):
		t.Fatalf("no end within %v\n%s", patience, p.stderr)
	}
}

// end waits for a good end, and returns the last event.
func (p *program) end(t *testing.T) said {
	t.Helper()
	s := p.until(t, "end")
	p.exit(t, statusDone)
	return s
}
