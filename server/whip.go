package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-media/parley"
)

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"

	// gatherAll is how long an answer waits for the addresses of this end, since
	// there is no way to tell one later (RFC 9725, section 4.3.1).
	gatherAll = 5 * time.Second
)

// HandleWHIP makes h the application for what encoders publish to path, as
// "/whip", by WHIP (RFC 9725): each of its calls can be heard and seen, and
// nothing goes back. An offer of something that cannot be taken is refused as a whole
// (422), as one of AV1. It must be called before the server is used.
func (s *Server) HandleWHIP(path string, h parley.Handler) { s.handleOneWay(path, "sendonly", h) }

// HandleWHEP makes h the application for players at path, as "/whep", that speak
// WHEP (draft-ietf-wish-whep): what h writes to its call is played, and nothing
// is heard of the far end. Offers of this end (406) are not made. It must be
// called before the server is used.
func (s *Server) HandleWHEP(path string, h parley.Handler) { s.handleOneWay(path, "recvonly", h) }

// handleOneWay serves clients whose media goes one way, as seen from them.
func (s *Server) handleOneWay(path, way string, h parley.Handler) {
	s.resource(path, typeSDP, methods{
		http.MethodPost: func(w http.ResponseWriter, r *http.Request) { s.publish(w, r, path, way, h) },
	})
	s.resource(strings.TrimSuffix(path, "/")+"/{id}", typeFragment, methods{
		http.MethodPatch:  func(w http.ResponseWriter, r *http.Request) { s.trickle(w, r, path) },
		http.MethodDelete: func(w http.ResponseWriter, r *http.Request) { s.end(w, r, path, http.StatusOK) },
	})
	s.resource(strings.TrimSuffix(path, "/")+"/{id}/stats", "", methods{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request) { s.stats(w, r, path) },
	})
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request, path, way string, h parley.Handler) {
	offer, no := s.readText(w, r, typeSDP)
	if no == nil {
		var err error
		switch offer, err = oneWay(offer, way); {
		case errors.Is(err, errDirection):
			no = refuse(http.StatusUnprocessableEntity, "%v", err)
		case err != nil:
			no = refuse(http.StatusBadRequest, "not a session description: %v", err)
		}
	}
	if no != nil {
		s.refused(r, no)
		no.write(w)
		return
	}
	c, answer, no := s.begin(&Offer{Request: r, SDP: offer, whole: true}, path, gatherAll, always(h))
	if no != nil {
		no.write(w)
		return
	}
	tag := c.fragments.begin(offer)
	header := w.Header()
	header.Set("Content-Type", typeSDP)
	header.Set("Location", c.location(r, ""))
	header.Set("ETag", tag)
	s.link(header, r)
	w.WriteHeader(http.StatusCreated)
	w.Write([]byte(answer)) //nolint:errcheck // the client may be gone
	c.wanted(r)
}

// link tells a client of servers that help it to reach this one (RFC 9725,
// section 4.6).
func (s *Server) link(header http.Header, r *http.Request) {
	if s.config.ICEServers == nil {
		return
	}
	for _, server := range s.config.ICEServers(r) {
		for _, url := range server.URLs {
			value := fmt.Sprintf(`<%s>; rel="ice-server"`, url)
			if server.Username != "" {
				value += fmt.Sprintf(`; username=%s; credential=%s; credential-type="password"`, quoted(server.Username), quoted(server.Password))
			}
			header.Add("Link", value)
		}
	}
}

// quoted returns s as a quoted-string (RFC 9110, section 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// trickle takes candidates or an ICE restart (RFC 9725, section 4.3).
func (s *Server) trickle(w http.ResponseWriter, r *http.Request, path string) {
	c, no := s.known(r.PathValue("id"), path)
	if no != nil {
		no.write(w)
		return
	}
	body, no := s.readText(w, r, typeFragment)
	if no != nil {
		no.write(w)
		return
	}
	f, err := parseFragment(body)
	if err != nil {
		refuse(http.StatusBadRequest, "%v", err).write(w)
		return
	}
	answer, tag, no := c.patch(r, &f)
	switch {
	case no != nil:
		no.write(w)
	case answer == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", typeFragment)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.Header().Set("ETag", tag)
		w.WriteHeader(http.StatusOK)
		w.Write([]byte(answer)) //nolint:errcheck // the client may be gone
	}
}

// patch applies a fragment. The answer is empty unless f restarts ICE; tag is
// that of the ICE session from then on.
func (c *session) patch(r *http.Request, f *fragment) (answer, tag string, no *refusal) {
	s := &c.fragments
	s.mu.Lock() // restarts come one after the other
	defer s.mu.Unlock()
	wanted := strings.Join(r.Header.Values("If-Match"), ",")
	switch {
	case wanted == "":
		return "", "", refuse(http.StatusPreconditionRequired, "If-Match is missing")
	case !matches(wanted, s.tag):
		return "", "", refuse(http.StatusPreconditionFailed, "another ICE session than that of If-Match")
	case !s.restarts(f):
		return "", "", c.hear(f.candidates)
	}
	offer, err := s.restarted(f)
	if err != nil {
		return "", "", refuse(http.StatusBadRequest, "%v", err)
	}
	if _, no = usable(f.candidates); no != nil {
		return "", "", no
	}
	whole, no := c.answer(r.Context(), offer)
	if no != nil {
		return "", "", no
	}
	s.tag, s.offer = newTag(), offer
	if answer, err = excerpt(whole); err != nil {
		return "", "", refuse(http.StatusInternalServerError, "%v", err)
	}
	return answer, s.tag, c.hear(f.candidates)
}

// begin takes the first offer and returns the tag of its ICE session.
func (s *fragments) begin(offer string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tag, s.offer = newTag(), offer
	return s.tag
}

// newTag returns a strong entity tag (RFC 9110, section 8.8.3).
func newTag() string { return `"` + rand.Text()[:12] + `"` }

// matches reports whether If-Match has the tag, or "*", which RFC 9725 writes
// with quotes too.
func matches(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		switch strings.TrimSpace(t) {
		case tag, `*`, `"*"`:
			return true
		}
	}
	return false
}
