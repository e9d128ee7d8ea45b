//go:build interop

package peer_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/transport/netem"
)

// What a page says comes over a network that loses and delays packets, or holds up
// all of them, for a while. It is sound all the time, or again at once, and is back
// without delay soon after. The same is in virtual time, to the millisecond, in
// package stream; here it is real packets of a browser, on a machine that may be a
// rough network itself.
func TestRoughChromium(t *testing.T) {
	t.Parallel() // it waits most of the time
	needOpus(t)
	p, e := record(t, headless.Chromium), listen(t, nil)
	tries(t, "loss and jitter", func(t *testing.T) error { return throughLoss(t, p, e) })
	tries(t, "stall", func(t *testing.T) error { return stalled(t, p, e) })
}

// links are those of the chain by which sound comes here, each of which can be late
// when the machine is busy, and so makes jitter: the browser, the relay, the endpoint.
const links = 3

// through makes a call of the page over a relay, which is perfect at first.
func (p *studio) through(t *testing.T, e *peer.Endpoint) (far *peer.Peer, r *netem.Relay) {
	t.Helper()
	r = way(t, e)
	p.over(t, r, func(offer string) (answer string, err error) {
		far, answer, err = e.Answer(t.Context(), offer, nil)
		return answer, err
	})
	t.Cleanup(func() { far.Close() })
	p.connect(t, far)
	return far, r
}

// change makes the way from the page to the endpoint another one.
func change(t *testing.T, r *netem.Relay, c netem.Config) {
	t.Helper()
	if err := r.Change(c, netem.Config{}); err != nil {
		t.Fatal(err)
	}
}

// hearing is a snapshot of what is heard on the first line.
func hearing(far *peer.Peer) (s parley.AudioStats) {
	far.Audio().Stats(&s)
	return s
}

// mean returns the mean delay of what was heard since before.
func mean(before, after parley.AudioStats) time.Duration {
	return time.Duration(float64(after.Waited-before.Waited) / max((after.Emitted-before.Emitted).Seconds(), 1e-9))
}

// soon returns how long it takes until what is heard is on time, and how late it was
// in the end: by the mean of a quarter of a second since it came, and at its end since
// it could have come.
func (p *studio) soon(t *testing.T, far *peer.Peer, limit, within time.Duration) (took, delay time.Duration) {
	t.Helper()
	begin := time.Now()
	before := hearing(far)
	for {
		p.do(t, "sleep", 250)
		took = time.Since(begin)
		after := hearing(far)
		if delay = max(mean(before, after), after.Added); delay < limit && after.Emitted > before.Emitted || took > within {
			return took, delay
		}
		before = after
	}
}

func throughLoss(t *testing.T, p *studio, e *peer.Endpoint) error {
	p.do(t, "start")
	p.do(t, "tone", 440, options{"codec": "opus"})
	far, r := p.through(t, e)
	defer far.Close()
	h := newEcho()
	serve(t, far.Call, h)
	mid := far.Audio().Mid()
	p.do(t, "hears", mid, 440)
	p.do(t, "sleep", 1000)
	calm := hearing(far)
	p.tape(t, mid)
	close(h.record)
	change(t, r, netem.Config{
		Seed: 1, Delay: 30 * time.Millisecond, Jitter: netem.Jitter{Spread: 30 * time.Millisecond, Overtake: true}, Loss: netem.Loss{Rate: 0.05},
	})
	p.do(t, "sleep", 4000)
	bad := hearing(far)
	change(t, r, netem.Config{})
	took, delay := p.soon(t, far, 60*time.Millisecond, 10*time.Second)
	end := hearing(far)
	x := p.cut(t, mid)
	here, _ := h.stop()
	p.do(t, "stop")
	made, recovered := bad.Concealed-calm.Concealed, bad.Recovered-calm.Recovered
	lost := r.Stats().Forward.Lost
	ours, theirs := peak(here.left, here.rate), peak(x.left, x.rate)
	t.Logf("%d packets were lost, %v made up, %d packets recovered; delay %v before, %v meanwhile, %v %v after (aimed at %v); silent for %v here, %v there; %.1f Hz here, %.1f Hz there; slack %v",
		lost, made, recovered, calm.Delay, bad.Delay, delay, took, end.Target, here.gap(), x.gap(), ours, theirs, x.slack)
	var failed []error
	if lost == 0 || made == 0 && recovered == 0 || bad.Lost == 0 {
		failed = append(failed, fmt.Errorf("%d packets were lost, %d are missing, %v was made up, %d recovered", lost, bad.Lost, made, recovered))
	}
	longest := 60 * time.Millisecond
	if here.gap() > longest+x.slack || x.gap() > longest+x.slack {
		failed = append(failed, fmt.Errorf("silent for %v here, %v at the page", here.gap(), x.gap()))
	}
	if delay > longest+links*x.slack {
		failed = append(failed, fmt.Errorf("%v after it has become good the delay is %v", took, delay))
	}
	if len(failed) > 0 {
		x.keep(t, "page-lossy")
		here.keep(t, "here-lossy")
	}
	return errors.Join(failed...)
}

func stalled(t *testing.T, p *studio, e *peer.Endpoint) error {
	const hold = 800 * time.Millisecond
	p.do(t, "start")
	p.do(t, "beeps", 1000, "opus")
	far, r := p.through(t, e)
	defer far.Close()
	serve(t, far.Call, newEcho())
	mid := far.Audio().Mid()
	p.do(t, "loud", mid)
	p.do(t, "compare", mid)
	busy := lateness()
	p.do(t, "sleep", 3000)
	before := hearing(far)

	// The one packet that is delayed holds up all behind it.
	sent := r.Stats().Forward.In
	change(t, r, netem.Config{Delay: hold})
	eventually(t, 5*time.Second, "a packet on its way", func() bool { return r.Stats().Forward.In > sent })
	change(t, r, netem.Config{})
	p.do(t, "sleep", (hold + 4*time.Second).Milliseconds())
	soon := hearing(far)
	p.do(t, "sleep", 1000)
	after := hearing(far)
	delay := mean(soon, after)
	slack := busy()
	x := p.cut(t, mid)
	slack = max(slack, x.slack)
	p.do(t, "stop")
	less := after.Skipped + after.Compressed - before.Skipped - before.Compressed
	lags := x.delays()
	t.Logf("delay %v before, %v five seconds after (aimed at %v); %d interruptions, %v left out; beeps came back after %v; slack %v",
		before.Delay, delay, after.Target, after.Interrupted-before.Interrupted, less, lags, slack)
	if len(lags) < 4 {
		return fmt.Errorf("%d beeps were heard", len(lags))
	}
	var failed []error
	const longest = 120 * time.Millisecond
	if delay > longest+links*slack {
		failed = append(failed, fmt.Errorf("five seconds after the stall the delay is %v", delay))
	}
	if after.Interrupted == before.Interrupted || less <= 0 {
		failed = append(failed, fmt.Errorf("%d interruptions are counted, %v left out", after.Interrupted-before.Interrupted, less))
	}
	usual := min(before.Delay, longest/2)
	if more := min(lags[len(lags)-2], lags[len(lags)-1]) - max(lags[0], lags[1]); more > longest-usual+links*slack {
		failed = append(failed, fmt.Errorf("beeps come back %v later than before", more))
	}
	if len(failed) > 0 {
		x.keep(t, "stalled")
	}
	return errors.Join(failed...)
}
