//go:build interop

package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// A page is the one of a browser, which does what it is told; its words are in
// internal/browser/testdata/peer.js.
type page struct {
	console *headless.Console
	process *headless.Process
	trickle bool // candidates go by themselves, both ways
}

// open opens the page in a browser, which lives until the test ends.
func open(t *testing.T, start func(testing.TB, string) *headless.Process) *page {
	t.Helper()
	p := &page{console: headless.NewConsole()}
	server := httptest.NewServer(p.console)
	t.Cleanup(server.Close)
	p.process = start(t, p.console.URL(server.URL))
	return p
}

// do evaluates an expression, whose arguments are written as in JSON.
func (p *page) do(t *testing.T, word string, args ...any) string {
	t.Helper()
	return p.console.Must(t, 30*time.Second, expression(t, word, args))
}

func expression(t *testing.T, word string, args []any) string {
	t.Helper()
	list, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	if args == nil {
		list = []byte("[]")
	}
	return fmt.Sprintf("%s(...%s)", word, list)
}

// into is do for a value in JSON.
func (p *page) into(t *testing.T, value any, word string, args ...any) {
	t.Helper()
	if text := p.do(t, word, args...); json.Unmarshal([]byte(text), value) != nil {
		t.Fatalf("%s is %s", word, text)
	}
}

// number is do for a number.
func (p *page) number(t *testing.T, word string, args ...any) (x float64) {
	t.Helper()
	p.into(t, &x, word, args...)
	return x
}

// options are what the page is to be told in JavaScript's own words.
type options map[string]any

// patience is how long the page's descriptions wait for its candidates.
func (p *page) patience() int {
	if p.trickle {
		return 0
	}
	return 1500
}

// call makes a call from what the page has been told to send, and waits until
// both ends are connected.
func (p *page) call(t *testing.T, e *peer.Endpoint, c *peer.CallConfig) *peer.Peer {
	t.Helper()
	far, answer, err := e.Answer(t.Context(), p.do(t, "offer", p.patience()), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	p.do(t, "accept", answer)
	if p.trickle {
		p.carry(t, far)
	}
	p.connect(t, far)
	return far
}

// connect waits until both ends are connected, and returns how long it took the
// page since its connection was made.
func (p *page) connect(t *testing.T, far *peer.Peer) time.Duration {
	t.Helper()
	took := p.number(t, "connected")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := far.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	return time.Duration(took * float64(time.Millisecond))
}

// carry takes the candidates of each end to the other, until the test or the
// call ends.
func (p *page) carry(t *testing.T, far *peer.Peer) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	t.Cleanup(func() {
		cancel()
		<-ended
		<-ended
	})
	go func() {
		defer func() { ended <- struct{}{} }()
		for {
			found, err := far.ReadCandidate(ctx)
			if err == io.EOF {
				continue
			}
			if err != nil {
				return
			}
			if _, err := p.console.Eval(ctx, expression(t, "add", []any{found})); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		for {
			text, err := p.console.Eval(ctx, "candidate()")
			if err != nil {
				return
			}
			var found peer.Candidate
			if err := json.Unmarshal([]byte(text), &found); err != nil {
				t.Error(err)
				return
			}
			if err := far.AddCandidate(found); err != nil && far.Err() == nil {
				t.Error(err)
			}
		}
	}()
}

// reoffer lets the page offer again, in a call that goes on.
func (p *page) reoffer(t *testing.T, far *peer.Peer) {
	t.Helper()
	answer, err := far.Answer(t.Context(), p.do(t, "offer", p.patience()))
	if err != nil {
		t.Fatal(err)
	}
	p.do(t, "accept", answer)
}

// reanswer lets the server offer again.
func (p *page) reanswer(t *testing.T, far *peer.Peer, o *peer.OfferOptions) {
	t.Helper()
	offer, err := far.Offer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := far.SetAnswer(t.Context(), p.do(t, "answer", offer, p.patience())); err != nil {
		t.Fatal(err)
	}
}

// A view is what the page has seen on a line. Times are milliseconds.
type view struct {
	Frames, Bad, Back int
	First, Last       int // numbers of the pictures
	FirstAt, LastAt   float64
	ConnectedAt       float64
	Size              string
	Sizes             map[string]float64 // when each was seen first
	Pause             float64            // the longest
	Delay             float64            // the median
	IDs               []int
	Backs             []string // numbers and RTP timestamps
}

// sees waits until the page has seen so many good pictures on the line.
func (p *page) sees(t *testing.T, mid string, count int) view {
	t.Helper()
	var v view
	p.into(t, &v, "sees", mid, count)
	return v
}

// counters are of one line, by getStats.
type counters struct {
	Codec                                     string
	SSRC                                      uint32
	Active                                    bool
	PacketsSent, PacketsReceived, PacketsLost int
	FramesDecoded, FramesEncoded              int
	KeyFramesEncoded                          int
	PLICount, FIRCount, NACKCount             int
	FreezeCount                               int
}

func (p *page) stats(t *testing.T) map[string]map[string]counters {
	t.Helper()
	var s map[string]map[string]counters
	p.into(t, &s, "stats")
	return s
}

// serve runs a handler for the call until the test ends.
func serve(t *testing.T, c *parley.Call, h parley.Handler) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- parley.Serve(context.WithoutCancel(t.Context()), c, h) }()
	t.Cleanup(func() {
		c.Close()
		if stuck, ok := errors.AsType[*parley.StuckError](<-ended); ok {
			t.Errorf("%v\n%s", stuck, stuck.Stack)
		}
	})
}

func echoes(t *testing.T, p *peer.Peer) {
	t.Helper()
	serve(t, p.Call, echo.Handler{})
}

// twice runs a test that the machine may spoil by being busy a second time.
func twice(t *testing.T, name string, test func(*testing.T) error) {
	t.Run(name, func(t *testing.T) {
		err := test(t)
		if err != nil {
			t.Logf("the first time: %v", err)
			err = test(t)
		}
		if err != nil {
			t.Error(err)
		}
	})
}
