//go:build interop

package peer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-media/parley/dtmf"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// Keys that are pressed in a page arrive one by one, as long as they are held.
func TestDigitsChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	for _, codec := range []string{"opus", "PCMU"} {
		tries(t, codec, func(t *testing.T) error { return presses(t, p, e, codec) })
	}
}

func presses(t *testing.T, p *page, e *peer.Endpoint, codec string) error {
	const keys, length, gap = "0123456789*#ABCD", 100 * time.Millisecond, 60 * time.Millisecond
	p.do(t, "start")
	p.do(t, "microphone", 440, codec)
	far := p.call(t, e, nil)
	defer far.Close()
	echoes(t, far)
	mid := far.Audio().Mid()
	p.do(t, "hears", mid, 440)
	reports := make(chan []dtmf.Report, 1)
	go func() {
		var all []dtmf.Report
		defer func() { reports <- all }()
		for len(all) < 2*len(keys) {
			r, err := far.ReadDigitReport(t.Context())
			if err != nil {
				return
			}
			all = append(all, r)
		}
	}()
	p.do(t, "dial", mid, keys, length.Milliseconds(), gap.Milliseconds())
	select {
	case all := <-reports:
		p.do(t, "stop")
		return pressed(t, all, keys, length)
	case <-time.After(2 * time.Second):
		p.do(t, "stop")
		all := <-reports
		return fmt.Errorf("%d reports of %d keys: %v", len(all), len(keys), all)
	}
}

// pressed checks that keys were pressed and released in order.
func pressed(t *testing.T, all []dtmf.Report, keys string, length time.Duration) error {
	t.Helper()
	if len(all) != 2*len(keys) {
		return fmt.Errorf("%d reports of %d keys", len(all), len(keys))
	}
	var shortest, longest time.Duration = time.Hour, 0
	for i, r := range all {
		if key := dtmf.Digit(keys[i/2]); r.Digit != key || r.End != (i%2 == 1) {
			return fmt.Errorf("report %d is %+v, want key %v", i, r, key)
		}
		if r.End {
			shortest, longest = min(shortest, r.Duration), max(longest, r.Duration)
		}
	}
	t.Logf("keys were held for %v to %v", shortest, longest)
	if (shortest-length).Abs() > 40*time.Millisecond || (longest-length).Abs() > 40*time.Millisecond {
		return fmt.Errorf("keys were held for %v to %v, want %v", shortest, longest, length)
	}
	return nil
}
