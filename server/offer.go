package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/parley-media/parley"
)

// Handle makes h the application for offers that are posted to path, as
// "/offer". It must be called before the server is used.
//
// The answer has a Location. What is asked there is about that call, and of no
// effect on others:
//
//   - PATCH with a candidate as browsers write it, or a list of them, takes
//     addresses of the browser (204). null, or one that is empty, says that there
//     are no more.
//   - PATCH with {"sdp": …, "type": "offer"} is another offer, as for one more
//     video or an ICE restart, and is answered as the first one. With "answer" it
//     is the answer to an offer of this end (204), which a WebSocket has brought, or
//     the next:
//   - GET of Location/offer waits for an offer of this end, as when h adds a line (see
//     [parley.Call.AddAudio]), and returns {"type": "offer", "sdp": …}; or nothing (204),
//     and then it can be asked again. The same one comes until it has its answer. While
//     the call has a WebSocket, which brings offers, it is refused (409).
//   - GET of Location/candidates?since=0 waits for addresses of this end and
//     returns {"candidates": […], "next": n}; n is the next "since". It may come
//     back with none.
//   - GET of Location/stats tells how the call does, by the names of the getStats
//     of browsers.
//   - DELETE ends the call (204).
//
// An answer has the addresses of this end, so that it need not ask for them,
// unless the offer has "trickle": true, which gets its answer at once.
//
// Clients that know the call by its "pc_id" may post their next offer with it to
// path, with "restart_pc": true to end that call and make another, and PATCH path
// with {"pc_id": …, "candidates": […]}. For signalling over a WebSocket see the
// documentation of the package.
func (s *Server) Handle(path string, h parley.Handler) { s.handle(path, always(h)) }

func (s *Server) handle(path string, choose chooser) {
	const accepts = "application/json"
	s.resource(path, accepts, methods{
		http.MethodPost:  func(w http.ResponseWriter, r *http.Request) { s.offer(w, r, path, choose) },
		http.MethodPatch: func(w http.ResponseWriter, r *http.Request) { s.change(w, r, path) },
	})
	below := strings.TrimSuffix(path, "/") + "/{id}"
	s.resource(below, accepts, methods{
		http.MethodPatch:  func(w http.ResponseWriter, r *http.Request) { s.change(w, r, path) },
		http.MethodDelete: func(w http.ResponseWriter, r *http.Request) { s.end(w, r, path, http.StatusNoContent) },
	})
	s.resource(below+"/candidates", accepts, methods{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request) { s.candidates(w, r, path) },
	})
	s.resource(below+"/offer", "", methods{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request) { s.nextOfferOf(w, r, path) },
	})
	s.resource(below+"/stats", "", methods{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request) { s.stats(w, r, path) },
	})
	s.resource(strings.TrimSuffix(path, "/")+"/ws", "", methods{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request) { s.socketCall(w, r, path, choose) },
	})
	s.resource(below+"/ws", "", methods{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request) { s.socketOf(w, r, path) },
	})
}

// description is a session description as browsers write it, and what clients
// add to it.
type description struct {
	SDP     string `json:"sdp"`
	Type    string `json:"type"`
	ID      string `json:"pc_id"`
	Restart bool   `json:"restart_pc,omitempty"`
	Trickle bool   `json:"trickle,omitempty"`
}

// parseOffer reads the body of a POST.
func parseOffer(body []byte) (d description, members map[string]json.RawMessage, no *refusal) {
	if no = parseJSON(body, &d); no == nil && (d.Type != "offer" || d.SDP == "") {
		no = refuse(http.StatusBadRequest, `the request has to be {"sdp": "…", "type": "offer"}`)
	}
	if no == nil {
		no = parseJSON(body, &members)
	}
	return d, members, no
}

func (s *Server) offer(w http.ResponseWriter, r *http.Request, path string, choose chooser) {
	var offer description
	var members map[string]json.RawMessage
	body, no := s.readBody(w, r)
	if no == nil {
		offer, members, no = parseOffer(body)
	}
	if no == nil && s.find(offer.ID, path) != nil {
		if !offer.Restart {
			s.again(w, r, path, &offer)
			return
		}
		no = s.replace(r.Context(), offer.ID, path)
	}
	if no != nil {
		s.refused(r, no)
		no.write(w)
		return
	}
	var gather time.Duration
	if offer.Trickle {
		gather = -1
	}
	c, answer, no := s.begin(&Offer{Request: r, SDP: offer.SDP, Members: members}, path, gather, choose)
	if no != nil {
		no.write(w)
		return
	}
	w.Header().Set("Location", c.location(r, ""))
	writeJSON(w, http.StatusOK, description{SDP: answer, Type: "answer", ID: c.id})
	c.wanted(r)
}

// replace ends a call and waits until its place is free.
func (s *Server) replace(ctx context.Context, id, path string) *refusal {
	c, no := s.known(id, path)
	if no != nil {
		return no
	}
	c.hangUp()
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	select {
	case <-c.released:
		return nil
	case <-ctx.Done():
		return refuse(http.StatusServiceUnavailable, "the call before takes long to end")
	}
}

// again answers another offer in a call that goes on.
func (s *Server) again(w http.ResponseWriter, r *http.Request, path string, offer *description) {
	c, no := s.known(offer.ID, path)
	var answer string
	if no == nil {
		answer, no = c.answer(r.Context(), offer.SDP)
	}
	if no != nil {
		no.write(w)
		return
	}
	writeJSON(w, http.StatusOK, description{SDP: answer, Type: "answer", ID: c.id})
}

// change takes candidates or another offer for a call, which the path or the body
// names.
func (s *Server) change(w http.ResponseWriter, r *http.Request, path string) {
	body, no := s.readBody(w, r)
	var p patch
	if no == nil {
		p, no = parsePatch(body)
	}
	if no != nil {
		no.write(w)
		return
	}
	named := r.PathValue("id")
	if named != "" {
		p.ID = named
	}
	if p.Type == "offer" {
		s.again(w, r, path, &p.description)
		return
	}
	c, no := s.known(p.ID, path)
	switch {
	case no != nil:
	case p.Type == "answer":
		no = c.accept(r.Context(), p.SDP)
	default:
		no = c.hear(p.candidates)
	}
	switch {
	case no != nil:
		no.write(w)
	case named != "":
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, http.StatusOK, map[string]string{"status": "success"})
	}
}

// end hangs up.
func (s *Server) end(w http.ResponseWriter, r *http.Request, path string, status int) {
	c := s.find(r.PathValue("id"), path)
	if c == nil {
		noCall().write(w)
		return
	}
	c.hangUp()
	w.WriteHeader(status)
}
