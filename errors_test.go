package parley

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A misuse is something that a program may do wrong, or too early or too late, and
// what it is told.
type misuse struct {
	name string
	do   func(ctx context.Context, c *Call, a *Audio, v *Video) error
	want func(error) bool
}

func nothingWrong(err error) bool { return err == nil }

func is(want error) func(error) bool {
	return func(err error) bool { return errors.Is(err, want) }
}

func over(r Reason) func(error) bool {
	return func(err error) bool {
		end, ok := errors.AsType[*EndError](err)
		return ok && end.Reason == r && errors.Is(err, net.ErrClosed) == (r == Closed)
	}
}

func frame(rate, channels, samples int) *audio.Frame {
	return &audio.Frame{Format: audio.Format{Rate: rate, Channels: channels}, Samples: make([]int16, samples)}
}

func writes(f *audio.Frame) func(context.Context, *Call, *Audio, *Video) error {
	return func(_ context.Context, _ *Call, a *Audio, _ *Video) error { return a.WriteFrame(f) }
}

func writesPacket(p stream.Packet) func(context.Context, *Call, *Audio, *Video) error {
	return func(_ context.Context, _ *Call, a *Audio, _ *Video) error { return a.WritePacket(&p) }
}

func shows(data []byte) func(context.Context, *Call, *Audio, *Video) error {
	return func(_ context.Context, _ *Call, _ *Audio, v *Video) error {
		return v.WriteFrame(&video.Frame{Data: data, Key: true})
	}
}

// usual are the ordinary uses of a line.
var usual = map[string]func(ctx context.Context, c *Call, a *Audio, v *Video) error{
	"ReadFrame":  func(_ context.Context, _ *Call, a *Audio, _ *Video) error { return a.ReadFrame(&audio.Frame{}) },
	"ReadPacket": func(_ context.Context, _ *Call, a *Audio, _ *Video) error { return a.ReadPacket(&stream.Packet{}) },
	"ReadDigit": func(ctx context.Context, _ *Call, a *Audio, _ *Video) error {
		_, err := a.ReadDigit(ctx)
		return err
	},
	"ReadDigitReport": func(ctx context.Context, _ *Call, a *Audio, _ *Video) error {
		_, err := a.ReadDigitReport(ctx)
		return err
	},
	"WriteFrame":       writes(ramp(8)),
	"WriteFrame empty": writes(frame(8000, 1, 0)),
	"WriteFrame other": writes(frame(48000, 2, 960)),
	"WritePacket":      writesPacket(stream.Packet{Codec: pcmu, Payload: make([]byte, 160)}),
	"SendDigits": func(ctx context.Context, _ *Call, a *Audio, _ *Video) error {
		return a.SendDigits(ctx, "1", &dtmf.Options{})
	},
	"Update": func(_ context.Context, _ *Call, a *Audio, _ *Video) error {
		return a.Update(&AudioUpdate{Event: events, Direction: a.Direction()})
	},
	"Drain":            func(ctx context.Context, _ *Call, a *Audio, _ *Video) error { return a.Drain(ctx) },
	"video ReadFrame":  func(_ context.Context, _ *Call, _ *Audio, v *Video) error { return v.ReadFrame(&video.Frame{}) },
	"video WriteFrame": shows(picture(0, true, 100).Data),
	"video Update": func(_ context.Context, _ *Call, _ *Audio, v *Video) error {
		return v.Update(&VideoUpdate{Direction: v.Direction()})
	},
	"video Drain": func(ctx context.Context, _ *Call, _ *Audio, v *Video) error { return v.Drain(ctx) },
	"harmless": func(_ context.Context, _ *Call, a *Audio, v *Video) error { // which never fail
		a.Flush(-time.Second)
		a.Flush(math.MaxInt64)
		a.Played()
		a.Codec()
		a.Decodes()
		a.Stats(&AudioStats{})
		a.DeliverRTP(time.Now(), netip.AddrPort{}, nil)
		a.DeliverRTCP(time.Now(), netip.AddrPort{}, []byte{0x80})
		v.Flush()
		v.Codec()
		v.RequestKeyframe()
		v.KeyframeRequested()
		v.Stats(&VideoStats{})
		v.DeliverRTP(time.Now(), netip.AddrPort{}, nil)
		v.DeliverRTCP(time.Now(), netip.AddrPort{}, []byte{0x80})
		return nil
	},
}

// each does all the usual things, of which most give one error.
func each(want func(error) bool, others map[string]func(error) bool) (all []misuse) {
	for name, do := range usual {
		w, ok := others[name]
		if !ok {
			w = want
		}
		all = append(all, misuse{name, do, w})
	}
	return all
}

// TestMisuse checks that each method says what its comment says.
func TestMisuse(t *testing.T) {
	late := is(context.DeadlineExceeded)
	expired := is(os.ErrDeadlineExceeded)
	waits := map[string]func(error) bool{ // for what the far end does not do
		"ReadFrame": expired, "ReadPacket": expired, "ReadDigit": late, "ReadDigitReport": late, "video ReadFrame": expired,
	}
	with := func(m map[string]func(error) bool, pairs ...any) map[string]func(error) bool {
		all := map[string]func(error) bool{}
		for k, v := range m {
			all[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i].(string)] = pairs[i+1].(func(error) bool)
		}
		return all
	}
	harmless := map[string]func(error) bool{"harmless": nothingWrong, "Drain": nothingWrong, "video Drain": nothingWrong}
	reading := []any{"ReadFrame", is(io.EOF), "ReadPacket", is(io.EOF), "ReadDigit", is(io.EOF), "ReadDigitReport", is(io.EOF), "video ReadFrame", is(io.EOF)}
	wire := stream.Packet{Codec: pcmu}
	for _, tt := range []struct {
		state   string
		prepare func(c *Call, a *Audio, v *Video)
		uses    []misuse
	}{
		{"connected", nil, each(nothingWrong, waits)},
		{"connected, wrong", nil, []misuse{
			{"no format", writes(frame(0, 0, 160)), is(audio.ErrFormat)},
			{"no rate", writes(frame(0, 1, 160)), is(audio.ErrFormat)},
			{"negative rate", writes(frame(-8000, 1, 160)), is(audio.ErrFormat)},
			{"absurd rate", writes(frame(math.MaxInt, 1, 160)), is(audio.ErrFormat)},
			{"no channels", writes(frame(8000, 0, 160)), is(audio.ErrFormat)},
			{"negative channels", writes(frame(8000, -2, 160)), is(audio.ErrFormat)},
			{"absurd channels", writes(frame(8000, 1000, 1000)), is(audio.ErrFormat)},
			{"odd samples", writes(frame(8000, 2, 161)), is(audio.ErrFormat)},
			{"longer than the queue", writes(frame(16000, 1, 16000)), nothingWrong},
			{"packet of another codec", writesPacket(stream.Packet{Codec: pcma, Payload: make([]byte, 160)}), is(audio.ErrFormat)},
			{"packet of no codec", writesPacket(stream.Packet{Payload: make([]byte, 160)}), is(audio.ErrFormat)},
			{"packet that is too long", writesPacket(stream.Packet{Codec: pcmu, Payload: make([]byte, 65536)}), is(audio.ErrFormat)},
			{"packet of any numbers", writesPacket(stream.Packet{Codec: pcmu, Seq: math.MinInt64, Timestamp: math.MaxUint32, Time: math.MinInt64}), nothingWrong},
			{"no such digit", func(ctx context.Context, _ *Call, a *Audio, _ *Video) error { return a.SendDigits(ctx, "x", nil) }, is(dtmf.ErrDigit)},
			{"no picture", shows(nil), is(payload.ErrFrame)},
			{"empty picture", shows([]byte{}), is(payload.ErrFrame)},
			{"picture that is too large", shows(make([]byte, 64<<20)), is(payload.ErrFrame)},
			{"codec of video for audio", func(_ context.Context, _ *Call, a *Audio, _ *Video) error {
				return a.Update(&AudioUpdate{Send: codec.Params{Name: "PCMU", PayloadType: 200, ClockRate: -1}})
			}, is(stream.ErrConfig)},
			{"negative ptime", func(_ context.Context, _ *Call, a *Audio, _ *Video) error { return a.Update(&AudioUpdate{PTime: -1}) }, is(stream.ErrConfig)},
			{"codec of audio for video", func(_ context.Context, _ *Call, _ *Audio, v *Video) error { return v.Update(&VideoUpdate{Send: pcmu}) }, is(stream.ErrVideoFormat)},
		}},
		{"deadline that has passed", func(_ *Call, a *Audio, v *Video) {
			for _, l := range []interface {
				SetReadDeadline(time.Time)
				SetWriteDeadline(time.Time)
			}{a, v} {
				l.SetReadDeadline(time.Unix(1, 0))
				l.SetWriteDeadline(time.Unix(1, 0))
			}
		}, each(nothingWrong, with(waits, "WriteFrame", expired, "WriteFrame other", expired, "video WriteFrame", expired))},
		{"far end listens only", func(_ *Call, a *Audio, v *Video) {
			a.Update(&AudioUpdate{Direction: SendOnly, Event: events})
			v.Update(&VideoUpdate{Direction: SendOnly})
		}, each(nothingWrong, waits)},
		{"this end listens only", func(_ *Call, a *Audio, v *Video) {
			a.Update(&AudioUpdate{Direction: RecvOnly, Event: events})
			v.Update(&VideoUpdate{Direction: RecvOnly})
		}, each(nothingWrong, with(waits, "SendDigits", is(stream.ErrHeld)))},
		{"no decoder and no encoder", func(_ *Call, a *Audio, _ *Video) {
			if err := a.Update(&AudioUpdate{Send: coded, Receive: []codec.Params{coded}}); err != nil {
				t.Error(err)
			}
		}, []misuse{
			{"ReadFrame", usual["ReadFrame"], is(codec.ErrUnknown)},
			{"WriteFrame", usual["WriteFrame"], is(codec.ErrUnknown)},
			{"WriteFrame of another format", usual["WriteFrame other"], is(codec.ErrUnknown)},
			{"SendDigits", usual["SendDigits"], is(stream.ErrNoEvents)},
			{"WritePacket", writesPacket(stream.Packet{Codec: coded, Payload: make([]byte, 40)}), nothingWrong},
			{"WritePacket of the codec before", writesPacket(wire), is(audio.ErrFormat)},
		}},
		{"packets are read", func(_ *Call, a *Audio, _ *Video) {
			a.SetReadDeadline(time.Unix(1, 0))
			a.ReadPacket(&stream.Packet{})
			a.SetReadDeadline(time.Time{})
		}, each(nothingWrong, with(waits, "ReadFrame", is(ErrCoded)))},
		{"closed", func(c *Call, _ *Audio, _ *Video) { c.Close() }, each(over(Closed), harmless)},
		{
			"ended by the far end", func(c *Call, _ *Audio, _ *Video) { c.EndWith(&EndError{Reason: Bye}) },
			each(over(Bye), with(harmless, reading...)),
		},
		{"lost", func(c *Call, _ *Audio, _ *Video) { c.EndWith(&EndError{Reason: Disconnected}) }, each(over(Disconnected), harmless)},
		{"removed", func(_ *Call, a *Audio, v *Video) {
			a.Remove()
			v.Remove()
		}, each(over(Removed), with(harmless, reading...))},
	} {
		for _, use := range tt.uses {
			t.Run(tt.state+"/"+use.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x, y := videoPair(t, VideoConfig{}, nil, nil)
					a, _ := addAudio(t, x, y, "7")
					v := x.Video()
					for _, l := range []interface {
						SetReadDeadline(time.Time)
						SetWriteDeadline(time.Time)
					}{a, v} {
						l.SetReadDeadline(time.Now().Add(5 * time.Second))
						l.SetWriteDeadline(time.Now().Add(5 * time.Second))
					}
					if tt.prepare != nil {
						tt.prepare(x, a, v)
					}
					if tt.state == "packets are read" {
						a.SetReadDeadline(time.Now().Add(5 * time.Second))
					}
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					if err := use.do(ctx, x, a, v); !use.want(err) {
						t.Errorf("%v", err)
					}
				})
			})
		}
	}
}

// Before a call is connected nothing is refused: the clock runs, and what leaves is
// lost.
func TestWritesBeforeConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, v := &refusing{}, &refusing{}
		c, err := New(Config{
			Audio: &AudioConfig{Leg: a, Send: pcmu, Receive: []codec.Params{pcmu}},
			Video: &VideoConfig{Leg: v, Send: vp8, Receive: []codec.Params{vp8}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		begin := time.Now()
		says(t, c.Audio(), 8, 10)
		if err := c.Audio().WritePacket(&stream.Packet{Codec: pcmu, Payload: make([]byte, 160)}); err != nil {
			t.Error(err)
		}
		if err := c.Video().WriteFrame(picture(0, true, 100)); err != nil {
			t.Error(err)
		}
		if err := errors.Join(c.Audio().Drain(t.Context()), c.Video().Drain(t.Context())); err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d < 180*ms || d > 300*ms {
			t.Errorf("200 ms took %v", d)
		}
		var s Stats
		c.Stats(&s)
		if s.Connected || s.Audio.SendErrors != 11 || s.Video.SendErrors != 1 {
			t.Errorf("%d and %d packets lost", s.Audio.SendErrors, s.Video.SendErrors)
		}
	})
}

// refusing is a leg that cannot send yet.
type refusing struct{}

func (*refusing) WriteRTP([]byte) error  { return net.ErrClosed }
func (*refusing) WriteRTCP([]byte) error { return net.ErrClosed }
func (*refusing) Close() error           { return nil }
