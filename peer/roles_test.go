package peer_test

import (
	"strings"
	"testing"

	"github.com/parley-media/parley/peer"
)

// Whoever offers, the ends keep the roles in DTLS of the first exchange (RFC 8842, section
// 5.3), and lines that come later have them too.
func TestRolesStay(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{})
	offer, answer := renegotiate(t, called, caller, nil)
	roles(t, offer, "actpass", 2)
	roles(t, answer, "passive", 2)
	if err := called.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	_, answer = renegotiate(t, called, caller, &peer.OfferOptions{Restart: true})
	roles(t, answer, "passive", 3)
	_, answer = renegotiate(t, caller, called, nil)
	roles(t, answer, "active", 3)
	hearLevel(t, caller.Call, called.Call, 1000)
}

func roles(t *testing.T, description, want string, lines int) {
	t.Helper()
	if n := strings.Count(description, "a=setup:"); n != lines || strings.Count(description, "a=setup:"+want+"\r\n") != n {
		t.Errorf("%d lines with a role, want %d that are %s:\n%s", n, lines, want, description)
	}
}

// The role may be that of the session, and not of its lines (RFC 4145, section 4).
func TestRoleOfSession(t *testing.T) {
	e := listen(t, nil)
	for theirs, ours := range map[string]string{"active": "passive", "passive": "active", "actpass": "active"} {
		offer := strings.ReplaceAll(recorded(t, "chromium"), "a=setup:actpass\r\n", "")
		offer = strings.Replace(offer, "m=audio", "a=setup:"+theirs+"\r\nm=audio", 1)
		p, answer, err := e.Answer(t.Context(), offer, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		roles(t, answer, ours, strings.Count(answer, "m="))
	}
}
