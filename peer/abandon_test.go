package peer_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// Offers that nobody goes on with end by their deadline, each for this reason,
// and leave nothing behind.
func TestAbandonedOffers(t *testing.T) {
	e := listen(t, nil)
	offer := recorded(t, "chromium")
	before := settled()
	var answering sync.WaitGroup
	for range 200 {
		answering.Go(func() {
			p, _, err := e.Answer(t.Context(), offer, &peer.CallConfig{Gather: -1, Deadlines: parley.Deadlines{Connect: 3 * time.Second}})
			if err != nil {
				t.Error(err)
				return
			}
			<-p.Done()
			if end, ok := errors.AsType[*parley.EndError](p.Err()); !ok || end.Reason != parley.NotConnected {
				t.Errorf("ended with %v", p.Err())
			}
			p.Close()
		})
	}
	answering.Wait()
	eventually(t, 10*time.Second, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
}

// A call may end while its offer is being answered.
func TestEndedWhileAnswering(t *testing.T) {
	e := listen(t, nil)
	offer := recorded(t, "chromium")
	before := settled()
	var answering sync.WaitGroup
	for i := range 100 {
		answering.Go(func() {
			p, _, err := e.Answer(t.Context(), offer, &peer.CallConfig{Deadlines: parley.Deadlines{Connect: time.Duration(i+1) * 200 * time.Microsecond}})
			if p != nil {
				p.Close()
			}
			if end, ok := errors.AsType[*parley.EndError](err); err != nil && (!ok || end.Reason != parley.NotConnected) {
				t.Errorf("error %v", err)
			}
		})
	}
	answering.Wait()
	eventually(t, 10*time.Second, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
}

// Far ends that vanish at any time, with or without a word, leave nothing behind.
func TestVanishingCallers(t *testing.T) {
	e := listen(t, &peer.Config{Timeouts: peer.Timeouts{Disconnected: 200 * time.Millisecond, Failed: 200 * time.Millisecond, KeepAlive: 50 * time.Millisecond}})
	before := settled()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	t.Run("callers", func(t *testing.T) {
		for i := range 60 {
			after := time.Duration(random.IntN(60)) * time.Millisecond
			t.Run("", func(t *testing.T) {
				t.Parallel()
				vanish(t, e, i%3 == 0, after)
			})
		}
	})
	eventually(t, 10*time.Second, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
}

// vanish makes a call that goes away after the given time, and checks that this
// end notices.
func vanish(t *testing.T, e *peer.Endpoint, silently bool, after time.Duration) {
	t.Helper()
	b := newBrowser(t, opusCapability, 111, sendrecv, func(s *webrtc.SettingEngine) { s.DisableCloseByDTLS(true) })
	p, answer, err := e.Answer(t.Context(), b.offer(t), &peer.CallConfig{Deadlines: parley.Deadlines{Connect: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	p.WaitConnected(ctx) //nolint:errcheck // or not
	if silently {
		b.pc.SCTP().Transport().ICETransport().Stop() //nolint:errcheck // as pulling the plug
	}
	b.pc.GracefulClose() //nolint:errcheck // it is the far end's
	select {
	case <-p.Done():
	case <-time.After(5 * time.Second):
		t.Fatalf("%v after a far end has vanished the call goes on", 5*time.Second)
	}
}
