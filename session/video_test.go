package session

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
	"github.com/parley-media/parley/video"
)

var vp8 = codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}

// shot returns the nth frame of 30 in a second, 320 by 240.
func shot(n int, key bool) *video.Frame {
	data := bytes.Repeat([]byte{byte(n)}, 100+n*500)
	data[0] = 1
	if key {
		copy(data, []byte{0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0})
	}
	return &video.Frame{Data: data, Key: key, Time: time.Duration(n) * time.Second / 30}
}

// Audio and video of one call over loopback, both ways: plain, on one port each,
// and encrypted under one key. One end waits for whoever calls.
func TestAudioAndVideo(t *testing.T) {
	ours, theirs := key(t), key(t)
	for _, tt := range []struct {
		name        string
		mux         bool
		here, there *SRTP
	}{
		{name: "plain"},
		{name: "mux", mux: true},
		{name: "encrypted", here: &SRTP{Local: ours, Remote: theirs}, there: &SRTP{Local: theirs, Remote: ours}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ports := portsOf(t, 0, 20)
			free := ports.Free()
			v := VideoConfig{Codecs: []codec.Params{vp8}, RTCP: parley.RTCPConfig{NACK: true}}
			a := open(t, Config{Ports: ports, Mux: tt.mux, SRTP: tt.here, Audio: &AudioConfig{}, Video: &v})
			if r := a.RemoteVideo(); r.IsValid() {
				t.Errorf("knows %v before anybody called", r)
			}
			far := v
			far.Remote = a.LocalVideo()
			b := open(t, Config{Remote: a.LocalAddr(), Mux: tt.mux, SRTP: tt.there, Audio: &AudioConfig{}, Video: &far})
			if a.LocalVideo().Port() == a.LocalAddr().Port() || a.LocalVideo().Addr() != a.LocalAddr().Addr() {
				t.Errorf("video at %v, audio at %v", a.LocalVideo(), a.LocalAddr())
			}
			const frames = 30
			var all sync.WaitGroup
			for _, s := range []*Session{a, b} {
				all.Go(func() {
					if s == a { // not before it knows where to
						hear(t, a)
						for f := new(video.Frame); len(f.Data) == 0; {
							if err := a.Video().ReadFrame(f); err != nil {
								t.Error(err)
							}
						}
					}
					say(t, s, 1000)
					for n := range frames {
						if err := s.Video().WriteFrame(shot(n, n == 0)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Go(func() {
				if v := hear(t, b); v < 950 || v > 1050 {
					t.Errorf("heard %d", v)
				}
			})
			see := func(s *Session, from int) {
				s.Video().SetReadDeadline(time.Now().Add(patience))
				var f video.Frame
				for n := from; n < frames; n++ {
					if err := s.Video().ReadFrame(&f); err != nil {
						t.Error(err)
						return
					}
					if want := shot(n, n == 0); !bytes.Equal(f.Data, want.Data) || f.Key != want.Key {
						t.Errorf("frame %d has %d bytes of %d", n, len(f.Data), want.Data[1])
					}
				}
			}
			all.Go(func() { see(b, 0) })
			all.Wait()
			see(a, 1)
			if a.RemoteVideo() != b.LocalVideo() || b.RemoteVideo() != a.LocalVideo() {
				t.Errorf("video goes to %v and %v", a.RemoteVideo(), b.RemoteVideo())
			}
			var n NetworkStats
			if a.NetworkStats(&n); n.Unauthenticated != 0 {
				t.Errorf("%+v", n)
			}
			a.Close()
			if ports.Free() != free {
				t.Errorf("%d ports of %d are free again", ports.Free(), free)
			}
			select {
			case <-b.Done():
			case <-time.After(patience):
				t.Error("the far end goes on after both goodbyes")
			}
		})
	}
}

// Whoever waits for a caller sees their first key frame, though it may be over before
// they have proved themselves.
func TestFirstKeyFrameOfAStranger(t *testing.T) {
	for _, latch := range []transport.LatchMode{transport.LatchSignalled, transport.LatchSymmetric} {
		a := open(t, Config{Latch: latch, Video: &VideoConfig{Codecs: []codec.Params{vp8}}})
		b := open(t, Config{Video: &VideoConfig{Codecs: []codec.Params{vp8}, Remote: a.LocalVideo()}})
		first := shot(0, true)
		first.Data = append(first.Data, make([]byte, 400_000)...)
		if err := b.Video().WriteFrame(first); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 10; n++ {
			if err := b.Video().WriteFrame(shot(n, false)); err != nil {
				t.Fatal(err)
			}
		}
		a.Video().SetReadDeadline(time.Now().Add(patience))
		var f video.Frame
		if err := a.Video().ReadFrame(&f); err != nil || !bytes.Equal(f.Data, first.Data) {
			t.Errorf("latch %v: %d bytes, %v; want %d", latch, len(f.Data), err, len(first.Data))
		}
	}
}

func TestVideoRefused(t *testing.T) {
	if _, err := Open(t.Context(), &Config{Remote: local, Video: &VideoConfig{Codecs: []codec.Params{vp8}}}); err == nil {
		t.Error("an address for audio in a call without: no error")
	}
	for name, v := range map[string]*VideoConfig{
		"no codec":   {},
		"unknown":    {Codecs: []codec.Params{{Name: "X", PayloadType: 96, ClockRate: 90000}}},
		"RTCP alone": {Codecs: []codec.Params{vp8}, RemoteRTCP: local},
		"one SSRC":   {Codecs: []codec.Params{vp8}, SSRC: 7},
	} {
		ports := portsOf(t, 30, 40)
		free := ports.Free()
		if s, err := Open(t.Context(), &Config{Local: local, Ports: ports, Video: v, Audio: &AudioConfig{SSRC: 7}}); err == nil {
			t.Errorf("%s: no error", name)
			s.Close()
		}
		if ports.Free() != free {
			t.Errorf("%s: %d ports of %d are free again", name, ports.Free(), free)
		}
	}
}
