//go:build interop

package session_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// sipServer is as much of SIP as it takes to answer one softphone that calls: it
// answers the INVITEs of one dialog, which may be several, and hangs up.
type sipServer struct {
	conn    *net.UDPConn
	answer  func(offer []byte) (answer []byte, err error)
	reading sync.WaitGroup
	ended   chan struct{} // closed when the phone hangs up

	mu     sync.Mutex
	invite *sipMessage // the latest one
	phone  net.Addr
	sent   map[string][]byte // answers, by branch, for retransmissions

	replies chan *sipMessage // final ones to our requests
}

type sipMessage struct {
	start   string
	headers map[string]string // by name in lower case
	body    []byte
}

func parseSIP(b []byte) (*sipMessage, bool) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return nil, false
	}
	lines := strings.Split(string(head), "\r\n")
	m := &sipMessage{start: lines[0], headers: map[string]string{}, body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		m.headers[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return m, true
}

func newSIPServer(t *testing.T, answer func(offer []byte) ([]byte, error)) *sipServer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &sipServer{conn: conn, answer: answer, ended: make(chan struct{}), sent: map[string][]byte{}, replies: make(chan *sipMessage, 8)}
	s.reading.Go(func() { s.serve(t) })
	t.Cleanup(func() {
		conn.Close()
		s.reading.Wait()
	})
	return s
}

func (s *sipServer) uri() string { return "sip:parley@" + s.conn.LocalAddr().String() }

func (s *sipServer) serve(t *testing.T) {
	buf := make([]byte, 8192)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		m, ok := parseSIP(buf[:n])
		if !ok {
			continue
		}
		method, _, _ := strings.Cut(m.start, " ")
		switch method {
		case "INVITE":
			s.invited(t, m, from)
		case "BYE":
			s.reply(m, from, "200 OK", nil)
			close(s.ended)
		case "ACK":
		case "SIP/2.0":
			if !strings.HasPrefix(m.start, "SIP/2.0 1") {
				s.replies <- m
			}
		default:
			s.reply(m, from, "200 OK", nil)
		}
	}
}

func (s *sipServer) invited(t *testing.T, m *sipMessage, from net.Addr) {
	s.mu.Lock()
	again := s.sent[m.headers["via"]]
	s.mu.Unlock()
	if again != nil {
		s.conn.WriteTo(again, from)
		return
	}
	body, err := s.answer(bytes.Clone(m.body))
	if err != nil {
		t.Errorf("offer of the phone: %v\n%s", err, m.body)
		s.reply(m, from, "488 Not Acceptable Here", nil)
		return
	}
	s.mu.Lock()
	s.invite, s.phone = m, from
	s.mu.Unlock()
	reply := s.reply(m, from, "200 OK", body)
	s.mu.Lock()
	s.sent[m.headers["via"]] = reply
	s.mu.Unlock()
}

func (s *sipServer) reply(m *sipMessage, to net.Addr, status string, body []byte) []byte {
	local := m.headers["to"]
	if !strings.Contains(local, "tag=") {
		local += ";tag=parley"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <%s>\r\n",
		status, m.headers["via"], m.headers["from"], local, m.headers["call-id"], m.headers["cseq"], s.uri())
	if body != nil {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	s.conn.WriteTo(b.Bytes(), to)
	return b.Bytes()
}

// request sends a request in the dialog, such as an INVITE with another
// description or a BYE.
func (s *sipServer) request(method string, cseq int, body []byte) {
	s.mu.Lock()
	m, phone := s.invite, s.phone
	s.mu.Unlock()
	contact := strings.Trim(m.headers["contact"], "<>")
	contact, _, _ = strings.Cut(contact, ">")
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\nFrom: %s;tag=parley\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <%s>\r\n",
		method, contact, s.conn.LocalAddr(), time.Now().UnixNano(), m.headers["to"], m.headers["from"], m.headers["call-id"], cseq, method, s.uri())
	if body != nil {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
	b.Write(body)
	s.conn.WriteTo(b.Bytes(), phone)
}

// ask sends a request, acknowledges the answer if it is an INVITE, and returns
// the answer's body.
func (s *sipServer) ask(ctx context.Context, method string, cseq int, body []byte) ([]byte, error) {
	s.request(method, cseq, body)
	for {
		select {
		case m := <-s.replies:
			if m.headers["cseq"] != fmt.Sprintf("%d %s", cseq, method) {
				continue
			}
			if !strings.HasPrefix(m.start, "SIP/2.0 200") {
				return nil, fmt.Errorf("%s was answered with %s", method, m.start)
			}
			if method == "INVITE" {
				s.request("ACK", cseq, nil)
			}
			return m.body, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
