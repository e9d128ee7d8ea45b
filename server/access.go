package server

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ErrForbidden is for Authorize of [Config], when it is known who asks, but they
// may not.
var ErrForbidden = errors.New("not allowed")

// BearerToken returns the token that a request shows in its Authorization header
// (RFC 6750, section 2.1), or "". For a WebSocket, for which browsers set no
// header, it may be the parameter access_token of the address (section 2.3).
// Whoever compares it with a secret does so with subtle.ConstantTimeCompare.
func BearerToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimSpace(token)
	case r.Header.Get("Authorization") == "" && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return r.URL.Query().Get("access_token")
	}
	return ""
}

// methods are the handlers of one resource by method.
type methods map[string]http.HandlerFunc

// ServeHTTP calls the handler of the method. OPTIONS asks which there are, and is
// answered to everybody: browsers do so before they show a token.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if serve, ok := m[r.Method]; ok {
		serve(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(m)), ", ")+", "+http.MethodOptions)
	if r.Method != http.MethodOptions {
		refuse(http.StatusMethodNotAllowed, "%s is not for %s", r.Method, r.URL.Path).write(w)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// resource mounts what is about calls. accepts is the media type that its POST or
// PATCH takes.
func (s *Server) resource(pattern, accepts string, m methods) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if _, ok := m[http.MethodPost]; ok {
			w.Header().Set("Accept-Post", accepts)
		}
		if _, ok := m[http.MethodPatch]; ok {
			w.Header().Set("Accept-Patch", accepts)
		}
		if _, ok := m[r.Method]; ok {
			if no := s.authorize(r); no != nil {
				if r.Method == http.MethodPost {
					s.metrics.refuse(no)
				}
				no.write(w)
				return
			}
		}
		m.ServeHTTP(w, r)
	})
}

func (s *Server) authorize(r *http.Request) *refusal {
	if s.config.Authorize == nil {
		return nil
	}
	err := s.config.Authorize(r)
	if err == nil {
		return nil
	}
	s.config.Logger.Info("request refused", "error", err, "from", r.RemoteAddr, "path", r.URL.Path)
	no := refuse(http.StatusUnauthorized, "not authorized: %v", err)
	switch {
	case errors.Is(err, ErrForbidden):
		no.status, no.challenge = http.StatusForbidden, `Bearer error="insufficient_scope"`
	case r.Header.Get("Authorization") == "":
		no.challenge = "Bearer"
	default:
		no.challenge = `Bearer error="invalid_token"`
	}
	return no
}

// guard refuses what pages of other sites than those given ask for, and tells
// browsers which ones may (CORS). For requests that it lets through because they
// should change nothing, foreign tells whether they come from such a page.
func guard(next http.Handler, allowed []string) (guarded http.Handler, foreign func(*http.Request) bool, err error) {
	protection := http.NewCrossOriginProtection()
	anyone := slices.Contains(allowed, "*")
	protected := next
	foreign = func(*http.Request) bool { return false }
	if !anyone {
		for _, o := range allowed {
			if err := protection.AddTrustedOrigin(o); err != nil {
				return nil, nil, fmt.Errorf("server: origin %q: %w", o, err)
			}
		}
		foreign = func(r *http.Request) bool {
			unsafe := *r
			unsafe.Method = http.MethodPost
			return protection.Check(&unsafe) != nil || rebound(r) && !slices.Contains(allowed, r.Header.Get("Origin"))
		}
		protected = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
			if !safe && foreign(r) {
				refuse(http.StatusForbidden, "the request comes from a page of another site").write(w)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, origin := w.Header(), r.Header.Get("Origin")
		if len(allowed) > 0 {
			h.Add("Vary", "Origin")
		}
		if origin != "" && (anyone || slices.Contains(allowed, origin)) {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "Accept-Patch, Accept-Post, ETag, Link, Location, Retry-After")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", "DELETE, GET, PATCH, POST")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
				h.Set("Access-Control-Max-Age", "600")
			}
		}
		protected.ServeHTTP(w, r)
	}), foreign, nil
}

// rebound reports whether a request to the loopback interface may be of a page of another
// site whose name has come to lead there (DNS rebinding), so that Origin and Host agree.
// A page over TLS has shown a certificate for its name, to a proxy if not here.
func rebound(r *http.Request) bool {
	to, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !to.IP.IsLoopback() {
		return false
	}
	page, err := url.Parse(r.Header.Get("Origin"))
	if err != nil || page.Scheme != "http" {
		return false
	}
	name := page.Hostname()
	_, err = netip.ParseAddr(name)
	return err != nil && name != "localhost" && !strings.HasSuffix(name, ".localhost")
}
