//go:build interop

package peer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// The numbered pictures of a page come back in order, soon, and in the codec
// that was asked for.
func TestVideoChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	for _, codec := range []string{"VP8", "VP9", "H264"} {
		twice(t, codec, func(t *testing.T) error { return seesItself(t, p, e, codec) })
	}
}

func seesItself(t *testing.T, p *page, e *peer.Endpoint, codec string) error {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{"codec": codec})
	offer := p.do(t, "offer", p.patience())
	far, answer, err := e.Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	echoes(t, far)
	p.do(t, "accept", answer)
	mid := far.Video().Mid()
	p.do(t, "eye", mid)
	p.connect(t, far)
	p.sees(t, mid, 1)
	before := p.stats(t)[mid]
	v := p.sees(t, mid, 50)
	p.do(t, "hears", far.Audio().Mid(), 440)
	s := p.stats(t)[mid]
	t.Logf("first picture %.0f ms after connecting, delay %.0f ms, longest pause %.0f ms; %+v; in %+v; out %+v", v.FirstAt-v.ConnectedAt, v.Delay, v.Pause, v, s["inbound"], s["outbound"])
	if got := s["inbound"].Codec; !strings.EqualFold(got, "video/"+codec) {
		t.Errorf("codec %s", got)
	}
	if v.Back > 0 || len(v.IDs) != 1 || v.IDs[0] != 1 {
		t.Errorf("%d pictures out of order, of cameras %v", v.Back, v.IDs)
	}
	p.do(t, "stop")
	var failed []error
	if d := v.FirstAt - v.ConnectedAt; d > 1000 {
		failed = append(failed, fmt.Errorf("the first picture came after %.0f ms", d))
	}
	if v.Bad > v.Frames/20 {
		failed = append(failed, fmt.Errorf("%d of %d pictures cannot be read", v.Bad, v.Frames))
	}
	sent := s["outbound"].FramesEncoded - before["outbound"].FramesEncoded
	came := s["inbound"].FramesDecoded - before["inbound"].FramesDecoded
	if lost := s["inbound"].PacketsLost; lost > 0 || came < sent*9/10-3 {
		failed = append(failed, fmt.Errorf("%d of %d frames came back, %d packets lost", came, sent, lost))
	}
	if v.Delay > 500 { // 30 where nothing else runs
		failed = append(failed, fmt.Errorf("a delay of %.0f ms", v.Delay))
	}
	return errors.Join(failed...)
}
