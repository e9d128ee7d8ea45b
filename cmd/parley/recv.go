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
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
)

type recvCommand struct {
	Listen           string   `placeholder:"HOST:PORT" help:"Where to receive RTP, of the video if there is no audio; RTCP comes to the next port. Without a HOST it is all addresses of IPv4, and [::] is all there are."`
	VideoListen      string   `placeholder:"HOST:PORT" help:"Where to receive RTP of the video. The default is the port after RTCP of the audio."`
	SDP              string   `name:"sdp" placeholder:"FILE" help:"Take codecs from a session description, and the address without --listen."`
	Codec            []string `help:"Codec: pcmu, pcma, g722, opus or l16, for l16 with rate and channels as in l16/16000/2, or else 44100 and one; h264, vp8 or vp9; or one of each, as in opus,vp8. The default is audio in any of the formats with a static payload type." placeholder:"NAME"`
	PayloadType      int      `help:"RTP payload type of the audio, 0 to 127. The default is the static one of RFC 3551, or 97." default:"-1" placeholder:"N"`
	VideoPayloadType int      `help:"RTP payload type of the video. The default is 96, or the next one that the audio does not have." default:"-1" placeholder:"N"`
	networkFlags
	Out      string        `placeholder:"FILE" help:"Record to a file, by its name: .wav, also without an extension, and - for standard output; .webm or .mkv; .mp4 (H.264, Opus); .ogg (Opus); .ivf (VP8, VP9); .h264. Video and Opus go into it as they come, other audio as samples."`
	Playout  string        `enum:",in-order,adaptive,fixed" default:"" placeholder:"WAY" help:"in-order: what was sent, with gaps filled (default with --out); adaptive or fixed: what a listener would have heard."`
	MinDelay time.Duration `placeholder:"D" help:"Least delay of the playout (default 20ms), and that of fixed (default 60ms)."`
	MaxDelay time.Duration `default:"500ms" placeholder:"D" help:"Greatest delay of the playout; with in-order, how long to wait for a missing packet."`
	Duration time.Duration `placeholder:"D" help:"Stop after this much audio or video."`
	Wait     time.Duration `placeholder:"D" help:"Stop if nothing has come after this long. The default is to wait for ever."`
	Timeout  time.Duration `default:"5s" placeholder:"D" help:"Stop after this long without a packet, once one has come; 0 means never."`
}

func (c *recvCommand) Run(ctx context.Context, out *output) (err error) {
	if err := distinct(c.SDP, c.Out, c.Pcap); err != nil {
		return err
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	r := &recording{name: c.Out, limit: c.Duration, out: out, config: config}
	if c.Out == "-" || c.Out == "/dev/stdout" {
		if out.json {
			return useError{fmt.Errorf("--out %s and --json both want standard output", c.Out)}
		}
		// Not to be gone back in, even if it is a file: it may be one to append to.
		r.pipe, out.stdout = struct{ io.Writer }{out.stdout}, out.stderr
	}
	if err := r.check(c.Playout); err != nil {
		return err
	}
	if r.pipe == nil {
		if err := writable(c.Out); err != nil {
			return err
		}
	}
	done, err := c.apply(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	s, err := session.Open(ctx, config)
	if errors.Is(err, stream.ErrConfig) && c.SDP == "" {
		return useError{err}
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if config.Audio != nil {
		go reportDigits(ctx, s.Call, out)
	}
	go c.watch(s, config, out)
	e := listening(s, config)
	text := fmt.Sprintf("Listening on %s", e.Address)
	if config.Audio != nil && config.Video != nil {
		text += fmt.Sprintf(", and for video on %s", e.VideoAddress)
	}
	out.emit(e, text+".")

	stop := context.AfterFunc(ctx, func() { s.EndWith(&parley.EndError{Reason: parley.Canceled}) })
	defer stop()
	reason, err := r.run(s)
	stats := statsOf(s.Call, config)
	s.Close()
	if closeErr := r.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	text = summary(reason, stats)
	wrote := r.wrote()
	if wrote != "" {
		text += fmt.Sprintf("\n  wrote     %s to %s", wrote, c.Out)
	}
	end := event{Event: "end", Reason: reason, statistics: stats.audio, videoStatistics: stats.video}
	nothing := "nothing was received"
	if stats.received() == 0 {
		if end.Message = c.unheard(s, stats); end.Message != "" {
			nothing += ": " + end.Message
		}
	}
	out.emit(end, text)
	switch {
	case stats.received() == 0:
		return errors.New(nothing)
	case c.Out != "" && wrote == "":
		return fmt.Errorf("nothing was written to %s: what came was not what was expected", c.Out)
	case r.undecodable():
		return fmt.Errorf("%s: %s", c.Out, noSets)
	}
	return nil
}

// watch warns of packets that come where nothing is heard, while somebody may wonder.
func (c *recvCommand) watch(s *session.Session, config *session.Config, out *output) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.Done():
			return
		case <-tick.C:
		}
		if what := c.unheard(s, statsOf(s.Call, config)); what != "" && s.Err() == nil {
			out.warn(what)
			return
		}
	}
}

// unheard says what comes in the place of audio or video of which nothing has, and
// which flag may be meant, or nothing.
func (c *recvCommand) unheard(s *session.Session, m callMeasures) string {
	noAudio, noVideo := m.audio != nil && m.audio.PacketsReceived == 0, m.video != nil && m.video.PacketsReceived == 0
	if !noAudio && !noVideo {
		return ""
	}
	var n session.NetworkStats
	switch s.NetworkStats(&n); {
	case n.Unexpected > 0:
		static, known := codec.Static(n.UnexpectedType)
		hint := fmt.Sprintf("--payload-type %d?", n.UnexpectedType)
		switch {
		case c.SDP != "":
			hint = c.SDP + " has none"
		case known:
			hint = "--codec " + strings.ToLower(static.Name) + "?"
		case !noAudio:
			hint = fmt.Sprintf("--video-payload-type %d?", n.UnexpectedType)
		case len(c.Codec) == 0:
			hint = "--codec NAME " + hint
		}
		return fmt.Sprintf("%d packets of payload type %d came: %s", n.Unexpected, n.UnexpectedType, hint)
	case n.Unauthenticated > 0:
		return fmt.Sprintf("%d packets came that --srtp cannot read: plain ones, or of another key", n.Unauthenticated)
	case m.received() > 0: // what else comes may be for the other one
	case n.Unknown > 0:
		return fmt.Sprintf("%d datagrams came that are neither RTP nor RTCP", n.Unknown)
	case n.Foreign > 0 && s.Err() != nil: // before its end media may follow
		return "reports (RTCP) came alone: is RTP sent to another port?"
	}
	return ""
}

// listening tells where packets are received.
func listening(s *session.Session, config *session.Config) event {
	e := event{Event: "listening"}
	if config.Video != nil {
		e.VideoAddress = s.LocalVideo().String()
		e.Address = e.VideoAddress
	}
	if config.Audio != nil {
		e.Address = s.LocalAddr().String()
	}
	return e
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
	config := &session.Config{Deadlines: parley.Deadlines{FirstMedia: c.Wait, Silence: c.Timeout}}
	if c.MinDelay < 0 || c.MaxDelay < c.MinDelay || c.MaxDelay > 10*time.Second {
		return nil, useError{fmt.Errorf("--min-delay %v and --max-delay %v are not 0 <= min <= max <= 10s", c.MinDelay, c.MaxDelay)}
	}
	if c.Wait < 0 || c.Timeout < 0 || c.Duration < 0 {
		return nil, useError{errors.New("--wait, --timeout and --duration cannot be negative")}
	}
	var err error
	switch {
	case c.SDP == "" && c.Listen == "":
		return nil, useError{errors.New("--listen or --sdp is needed")}
	case c.SDP != "" && (len(c.Codec) > 0 || c.PayloadType >= 0 || c.VideoPayloadType >= 0):
		return nil, useError{errors.New("--codec and --payload-type do not go with --sdp, which names them")}
	case c.Listen == "" && c.VideoListen != "":
		return nil, useError{errors.New("--video-listen goes with --listen")}
	case c.SDP != "":
		err = c.described(config)
	default:
		err = c.named(config)
	}
	if err == nil && c.Listen != "" {
		err = c.places(config)
	}
	if err != nil {
		return nil, err
	}
	inOrder := c.Playout == "in-order" || c.Playout == "" && c.Out != ""
	if v := config.Video; v != nil && inOrder && c.NACK && c.MaxDelay > 0 {
		v.Wait = c.MaxDelay // else a key frame is asked for the sooner the better
	}
	if a := config.Audio; a != nil {
		a.MinDelay, a.MaxDelay = c.MinDelay, c.MaxDelay
		switch {
		case inOrder:
			a.Playout = stream.InOrder
		case c.Playout == "fixed":
			a.Playout = stream.Fixed
		}
	}
	return config, nil
}

// named takes from the flags what is to be received.
func (c *recvCommand) named(config *session.Config) (err error) {
	var sound, pictures []string
	for _, name := range c.Codec {
		if isVideo(name) {
			pictures = append(pictures, name)
		} else {
			sound = append(sound, name)
		}
	}
	if len(sound) > 1 || len(pictures) > 1 {
		return useError{fmt.Errorf("--codec %s: at most one of audio and one of video", strings.Join(c.Codec, ","))}
	}
	var params []codec.Params
	if len(sound) > 0 || len(pictures) == 0 {
		flags := codecFlags{PayloadType: c.PayloadType}
		if len(sound) > 0 {
			flags.Codec = sound[0]
		}
		if params, err = flags.received(); err != nil {
			return err
		}
		config.Audio = &session.AudioConfig{Codecs: params}
	} else if c.PayloadType >= 0 {
		return useError{errors.New("--payload-type is that of audio; --video-payload-type is that of video")}
	}
	if len(pictures) == 0 {
		if c.VideoListen != "" || c.VideoPayloadType >= 0 {
			return useError{errors.New("--video-listen and --video-payload-type need a --codec of video")}
		}
		return nil
	}
	p, err := videoParams(pictures[0], c.VideoPayloadType, params...)
	if err != nil {
		return err
	}
	config.Video = &session.VideoConfig{Codecs: []codec.Params{p}}
	return nil
}

// places takes from the flags where it is to be received.
func (c *recvCommand) places(config *session.Config) (err error) {
	if config.Local, err = parseAddr("listen", c.Listen); err != nil {
		return err
	}
	v := config.Video
	if v == nil {
		if c.VideoListen != "" {
			return useError{errors.New("--video-listen is for video, and there is none")}
		}
		return nil
	}
	v.Local = config.Local
	switch {
	case c.VideoListen != "":
		if v.Local, err = parseAddr("video-listen", c.VideoListen); err != nil {
			return err
		}
	case config.Audio != nil && v.Local.Port() != 0:
		if v.Local.Port() >= 65533 {
			return useError{fmt.Errorf("--listen %s leaves no ports for the video; --video-listen names them", c.Listen)}
		}
		v.Local = netip.AddrPortFrom(v.Local.Addr(), v.Local.Port()+2)
	}
	if config.Audio == nil {
		config.Local = netip.AddrPortFrom(v.Local.Addr(), 0)
	}
	return nil
}

// writable returns why the named file cannot be written, which is better known
// before there is something to write. It leaves what is there as it is. Who reads a pipe
// would take its opening and closing for all that comes.
func writable(name string) error {
	if name == "" || isPipe(name) {
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
