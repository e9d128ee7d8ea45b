package main

import (
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/stun/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

type serveCommand struct {
	HTTP     string `name:"http" default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address of the web page."`
	Host     string `name:"host" placeholder:"HOST" help:"Host of the web page, in place of that of --http."`
	Port     int    `name:"port" default:"-1" placeholder:"PORT" help:"Port of the web page, in place of that of --http."`
	UDP      int    `name:"udp" default:"0" placeholder:"PORT" help:"UDP port for all browsers; 0 means any."`
	TLSCert  string `name:"tls-cert" aliases:"cert-file" placeholder:"FILE" help:"Certificate, to serve HTTPS. Browsers give the microphone to HTTPS pages and to this machine only. Also --cert-file."`
	TLSKey   string `name:"tls-key" aliases:"key-file" placeholder:"FILE" help:"Key of the certificate. Also --key-file."`
	PublicIP string `name:"public-ip" placeholder:"IP" help:"Address to announce to browsers, behind a NAT."`

	STUN       []string      `name:"stun" placeholder:"HOST:PORT" help:"Servers by which browsers and this program find their public addresses."`
	TURN       []string      `name:"turn" placeholder:"HOST:PORT" help:"Relays for browsers that nothing else reaches."`
	TURNSecret string        `name:"turn-secret" env:"PARLEY_TURN_SECRET" placeholder:"SECRET" help:"What the relays share with this program (static-auth-secret of coturn), for passwords with a lifetime."`
	TURNTTL    time.Duration `name:"turn-ttl" default:"1h" placeholder:"TIME" help:"Lifetime of these passwords."`

	MaxCalls    int           `name:"max-calls" default:"1000" placeholder:"N" help:"Calls at one time."`
	MaxDuration time.Duration `name:"max-duration" default:"0s" placeholder:"TIME" help:"How long a call may last; 0 means as long as it likes."`
	MaxOffers   int           `name:"max-offers" default:"0" placeholder:"N" help:"Calls that one address may ask for in a minute; 0 means any number."`
	Token       *string       `name:"token" env:"PARLEY_TOKEN" placeholder:"TOKEN" help:"Let only those make calls who show this token (Authorization: Bearer)."`
	Origin      []string      `name:"origin" placeholder:"URL" help:"Other sites whose pages may make calls, as https://example.com; * is any."`

	RecordTo   string `name:"record-to" placeholder:"FILE" help:"Record what callers send, and serve no other application but that of --recordings: the first call to this file, others beside it with a number in the name; or each call to a file in this folder. Pictures are asked for in a codec that the file can have: H.264 for MP4, VP8 or VP9 for WebM."`
	Play       string `name:"play" placeholder:"FILE" help:"What the application Play plays."`
	Recordings string `name:"recordings" placeholder:"FOLDER" help:"Where the application Record keeps its files, which those who made them can download."`
	Metrics    bool   `name:"metrics" default:"true" negatable:"" help:"Serve /metrics for Prometheus beside the page, to those who have the token if there is one."`
	PProf      string `name:"pprof" placeholder:"ADDR" help:"Address for the profiles of Go (/debug/pprof/), which show much; best one of this machine."`
	LogLevel   string `name:"log-level" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"What to log on standard error: debug, info, warn or error."`
	LogJSON    bool   `name:"log-json" help:"Log in JSON."`
	Verbose    bool   `name:"verbose" short:"v" help:"The same as --log-level debug."`
}

// shutdownTime is how long calls may take to end when the server stops.
const shutdownTime = 5 * time.Second

// mount makes the applications of the server.
func mount(s *server.Server, c *serveCommand, out *output) error {
	if c.RecordTo != "" {
		to, err := newRecordings(c.RecordTo)
		if err != nil {
			return err
		}
		s.Describe(server.App{Path: "offer", Name: "Record", About: "Records what you say and show.", Media: []string{"audio", "video"}})
		s.Handle("/offer", announced{recorded{to, out}, out})
		return nil
	}
	mountApps(s, c.Play, out)
	return nil
}

func (c *serveCommand) Run(ctx context.Context, out *output) error {
	out.last = "stopped"
	config, err := c.config(out)
	if err != nil {
		return err
	}
	var certificates []tls.Certificate
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return fmt.Errorf("--tls-cert %s, --tls-key %s: %w", c.TLSCert, c.TLSKey, err)
		}
		certificates = append(certificates, pair)
	}
	if err := c.checkFiles(ctx, out); err != nil {
		if ctx.Err() != nil { // it ended the ffmpeg program
			out.emit(event{Event: "stopped", Reason: "interrupted"}, "ended: interrupted")
			return nil
		}
		return err
	}
	listener, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return fmt.Errorf("the web page cannot be served: %w", err)
	}
	defer listener.Close()
	if c.PProf != "" {
		at, stop, err := serveProfiles(c.PProf)
		if err != nil {
			return fmt.Errorf("the profiles cannot be served: %w", err)
		}
		defer stop()
		out.emit(event{Event: "profiling", URL: at}, "Profiles at "+at)
	}
	s, err := server.New(config)
	if err != nil {
		return err
	}
	if err := mount(s, c, out); err != nil {
		return errors.Join(err, s.Shutdown(ctx))
	}
	pages := http.NewServeMux()
	pages.Handle("/", s)
	if c.Recordings != "" {
		pages.Handle("GET /recordings/{name}", mountRecord(s, c.Recordings, out))
	}
	if c.Metrics {
		pages.Handle("GET /metrics", s.Authorized(s.Metrics()))
	}

	web := &http.Server{
		Handler:           promptly(pages),
		ReadHeaderTimeout: requestTime,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(config.Logger.Handler(), slog.LevelDebug),
		TLSConfig:         &tls.Config{Certificates: certificates},
	}
	if err := libopus.Available(); err != nil {
		out.warn(fmt.Sprintf("%v. Opus is passed on and decoded, but not encoded.", err))
	}
	failed := make(chan error, 1)
	go func() {
		if len(certificates) > 0 {
			failed <- web.ServeTLS(listener, "", "")
		} else {
			failed <- web.Serve(listener)
		}
	}()
	url := c.url(listener.Addr().(*net.TCPAddr))
	out.emit(event{Event: "listening", URL: url, UDPPort: s.Port()},
		fmt.Sprintf("Open %s in a browser to hear and see yourself. Media on UDP port %d. Stop with Ctrl-C.", url, s.Port()))

	reason := "interrupted"
	select {
	case err = <-failed:
		reason = "failed"
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	// The calls end first, so that /healthz tells of it, and what waits for them too.
	err = errors.Join(err, s.Shutdown(stopCtx))
	web.Shutdown(stopCtx) //nolint:errcheck // open requests are cut off
	if err != nil {
		return err
	}
	out.emit(event{Event: "stopped", Reason: reason}, "ended: "+reason)
	return nil
}

// requestTime is how long a request may take to arrive.
const requestTime = 10 * time.Second

// promptly gives the bodies of requests that limit, for which net/http waits even where
// nobody reads them. The server of calls does so for what it serves; this is for the rest.
func promptly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTime)) //nolint:errcheck // it can
		}
		next.ServeHTTP(w, r)
	})
}

// config returns the configuration of the server that the flags describe, and makes
// --http the address of the page.
func (c *serveCommand) config(out *output) (*server.Config, error) {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return nil, useError{errors.New("--tls-cert and --tls-key go together")}
	}
	if c.RecordTo != "" && c.Play != "" {
		return nil, useError{errors.New("--play does not go with --record-to, which serves no other application but --recordings")}
	}
	if c.UDP < 0 || c.UDP > 65535 {
		return nil, useError{fmt.Errorf("--udp %d is not a port", c.UDP)}
	}
	if c.Port < -1 || c.Port > 65535 {
		return nil, useError{fmt.Errorf("--port %d is not a port", c.Port)}
	}
	if c.MaxCalls < 1 || c.MaxOffers < 0 || c.MaxDuration < 0 {
		return nil, useError{errors.New("--max-calls, --max-offers and --max-duration cannot be negative, and --max-calls not 0")}
	}
	if c.Token != nil && *c.Token == "" { // as of a variable that is not set
		return nil, useError{errors.New("--token, or PARLEY_TOKEN, is empty: without it everybody can make calls")}
	}
	if err := c.address(); err != nil {
		return nil, err
	}
	for _, origin := range c.Origin {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil && origin != "*" {
			return nil, useError{fmt.Errorf("--origin: %w", err)}
		}
	}
	config := &server.Config{
		Peer:            peer.Config{Port: c.UDP},
		MaxCalls:        c.MaxCalls,
		MaxDuration:     c.MaxDuration,
		OffersPerMinute: c.MaxOffers,
		Origins:         c.Origin,
	}
	if c.PublicIP != "" {
		var err error
		if config.Peer.PublicIP, err = netip.ParseAddr(c.PublicIP); err != nil {
			return nil, useError{fmt.Errorf("--public-ip %q is not an IP address", c.PublicIP)}
		}
	}
	if c.RecordTo != "" {
		config.Peer.Codecs = recordable(filepath.Ext(c.RecordTo))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, useError{err}
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Verbose {
		options.Level = slog.LevelDebug
	}
	config.Logger = slog.New(slog.NewTextHandler(out.stderr, options))
	if c.LogJSON {
		config.Logger = slog.New(slog.NewJSONHandler(out.stderr, options))
	}
	if c.Token != nil {
		config.Authorize = func(r *http.Request) error {
			if subtle.ConstantTimeCompare([]byte(server.BearerToken(r)), []byte(*c.Token)) == 0 {
				return errors.New("the token is missing, or another one")
			}
			return nil
		}
	}
	return config, c.helpers(config)
}

// checkFiles finds out what each call would fail at, and warns of what each would miss.
func (c *serveCommand) checkFiles(ctx context.Context, out *output) error {
	if c.Play != "" {
		player, err := file.OpenPlayer(ctx, c.Play, file.PlayerConfig{Paused: true})
		if err != nil {
			return fmt.Errorf("--play: %w", err)
		}
		defer player.Close()
		missing := c.unplayable(player)
		if len(missing) > 0 && len(missing) == len(player.Tracks())+len(player.Unknown()) {
			return fmt.Errorf("--play: nothing can be played: %w", missing[0])
		}
		for _, err := range missing {
			out.warn(fmt.Sprintf("--play: %v. The rest is played.", err))
		}
		if outOfOrder(ctx, c.Play) {
			out.warn(fmt.Sprintf("--play: %s: its pictures are not shown in the order in which they are coded (B-frames), and browsers show few of them or none. The option -bf 0 of ffmpeg makes films without.", c.Play))
		}
	}
	if c.Recordings == "" {
		return nil
	}
	err := os.MkdirAll(c.Recordings, 0o755)
	if err == nil {
		var folder string
		if folder, err = os.MkdirTemp(c.Recordings, ".parley"); err == nil {
			err = os.Remove(folder)
		}
	}
	if err != nil {
		return fmt.Errorf("--recordings %s: %w", c.Recordings, err)
	}
	return nil
}

// outOfOrder reports whether there are pictures at the beginning of a film that are shown
// before others that come before them in the file.
func outOfOrder(ctx context.Context, film string) bool {
	in, err := file.OpenPlayable(ctx, film)
	if err != nil {
		return false
	}
	defer in.Close()
	var p file.Packet
	last := make([]time.Duration, len(in.Tracks()))
	for range 1000 { // 8 s of sound and pictures, or more
		if in.ReadPacket(&p) != nil {
			break
		}
		if in.Tracks()[p.Track].Codec.Video() && p.Time < last[p.Track] {
			return true
		}
		last[p.Track] = p.Time
	}
	return false
}

// unplayable returns why there are tracks that are not played to any call.
func (c *serveCommand) unplayable(p *file.Player) (missing []error) {
	calls := peer.DefaultCodecs()
	for _, name := range p.Unknown() {
		missing = append(missing, fmt.Errorf("%s: calls have no codec %q", c.Play, name))
	}
	for _, t := range p.Tracks() {
		switch {
		case !t.Codec.Video():
			if err := p.AddAudio(nowhere{}); err != nil {
				missing = append(missing, err)
			}
		case !slices.ContainsFunc(calls, func(c codec.Params) bool { return strings.EqualFold(c.Name, string(t.Codec)) }):
			missing = append(missing, fmt.Errorf("%s: calls have no pictures of %s", c.Play, t.Codec))
		}
	}
	return missing
}

// nowhere takes sound.
type nowhere struct{}

func (nowhere) WriteFrame(*audio.Frame) error { return nil }

// address puts --host and --port in the place of those of --http.
func (c *serveCommand) address() error {
	host, port, err := net.SplitHostPort(c.HTTP)
	if err != nil {
		return useError{fmt.Errorf("--http %s: %w", c.HTTP, err)}
	}
	if c.Port >= 0 {
		port = strconv.Itoa(c.Port)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return useError{fmt.Errorf("--http %s: %w", c.HTTP, err)}
	}
	c.HTTP = net.JoinHostPort(cmp.Or(c.Host, host), port)
	return nil
}

// turnSecret is the variable of the environment for --turn-secret, which may be there
// for other programs.
const turnSecret = "PARLEY_TURN_SECRET"

// helpers are the servers by which two ends reach each other.
func (c *serveCommand) helpers(config *server.Config) error {
	if c.TURNTTL < time.Second {
		return useError{fmt.Errorf("--turn-ttl %v is less than a second", c.TURNTTL)}
	}
	if len(c.TURN) == 0 && (c.TURNTTL != time.Hour || c.TURNSecret != os.Getenv(turnSecret)) {
		return useError{errors.New("--turn-secret and --turn-ttl are for --turn")}
	}
	if len(c.TURN) > 0 && c.TURNSecret == "" {
		return useError{errors.New("--turn needs --turn-secret")}
	}
	var urls []string
	add := func(scheme string, servers []string) {
		for _, s := range servers {
			if !strings.HasPrefix(s, scheme+":") && !strings.HasPrefix(s, scheme+"s:") {
				s = scheme + ":" + s
			}
			urls = append(urls, s)
		}
	}
	add("stun", c.STUN)
	if len(urls) > 0 {
		config.Peer.Servers = []peer.Server{{URLs: slices.Clone(urls)}}
	}
	add("turn", c.TURN)
	for _, url := range urls {
		if _, err := stun.ParseURI(url); err != nil {
			return useError{fmt.Errorf("--stun and --turn: %s is not the address of a server: %w", url, err)}
		}
	}
	if len(urls) > 0 {
		config.ICEServers = server.TURNCredentials(c.TURNSecret, c.TURNTTL, urls...)
	}
	return nil
}

// serveProfiles serves what net/http/pprof has at an address of its own, since it
// tells of everything that the program does.
func serveProfiles(address string) (url string, stop func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	profiles := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go profiles.Serve(listener) //nolint:errcheck // it ends with the program
	return fmt.Sprintf("http://%s/debug/pprof/", listener.Addr()), profiles.Close, nil
}

// announced is a handler whose calls are events.
type announced struct {
	parley.Handler
	out *output
}

func (a announced) ServeCall(ctx context.Context, c *parley.Call) error {
	id := server.CallID(ctx)
	started := event{Event: "started", Call: id}
	if sound := c.Audio(); sound != nil {
		started.Codec = sound.Codec().String()
	}
	if pictures := c.Video(); pictures != nil {
		started.VideoCodec = pictures.Codec().String()
	}
	a.out.emit(started, "")
	go func() { // the reason is known when the call has ended, which is after this returns
		<-c.Done()
		reason := "closed"
		if end, ok := errors.AsType[*parley.EndError](c.Err()); ok {
			reason = string(end.Reason)
		}
		m := measuresOf(c, c.Audio() != nil, c.Video() != nil)
		a.out.emit(event{Event: "end", Call: id, Reason: reason, statistics: m.audio, videoStatistics: m.video}, "")
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
