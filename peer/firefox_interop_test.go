//go:build interop

package peer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// Firefox does what Chromium does.
func TestFirefox(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Firefox), listen(t, nil)
	twice(t, "VP8", func(t *testing.T) error { return seesItself(t, p, e, "VP8") })
	t.Run("lines", func(t *testing.T) { firefoxLines(t, p, e) })
	t.Run("directions", func(t *testing.T) { directions(t, p, e) })
	t.Run("glare", func(t *testing.T) { glare(t, p, e) })
	for _, by := range []string{"page", "server"} {
		twice(t, "restart by the "+by, func(t *testing.T) error { return restart(t, p, e, by) })
	}
	t.Run("trickle", func(t *testing.T) {
		q := *p
		q.trickle = true
		q.do(t, "start")
		q.do(t, "tone", 440)
		q.do(t, "channel", "chat")
		far := q.call(t, e, &peer.CallConfig{Gather: -1})
		echoes(t, far)
		q.do(t, "hears", far.Audio().Mid(), 440)
		q.do(t, "stop")
		if took := noticed(t, far, 5*time.Second); took > time.Second {
			t.Errorf("the end was noticed after %v", took)
		}
	})
	t.Run("killed", func(t *testing.T) {
		p.do(t, "start")
		p.do(t, "tone", 440)
		far := p.call(t, e, nil)
		happened(t, far, parley.FirstMedia, 5*time.Second)
		p.process.Kill()
		begin := time.Now()
		noticed(t, far, 20*time.Second)
		if took := time.Since(begin); took > 8*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

func firefoxLines(t *testing.T, p *page, e *peer.Endpoint) {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{})
	far := p.call(t, e, nil)
	echoes(t, far)
	first := far.Video().Mid()
	p.shows(t, first, 1)
	p.do(t, "camera", "screen", 2, options{})
	p.reoffer(t, far)
	lines := mids(far)
	if len(lines) != 2 {
		t.Fatalf("lines %v", lines)
	}
	p.shows(t, lines[1], 2)
	p.shows(t, first, 1)
	p.do(t, "remove", lines[1])
	p.reoffer(t, far)
	if got := mids(far); !slices.Equal(got, lines[:1]) {
		t.Errorf("lines %v after one was removed of %v", got, lines)
	}
	p.do(t, "camera", "again", 3, options{})
	p.reoffer(t, far)
	if lines = mids(far); len(lines) != 2 {
		t.Fatalf("lines %v", lines)
	}
	p.shows(t, lines[1], 3)
	p.shows(t, first, 1)
	p.do(t, "hears", far.Audio().Mid(), 440)
	p.do(t, "stop")
}
