package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

const (
	pingTime       = 15 * time.Second
	socketPatience = 10 * time.Second
	closePatience  = time.Second // for the client to close too

	spareSockets = 100 // that have no call yet, or any more
)

// A socket is a WebSocket over which a client and this end tell each other about
// one call.
type socket struct {
	server *Server
	conn   *websocket.Conn
	newer  chan struct{} // closed when another one takes its place
	done   chan struct{} // closed when it says no more

	order sync.Mutex // so that addresses of a new ICE session come after its description
}

// The messages of this end. That of an address has the members that browsers look
// for.
type (
	described struct {
		Type     string `json:"type"`
		SDP      string `json:"sdp"`
		ID       string `json:"pc_id,omitempty"`
		Location string `json:"location,omitempty"`
	}
	addressed struct {
		Type string `json:"type"`
		peer.Candidate
	}
	refused struct {
		Type   string `json:"type"`
		Status int    `json:"status"`
		Error  string `json:"error"`
	}
	farewell struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	}
)

// isBye reports whether a message is the end of the call.
func isBye(message []byte) bool {
	var m struct{ Type string }
	return bytes.Contains(message, []byte(`bye`)) && json.Unmarshal(message, &m) == nil && m.Type == "bye"
}

// open makes a socket of a request. A nil one was refused.
func (s *Server) open(w http.ResponseWriter, r *http.Request) *socket {
	if s.foreign(r) { // a GET that changes something
		refuse(http.StatusForbidden, "the request comes from a page of another site").write(w)
		return nil
	}
	s.mu.Lock()
	var no *refusal
	switch {
	case s.closed:
		no = refuse(http.StatusServiceUnavailable, "%v", errShutdown)
	case s.sockets >= s.config.MaxCalls+spareSockets:
		no = refuse(http.StatusServiceUnavailable, "all sockets are taken")
	default:
		s.sockets++
		s.served.Add(1)
	}
	s.mu.Unlock()
	if no != nil {
		no.retry = "5"
		no.write(w)
		return nil
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // which foreign did
	if err != nil {
		s.closeSocket()
		return nil
	}
	conn.SetReadLimit(maxBody)
	return &socket{server: s, conn: conn, newer: make(chan struct{}), done: make(chan struct{})}
}

// closeSocket takes back what open counted.
func (s *Server) closeSocket() {
	s.mu.Lock()
	s.sockets--
	s.mu.Unlock()
	s.served.Done()
}

func (k *socket) release() {
	k.conn.CloseNow()
	k.server.closeSocket()
}

// send sends a message, and gives the socket up if the client does not take it.
func (k *socket) send(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), k.server.patience)
	defer cancel()
	k.conn.Write(ctx, websocket.MessageText, b) //nolint:errcheck // reading fails then too
}

func (k *socket) refuse(no *refusal) { k.send(refused{"error", no.status, no.message}) }

// socketCall makes a call by a socket.
func (s *Server) socketCall(w http.ResponseWriter, r *http.Request, path string, choose chooser) {
	k := s.open(w, r)
	if k == nil {
		return
	}
	defer k.release()
	ctx, cancel := context.WithTimeout(s.ctx, s.patience)
	_, message, err := k.conn.Read(ctx)
	cancel()
	if err != nil {
		return
	}
	offer, members, no := parseOffer(message)
	if no != nil {
		s.refused(r, no)
	}
	var c *session
	var answer string
	if no == nil {
		c, answer, no = s.begin(&Offer{Request: r.WithContext(s.ctx), SDP: offer.SDP, Members: members}, path, -1, choose)
	}
	if no != nil {
		k.refuse(no)
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		k.conn.CloseRead(ctx)
		k.close(websocket.StatusPolicyViolation, "no call", cancel)
		return
	}
	k.send(described{"answer", answer, c.id, c.location(r, "/ws")})
	k.run(c)
}

// socketOf gives a call another socket.
func (s *Server) socketOf(w http.ResponseWriter, r *http.Request, path string) {
	c, no := s.known(r.PathValue("id"), path)
	if no != nil {
		no.write(w)
		return
	}
	k := s.open(w, r)
	if k == nil {
		return
	}
	defer k.release()
	k.run(c)
}

// attach makes k the socket of the call, once the one before has said its last.
func (c *session) attach(k *socket) {
	c.mu.Lock()
	before := c.socket
	c.socket = k
	c.mu.Unlock()
	c.listening.is(func() {}) // who polls for offers need not any more
	if before != nil {
		close(before.newer)
		<-before.done
	}
}

func (c *session) hasSocket() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.socket != nil
}

// detach leaves the call without a socket, unless it has another one.
func (c *session) detach(k *socket) {
	c.mu.Lock()
	if c.socket == k {
		c.socket = nil
	}
	c.mu.Unlock()
}

// run passes messages between the client and the call until one of them is gone.
func (k *socket) run(c *session) {
	c.attach(k)
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { k.addresses(ctx, c) })
	tasks.Go(func() { k.offers(ctx, c) })
	tasks.Go(func() { k.ping(ctx, cancel) })
	tasks.Go(func() { k.end(ctx, cancel, c) })
	k.read(ctx, c)
	cancel()
	tasks.Wait()
	c.detach(k)
	close(k.done)
}

// read takes the messages of the client.
func (k *socket) read(ctx context.Context, c *session) {
	for {
		_, message, err := k.conn.Read(ctx)
		if err != nil {
			c.logger.Debug("socket lost", "error", err)
			return
		}
		no := c.mayAsk()
		if no == nil {
			no = k.take(ctx, c, message)
		}
		if no == nil {
			continue
		}
		k.refuse(no)
		if no.status == http.StatusTooManyRequests {
			c.logger.Info("socket closed", "error", no.message)
			k.conn.Close(websocket.StatusPolicyViolation, "too many messages") //nolint:errcheck // it is over anyway
			return
		}
	}
}

// take acts on a message.
func (k *socket) take(ctx context.Context, c *session, message []byte) *refusal {
	if isBye(message) {
		c.hangUp()
		return nil
	}
	p, no := parsePatch(message)
	switch {
	case no != nil:
	case p.Type == "offer":
		k.order.Lock()
		defer k.order.Unlock()
		var answer string
		if answer, no = c.answer(ctx, p.SDP); no == nil {
			k.send(described{Type: "answer", SDP: answer})
		}
	case p.Type == "answer":
		no = c.accept(ctx, p.SDP)
	default:
		no = c.hear(p.candidates)
	}
	return no
}

// addresses tells those of this end as they are found.
func (k *socket) addresses(ctx context.Context, c *session) {
	for next := c.ours.current(); ctx.Err() == nil; {
		var found []peer.Candidate
		var no *refusal
		if found, next, no = c.poll(ctx, next); no != nil {
			return
		}
		k.order.Lock()
		for _, candidate := range found {
			k.send(addressed{"candidate", candidate})
		}
		k.order.Unlock()
	}
}

// offers makes an offer whenever the call has changed at this end.
func (k *socket) offers(ctx context.Context, c *session) {
	if offer := c.outstanding(); offer != "" {
		k.send(described{Type: "offer", SDP: offer})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.peer.Negotiate():
		}
		// The offer counts also if this socket is lost in the middle.
		offer, err := c.offer(context.Background())
		if err != nil {
			c.logger.Info("no offer to the far end", "error", err)
			continue
		}
		k.send(described{Type: "offer", SDP: offer})
	}
}

// ping finds out whether the client is there.
func (k *socket) ping(ctx context.Context, lost context.CancelFunc) {
	tick := time.NewTicker(k.server.ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		patience, cancel := context.WithTimeout(ctx, k.server.patience)
		err := k.conn.Ping(patience)
		cancel()
		if err != nil {
			lost()
			return
		}
	}
}

// end says goodbye when the call ends, or another socket takes over.
func (k *socket) end(ctx context.Context, lost context.CancelFunc, c *session) {
	code, why := websocket.StatusNormalClosure, "the call has ended"
	select {
	case <-ctx.Done():
		return
	case <-c.peer.Done():
		end, _ := errors.AsType[*parley.EndError](c.peer.Err())
		k.send(farewell{"bye", string(cmp.Or(end, &parley.EndError{}).Reason)})
	case <-k.newer:
		code, why = websocket.StatusGoingAway, "another socket is in its place"
	}
	k.close(code, why, lost)
	lost()
}

// close ends the socket. The client may take some time to do so too; then lost,
// which ends the reading, ends the waiting for it.
func (k *socket) close(code websocket.StatusCode, why string, lost context.CancelFunc) {
	stop := time.AfterFunc(closePatience, lost)
	defer stop.Stop()
	k.conn.Close(code, why) //nolint:errcheck // it is over anyway
}
