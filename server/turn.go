package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/parley-media/parley/peer"
)

// TURNCredentials is for ICEServers of [Config]: it gives each client a name and a
// password for relays, good for ttl, of which 0 is an hour. The relays know them by
// the secret that they share with this server (draft-uberti-behave-turn-rest-00,
// section 2.2; "use-auth-secret" and "static-auth-secret" of coturn). The urls are
// as those of [peer.Server]; "stun:" ones need no password and get none.
func TURNCredentials(secret string, ttl time.Duration, urls ...string) func(*http.Request) []peer.Server {
	if ttl == 0 {
		ttl = time.Hour
	}
	return func(*http.Request) []peer.Server {
		return turnServers(secret, time.Now().Add(ttl), rand.Text()[:8], urls)
	}
}

// turnServers returns the servers with what a user shows them until a time.
func turnServers(secret string, until time.Time, user string, urls []string) (servers []peer.Server) {
	var relays []string
	for _, url := range urls {
		if scheme, _, _ := strings.Cut(url, ":"); scheme == "stun" || scheme == "stuns" {
			servers = append(servers, peer.Server{URLs: []string{url}})
		} else {
			relays = append(relays, url)
		}
	}
	if relays == nil {
		return servers
	}
	name := fmt.Sprintf("%d:%s", until.Unix(), user)
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(name))
	return append(servers, peer.Server{URLs: relays, Username: name, Password: base64.StdEncoding.EncodeToString(mac.Sum(nil))})
}

// An iceServer is one as browsers take it (RTCIceServer of W3C webrtc-pc).
type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// iceServers answers with what a page gives to its RTCPeerConnection as it is.
func (s *Server) iceServers(w http.ResponseWriter, r *http.Request) {
	servers := []iceServer{}
	if s.config.ICEServers != nil {
		for _, server := range s.config.ICEServers(r) {
			servers = append(servers, iceServer{server.URLs, server.Username, server.Password})
		}
	}
	writeJSON(w, http.StatusOK, map[string][]iceServer{"iceServers": servers})
}
