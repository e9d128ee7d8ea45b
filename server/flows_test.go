package server_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/server"
)

// A client that knows its call by pc_id, as voice agents have it: what it tells
// with the offer reaches the application, its addresses go by PATCH with the id,
// the next offer with the same id is about the same call, and restart_pc makes
// another one in its place.
func TestClientOfAgents(t *testing.T) {
	s, j := start(t, &server.Config{})
	var told []string
	s.HandleOffer("/api/offer", func(o *server.Offer) (parley.Handler, error) {
		var data struct{ User string }
		if raw := o.Members["request_data"]; raw != nil {
			if err := json.Unmarshal(raw, &data); err != nil {
				return nil, err
			}
		}
		told = append(told, data.User)
		return echo.Handler{}, nil
	})
	c, offer, found := newTrickler(t)
	w := ask(s, "POST", "/api/offer", object{"sdp": offer, "type": "offer", "pc_id": nil, "restart_pc": false, "request_data": object{"user": "ada"}})
	wantStatus(t, w, http.StatusOK)
	id := said(t, w, "pc_id")
	c.accept(t, candidateLines.ReplaceAllString(said(t, w, "sdp"), ""))
	var candidates []object
	for candidate := range found {
		if candidate == nil {
			break
		}
		candidates = append(candidates, object{"candidate": candidate.Candidate, "sdp_mid": *candidate.SDPMid, "sdp_mline_index": *candidate.SDPMLineIndex})
	}
	for _, list := range [][]object{candidates, {}} {
		w := ask(s, "PATCH", "/api/offer", object{"pc_id": id, "candidates": list})
		wantStatus(t, w, http.StatusOK)
		if said(t, w, "status") != "success" {
			t.Errorf("body %s", w.Body)
		}
	}
	c.wait(t, patience)
	c.chat(t)
	w, _ = c.renegotiate(t, nil, func(offer string) *httptest.ResponseRecorder {
		return ask(s, "POST", "/api/offer", object{"sdp": offer, "type": "offer", "pc_id": id})
	})
	if got := said(t, w, "pc_id"); got != id || s.Calls() != 1 {
		t.Errorf("pc_id %s, want %s; %d calls", got, id, s.Calls())
	}
	c.chatOn(t)

	again, offer, _ := newTrickler(t)
	w = ask(s, "POST", "/api/offer", object{"sdp": offer, "type": "offer", "pc_id": id, "restart_pc": true, "request_data": object{"user": "ada again"}})
	wantStatus(t, w, http.StatusOK)
	if got := said(t, w, "pc_id"); got == id || s.Calls() != 1 {
		t.Errorf("pc_id %s as before, %d calls", got, s.Calls())
	}
	again.accept(t, said(t, w, "sdp"))
	again.wait(t, patience)
	again.chat(t)
	if !slices.Equal(told, []string{"ada", "ada again"}) {
		t.Errorf("the application was told %q", told)
	}
	wantStatus(t, ask(s, "PATCH", "/api/offer", object{"pc_id": id, "candidates": []object{}}), http.StatusNotFound)
	wantStatus(t, ask(s, "DELETE", "/api/offer/"+said(t, w, "pc_id"), nil), http.StatusNoContent)
	wantStatus(t, ask(s, "DELETE", "/api/offer/"+said(t, w, "pc_id"), nil), http.StatusNotFound)
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if ends := j.take(); ends[string(parley.Bye)] != 2 {
		t.Errorf("ends %v, want two %s", ends, parley.Bye)
	}
}

// Descriptions that mean harm are refused in words, and nothing is left of them.
func TestHostileDescriptions(t *testing.T) {
	s, j := start(t, &server.Config{Deadlines: parley.Deadlines{Connect: 500 * time.Millisecond}})
	whole := chromium(t)
	session, media, _ := strings.Cut(whole, "m=")
	media = "m=" + media
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 20<<10)
	for i := range noise {
		noise[i] = byte(random.IntN(256))
	}
	for name, offer := range map[string]string{
		"noise":                       string(noise),
		"zeros":                       strings.Repeat("\x00", 10000),
		"one long line":               "v=0\r\ns=" + strings.Repeat("x", 200<<10),
		"session alone":               session,
		"media alone":                 media,
		"40 sections":                 session + strings.Repeat(media, 40),
		"same section twice":          whole + media,
		"no fingerprint":              dropLines(whole, "a=fingerprint"),
		"fingerprint of nothing":      replaceLines(whole, "a=fingerprint", "a=fingerprint:sha-256 00"),
		"unknown hash":                replaceLines(whole, "a=fingerprint", "a=fingerprint:md2 00:11"),
		"no credentials":              dropLines(dropLines(whole, "a=ice-ufrag"), "a=ice-pwd"),
		"no setup":                    dropLines(whole, "a=setup"),
		"no role that there is":       replaceLines(whole, "a=setup", "a=setup:holdconn"),
		"payload type 500":            strings.ReplaceAll(whole, "111", "500"),
		"clock rate 0":                strings.ReplaceAll(whole, "opus/48000/2", "opus/0/2"),
		"channels without end":        strings.ReplaceAll(whole, "opus/48000/2", "opus/48000/99999999999999"),
		"10000 formats":               strings.Replace(whole, "m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 UDP/TLS/RTP/SAVPF"+strings.Repeat(" 111", 10000), 1),
		"mid of 100 kB":               replaceLines(whole, "a=mid", "a=mid:"+strings.Repeat("m", 100<<10)),
		"extension ids out of range":  replaceLines(whole, "a=extmap", "a=extmap:99999 urn:x"),
		"a thousand candidates":       whole + strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", 1000),
		"candidates at this end":      whole + strings.Repeat("a=candidate:1 1 udp 1 127.0.0.1 1 typ host\r\n", 100),
		"group of nobody":             replaceLines(whole, "a=group", "a=group:BUNDLE x y z"),
		"version of the year 9999999": strings.Replace(whole, "o=- ", "o=- 99999999999999999999999 ", 1),
	} {
		w := ask(s, "POST", "/wait", object{"type": "offer", "sdp": offer, "trickle": true})
		switch {
		case w.Code == http.StatusOK: // it was not as bad as it looked
		case w.Code == http.StatusServiceUnavailable && strings.Contains(w.Body.String(), "not connected within"): // on a busy machine
		case w.Code/100 != 4 || len(said(t, w, "error")) < 10 || w.Body.Len() > 1000:
			t.Errorf("%s: status %d: %.300s", name, w.Code, w.Body)
		}
		t.Logf("%s: %d %.150s", name, w.Code, strings.TrimSpace(w.Body.String()))
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if reasons, all := j.sum(); reasons != all {
		t.Errorf("%d ends, %d with a reason", all, reasons)
	}
}

func dropLines(sdp, prefix string) string {
	var kept strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, prefix) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func replaceLines(sdp, prefix, with string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		if strings.HasPrefix(line, prefix) {
			line = with + "\r\n"
		}
		b.WriteString(line)
	}
	return b.String()
}
