package session

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// shows makes one end show pictures until the other one has seen five whole ones
// in a row, which begin with a key frame.
func shows(t *testing.T, from, to *Session) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if from.Video().WriteFrame(shot(n%20, n%20 == 0 || from.Video().KeyframeRequested())) != nil {
				return
			}
			time.Sleep(time.Second / 60)
		}
	}()
	to.Video().SetReadDeadline(time.Now().Add(patience))
	var f video.Frame
	for n := range 5 {
		if err := to.Video().ReadFrame(&f); err != nil {
			t.Errorf("after %d frames: %v", n, err)
			break
		}
	}
	close(stop)
	from.Video().Flush()
	<-stopped
}

// reoffer makes one end offer again, with a change, and both do what is agreed.
func reoffer(t *testing.T, x, y *Session, last *Description, change func(offer *Description)) *Description {
	t.Helper()
	offer, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	change(offer)
	offer.Follow(last)
	ours, err := y.Describe()
	if err != nil {
		t.Fatal(err)
	}
	answer, theirs, err := Answer(pass(t, offer), ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := y.Update(theirs); err != nil {
		t.Fatal(err)
	}
	mine, err := Agree(offer, pass(t, answer))
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Update(mine); err != nil {
		t.Fatal(err)
	}
	return offer
}

func TestVideoCallsByOfferAndAnswer(t *testing.T) {
	film := &VideoConfig{Codecs: []codec.Params{vp8}, RTCP: parley.RTCPConfig{NACK: true}}
	others := &VideoConfig{Codecs: []codec.Params{{Name: "VP9", PayloadType: 97, ClockRate: 90000}, {Name: "VP8", PayloadType: 100, ClockRate: 90000}}}
	for name, tt := range map[string]struct{ caller, callee Config }{
		"both":                   {Config{Audio: &AudioConfig{}, Video: film}, Config{Audio: &AudioConfig{}, Video: film}},
		"alone":                  {Config{Video: film}, Config{Video: film}},
		"alone, one port":        {Config{Video: film, Mux: true}, Config{Video: film, Mux: true}},
		"alone, encrypted":       {Config{Video: film, Secure: true}, Config{Video: film}},
		"both, encrypted":        {Config{Audio: &AudioConfig{}, Video: film, Secure: true}, Config{Audio: &AudioConfig{}, Video: film}},
		"no audio there":         {Config{Audio: &AudioConfig{}, Video: film}, Config{Video: film}},
		"no audio here":          {Config{Video: film}, Config{Audio: &AudioConfig{}, Video: film}},
		"no video there":         {Config{Audio: &AudioConfig{}, Video: film}, Config{}},
		"no video here":          {Config{}, Config{Audio: &AudioConfig{}, Video: film}},
		"another codec, numbers": {Config{Video: others}, Config{Video: film}},
		"the other way":          {Config{Video: film}, Config{Video: others}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			audio := (tt.caller.Audio != nil || tt.caller.Video == nil) && (tt.callee.Audio != nil || tt.callee.Video == nil)
			pictures := tt.caller.Video != nil && tt.callee.Video != nil
			x, y, agreed := offerAnswer(t, tt.caller, tt.callee)
			if (agreed.Send.Name != "") != audio || (agreed.Video != nil) != pictures {
				t.Fatalf("agreed on audio: %v, on video: %v", agreed.Send, agreed.Video)
			}
			if audio {
				talks(t, x, y, 1000)
			}
			if pictures {
				if name, want := x.Video().Codec().Name, "VP8"; name != want {
					t.Errorf("sends %s, want %s", name, want)
				}
				if agreed.Video.Feedback != (parley.VideoFeedback{PLI: true, FIR: true, NACK: tt.caller.Video == film && tt.callee.Video == film}) {
					t.Errorf("agreed on %+v", agreed.Video.Feedback)
				}
				if secure := agreed.Video.LocalKey.Profile != ""; secure != tt.caller.Secure {
					t.Errorf("encrypted: %v, want %v", secure, tt.caller.Secure)
				}
				shows(t, x, y)
				shows(t, y, x)
			}
			for _, s := range []*Session{x, y} {
				var n NetworkStats
				var stats parley.Stats
				s.Stats(&stats)
				if s.NetworkStats(&n); n.Unauthenticated != 0 || stats.Video.Discarded != 0 {
					t.Errorf("%+v, %+v", n, stats.Video)
				}
			}
			x.Close()
			select {
			case <-y.Done():
			case <-time.After(patience):
				t.Fatal("the far end goes on after the goodbye")
			}
			if end := new(parley.EndError); !errors.As(y.Err(), &end) || end.Reason != parley.Bye {
				t.Errorf("ended with %v", y.Err())
			}
		})
	}
}

// Video is held and resumed by itself, dropped, and added again, while the audio
// goes on; then both are held together. Key frames are asked for when it goes on, or
// nothing would be seen.
func TestVideoReoffer(t *testing.T) {
	c := Config{Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8}}}
	x, y, _ := offerAnswer(t, c, c)
	last, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	step := func(change func(d *Description)) {
		t.Helper()
		last = reoffer(t, x, y, last, change)
	}
	still := func(from, to *Session) {
		t.Helper()
		time.Sleep(50 * time.Millisecond) // what is on its way
		var before, after parley.Stats
		to.Stats(&before)
		for n := range 3 {
			if err := from.Video().WriteFrame(shot(n, n == 0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := from.Video().Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		if to.Stats(&after); after.Video.Received != before.Video.Received || after.Video.Unwanted != before.Video.Unwanted {
			t.Errorf("%d packets of video that is off", after.Video.Received-before.Video.Received)
		}
	}
	shows(t, x, y)
	step(func(d *Description) { d.Video.Direction = parley.SendOnly })
	still(y, x)
	shows(t, x, y)
	talks(t, y, x, 1000)
	step(func(d *Description) { d.Video.Direction = parley.SendRecv })
	shows(t, y, x)
	step(func(d *Description) { d.Video = nil })
	if got, want := order(last), "audio"; len(last.Others) != 1 || got[:5] != want {
		t.Errorf("video dropped by %s", got)
	}
	still(x, y)
	still(y, x)
	talks(t, x, y, 1000)
	step(func(*Description) {})
	if len(last.Others) != 0 {
		t.Errorf("video added by %s", order(last))
	}
	shows(t, x, y)
	shows(t, y, x)
	step(func(d *Description) { d.Direction, d.Video.Direction = parley.Inactive, parley.Inactive })
	still(x, y)
	still(y, x)
	step(func(d *Description) {
		*d = Description{Video: d.Video}
		d.Video.Direction = parley.SendRecv
	})
	shows(t, x, y)
	time.Sleep(time.Second) // soon after an agreement a goodbye may be that of a stream
	x.Close()               // the goodbye of the video is the last one that counts
	<-y.Done()
	var f video.Frame
	for err = nil; err == nil; {
		err = y.Video().ReadFrame(&f)
	}
	if err != io.EOF {
		t.Errorf("after the goodbye: %v", err)
	}
}

// Of several codecs that an offer and its answer agree on, each can be sent at any time,
// by both ends, until another agreement has it no more.
func TestVideoOfASecondCodec(t *testing.T) {
	c := Config{Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8, vp9(98, "")}, Immediate: true}}
	other := c
	other.Video = &VideoConfig{Codecs: []codec.Params{vp9(96, ""), {Name: "VP8", PayloadType: 100, ClockRate: 90000}}, Immediate: true}
	x, y, _ := offerAnswer(t, c, other)
	last, err := x.Describe()
	if err != nil {
		t.Fatal(err)
	}
	last = reoffer(t, x, y, last, func(*Description) {})
	begin := append([]byte{0x82, 0x49, 0x83, 0x42, 0, 0x13, 0xf0, 0x0e, 0xf6, 0}, bytes.Repeat([]byte{7}, 3000)...)
	for _, ends := range [][2]*Session{{x, y}, {y, x}} {
		from, to := ends[0].Video(), ends[1].Video()
		if from.Codec().Name != "VP8" || !from.Accepts("VP9") || from.Accepts("H264") {
			t.Fatalf("sends %v; VP9 too: %v", from.Codec(), from.Accepts("VP9"))
		}
		if err := from.WriteFrame(&video.Frame{Codec: "VP9", Key: true, Data: begin}); err != nil {
			t.Fatal(err)
		}
		var f video.Frame
		to.SetReadDeadline(time.Now().Add(patience))
		if err := to.ReadFrame(&f); err != nil || f.Codec != "VP9" || !bytes.Equal(f.Data, begin) {
			t.Errorf("%v; %d bytes of %s", err, len(f.Data), f.Codec)
		}
	}
	reoffer(t, x, y, last, func(d *Description) { d.Video.Codecs = d.Video.Codecs[:1] })
	for _, s := range []*Session{x, y} {
		if v := s.Video(); v.Codec().Name != "VP8" || v.Accepts("VP9") {
			t.Errorf("sends %v; VP9 too: %v", v.Codec(), v.Accepts("VP9"))
		}
	}
	shows(t, y, x)
}

// What the first offer lacks can be added, to what is encrypted only if it is
// encrypted too.
func TestAddedMediumIsEncryptedLikeTheFirst(t *testing.T) {
	crypto := func() []Crypto {
		c, err := NewCrypto()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	addr := netip.MustParseAddrPort("127.0.0.1:7628")
	for _, first := range []string{"audio", "video"} {
		for _, secure := range []bool{true, false} {
			all := Description{Addr: addr, Codecs: []codec.Params{pcmu}, Video: &VideoDescription{Addr: addr, Codecs: []codec.Params{vp8}}}
			if secure {
				all.Crypto, all.Video.Crypto = crypto(), crypto()
			}
			offer := all
			if first == "audio" {
				offer.Video = nil
			} else {
				offer = Description{Video: all.Video}
			}
			c := Config{Local: local, Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8}}}
			s, _, err := OpenAnswer(t.Context(), &c, &offer)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, added := range []bool{false, true} {
				next := all
				video := *all.Video
				next.Video = &video
				keys := &video.Crypto
				if first == "video" {
					keys = &next.Crypto
				}
				if *keys = nil; added {
					*keys = crypto()
				}
				ours, err := s.Describe()
				if err != nil {
					t.Fatal(err)
				}
				answer, agreed, err := Answer(pass(t, &next), ours)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Update(agreed); err != nil {
					t.Errorf("%s first, encrypted: %v; the other encrypted: %v: %v", first, secure, added, err)
				}
				if both := answer.hasAudio() && answer.Video != nil; both != (added || !secure) {
					t.Errorf("%s first, encrypted: %v; the other encrypted: %v; both are taken: %v", first, secure, added, both)
				}
			}
		}
	}
}

// The parameter sets of a description come with the first key frames, though they
// are not in the stream, until the stream has some of its own.
func TestParameterSetsOfTheDescription(t *testing.T) {
	filming := &VideoConfig{Codecs: []codec.Params{h264(96, "packetization-mode=1;profile-level-id=42c00d;"+setsOfClip)}, Immediate: true}
	watching := &VideoConfig{Codecs: []codec.Params{h264(97, "packetization-mode=1")}}
	x, y, agreed := offerAnswer(t, Config{Video: filming}, Config{Video: watching})
	if fmtp := agreed.Video.Send.FMTP; fmtp != "packetization-mode=1;profile-level-id=42c00d;"+setsOfClip {
		t.Errorf("sends %s", fmtp)
	}
	sets, err := payload.ParseH264FMTP(setsOfClip)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(units ...[]byte) (b []byte) {
		for _, u := range units {
			b = payload.AppendAnnexB(b, u)
		}
		return b
	}
	sps, pps := sets.ParameterSets[0], sets.ParameterSets[1]
	delimiter, idr, slice := []byte{9, 0x10}, []byte{0x65, 0x88, 1, 2, 3}, []byte{0x41, 0x9a, 4, 5}
	tests := []struct{ sent, want []byte }{
		{frame(idr), frame(sps, pps, idr)},
		{frame(slice), frame(slice)},
		{frame(delimiter, idr), frame(delimiter, sps, pps, idr)},
		{frame(sps, pps, idr), frame(sps, pps, idr)},
		{frame(idr), frame(idr)},
	}
	for _, tt := range tests {
		if err := x.Video().WriteFrame(&video.Frame{Data: tt.sent}); err != nil {
			t.Fatal(err)
		}
	}
	for n, tt := range tests {
		y.Video().SetReadDeadline(time.Now().Add(patience))
		var f video.Frame
		if err := y.Video().ReadFrame(&f); err != nil || !bytes.Equal(f.Data, tt.want) {
			t.Errorf("frame %d: got  %x, %v\nwant %x", n, f.Data, err, tt.want)
		}
		if f.Width != 320 || f.Height != 240 {
			t.Errorf("frame %d is %dx%d", n, f.Width, f.Height)
		}
	}
}

// An agreement that a session cannot follow changes nothing.
func TestVideoUpdateRefused(t *testing.T) {
	both := Config{Audio: &AudioConfig{}, Video: &VideoConfig{Codecs: []codec.Params{vp8}}}
	x, y, agreed := offerAnswer(t, both, both)
	sound := open(t, Config{Local: local})
	pictures := open(t, Config{Local: local, Video: both.Video})
	bad := *agreed
	clone := *agreed.Video
	bad.Video = &clone
	bad.Send, bad.Receive = pcma, []codec.Params{pcma}
	bad.Video.Receive = []codec.Params{vp8, vp8}
	secret := *agreed
	secret.Video = &AgreedVideo{}
	*secret.Video = *agreed.Video
	secret.Video.LocalKey.Profile = "nonsense"
	for name, err := range map[string]error{
		"video without a socket": sound.Update(agreed),
		"audio without a socket": pictures.Update(agreed),
		"nothing":                x.Update(&Agreed{}),
		"a type twice":           x.Update(&bad),
		"key":                    x.Update(&secret),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if c := x.Audio().Codec().Name; c != "PCMU" {
		t.Errorf("sends %s after an agreement that could not be followed", c)
	}
	talks(t, x, y, 1000)
	shows(t, x, y)
	if a, v := pictures.LocalAddr(), pictures.LocalVideo(); a.IsValid() || !v.IsValid() || pictures.Audio() != nil {
		t.Errorf("a call of video alone has audio at %v, video at %v", a, v)
	}
}

// A call of video alone takes one pair of ports.
func TestPortsOfVideoAlone(t *testing.T) {
	ports := portsOf(t, 50, 60)
	free := ports.Free()
	s := open(t, Config{Ports: ports, Video: &VideoConfig{Codecs: []codec.Params{vp8}}})
	if got := ports.Free(); got != free-1 {
		t.Errorf("%d pairs of %d are free", got, free)
	}
	d, err := s.Describe()
	if err != nil || d.hasAudio() || d.Video == nil || d.Video.Addr.Port() != s.LocalVideo().Port() {
		t.Errorf("described as %s, %v", order(d), err)
	}
	s.Close()
	if got := ports.Free(); got != free {
		t.Errorf("%d pairs of %d are free again", got, free)
	}
}
