package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/parley-media/parley/internal/bench/pionpeers"
)

// What the programs of [Peers] are asked to do, each by a line of JSON, which is
// answered by another.
const (
	doOffer   = "offer"   // far ends: one more of a group
	doConnect = "connect" // far ends: that one has its answer
	doTalk    = "talk"    // far ends: a group sends
	doAnswer  = "answer"  // the others: one more call
	doMeasure = "measure" // the others: what was used up
)

type peersRequest struct {
	Do       string        `json:"do"`
	Group    string        `json:"group,omitempty"`
	SDP      string        `json:"sdp,omitempty"`
	Payloads [][]byte      `json:"payloads,omitempty"`
	For      time.Duration `json:"for_ns,omitempty"`
}

type peersReply struct {
	Error string `json:"error,omitempty"`
	SDP   string `json:"sdp,omitempty"`

	Sent  int64 `json:"sent,omitempty"`
	Heard int64 `json:"heard,omitempty"`

	// Of the process: nanoseconds of CPU when it was asked, and when it answers, after
	// it has collected garbage; objects allocated until it was asked; bytes of heap
	// and stacks.
	Used       int64 `json:"used_ns,omitempty"`
	CPU        int64 `json:"cpu_ns,omitempty"`
	Mallocs    int64 `json:"mallocs,omitempty"`
	Memory     int64 `json:"memory,omitempty"`
	Goroutines int64 `json:"goroutines,omitempty"`
}

// A peersProcess is a program that runs.
type peersProcess struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	asks    *json.Encoder
	replies *json.Decoder
	stderr  strings.Builder
}

func startPeers(cmd *exec.Cmd) (*peersProcess, error) {
	p := &peersProcess{cmd: cmd}
	cmd.Stderr = &p.stderr
	cmd.WaitDelay = 5 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.asks, p.replies = json.NewEncoder(p.stdin), json.NewDecoder(stdout)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *peersProcess) ask(q peersRequest) (peersReply, error) {
	var r peersReply
	err := p.asks.Encode(q)
	if err == nil {
		err = p.replies.Decode(&r)
	}
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(p.stop()), "\n")
		return r, fmt.Errorf("%s: the process has ended: %w: %s", q.Do, err, first)
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s: %s", q.Do, r.Error)
	}
	return r, nil
}

// stop ends the process, and returns what it complained about.
func (p *peersProcess) stop() string {
	p.stdin.Close()
	patience := time.AfterFunc(10*time.Second, func() { p.cmd.Process.Kill() })
	defer patience.Stop()
	p.cmd.Wait() //nolint:errcheck // it may have ended before
	return p.stderr.String()
}

// A peersWorker is a program at work.
type peersWorker interface {
	do(ctx context.Context, q peersRequest) (peersReply, error)
	Close() error
}

// ServePeers is a program that [Peers] starts: it answers requests until there are
// no more.
func ServePeers(ctx context.Context, role string, requests io.Reader, replies io.Writer) error {
	worker, err := newPeersWorker(role)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer worker.Close()
	in, out := json.NewDecoder(requests), json.NewEncoder(replies)
	for {
		var q peersRequest
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		var r peersReply
		if q.Do == doMeasure {
			r = measured()
		} else if r, err = worker.do(ctx, q); err != nil {
			r.Error = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
}

func newPeersWorker(role string) (peersWorker, error) {
	switch role {
	case roleFarEnds:
		far, err := pionpeers.NewFarEnds()
		return &farWorker{far}, err
	case rolePion:
		f, err := pionpeers.NewForwarder()
		return &pionWorker{f}, err
	case roleForward, roleEcho:
		return newPeerWorker(role == roleEcho)
	}
	return nil, fmt.Errorf("no role of a program of the bench: %q", role)
}

// measured says what the process has used.
func measured() (r peersReply) {
	r.Used = int64(processTime())
	r.Mallocs = int64(mallocs())
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Memory = int64(m.HeapAlloc + m.StackInuse)
	r.Goroutines = int64(runtime.NumGoroutine())
	r.CPU = int64(processTime())
	return r
}

type farWorker struct{ *pionpeers.FarEnds }

// farPatience is how long a call may take to connect.
const farPatience = 20 * time.Second

func (w *farWorker) do(ctx context.Context, q peersRequest) (r peersReply, err error) {
	switch q.Do {
	case doOffer:
		r.SDP, err = w.Offer(q.Group)
	case doConnect:
		ctx, cancel := context.WithTimeout(ctx, farPatience)
		defer cancel()
		err = w.SetAnswer(ctx, q.Group, q.SDP)
	case doTalk:
		r.Sent, r.Heard, err = w.Talk(ctx, q.Group, q.Payloads, q.For)
	default:
		err = fmt.Errorf("far ends do not %s", q.Do)
	}
	return r, err
}

type pionWorker struct{ *pionpeers.Forwarder }

func (w *pionWorker) do(_ context.Context, q peersRequest) (r peersReply, err error) {
	if q.Do != doAnswer {
		return r, fmt.Errorf("a forwarder does not %s", q.Do)
	}
	r.SDP, err = w.Answer(q.SDP)
	return r, err
}
