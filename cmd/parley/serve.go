package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

type serveCommand struct {
	HTTP     string `name:"http" default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address of the web page."`
	UDP      int    `name:"udp" default:"0" placeholder:"PORT" help:"UDP port for all browsers; 0 means any."`
	TLSCert  string `name:"tls-cert" placeholder:"FILE" help:"Certificate, to serve HTTPS. Browsers give the microphone to HTTPS pages and to this machine only."`
	TLSKey   string `name:"tls-key" placeholder:"FILE" help:"Key of the certificate."`
	PublicIP string `name:"public-ip" placeholder:"IP" help:"Address to announce to browsers, behind a NAT."`
	LogLevel string `name:"log-level" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"What to log on standard error: debug, info, warn or error."`
}

// shutdownTime is how long calls may take to end when the server stops.
const shutdownTime = 5 * time.Second

func (c *serveCommand) Run(ctx context.Context, out *output) error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return useError{errors.New("--tls-cert and --tls-key go together")}
	}
	if c.UDP < 0 || c.UDP > 65535 {
		return useError{fmt.Errorf("--udp %d is not a port", c.UDP)}
	}
	var public netip.Addr
	if c.PublicIP != "" {
		var err error
		if public, err = netip.ParseAddr(c.PublicIP); err != nil {
			return useError{fmt.Errorf("--public-ip %q is not an IP address", c.PublicIP)}
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return useError{err}
	}
	logger := slog.New(slog.NewTextHandler(out.stderr, &slog.HandlerOptions{Level: level}))

	if err := libopus.Available(); err != nil {
		out.warn(fmt.Sprintf("%v. Opus is passed on and decoded, but not encoded.", err))
	}
	listener, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return fmt.Errorf("the web page cannot be served: %w", err)
	}
	defer listener.Close()
	s, err := server.New(&server.Config{
		Peer:   peer.Config{Port: c.UDP, PublicIP: public},
		Logger: logger,
	})
	if err != nil {
		return err
	}
	s.Handle("/offer", announced{echo.Handler{}, out})

	web := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() {
		if c.TLSCert != "" {
			failed <- web.ServeTLS(listener, c.TLSCert, c.TLSKey)
		} else {
			failed <- web.Serve(listener)
		}
	}()
	url := c.url(listener.Addr().(*net.TCPAddr))
	out.emit(event{Event: "listening", URL: url, UDPPort: s.Port()},
		fmt.Sprintf("Open %s in a browser to hear yourself. Media on UDP port %d. Stop with Ctrl-C.", url, s.Port()))

	reason := "interrupted"
	select {
	case err = <-failed:
		reason = "failed"
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	web.Shutdown(stopCtx) //nolint:errcheck // open requests are cut off
	err = errors.Join(err, s.Shutdown(stopCtx))
	if err != nil {
		return err
	}
	out.emit(event{Event: "end", Reason: reason}, "ended: "+reason)
	return nil
}

// announced is a handler whose calls are events.
type announced struct {
	parley.Handler
	out *output
}

func (a announced) ServeCall(ctx context.Context, c *parley.Call) error {
	a.out.emit(event{Event: "started", Codec: c.Audio().Codec().String()}, "")
	go func() { // the reason is known when the call has ended, which is after this returns
		<-c.Done()
		reason := "closed"
		if end, ok := errors.AsType[*parley.EndError](c.Err()); ok {
			reason = string(end.Reason)
		}
		a.out.emit(event{Event: "end", Reason: reason, statistics: measuresOf(c, true, false).audio}, "")
	}()
	return a.Handler.ServeCall(ctx, c)
}

// url returns where the page is found on this machine.
func (c *serveCommand) url(addr *net.TCPAddr) string {
	scheme, host := "http", addr.IP.String()
	if c.TLSCert != "" {
		scheme = "https"
	}
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, fmt.Sprint(addr.Port)))
}
