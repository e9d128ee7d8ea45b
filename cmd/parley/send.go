package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
)

type sendCommand struct {
	File string `arg:"" help:"WAV file to send." placeholder:"FILE"`
	To   string `required:"" placeholder:"HOST:PORT" help:"Where to send RTP; RTCP goes to the next port."`
	codecFlags
	networkFlags
	DTMF       string        `name:"dtmf" placeholder:"DIGITS" help:"Send these digits as telephone events, once half a second of the file has been sent."`
	PTime      time.Duration `name:"ptime" default:"20ms" placeholder:"D" help:"Audio in one packet."`
	Local      string        `placeholder:"HOST:PORT" help:"Address to send from. The default is any."`
	SSRC       uint32        `name:"ssrc" placeholder:"N" help:"Synchronisation source. The default is random."`
	Loop       bool          `help:"Send the file again and again, until interrupted."`
	WriteSDP   string        `name:"write-sdp" placeholder:"FILE" help:"Write a session description that a player can open, before the first packet."`
	StartAfter time.Duration `placeholder:"D" help:"Wait before the first packet, so that a player can be started."`
}

// reportEvery is the time between progress reports.
const reportEvery = time.Second

func (c *sendCommand) Run(ctx context.Context, out *output) (err error) {
	if c.PTime < time.Millisecond || c.PTime > 120*time.Millisecond {
		return useError{fmt.Errorf("--ptime %v is not between 1ms and 120ms", c.PTime)}
	}
	to, err := parseAddr("to", c.To)
	if err != nil {
		return err
	}
	if to.Port() == 0 || to.Port() == 65535 || to.Addr().IsUnspecified() { // RTCP needs the next port
		return useError{fmt.Errorf("--to %s is nowhere to send to", c.To)}
	}
	var local netip.AddrPort
	if c.Local != "" {
		if local, err = parseAddr("local", c.Local); err != nil {
			return err
		}
	}
	in, err := file.OpenWAV(c.File)
	if err != nil {
		return err
	}
	defer func() { in.Close() }()
	params, err := c.params(in.Format())
	if err != nil {
		return err
	}
	if impl, err := codec.Lookup(params); err == nil && impl.NewEncoder == nil {
		return fmt.Errorf("%v cannot be encoded: %w", params, cmp.Or(libopus.Available(), codec.ErrUnknown))
	}
	for _, digit := range c.DTMF {
		if _, err := dtmf.ParseDigit(digit); err != nil {
			return useError{fmt.Errorf("--dtmf %s: %w", c.DTMF, err)}
		}
	}
	config := &session.Config{
		Local:  local,
		Remote: to,
		Audio:  &session.AudioConfig{Codecs: []codec.Params{params}, PTime: c.PTime, SSRC: c.SSRC},
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
	if c.WriteSDP != "" {
		description, err := s.Describe()
		if err != nil {
			return err
		}
		description.Addr = to // whoever reads it is to listen there
		if c.DTMF == "" {     // ffmpeg, for one, cannot read a description with more
			description.Codecs = []codec.Params{params}
		}
		if config.SRTP != nil {
			description.Crypto = []session.Crypto{{Tag: 1, Key: config.SRTP.Local}}
		}
		text, err := description.Marshal()
		if err == nil {
			err = os.WriteFile(c.WriteSDP, text, 0o666)
		}
		if err != nil {
			return err
		}
	}
	out.emit(event{Event: "listening", Address: s.LocalAddr().String()}, "")
	if err := sleep(ctx, c.StartAfter); err != nil {
		return c.finish(out, s.Call, "interrupted")
	}
	out.emit(event{Event: "started", Address: to.String(), Codec: params.String(), File: c.File, Format: in.Format().String()},
		fmt.Sprintf("Sending %s (%v) to %v as %v.", c.File, in.Format(), to, params))

	duration, _ := in.Duration()
	if c.Loop {
		duration = 0
	}
	progress := newProgress(out, s.Call, duration)
	defer progress.stop()
	go func() { // unblocks a write
		select {
		case <-ctx.Done():
			s.EndWith(&parley.EndError{Reason: parley.Canceled})
		case <-s.Done():
		}
	}()
	digits := make(chan error, 1)
	go func() { digits <- c.dial(ctx, s.Call, out) }()
	for {
		before := progress.done.Load()
		err := copyFrames(s.Audio(), in, progress)
		if err == nil && c.Loop && ctx.Err() == nil && progress.done.Load() > before {
			var again *file.WAVReader
			if again, err = file.OpenWAV(c.File); err == nil {
				in.Close()
				in = again
				continue
			}
		}
		if err == nil {
			err = <-digits
		}
		if err == nil {
			err = s.Audio().Drain(ctx)
		}
		progress.stop()
		if end, ok := errors.AsType[*parley.EndError](err); ok {
			if end.Reason == parley.Canceled {
				return c.finish(out, s.Call, "interrupted")
			}
			return c.finish(out, s.Call, string(end.Reason))
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		return c.finish(out, s.Call, "sent")
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

// finish says goodbye to the far end, and reports.
func (c *sendCommand) finish(out *output, call *parley.Call, reason string) error {
	stats := statsOf(call)
	call.Close()
	out.emit(event{Event: "end", Reason: reason, statistics: stats}, summary(reason, stats))
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
