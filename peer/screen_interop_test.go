//go:build interop

package peer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// orientation is the header extension for what a page does not turn itself (3GPP
// TS 26.114, section 7.4.5).
const orientation = "urn:3gpp:video-orientation"

// A camera and a screen, shown at once, are known by line and by name, and each
// stays on its own.
func TestCameraAndScreen(t *testing.T) {
	t.Parallel()
	p, e := watching(t), listen(t, nil)
	p.do(t, "start")
	p.do(t, "camera", "camera", 1, options{"codec": "VP8"})
	p.do(t, "camera", "screen", 2, options{"codec": "VP9", "width": 640, "height": 360})
	offer := p.do(t, "offer", p.patience())
	far, answer, err := e.Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	// Nobody here would look at how pictures are to be turned.
	if !strings.Contains(offer, orientation) || strings.Contains(answer, orientation) {
		t.Errorf("the orientation is not offered, or agreed on:\n%s\n%s", offer, answer)
	}
	p.do(t, "accept", answer)
	p.connect(t, far)
	echoes(t, far)
	of := map[string]string{} // lines by what the page sends there
	for _, name := range []string{"camera", "screen"} {
		of[name] = p.do(t, "sending", name)
	}
	lines := slices.Collect(far.Videos())
	if len(lines) != 2 || of["camera"] == of["screen"] {
		t.Fatalf("%d lines; the page sends on %v", len(lines), of)
	}
	for _, line := range lines {
		name := "camera"
		if line.Mid() == of["screen"] {
			name = "screen"
		}
		if line.Mid() != of[name] {
			t.Errorf("line %s is neither of %v", line.Mid(), of)
		}
		if want := p.do(t, fmt.Sprintf("(() => cameras.%s.track.id)", name)); line.Label() != want {
			t.Errorf("the %s is called %q, want %q", name, line.Label(), want)
		}
	}
	for _, name := range []string{"camera", "screen"} { // at the same time
		p.do(t, "eye", of[name])
		p.sees(t, of[name], 1)
		p.do(t, "seen", of[name], true)
	}
	for id, name := range []string{"camera", "screen"} {
		v := p.sees(t, of[name], 40)
		if v.Back > 0 || len(v.IDs) != 1 || v.IDs[0] != id+1 || v.Bad > v.Frames/10 {
			t.Errorf("the %s shows %d pictures, %d of them cannot be read, %d out of order, of cameras %v", name, v.Frames, v.Bad, v.Back, v.IDs)
		}
	}
	s := p.stats(t)
	if a, b := s[of["camera"]]["inbound"].Codec, s[of["screen"]]["inbound"].Codec; a != "video/VP8" || b != "video/VP9" {
		t.Errorf("the camera is %s, the screen %s", a, b)
	}
	p.do(t, "stop")
}
