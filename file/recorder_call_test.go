package file_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	pictures "github.com/parley-media/parley/video"
)

// wire is a leg that delivers to a line of another call, in order.
type wire struct {
	to      atomic.Pointer[far]
	way     time.Duration // how long that takes
	loses   atomic.Int32  // one of so many packets; 0: none
	sent    atomic.Int32
	packets chan func()
	gone    chan struct{}
	once    sync.Once
	flying  sync.WaitGroup
}

type far struct {
	line interface {
		DeliverRTP(time.Time, netip.AddrPort, []byte)
		DeliverRTCP(time.Time, netip.AddrPort, []byte)
	}
}

func newWire() *wire {
	w := &wire{packets: make(chan func(), 1024), gone: make(chan struct{})}
	w.flying.Go(func() {
		for {
			select {
			case deliver := <-w.packets:
				deliver()
			case <-w.gone:
				return
			}
		}
	})
	return w
}

func (w *wire) send(b []byte, rtcp bool) error {
	if n := w.loses.Load(); n > 0 && !rtcp && w.sent.Add(1)%n == 0 {
		return nil
	}
	b = append([]byte(nil), b...)
	arrival := time.Now().Add(w.way)
	select {
	case w.packets <- func() {
		time.Sleep(time.Until(arrival))
		if to := w.to.Load(); to != nil && rtcp {
			to.line.DeliverRTCP(time.Now(), netip.AddrPort{}, b)
		} else if to != nil {
			to.line.DeliverRTP(time.Now(), netip.AddrPort{}, b)
		}
	}:
		return nil
	case <-w.gone:
		return net.ErrClosed
	}
}

func (w *wire) WriteRTP(b []byte) error  { return w.send(b, false) }
func (w *wire) WriteRTCP(b []byte) error { return w.send(b, true) }
func (w *wire) Close() error {
	w.once.Do(func() { close(w.gone) })
	return nil
}

// calls returns two calls that are connected.
func calls(t testing.TB, sound codec.Params) (x, y *parley.Call) {
	return callsOver(t, sound, 0, 0)
}

// callsOver does that over ways of a length for sound and one for pictures, in
// virtual time.
func callsOver(t testing.TB, sound codec.Params, heard, seen time.Duration) (x, y *parley.Call) {
	t.Helper()
	vp8Codec := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
	var wires []*wire
	open := func() *parley.Call {
		a, v := newWire(), newWire()
		a.way, v.way = heard, seen
		wires = append(wires, a, v)
		c, err := parley.New(parley.Config{
			Audio: &parley.AudioConfig{Leg: a, Send: sound, Receive: []codec.Params{sound}},
			Video: &parley.VideoConfig{Leg: v, Send: vp8Codec, Receive: []codec.Params{vp8Codec}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	x, y = open(), open()
	wires[0].to.Store(&far{y.Audio()})
	wires[1].to.Store(&far{y.Video()})
	wires[2].to.Store(&far{x.Audio()})
	wires[3].to.Store(&far{x.Video()})
	x.Connected()
	y.Connected()
	t.Cleanup(func() {
		x.Close()
		y.Close()
		for _, w := range wires {
			w.Close()
			w.flying.Wait()
		}
	})
	return x, y
}

var pcmu = codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000}

func TestRecordCall(t *testing.T) {
	for _, c := range []struct {
		name  string
		sound codec.Params
		want  []file.Codec
	}{
		{"a.webm", opusCodec, []file.Codec{file.Opus, file.VP8}},
		{"a.mkv", opusCodec, []file.Codec{file.Opus, file.VP8}},
		{"a.ogg", opusCodec, []file.Codec{file.Opus}},
		{"a.ivf", opusCodec, []file.Codec{file.VP8}},
		{"a.mkv", pcmu, []file.Codec{file.PCM, file.VP8}},
		{"a.wav", pcmu, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			x, y := calls(t, c.sound)
			r, path := recorder(t, c.name, file.RecorderConfig{Error: func(err error) { t.Error(err) }})
			if _, _, err := r.AddCall(y); err != nil {
				t.Fatal(err)
			}
			for i := range 250 {
				if c.sound == opusCodec {
					if err := x.Audio().WritePacket(opusPacket(i)); err != nil {
						t.Fatal(err)
					}
				} else if err := x.Audio().WriteFrame(level(1000, 0)); err != nil {
					t.Fatal(err)
				}
				if i%2 == 0 {
					if err := x.Video().WriteFrame(&pictures.Frame{Data: vp8(i%50 == 0, i), Key: i%50 == 0, Time: time.Duration(i) * 20 * ms}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(20 * ms)
			}
			time.Sleep(time.Second)
			closed(t, r)
			if c.want == nil {
				if _, samples := wavOf(t, path); (mono8.Duration(len(samples)) - 6*time.Second).Abs() > 100*ms {
					t.Errorf("%v in the file, want 6 s", mono8.Duration(len(samples)))
				}
				return
			}
			tracks, packets := packetsOf(t, path)
			if len(tracks) != len(c.want) {
				t.Fatalf("%d tracks, want %d", len(tracks), len(c.want))
			}
			for i, want := range c.want {
				times := timesOf(packets, i)
				if tracks[i].Codec != want {
					t.Errorf("track %d is %s, want %s", i, tracks[i].Codec, want)
				}
				if first, last := times[0], times[len(times)-1]; first > 100*ms || last < 4900*ms || last > 6100*ms {
					t.Errorf("track %d (%s) goes from %v to %v", i, want, first, last)
				}
			}
			// The call can be read again.
			got := make(chan error, 1)
			go func() {
				var f pictures.Frame
				got <- y.Video().ReadFrame(&f)
			}()
			x.Video().WriteFrame(&pictures.Frame{Data: vp8(true, 0), Key: true, Time: time.Hour})
			if err := <-got; err != nil {
				t.Errorf("reading the call afterwards: %v", err)
			}
		})
	}
}

// What the far end sends in other codecs for a while is not in the file, which is told
// once for each track, and the recording goes on when it comes back to those before.
func TestRecordOtherCodecs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, opusCodec)
		before := x.Video().Codec()
		other := codec.Params{Name: "H264", PayloadType: 98, ClockRate: 90000, FMTP: "packetization-mode=1"}
		err := y.Update(&parley.AudioUpdate{Receive: []codec.Params{opusCodec, pcmu}}, &parley.VideoUpdate{Receive: []codec.Params{before, other}})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var told []error
		r, path := recorder(t, "a.webm", file.RecorderConfig{Error: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, err)
		}})
		_, videos, err := r.AddCall(y)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 450 { // 9 s, of which the middle ones are in other codecs
			away, data := i/150 == 1, vp8
			if i%150 == 0 {
				sound, film := opusCodec, before
				if away {
					sound, film = pcmu, other
				}
				if err := x.Update(&parley.AudioUpdate{Send: sound}, &parley.VideoUpdate{Send: film}); err != nil {
					t.Fatal(err)
				}
			}
			p := opusPacket(i)
			if away {
				data = h264
				p.Codec, p.Payload, p.Timestamp = pcmu, make([]byte, 160), uint32(i*160)
			}
			if err := x.Audio().WritePacket(p); err != nil {
				t.Fatal(err)
			}
			if key := i%150 == 0; i%2 == 0 {
				if err := x.Video().WriteFrame(&pictures.Frame{Data: data(key, i), Key: key, Time: time.Duration(i) * 20 * ms}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * ms)
		}
		time.Sleep(time.Second)
		closed(t, r)
		_, packets := packetsOf(t, path)
		var film []int
		sounds := 0
		for _, p := range packets {
			if p.Track == 0 {
				sounds++
				continue
			}
			n, at := -1, bytes.LastIndexByte(p.Data, ' ')+1
			if at > 0 {
				n, _ = strconv.Atoi(string(p.Data[at:]))
			}
			if !bytes.Equal(p.Data, vp8(p.Key, n)) || p.Key != (n%150 == 0) {
				t.Fatalf("at %v there is %q, key frame: %v", p.Time, p.Data, p.Key)
			}
			film = append(film, n)
		}
		if len(film) != 150 || film[74] != 148 || film[75] != 300 || film[149] != 448 || sounds != 300 || videos[0].Skipped() != 75 {
			t.Errorf("%d pictures, %d packets of sound, %d pictures left out", len(film), sounds, videos[0].Skipped())
		}
		if len(told) != 2 || !errors.Is(told[0], errors.ErrUnsupported) || !errors.Is(told[1], errors.ErrUnsupported) {
			t.Errorf("told of %v", told)
		}
	})
}

// The track is of the codec that the far end sends, whatever this end sends to it, also
// if nothing has come yet.
func TestRecordCodecOfFarEnd(t *testing.T) {
	for name, begin := range map[string]int{"from the beginning": 0, "later": 20} {
		t.Run(name, func(t *testing.T) { recordCodecOfFarEnd(t, begin) })
	}
}

func recordCodecOfFarEnd(t *testing.T, begin int) {
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, opusCodec)
		theirs := codec.Params{Name: "H264", PayloadType: 98, ClockRate: 90000, FMTP: "packetization-mode=1"}
		if err := y.Update(nil, &parley.VideoUpdate{Receive: []codec.Params{y.Video().Codec(), theirs}}); err != nil {
			t.Fatal(err)
		}
		if err := x.Update(nil, &parley.VideoUpdate{Send: theirs}); err != nil {
			t.Fatal(err)
		}
		r, path := recorder(t, "a.mkv", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
		for i := range 50 {
			if i == begin {
				if _, _, err := r.AddCall(y); err != nil {
					t.Fatal(err)
				}
			}
			if err := x.Video().WriteFrame(&pictures.Frame{Data: h264(i%25 == 0, i), Key: i%25 == 0, Time: time.Duration(i) * 40 * ms}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * ms)
		}
		time.Sleep(time.Second)
		closed(t, r)
		tracks, packets := packetsOf(t, path)
		if len(tracks) != 2 || tracks[1].Codec != file.H264 || len(packets) < 25 {
			t.Errorf("%d packets in %+v", len(packets), tracks)
		}
	})
}

// A key frame is where a track goes on after pictures of another codec.
func TestRecordGoesOnAtKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := recorder(t, "a.ivf", file.RecorderConfig{})
		v := addVideo(t, r, file.Track{Codec: file.VP8})
		for i, c := range []string{"VP8", "", "VP9", "vp8", "", "VP8", "vp8"} {
			if err := v.WriteFrame(&pictures.Frame{Data: vp8(i == 0 || i == 5, i), Key: i == 0 || i == 5, Codec: c, Time: time.Duration(i) * 40 * ms}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * ms)
		}
		closed(t, r)
		if _, packets := packetsOf(t, path); len(packets) != 4 || string(packets[2].Data[10:]) != "key 5" || v.Skipped() != 3 {
			t.Errorf("%d pictures, %d left out", len(packets), v.Skipped())
		}
	})
}

func TestRecordCallRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, y := calls(t, pcmu)
		r, _ := recorder(t, "a.webm", file.RecorderConfig{})
		if _, _, err := r.AddCall(y); encodes() == errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("PCMU in WebM: %v", err)
		}
		r.Close()
		y.Close()
		r, _ = recorder(t, "a.wav", file.RecorderConfig{})
		if _, _, err := r.AddCall(y); err != nil {
			t.Errorf("a call that has ended: %v", err)
		}
		synctest.Wait()
		closed(t, r)
	})
}

// exampleCall returns a call whose far end says nothing, and what ends it.
func exampleCall() (*parley.Call, func()) {
	w := newWire()
	c, err := parley.New(parley.Config{Audio: &parley.AudioConfig{Leg: w, Send: pcmu, Receive: []codec.Params{pcmu}}})
	if err != nil {
		panic(err)
	}
	c.Connected()
	return c, func() {
		c.Close()
		w.flying.Wait()
	}
}
