package parley_test

import (
	"os/exec"
	"strings"
	"testing"
)

// pins are the versions of pion that were tested with each other: intake.go of peer
// goes by how webrtc and srtp hand streams over, which an update may change.
var pins = map[string]string{
	"github.com/pion/webrtc/v4":    "v4.2.26",
	"github.com/pion/interceptor":  "v0.1.51",
	"github.com/pion/ice/v4":       "v4.4.8",
	"github.com/pion/srtp/v3":      "v3.1.3",
	"github.com/pion/dtls/v3":      "v3.1.15",
	"github.com/pion/sctp":         "v1.12.1",
	"github.com/pion/datachannel":  "v1.6.4",
	"github.com/pion/mdns/v2":      "v2.2.2",
	"github.com/pion/turn/v5":      "v5.1.3",
	"github.com/pion/stun/v4":      "v4.0.1",
	"github.com/pion/transport/v5": "v5.1.4",
	"github.com/pion/rtp":          "v1.10.6",
	"github.com/pion/rtcp":         "v1.2.20",
	"github.com/pion/sdp/v3":       "v3.0.20",
	"github.com/pion/logging":      "v0.2.4",
}

func TestPionIsPinned(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if want, ok := pins[name]; ok {
			seen++
			if version != want {
				t.Errorf("%s is at %s, pinned to %s", name, version, want)
			}
		}
	}
	if seen != len(pins) {
		t.Errorf("%d of the %d pinned modules are in use", seen, len(pins))
	}
}
