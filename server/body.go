package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxBody bounds what a request may bring.
const maxBody = 256 << 10

// A refusal is why a request is not served, and how that is said.
type refusal struct {
	status    int
	message   string
	retry     string // seconds after which it may be otherwise; "": nobody knows
	challenge string // how the client may show who it is
}

// refuse returns a refusal in words. They may quote the client, so that there is
// a limit to them.
func refuse(status int, format string, args ...any) *refusal {
	const most = 400
	message := fmt.Sprintf(format, args...)
	if len(message) > most {
		message = message[:most] + "…"
	}
	return &refusal{status: status, message: strings.ToValidUTF8(message, "?")}
}

func (no *refusal) write(w http.ResponseWriter) {
	if no.retry != "" {
		w.Header().Set("Retry-After", no.retry)
	}
	if no.challenge != "" {
		w.Header().Set("WWW-Authenticate", no.challenge)
	}
	writeJSON(w, no.status, map[string]string{"error": no.message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the browser may be gone
}

// readBody reads the body of a request, which has to come without delay: see ServeHTTP.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil { // or else what is left would be waited for once more
		http.NewResponseController(w).SetReadDeadline(time.Time{}) //nolint:errcheck // see ServeHTTP
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the request is larger than %d kB", maxBody>>10)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, refuse(http.StatusRequestTimeout, "the request did not arrive within %v", s.patience)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the request did not arrive whole")
	}
	return body, nil
}

// readText reads a body of the media type wanted.
func (s *Server) readText(w http.ResponseWriter, r *http.Request, wanted string) (string, *refusal) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != wanted {
		return "", refuse(http.StatusUnsupportedMediaType, "the request has to be %s", wanted)
	}
	body, no := s.readBody(w, r)
	return string(body), no
}

// parseJSON reads a body into v.
func parseJSON(body []byte, v any) *refusal {
	if err := json.Unmarshal(body, v); err != nil {
		return refuse(http.StatusBadRequest, "the request is not JSON as expected: %v", err)
	}
	return nil
}
