package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// maxAnswer bounds what a server may answer.
const maxAnswer = 256 << 10

// A Resource is what a server that speaks WHIP or WHEP keeps for one call of this
// program:
//
//	whip := peer.WHIP("https://example.com/whip", token, nil)
//	p, err := endpoint.Dial(ctx, whip.Exchange, &peer.CallConfig{Videos: 1})
//	…
//	whip.Delete(ctx)
//
// Two calls at a time with one server need an endpoint with a range of ports (see
// [Config]): from one port to one port, packets of both would look the same.
// Its methods may be used from any goroutine.
type Resource struct {
	url, token string
	client     *http.Client
	name, way  string

	mu       sync.Mutex
	location *url.URL // nil: there is none
}

// WHIP returns what publishes to a server at url (RFC 9725): what the call writes
// is heard and seen there, and nothing comes back. The token is shown with each
// request, unless it is "". A nil client is [http.DefaultClient].
func WHIP(url, token string, client *http.Client) *Resource {
	return newResource("WHIP", url, token, "sendonly", client)
}

// WHEP returns what plays from a server at url (draft-ietf-wish-whep): what is
// published there is read from the call. It is used as that of [WHIP] is.
func WHEP(url, token string, client *http.Client) *Resource {
	return newResource("WHEP", url, token, "recvonly", client)
}

func newResource(name, url, token, way string, client *http.Client) *Resource {
	if client == nil {
		client = http.DefaultClient
	}
	return &Resource{url: url, token: token, client: secure(client), name: name, way: way}
}

// secure returns the client as one that follows no redirection from https to http,
// with which it would show the token.
func secure(client *http.Client) *http.Client {
	c := *client
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case r.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
			return errDowngraded
		case client.CheckRedirect != nil:
			return client.CheckRedirect(r, via)
		case len(via) >= 10: // as net/http has it
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
	return &c
}

// A StatusError is what a server said that did not do as asked.
type StatusError struct {
	Code   int    // 401: the token is not good; 409: nothing to play yet; 503: try again later
	Detail string // the beginning of what it wrote; may be empty
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("status %d %s", e.Code, http.StatusText(e.Code))
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

var (
	errNoAnswer   = errors.New("peer: the server sent no session description")
	errDowngraded = errors.New("peer: the server leads from https to http")
)

// Exchange is the [Exchange] for one call. The error may wrap a [*StatusError].
func (r *Resource) Exchange(ctx context.Context, offer string) (answer string, err error) {
	response, err := r.do(ctx, http.MethodPost, r.url, oneWay(offer, r.way))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	// Without a Location there is nothing to delete, but the call works.
	location, err := response.Location()
	if err == nil && location.Scheme == "http" && response.Request.URL.Scheme == "https" {
		return "", errDowngraded
	}
	r.mu.Lock()
	r.location = location
	r.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return "", fmt.Errorf("peer: %s: %w", r.name, err)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != "application/sdp" || len(body) > maxAnswer {
		return "", errNoAnswer
	}
	return string(body), nil
}

// oneWay returns the offer with media going that way only, as servers expect it
// and would answer anyway (RFC 9725, section 4.2).
func oneWay(offer, way string) string {
	var b strings.Builder
	media := false
	for line := range strings.Lines(offer) {
		if kind, ok := strings.CutPrefix(line, "m="); ok {
			media = !strings.HasPrefix(kind, "application ")
		}
		if media && strings.TrimRight(line, "\r\n") == "a=sendrecv" {
			line = "a=" + way + "\r\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// Delete tells the server that the call is over, which it would notice by itself
// only after some time if the network is gone, or if [Endpoint.Dial] failed after the
// server had answered. It does nothing if there is no call at the server, as when it
// has ended the call.
func (r *Resource) Delete(ctx context.Context) error {
	r.mu.Lock()
	location := r.location
	r.location = nil
	r.mu.Unlock()
	if location == nil {
		return nil
	}
	response, err := r.do(ctx, http.MethodDelete, location.String(), "")
	if status, ok := errors.AsType[*StatusError](err); ok && (status.Code == http.StatusNotFound || status.Code == http.StatusGone) {
		return nil
	}
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// do makes a request and returns a response that says yes.
func (r *Resource) do(ctx context.Context, method, url, body string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("peer: %s: %w", r.name, err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/sdp")
		request.Header.Set("Accept", "application/sdp")
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("peer: %s: %w", r.name, err)
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	detail, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	status := &StatusError{Code: response.StatusCode, Detail: strings.TrimSpace(strings.ToValidUTF8(string(detail), ""))}
	return nil, fmt.Errorf("peer: %s: %w", r.name, status)
}
