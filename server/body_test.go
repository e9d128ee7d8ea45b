package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/parley-media/parley"
)

// A client that does not send all of its request is not waited for, and one that has
// sent it may wait for as long as it likes for the next.
func TestSlowBody(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	s.patience = 500 * time.Millisecond
	s.Handle("/wait", parley.HandlerFunc(func(context.Context, *parley.Call) error { return nil }))
	ts := httptest.NewServer(s)
	defer ts.Close()
	conn, err := net.Dial("tcp", ts.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	answers := bufio.NewReader(conn)
	ask := func(length, body string, want int) {
		t.Helper()
		io.WriteString(conn, "POST /wait HTTP/1.1\r\nHost: there\r\nContent-Length: "+length+"\r\n\r\n"+body)
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != want {
			t.Errorf("status %d, want %d (%v)", response.StatusCode, want, err)
		}
	}
	ask("5", "hello", http.StatusBadRequest)
	time.Sleep(2 * s.patience)
	ask("5", "again", http.StatusBadRequest)
	ask("10", "hello", http.StatusRequestTimeout)
}

// Who is refused before the body is read does not hold a connection by keeping it back.
func TestSlowBodyOfRefused(t *testing.T) {
	s, err := New(&Config{Authorize: func(*http.Request) error { return ErrForbidden }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	s.patience = 100 * time.Millisecond
	s.Handle("/wait", parley.HandlerFunc(func(context.Context, *parley.Call) error { return nil }))
	ts := httptest.NewServer(s)
	defer ts.Close()
	for _, begin := range []string{"POST /wait", "PATCH /wait/x", "GET /nothing", "POST /healthz", "POST /", "OPTIONS /wait", "POST /wait/x/ws"} {
		conn, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, begin+" HTTP/1.1\r\nHost: there\r\nContent-Length: 100\r\n\r\n")
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("%s: still there: %v", begin, err)
		}
		conn.Close()
	}
}
