// Package calltest makes calls with both ends in one process, over nothing, for the
// tests of applications. In a bubble of testing/synctest they are in virtual time,
// and exact.
package calltest

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
)

// PCMU is what telephones speak.
func PCMU() codec.Params {
	return codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
}

// L16 is sound as it is, of one channel.
func L16(rate int) codec.Params {
	return codec.Params{Name: "L16", PayloadType: 97, ClockRate: rate, Channels: 1}
}

// VP8 is that of [Picture].
func VP8() codec.Params { return codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000} }

// VP9 is what [Switch] may make of VP8.
func VP9() codec.Params { return codec.Params{Name: "VP9", PayloadType: 98, ClockRate: 90000} }

// Switch makes near send its pictures in p from now on, where far takes VP8 and VP9
// and sends what it did.
func Switch(t testing.TB, near, far *parley.Call, p codec.Params) {
	t.Helper()
	feedback := parley.VideoFeedback{PLI: true}
	if err := far.Video().Update(&parley.VideoUpdate{Receive: []codec.Params{VP8(), VP9()}, Feedback: feedback}); err != nil {
		t.Fatal(err)
	}
	if err := near.Video().Update(&parley.VideoUpdate{Send: p, Feedback: feedback}); err != nil {
		t.Fatal(err)
	}
}

// wire is a leg that delivers in order to a line of another call, at once.
type wire struct {
	packets chan packet
	gone    chan struct{}
	flying  sync.WaitGroup
}

type packet struct {
	bytes []byte
	rtcp  bool
}

// line is what receives.
type line interface {
	DeliverRTP(time.Time, netip.AddrPort, []byte)
	DeliverRTCP(time.Time, netip.AddrPort, []byte)
}

func newWire() *wire { return &wire{packets: make(chan packet, 1024), gone: make(chan struct{})} }

func (w *wire) run(to line) {
	w.flying.Go(func() {
		for {
			select {
			case p := <-w.packets:
				if p.rtcp {
					to.DeliverRTCP(time.Now(), netip.AddrPort{}, p.bytes)
				} else {
					to.DeliverRTP(time.Now(), netip.AddrPort{}, p.bytes)
				}
			case <-w.gone:
				return
			}
		}
	})
}

func (w *wire) send(b []byte, rtcp bool) error {
	select {
	case w.packets <- packet{append([]byte(nil), b...), rtcp}:
		return nil
	default:
		return net.ErrClosed
	}
}

func (w *wire) WriteRTP(b []byte) error  { return w.send(b, false) }
func (w *wire) WriteRTCP(b []byte) error { return w.send(b, true) }

// Close does nothing: what was sent before, such as a goodbye, still arrives.
func (w *wire) Close() error { return nil }

// New returns the two ends of a call with sound and pictures in these codecs, or
// without if they have no name, and with channels.
func New(t testing.TB, sound, pictures codec.Params) (near, far *parley.Call) {
	t.Helper()
	var wires []*wire
	var ends [2]*parley.Call
	var switches [2]*exchange
	for i := range ends {
		switches[i] = newExchange()
		c := parley.Config{Channels: switches[i]}
		if sound.Name != "" {
			w := newWire()
			wires = append(wires, w)
			c.Audio = &parley.AudioConfig{Leg: w, Send: sound, Receive: []codec.Params{sound}}
		}
		if pictures.Name != "" {
			w := newWire()
			wires = append(wires, w)
			c.Video = &parley.VideoConfig{Leg: w, Send: pictures, Receive: []codec.Params{pictures}}
		}
		var err error
		if ends[i], err = parley.New(c); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for i := range ends {
		other := ends[1-i]
		switches[i].other = other
		if sound.Name != "" {
			wires[n].run(other.Audio())
			n++
		}
		if pictures.Name != "" {
			wires[n].run(other.Video())
			n++
		}
	}
	for _, c := range ends {
		c.Connected()
	}
	stop(t, ends, wires)
	return ends[0], ends[1]
}

// Add gives the two ends of a call one more line of sound, of pictures, or of both, in
// these codecs, and returns those of near.
func Add(t testing.TB, near, far *parley.Call, sound, pictures codec.Params) (a *parley.Audio, v *parley.Video) {
	t.Helper()
	ends := [2]*parley.Call{near, far}
	var wires []*wire
	var sounds [2]*parley.Audio
	var films [2]*parley.Video
	for i, c := range ends {
		var err error
		if sound.Name != "" {
			wires = append(wires, newWire())
			sounds[i], err = c.AttachAudio(parley.AudioConfig{Leg: wires[len(wires)-1], Send: sound, Receive: []codec.Params{sound}})
		}
		if err == nil && pictures.Name != "" {
			wires = append(wires, newWire())
			films[i], err = c.AttachVideo(parley.VideoConfig{Leg: wires[len(wires)-1], Send: pictures, Receive: []codec.Params{pictures}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for i := range ends {
		if sound.Name != "" {
			wires[n].run(sounds[1-i])
			n++
		}
		if pictures.Name != "" {
			wires[n].run(films[1-i])
			n++
		}
	}
	stop(t, ends, wires)
	return sounds[0], films[0]
}

// stop ends both ends and their wires with the test.
func stop(t testing.TB, ends [2]*parley.Call, wires []*wire) {
	t.Cleanup(func() {
		for _, c := range ends {
			c.Close()
		}
		for _, w := range wires {
			close(w.gone)
			w.flying.Wait()
		}
	})
}

// Replace makes near send on other lines than before, which it returns, as a page does
// that takes its tracks away and adds others: the lines before are there to hear and to
// see by.
func Replace(t testing.TB, near, far *parley.Call) (a *parley.Audio, v *parley.Video) {
	t.Helper()
	turn := func(set func(parley.Direction) error, to parley.Direction) {
		if err := set(to); err != nil {
			t.Fatal(err)
		}
	}
	var pictures codec.Params
	turn(near.Audio().SetDirection, parley.RecvOnly)
	turn(far.Audio().SetDirection, parley.SendOnly)
	if near.Video() != nil {
		pictures = near.Video().Codec()
		turn(near.Video().SetDirection, parley.RecvOnly)
		turn(far.Video().SetDirection, parley.SendOnly)
	}
	return Add(t, near, far, near.Audio().Codec(), pictures)
}

// Serve runs h for c, and returns what becomes of that. When the test ends, the call
// is closed, and a handler that goes on is an error.
func Serve(t testing.TB, c *parley.Call, h parley.Handler) <-chan error {
	t.Helper()
	ended, result := make(chan error, 1), make(chan error, 1)
	go func() {
		err := parley.Serve(t.Context(), c, h)
		result <- err
		ended <- err
	}()
	t.Cleanup(func() {
		c.Close()
		if stuck, ok := (<-ended).(*parley.StuckError); ok {
			t.Errorf("%v\n%s", stuck, stuck.Stack)
		}
	})
	return result
}

// Cancel runs h for c for a second, twice, since nothing of it is to be left. It is an
// error if it goes on when its context has been cancelled, though the call has not ended.
func Cancel(t testing.TB, c *parley.Call, h parley.Handler) {
	t.Helper()
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.ServeCall(ctx, c) }()
		select {
		case err := <-ended:
			t.Fatalf("the handler has ended by itself: %v", err)
		case <-time.After(time.Second):
		}
		cancel()
		select {
		case <-ended:
		case <-time.After(time.Second):
			c.Close()
			<-ended
			t.Fatal("the handler ignores that its context is cancelled")
		}
		if err := c.Err(); err != nil {
			t.Fatalf("the call has ended: %v", err)
		}
	}
}

// Picture returns a frame of VP8 of 320 by 240 that shows n.
func Picture(n byte, at time.Duration, key bool) *video.Frame {
	data := make([]byte, 600)
	data[0] = 1 // between key frames
	if key {
		copy(data, []byte{0x10, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0})
	}
	data[len(data)-1] = n
	return &video.Frame{Data: data, Key: key, Time: at}
}

// PictureVP9 returns a frame of VP9 of 352 by 288 that shows n.
func PictureVP9(n byte, at time.Duration, key bool) *video.Frame {
	data := make([]byte, 600)
	data[0] = 0x86 // between key frames
	if key {
		copy(data, []byte{0x82, 0x49, 0x83, 0x42, 0x20, 0x15, 0xf0, 0x11, 0xf0})
	}
	data[len(data)-1] = n
	return &video.Frame{Data: data, Key: key, Time: at}
}

// Shown returns which picture a frame is.
func Shown(f *video.Frame) byte { return f.Data[len(f.Data)-1] }

// Film sends pictures of n, 20 in a second, a key frame first and whenever one is
// asked for, until the call ends.
func Film(c *parley.Call, n byte) { FilmOn(c, c.Video(), n) }

// FilmOn does the same on one of the lines of the call.
func FilmOn(c *parley.Call, v *parley.Video, n byte) {
	for i := 0; ; i++ {
		key := v.KeyframeRequested() || i == 0
		if v.WriteFrame(Picture(n, time.Duration(i)*50*time.Millisecond, key)) != nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-c.Done():
			return
		}
	}
}

// Hear returns what is heard for a time, as one run of samples at the rate of the
// call. A pause is silence.
func Hear(t testing.TB, c *parley.Call, d time.Duration) audio.Frame {
	t.Helper()
	var f, all audio.Frame
	for all.Duration() < d || all.Format.Rate == 0 {
		if err := c.Audio().ReadFrame(&f); err != nil {
			t.Fatalf("after %v: %v", all.Duration(), err)
		}
		if all.Format.Rate == 0 {
			all.Format, all.Time = f.Format, f.Time
		}
		all.Samples = append(all.Samples, f.Samples...)
	}
	return all
}
