package server_test

import (
	"net/http"
	"testing"

	"github.com/parley-media/parley/server"
)

// An offer that comes before anything has begun to connect is no restart of ICE.
func TestOfferAtOnce(t *testing.T) {
	s, _ := start(t, &server.Config{})
	offer := object{"type": "offer", "sdp": chromium(t), "trickle": true}
	bad := 0
	for range 100 {
		w := ask(s, "POST", "/wait", offer)
		wantStatus(t, w, http.StatusOK)
		location, first := w.Header().Get("Location"), said(t, w, "sdp")
		w = ask(s, "PATCH", location, offer)
		wantStatus(t, w, http.StatusOK)
		if credentials(said(t, w, "sdp")) != credentials(first) {
			bad++
		}
		ask(s, "DELETE", location, nil)
	}
	if bad > 0 {
		t.Errorf("%d of 100 offers restarted ICE", bad)
	}
}
