package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
)

type recvCommand struct {
	Listen string `placeholder:"HOST:PORT" help:"Where to receive RTP; RTCP comes to the next port."`
	SDP    string `name:"sdp" placeholder:"FILE" help:"Take address and codecs from a session description instead."`
	codecFlags
	networkFlags
	Out      string        `placeholder:"FILE.wav" help:"Record to a WAV file."`
	Playout  string        `enum:",in-order,adaptive,fixed" default:"" placeholder:"WAY" help:"in-order: what was sent, with gaps filled (default with --out); adaptive or fixed: what a listener would have heard."`
	MinDelay time.Duration `placeholder:"D" help:"Least delay of the playout (default 20ms), and that of fixed (default 60ms)."`
	MaxDelay time.Duration `default:"500ms" placeholder:"D" help:"Greatest delay of the playout; with in-order, how long to wait for a missing packet."`
	Duration time.Duration `placeholder:"D" help:"Stop after this much audio."`
	Timeout  time.Duration `default:"5s" placeholder:"D" help:"Stop after this long without a packet, once one has come."`
}

func (c *recvCommand) Run(ctx context.Context, out *output) (err error) {
	config, err := c.config()
	if err != nil {
		return err
	}
	if err := writable(c.Out); err != nil {
		return err
	}
	done, err := c.apply(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	s, err := session.Open(ctx, config)
	if err != nil {
		return err
	}
	defer s.Close()
	go reportDigits(ctx, s.Call, out)
	local := s.LocalAddr().String()
	out.emit(event{Event: "listening", Address: local}, fmt.Sprintf("Listening on %s.", local))

	r := &recording{name: c.Out, limit: c.Duration, out: out}
	stop := context.AfterFunc(ctx, func() { s.EndWith(&parley.EndError{Reason: parley.Canceled}) })
	defer stop()
	reason, err := r.run(s)
	stats := statsOf(s.Call)
	s.Close()
	if closeErr := r.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	text := summary(reason, stats)
	if r.wav != nil {
		text += fmt.Sprintf("\n  wrote     %s of %v to %s", r.wav.Duration().Round(time.Millisecond), r.wav.Format(), c.Out)
	}
	out.emit(event{Event: "end", Reason: reason, statistics: stats}, text)
	if stats.PacketsReceived == 0 {
		return errors.New("nothing was received")
	}
	return nil
}

// reportDigits tells of each key that the far end presses, when it is released.
func reportDigits(ctx context.Context, call *parley.Call, out *output) {
	for {
		r, err := call.ReadDigitReport(ctx)
		if err != nil {
			return
		}
		if r.End {
			ms := milliseconds(r.Duration)
			out.emit(event{Event: "digit", Digits: r.Digit.String(), DurationMS: &ms}, fmt.Sprintf("Digit %v, held for %v.", r.Digit, r.Duration.Round(time.Millisecond)))
		}
	}
}

// config turns the flags into those of a session.
func (c *recvCommand) config() (*session.Config, error) {
	config := &session.Config{
		Audio:     &session.AudioConfig{},
		Deadlines: parley.Deadlines{Silence: c.Timeout},
	}
	if c.MinDelay < 0 || c.MaxDelay < c.MinDelay || c.MaxDelay > 10*time.Second {
		return nil, useError{fmt.Errorf("--min-delay %v and --max-delay %v are not 0 <= min <= max <= 10s", c.MinDelay, c.MaxDelay)}
	}
	config.Audio.MinDelay, config.Audio.MaxDelay = c.MinDelay, c.MaxDelay
	if c.Timeout < 0 || c.Duration < 0 {
		return nil, useError{errors.New("--timeout and --duration cannot be negative")}
	}
	var err error
	switch {
	case (c.SDP == "") == (c.Listen == ""):
		return nil, useError{errors.New("one of --listen and --sdp is needed")}
	case c.SDP != "" && (c.Codec != "" || c.PayloadType >= 0):
		return nil, useError{errors.New("--codec and --payload-type do not go with --sdp, which names them")}
	case c.SDP != "":
		text, err := os.ReadFile(c.SDP)
		if err != nil {
			return nil, err
		}
		description, err := session.ParseDescription(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.SDP, err)
		}
		config.Local, config.Mux = description.Addr, description.Mux
		if len(description.Crypto) > 0 {
			key := description.Crypto[0].Key
			config.SRTP = &session.SRTP{Local: key, Remote: key}
		}
		config.Audio.Codecs, config.Audio.PTime = decodable(description.Codecs), description.PTime
		if len(config.Audio.Codecs) == 0 {
			return nil, fmt.Errorf("%s: %w: %v", c.SDP, codec.ErrUnknown, description.Codecs)
		}
	default:
		if config.Local, err = parseAddr("listen", c.Listen); err != nil {
			return nil, err
		}
		if config.Audio.Codecs, err = c.received(); err != nil {
			return nil, err
		}
	}
	switch {
	case c.Playout == "in-order", c.Playout == "" && c.Out != "":
		config.Audio.Playout = stream.InOrder
	case c.Playout == "fixed":
		config.Audio.Playout = stream.Fixed
	}
	return config, nil
}

// writable returns why the named file cannot be written, which is better known
// before the first audio comes. It leaves what is there as it is.
func writable(name string) error {
	if name == "" {
		return nil
	}
	_, missing := os.Stat(name)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	err = f.Close()
	if errors.Is(missing, fs.ErrNotExist) {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// decodable leaves out what this build cannot decode. Telephone events, comfort
// noise and redundancy go behind the codecs.
func decodable(all []codec.Params) []codec.Params {
	var some, beside []codec.Params
	for _, p := range all {
		switch strings.ToLower(p.Name) {
		case "telephone-event", "cn", "red":
			beside = append(beside, p)
			continue
		}
		if impl, err := codec.Lookup(p); err == nil && impl.NewDecoder != nil {
			some = append(some, p)
		}
	}
	if some == nil {
		return nil
	}
	return append(some, beside...)
}

// recording reads a call to its end.
type recording struct {
	name  string
	limit time.Duration
	out   *output
	wav   *file.WAVWriter // nil until the first audio tells the format
}

// run returns, in a word, why the call ended.
func (r *recording) run(s *session.Session) (string, error) {
	var f audio.Frame
	var p *progress
	var total time.Duration
	for {
		err := s.Audio().ReadFrame(&f)
		if err == io.EOF {
			err = s.Err()
		}
		if err != nil {
			if p != nil {
				p.stop()
			}
			return reasonOf(err)
		}
		if p == nil {
			from := address(s.RemoteAddr())
			r.out.emit(event{Event: "started", Address: from, Format: f.Format.String()}, fmt.Sprintf("Receiving from %s, %v.", from, f.Format))
			p = newProgress(r.out, s.Call, r.limit)
			defer p.stop()
		}
		if r.limit > 0 && total+f.Duration() > r.limit {
			f.Samples = f.Samples[:f.Format.Samples(r.limit-total)]
		}
		if err := r.write(&f); err != nil {
			return "", err
		}
		total += f.Duration()
		p.advance(f.Duration())
		if r.limit > 0 && total >= r.limit {
			return "duration", nil
		}
	}
}

func (r *recording) write(f *audio.Frame) error {
	if r.name == "" {
		return nil
	}
	if r.wav == nil {
		var err error
		if r.wav, err = file.CreateWAV(r.name, f.Format); err != nil {
			return err
		}
	}
	return r.wav.WriteFrame(f)
}

func (r *recording) close() error {
	if r.wav == nil {
		return nil
	}
	return r.wav.Close()
}

// reasonOf returns the reason of an orderly end, or the error.
func reasonOf(err error) (string, error) {
	end, ok := errors.AsType[*parley.EndError](err)
	switch {
	case !ok:
		return "", err
	case end.Reason == parley.Canceled:
		return "interrupted", nil
	case end.Reason == parley.Silent:
		return "timeout", nil
	}
	return string(end.Reason), nil
}

func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return "an unknown address"
	}
	return a.String()
}
