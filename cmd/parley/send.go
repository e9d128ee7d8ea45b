package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
)

type sendCommand struct {
	File             string `arg:"" help:"File to send: WAV, Ogg, WebM, Matroska, IVF, a byte stream of H.264, or what the ffmpeg program reads, such as MP4, MP3 and FLAC. A pipe, or - for standard input, has to be WAV." placeholder:"FILE"`
	To               string `required:"" placeholder:"HOST:PORT" help:"Where to send RTP, of the video if the file has no audio; RTCP goes to the next port."`
	VideoTo          string `placeholder:"HOST:PORT" help:"Where to send RTP of the video. The default is the port after RTCP of the audio."`
	Codec            string `help:"Codec of the audio: pcmu, pcma, g722, opus or l16; for l16 rate and channels may follow, as in l16/16000/2, or else are those of the file. The default is opus for files that have it, which then goes as it is unless its header has a gain, and pcmu for others. Video always goes as it is." placeholder:"NAME"`
	PayloadType      int    `help:"RTP payload type of the audio, 0 to 127. The default is the static one of RFC 3551, or 97." default:"-1" placeholder:"N"`
	VideoPayloadType int    `help:"RTP payload type of the video. The default is 96, or the next one that the audio does not have." default:"-1" placeholder:"N"`
	NoAudio          bool   `help:"Send the video alone."`
	NoVideo          bool   `help:"Send the audio alone."`
	networkFlags
	DTMF       string        `name:"dtmf" placeholder:"DIGITS" help:"Send these digits as telephone events, once half a second of the file has been sent."`
	PTime      time.Duration `name:"ptime" default:"20ms" placeholder:"D" help:"Audio in one packet, if it is encoded; less where l16 is more than fits."`
	FPS        float64       `name:"fps" placeholder:"N" help:"Pictures per second of a byte stream of H.264. The default is what it tells, or 25."`
	Local      string        `placeholder:"HOST:PORT" help:"Address to send from. The default is any."`
	SSRC       uint32        `name:"ssrc" placeholder:"N" help:"Synchronisation source of the audio, or of the video if there is no audio. The default is random."`
	Loop       bool          `help:"Send the file again and again, until interrupted."`
	WriteSDP   string        `name:"write-sdp" placeholder:"FILE" help:"Write a session description that a player can open, before the first packet."`
	StartAfter time.Duration `placeholder:"D" help:"Wait before the first packet, so that a player can be started."`
}

// reportEvery is the time between progress reports.
const reportEvery = time.Second

func (c *sendCommand) Run(ctx context.Context, out *output) error {
	if err := c.check(); err != nil {
		return err
	}
	src, err := openSource(ctx, c.File, c.FPS)
	if errors.Is(err, errInterrupted) {
		out.emit(event{Event: "end", Reason: "interrupted"}, "ended: interrupted")
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	if c.Loop && src.pipe != nil {
		return useError{fmt.Errorf("--loop: %s can be read only once", c.File)}
	}
	if err := src.drop(c.NoAudio, c.NoVideo); err != nil {
		return err
	}
	if len(src.passed) > 0 {
		out.warn(fmt.Sprintf("%s: not sent, for want of a payload format or a decoder: %s", c.File, strings.Join(src.passed, ", ")))
	}
	config, err := c.config(src)
	if err != nil {
		return err
	}
	return c.send(ctx, out, src, config)
}

// send opens a session, sends the file, and tells how that ended.
func (c *sendCommand) send(ctx context.Context, out *output, src *source, config *session.Config) (err error) {
	done, err := c.apply(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	s, err := session.Open(ctx, config)
	if errors.Is(err, stream.ErrConfig) {
		return useError{err}
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if p := config.Audio; p != nil && c.DTMF != "" && p.DTMF == 0 && p.Codecs[0].PayloadType == 101 {
		out.warn("the codec has the payload type 101, and telephone events the next one, 102")
	}
	if c.WriteSDP != "" {
		if err := c.describe(s, config); err != nil {
			return err
		}
	}
	out.emit(listening(s, config), "")
	if err := sleep(ctx, c.StartAfter); err != nil {
		return c.finish(out, s.Call, config, "interrupted")
	}
	out.emit(c.started(src, config))
	err = c.transmit(ctx, out, s, src, config)
	switch end, ok := errors.AsType[*parley.EndError](err); {
	case err == nil:
		return c.finish(out, s.Call, config, "sent")
	case ok && end.Reason != parley.Canceled:
		return c.finish(out, s.Call, config, string(end.Reason))
	case ok || ctx.Err() != nil:
		return c.finish(out, s.Call, config, "interrupted")
	}
	return err
}

// transmit returns when the far end was sent all of the file and of the digits.
func (c *sendCommand) transmit(ctx context.Context, out *output, s *session.Session, src *source, config *session.Config) error {
	stop := context.AfterFunc(ctx, func() { s.EndWith(&parley.EndError{Reason: parley.Canceled}) }) // unblocks a write
	defer stop()
	if src.pipe != nil {
		go func() {
			<-s.Done()
			src.pipe.Close() // unblocks a read
		}()
	}
	digits := make(chan error, 1)
	go func() { digits <- c.dial(ctx, s.Call, out) }()
	err := c.play(ctx, out, s.Call, src, config)
	if err != nil && src.pipe != nil && s.Err() != nil {
		err = s.Err()
	}
	if err == nil {
		err = <-digits
	}
	if err == nil && config.Audio != nil {
		err = s.Audio().Drain(ctx)
	}
	if err == nil && config.Video != nil {
		err = s.Video().Drain(ctx)
	}
	return err
}

// check finds mistakes in the flags that need no file.
func (c *sendCommand) check() error {
	if c.PTime < time.Millisecond || c.PTime > 120*time.Millisecond {
		return useError{fmt.Errorf("--ptime %v is not between 1ms and 120ms", c.PTime)}
	}
	if c.FPS != 0 && !(c.FPS >= 0.1 && c.FPS <= 1000) {
		return useError{fmt.Errorf("--fps %v is not between 0.1 and 1000", c.FPS)}
	}
	if c.NoAudio && c.NoVideo {
		return useError{errors.New("--no-audio and --no-video leave nothing to send")}
	}
	if c.DTMF != "" && c.DTMFPayloadType < 0 {
		return useError{errors.New("--dtmf needs a payload type of telephone events")}
	}
	for _, digit := range c.DTMF {
		if _, err := dtmf.ParseDigit(digit); err != nil {
			return useError{fmt.Errorf("--dtmf %s: %w", c.DTMF, err)}
		}
	}
	if err := distinct(c.File, c.WriteSDP, c.Pcap); err != nil {
		return err
	}
	_, err := destination("to", c.To)
	return err
}

// destination returns the address in a flag that says where to send to.
func destination(flag, s string) (netip.AddrPort, error) {
	to, err := parseAddr(flag, s)
	if err == nil && (to.Port() == 0 || to.Port() == 65535 || to.Addr().IsUnspecified()) { // RTCP needs the next port
		err = useError{fmt.Errorf("--%s %s is nowhere to send to", flag, s)}
	}
	return to, err
}

// config turns the flags into those of a session for the file.
func (c *sendCommand) config(src *source) (*session.Config, error) {
	config := &session.Config{}
	var err error
	if c.Local != "" {
		if config.Local, err = parseAddr("local", c.Local); err != nil {
			return nil, err
		}
	}
	to, err := destination("to", c.To)
	if err != nil {
		return nil, err
	}
	var sound []codec.Params
	if src.hasAudio() {
		p, err := c.sound(src)
		if err != nil {
			return nil, err
		}
		sound = []codec.Params{p}
		config.Remote = to
		config.Audio = &session.AudioConfig{Codecs: sound, PTime: c.PTime, SSRC: c.SSRC}
	} else if c.DTMF != "" {
		return nil, useError{fmt.Errorf("--dtmf needs audio, and %s has none to send", c.File)}
	}
	if src.picture == nil {
		if c.FPS != 0 || c.VideoTo != "" || c.VideoPayloadType >= 0 {
			return nil, useError{fmt.Errorf("--fps, --video-to and --video-payload-type are for video, and %s has none to send", c.File)}
		}
		return config, nil
	}
	p, err := videoParams(string(src.picture.Codec), c.VideoPayloadType, sound...)
	if err != nil {
		return nil, err
	}
	v := &session.VideoConfig{Remote: to, Codecs: []codec.Params{src.described(p)}}
	switch {
	case c.VideoTo != "":
		if v.Remote, err = destination("video-to", c.VideoTo); err != nil {
			return nil, err
		}
	case config.Audio != nil || src.mute:
		if to.Port() >= 65533 {
			return nil, useError{fmt.Errorf("--to %s leaves no ports for the video; --video-to names them", c.To)}
		}
		v.Remote = netip.AddrPortFrom(to.Addr(), to.Port()+2)
	}
	if config.Audio == nil {
		v.SSRC, v.Local, config.Local = c.SSRC, config.Local, netip.AddrPortFrom(config.Local.Addr(), 0)
	}
	config.Video = v
	return config, nil
}

// sound returns the payload format of the audio.
func (c *sendCommand) sound(src *source) (codec.Params, error) {
	flags := codecFlags{c.Codec, c.PayloadType}
	if src.wav == nil && src.sound.Codec == file.Opus && c.Codec == "" {
		flags.Codec = "opus"
	}
	p, err := flags.params(src.format())
	if err != nil || src.coded(p) {
		return p, err
	}
	if impl, err := codec.Lookup(p); err == nil && impl.NewEncoder == nil {
		return p, fmt.Errorf("%v cannot be encoded: %w", p, cmp.Or(libopus.Available(), codec.ErrUnknown))
	}
	return p, nil
}

// started tells of what is sent.
func (c *sendCommand) started(src *source, config *session.Config) (event, string) {
	e := event{Event: "started", File: c.File}
	var text []string
	if config.Audio != nil {
		e.Address, e.Codec, e.Format = config.Remote.String(), config.Audio.Codecs[0].String(), src.format().String()
		text = append(text, fmt.Sprintf("(%s) to %s as %s", e.Format, e.Address, e.Codec))
	}
	if v := config.Video; v != nil {
		e.VideoAddress, e.VideoCodec, e.VideoFormat = v.Remote.String(), v.Codecs[0].String(), size(src.picture.Width, src.picture.Height)
		if config.Audio == nil {
			e.Address = e.VideoAddress
		}
		text = append(text, fmt.Sprintf("(%s) to %s as %s", cmp.Or(e.VideoFormat, "video"), e.VideoAddress, e.VideoCodec))
	}
	return e, fmt.Sprintf("Sending %s %s.", c.File, strings.Join(text, ", and "))
}

// size returns that of a picture, or nothing if it is not known.
func size(width, height int) string {
	if width == 0 || height == 0 {
		return ""
	}
	return fmt.Sprintf("%dx%d", width, height)
}

// play sends the file.
func (c *sendCommand) play(ctx context.Context, out *output, call *parley.Call, src *source, config *session.Config) error {
	if src.wav == nil {
		p := &player{call: call, src: src, loop: c.Loop}
		if config.Audio != nil {
			p.codec = config.Audio.Codecs[0]
		}
		progress := newProgress(out, call, config, 0)
		progress.position = p.position
		progress.start()
		defer progress.stop()
		return p.run(ctx)
	}
	duration, _ := src.wav.Duration()
	if c.Loop {
		duration = 0
	}
	progress := newProgress(out, call, config, duration)
	progress.start()
	defer progress.stop()
	for {
		before := progress.done.Load()
		err := copyFrames(call.Audio(), src.wav, progress)
		if err == nil && c.Loop && ctx.Err() == nil && progress.done.Load() > before {
			if err = src.rewind(ctx); err == nil {
				continue
			}
		}
		if err == nil {
			err = call.Audio().Drain(ctx)
		}
		if n := src.wav.Missing(); err == nil && n > 0 {
			err = fmt.Errorf("%s: it was cut off: %d bytes of samples are missing: %w", c.File, n, io.ErrUnexpectedEOF)
		}
		return err
	}
}

// dialAfter is how much is said before the digits, so that a far end which has
// to learn where they come from is ready.
const dialAfter = 500 * time.Millisecond

// dial sends the digits.
func (c *sendCommand) dial(ctx context.Context, call *parley.Call, out *output) error {
	if c.DTMF == "" {
		return nil
	}
	if err := sleep(ctx, dialAfter); err != nil {
		return err
	}
	if err := call.SendDigits(ctx, c.DTMF, nil); err != nil {
		return err
	}
	out.emit(event{Event: "digits", Digits: c.DTMF}, fmt.Sprintf("Sent the digits %s.", c.DTMF))
	return nil
}

// finish says goodbye to the far end, and reports. That all was played and none of it
// has left is an error.
func (c *sendCommand) finish(out *output, call *parley.Call, config *session.Config, reason string) error {
	stats := statsOf(call, config)
	var s parley.Stats
	call.Stats(&s)
	call.Close()
	sent, refused := s.Audio.PacketsSent+s.Video.PacketsSent, s.Audio.SendErrors+s.Video.SendErrors
	text := summary(reason, stats)
	if refused > 0 {
		text += fmt.Sprintf("\n  refused   %d packets, by the network", refused)
	}
	out.emit(event{Event: "end", Reason: reason, statistics: stats.audio, videoStatistics: stats.video}, text)
	switch {
	case reason != "sent":
	case sent+refused == 0:
		return fmt.Errorf("%s has nothing to send", c.File)
	case refused > 0 && refused >= sent:
		return errors.New("the network refused all packets")
	}
	return nil
}

// copyFrames writes all frames of a file to a call.
func copyFrames(w audio.Writer, r audio.Reader, p *progress) error {
	var f audio.Frame
	for {
		err := r.ReadFrame(&f)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.WriteFrame(&f); err != nil {
			return err
		}
		p.advance(f.Duration())
	}
}

// sleep waits for d, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
