package peer_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/internal/census"
	"github.com/parley-media/parley/peer"
)

// Where a caller of [TestChurn] is when it goes away.
const (
	unanswered = iota // before the answer has come to it
	connecting
	talking
	stages
)

// Callers come and go fast, at any stage, with or without a word, and leave no
// goroutine, socket or memory behind.
func TestChurn(t *testing.T) {
	e := listen(t, &peer.Config{Timeouts: peer.Timeouts{Disconnected: 200 * time.Millisecond, Failed: 200 * time.Millisecond, KeepAlive: 50 * time.Millisecond}})
	const seed = 10
	random := rand.New(rand.NewPCG(seed, seed))
	var mu sync.Mutex
	ends := map[parley.Reason]int{}
	var talked atomic.Int32
	churn := func(n int) {
		for range n / 50 {
			t.Run("callers", func(t *testing.T) {
				var callers sync.WaitGroup
				defer callers.Wait()
				for i := range 50 {
					b := newBrowser(t, opusCapability, 111, sendrecv, func(s *webrtc.SettingEngine) { s.DisableCloseByDTLS(true) })
					offer := b.offer(t)
					stage, silently := i%stages, i%2 == 0
					after := time.Duration(random.IntN(80)) * time.Millisecond
					callers.Go(func() {
						reason := churned(t, e, b, offer, stage, silently, after, &talked)
						mu.Lock()
						defer mu.Unlock()
						ends[reason]++
					})
				}
			})
		}
	}
	// What is kept once, such as pools, is there after the first ones.
	churn(50)
	before := census.Rested()
	churn(150)
	leaves(t, before, census.Census{Goroutines: 0, Files: 0, Heap: 1 << 20})
	if talked.Load() == 0 {
		t.Error("nobody was connected")
	}
	t.Logf("%d talked; calls by how they ended: %v", talked.Load(), ends)
}

// churned makes one call that goes away, and returns why it ended.
func churned(t *testing.T, e *peer.Endpoint, b *browser, offer string, stage int, silently bool, after time.Duration, talked *atomic.Int32) parley.Reason {
	defer b.pc.GracefulClose() //nolint:errcheck // it is the far end's
	p, answer, err := e.Answer(t.Context(), offer, &peer.CallConfig{Deadlines: parley.Deadlines{Connect: time.Second}})
	if end, ok := errors.AsType[*parley.EndError](err); ok {
		return end.Reason // on a machine that is slower than the limits above
	}
	if err != nil {
		t.Error(err)
		return ""
	}
	defer p.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		parley.Serve(context.WithoutCancel(t.Context()), p.Call, echo.Handler{}) //nolint:errcheck // the call tells
	}()
	if stage != unanswered {
		if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if stage == talking {
		if p.WaitConnected(ctx) == nil { // or it was lost before, by a busy machine
			talked.Add(1)
		}
	}
	wait := time.NewTicker(max(after, time.Millisecond))
	defer wait.Stop()
	<-wait.C
	if silently {
		b.pc.SCTP().Transport().ICETransport().Stop() //nolint:errcheck // as pulling the plug
	}
	b.pc.GracefulClose() //nolint:errcheck // the same
	select {
	case <-p.Done():
		<-served
	case <-time.After(10 * time.Second):
		t.Error("the call goes on")
		return ""
	}
	end, _ := p.Err().(*parley.EndError)
	if end == nil {
		t.Errorf("ended with %v", p.Err())
		return ""
	}
	return end.Reason
}
