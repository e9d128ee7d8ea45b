package server

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/parley-media/parley"
)

// An Offer is the request for a call, as the function of [Server.HandleOffer] sees
// it.
type Offer struct {
	*http.Request // its body has been read
	SDP           string

	// Members are those of the body, a JSON object, by name: what [Server.Handle]
	// knows and what else the client has to say.
	Members map[string]json.RawMessage

	whole bool // all of its media or nothing
}

// Text returns the member of the body with that name if it is a text, or the
// parameter of the address (…?name=text), or "".
func (o *Offer) Text(name string) string {
	var text string
	if raw, ok := o.Members[name]; ok && json.Unmarshal(raw, &text) == nil {
		return text
	}
	return o.URL.Query().Get(name)
}

// A chooser returns the application for an offer.
type chooser func(*Offer) (parley.Handler, error)

func always(h parley.Handler) chooser {
	return func(*Offer) (parley.Handler, error) { return h, nil }
}

// HandleOffer is [Server.Handle] for applications that are chosen by what the
// client asks for: by the path, which may have wildcards as those of [http.ServeMux]
// ({id} is taken), by parameters of the address, or by other members of the body.
//
//	s.HandleOffer("/offer", func(o *server.Offer) (parley.Handler, error) {
//		switch effect := o.Text("video_transform"); effect {
//		case "", "none":
//			return echo.Handler{}, nil
//		default:
//			return nil, fmt.Errorf("there is no effect %q", effect)
//		}
//	})
//
// choose is called for each new call, from any goroutine, before anything has been
// done for it; the handler that it returns is not used if there is no call after
// all. Its error is told to the client: with status 403 if it wraps [ErrForbidden],
// 404 if it wraps [fs.ErrNotExist], else 400.
func (s *Server) HandleOffer(path string, choose func(*Offer) (parley.Handler, error)) {
	s.handle(path, choose)
}

// chosen returns the application for an offer.
func (o *Offer) chosen(choose chooser) (parley.Handler, *refusal) {
	h, err := choose(o)
	switch {
	case errors.Is(err, ErrForbidden):
		return nil, refuse(http.StatusForbidden, "%v", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse(http.StatusNotFound, "%v", err)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "%v", err)
	case h == nil:
		return nil, refuse(http.StatusNotFound, "there is no such application")
	}
	return h, nil
}

// An App is an application as the page offers it to people.
type App struct {
	Path  string   `json:"path"` // where its offers go; an address relative to that of the page
	Name  string   `json:"name"` // a word or two
	About string   `json:"about"`
	Media []string `json:"media"` // of "audio", "video" and "data", what it makes use of

	Lines      int      `json:"lines,omitempty"`      // pictures that it sends at a time; 0: one
	OneWay     bool     `json:"oneway,omitempty"`     // it hears and sees nothing
	Options    []Option `json:"options,omitempty"`    // what people can choose
	Messages   []string `json:"messages,omitempty"`   // texts that it understands on a data channel
	Recordings string   `json:"recordings,omitempty"` // below it a recording has the name that is "recording" in the offer
}

// An Option is a field on the page; [Offer.Text] returns what was chosen.
type Option struct {
	Name   string   `json:"name"`
	Label  string   `json:"label"`
	Values []string `json:"values,omitempty"` // nil: any text
}

// Describe adds an application to the list that is found at "/apps", in JSON, in
// the order of the calls. It does not make one: see [Server.Handle]. It must be
// called before the server is used.
func (s *Server) Describe(a App) {
	a.Path = strings.TrimPrefix(a.Path, "/")
	if a.Media == nil {
		a.Media = []string{}
	}
	s.apps = append(s.apps, a)
}
