package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley/server"
)

// Whoever does not know the id of a call, or knows it at another path, has no
// part in it.
func TestIDs(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.HandleWHIP("/whip", waits)
	offer := object{"type": "offer", "sdp": chromium(t)}
	w := ask(s, "POST", "/wait", offer)
	wantStatus(t, w, http.StatusOK)
	id := said(t, w, "pc_id")
	for _, path := range []string{"/wait/nobody", "/wait/" + strings.ToLower(id), "/wait/" + id[1:], "/offer/" + id, "/whip/" + id} {
		for _, method := range []string{"PATCH", "DELETE"} {
			wantStatus(t, ask(s, method, path, "null"), http.StatusNotFound)
		}
	}
	wantStatus(t, ask(s, "GET", "/offer/"+id+"/candidates", nil), http.StatusNotFound)
	for _, unknown := range []string{"", "nobody"} {
		wantStatus(t, ask(s, "PATCH", "/wait", object{"pc_id": unknown, "candidates": []object{}}), http.StatusNotFound)
		wantStatus(t, ask(s, "PATCH", "/wait", object{"pc_id": unknown, "type": "offer", "sdp": offer["sdp"]}), http.StatusNotFound)
	}
	if s.Calls() != 1 {
		t.Fatalf("%d calls", s.Calls())
	}
	// A client whose call has ended makes another one by what it knows of the first.
	offer["pc_id"] = "ENDED"
	w = ask(s, "POST", "/wait", offer)
	wantStatus(t, w, http.StatusOK)
	if got := said(t, w, "pc_id"); got == "ENDED" || got == id || s.Calls() != 2 {
		t.Errorf("pc_id %s, %d calls", got, s.Calls())
	}
}

// The Location is below the path that was asked for, wherever the server is
// mounted.
func TestLocation(t *testing.T) {
	s, _ := start(t, &server.Config{})
	mux := http.NewServeMux()
	mux.Handle("/voice/", http.StripPrefix("/voice", s))
	w := ask(mux, "POST", "/voice/wait?room=1", object{"type": "offer", "sdp": chromium(t)})
	wantStatus(t, w, http.StatusOK)
	location := w.Header().Get("Location")
	if location != "/voice/wait/"+said(t, w, "pc_id") {
		t.Errorf("Location %q", location)
	}
	wantStatus(t, ask(mux, "DELETE", location, nil), http.StatusNoContent)
}

// A poll that waits gives way to a newer one and to the end of its call.
func TestPolls(t *testing.T) {
	s, _ := start(t, &server.Config{})
	w := ask(s, "POST", "/wait", object{"type": "offer", "sdp": chromium(t)})
	wantStatus(t, w, http.StatusOK)
	location := w.Header().Get("Location")
	var all struct{ Next int }
	for deadline := time.Now().Add(patience); all.Next == 0 || !strings.Contains(w.Body.String(), `"candidate":""`); {
		if w = ask(s, "GET", location+"/candidates", nil); w.Code != http.StatusOK || time.Now().After(deadline) {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
	}
	answers := make(chan *httptest.ResponseRecorder, 3)
	poll := func() { answers <- ask(s, "GET", fmt.Sprintf("%s/candidates?since=%d", location, all.Next), nil) }
	var polls sync.WaitGroup
	defer polls.Wait()
	for range 3 {
		polls.Go(poll)
	}
	for range 2 {
		if w := <-answers; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"candidates":[],"next":`+fmt.Sprint(all.Next)) {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	}
	select {
	case w := <-answers:
		t.Errorf("the newest poll ended: status %d, %s", w.Code, w.Body)
	case <-time.After(50 * time.Millisecond):
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if w := <-answers; w.Code != http.StatusNotFound {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}
