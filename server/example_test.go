package server_test

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// An encoder publishes to an application, if it knows the secret.
func ExampleServer_HandleWHIP() {
	s, err := server.New(&server.Config{Authorize: func(r *http.Request) error {
		if subtle.ConstantTimeCompare([]byte(server.BearerToken(r)), []byte("secret")) == 0 {
			return errors.New("this token opens nothing")
		}
		return nil
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.HandleWHIP("/whip", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		fmt.Println("hears", c.Audio().Codec().Name)
		<-ctx.Done()
		return nil
	}))
	web := httptest.NewServer(s)
	defer web.Close()
	endpoint, err := peer.Listen(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer endpoint.Close()

	ctx := context.Background()
	_, err = endpoint.Dial(ctx, peer.WHIP(web.URL+"/whip", "guess", nil).Exchange, nil)
	fmt.Println(err)
	whip := peer.WHIP(web.URL+"/whip", "secret", nil)
	p, err := endpoint.Dial(ctx, whip.Exchange, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	whip.Delete(ctx)
	p.Close()
	s.Shutdown(ctx)
	fmt.Println(s.Calls(), "calls")
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// peer: WHIP: status 401 Unauthorized: {"error":"not authorized: this token opens nothing"}
	// hears opus
	// 0 calls
}

// A client of an application trickles, and hangs up.
func ExampleServer_Handle() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Handle("/offer", waits)
	endpoint, err := peer.Listen(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer endpoint.Close()
	ctx := context.Background()
	p, offer, err := endpoint.Offer(ctx, &peer.CallConfig{Gather: -1}) // without candidates
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	response := ask(s, "POST", "/offer", map[string]string{"sdp": offer, "type": "offer"})
	location := response.Header().Get("Location")
	fmt.Println(response.Code)
	candidate, err := p.ReadCandidate(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ask(s, "PATCH", location, candidate).Code)
	fmt.Println(ask(s, "DELETE", location, nil).Code)
	fmt.Println(ask(s, "DELETE", location, nil).Code)
	s.Shutdown(ctx)
	// Output:
	// 200
	// 204
	// 204
	// 404
}

// The calls end before the server of HTTP does, which would wait for their sockets.
func ExampleServer_Shutdown() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Handle("/offer", waits)
	pages := http.NewServeMux()
	pages.Handle("/", s)
	pages.Handle("GET /metrics", s.Metrics())
	web := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- web.Serve(listener) }()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	stop() // in place of <-ctx.Done()
	ctx = context.WithoutCancel(ctx)
	talk, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	s.Drain(talk) //nolint:errcheck // then the calls that are left end now
	ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fmt.Println(s.Shutdown(ctx), web.Shutdown(ctx), <-served)
	// Output:
	// <nil> <nil> http: Server closed
}
