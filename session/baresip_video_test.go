//go:build interop

package session_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/video"
)

// videophone is what a softphone needs beside [softphone]: its camera is a test
// pattern.
const videophone = `module vp8.so
module fakevideo.so
video_source fakevideo,nil
video_display fakevideo,nil
video_size 320x240
video_fps 15
video_bitrate 300000
`

// A softphone calls with video, sees its own pictures sent back and says that
// nothing was lost, while audio goes on; then the video alone is held, resumed,
// dropped and taken up again.
func TestBaresipVideo(t *testing.T) {
	for name, account := range map[string]string{
		"plain":     "audio_codecs=PCMU/8000/1;video_codecs=VP8",
		"encrypted": "audio_codecs=PCMU/8000/1;video_codecs=VP8;mediaenc=srtp-mand",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			videoCall(t, account)
		})
	}
}

func videoCall(t *testing.T, account string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var first, last *session.Description
	calls := make(chan *session.Session, 1)
	server := newSIPServer(t, func(text []byte) ([]byte, error) {
		t.Logf("offered\n%s", text)
		offer, err := session.ParseDescription(text)
		if err != nil {
			return nil, err
		}
		s, answer, err := session.OpenAnswer(ctx, &session.Config{
			Local: netip.MustParseAddrPort("127.0.0.1:0"),
			Audio: &session.AudioConfig{RTCP: parley.RTCPConfig{Interval: -1}},
			Video: &session.VideoConfig{
				Codecs: []codec.Params{{Name: "VP8", PayloadType: 96, ClockRate: 90000}},
				RTCP:   parley.RTCPConfig{Interval: -1, NACK: true},
			},
		}, offer)
		if err != nil {
			return nil, err
		}
		first, last = answer, answer
		calls <- s
		return answer.Marshal()
	})
	dialWith(t, server.uri(), account, videophone)
	var s *session.Session
	select {
	case s = <-calls:
	case <-ctx.Done():
		t.Fatal("the phone did not call")
	}
	defer s.Close()

	// see reads frames and sends them back.
	see := func(frames int) {
		t.Helper()
		s.Video().SetReadDeadline(time.Now().Add(20 * time.Second))
		var f video.Frame
		for n := range frames {
			if err := s.Video().ReadFrame(&f); err != nil {
				t.Fatalf("after %d frames: %v", n, err)
			}
			if f.Width != 320 || f.Height != 240 {
				t.Errorf("frame %d is %dx%d", n, f.Width, f.Height)
			}
			if err := s.Video().WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
	}
	update := func(cseq int, change func(d *session.Description)) *session.Agreed {
		t.Helper()
		next, err := s.Describe()
		if err != nil {
			t.Fatal(err)
		}
		next.Crypto, next.Video.Crypto = first.Crypto, first.Video.Crypto
		change(next)
		next.Follow(last)
		last = next
		text, err := next.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		reply, err := server.ask(ctx, "INVITE", cseq, text)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("offered\n%sanswered\n%s", text, reply)
		answer, err := session.ParseDescription(reply)
		if err != nil {
			t.Fatal(err)
		}
		agreed, err := session.Agree(next, answer)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(agreed); err != nil {
			t.Fatal(err)
		}
		return agreed
	}
	quiet := func(what string) {
		t.Helper()
		var before, after parley.Stats
		for try := 1; ; try++ { // until what was on its way is there
			time.Sleep(300 * time.Millisecond)
			s.Stats(&before)
			time.Sleep(700 * time.Millisecond)
			s.Stats(&after)
			n := after.Video.Received - before.Video.Received + after.Video.Unwanted - before.Video.Unwanted
			if n == 0 {
				break
			}
			if try == 3 {
				t.Errorf("%s: %d packets of video", what, n)
				break
			}
		}
		if after.Audio.Received == before.Audio.Received {
			t.Errorf("%s: no audio", what)
		}
		s.Video().SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for f := new(video.Frame); s.Video().ReadFrame(f) == nil; {
		}
	}
	see(45)
	var stats parley.Stats
	for begin := time.Now(); stats.Video.RoundTrip == 0 && time.Since(begin) < 20*time.Second; {
		see(5)
		s.Stats(&stats)
	}
	if v := stats.Video; v.RoundTrip == 0 || v.RemoteLost != 0 || v.Lost != 0 || v.Malformed != 0 || v.Broken != 0 {
		t.Errorf("%+v", v)
	}
	if a := update(1, func(d *session.Description) { d.Video.Direction = parley.Inactive }); a.Video == nil || a.Video.Direction != parley.Inactive {
		t.Errorf("agreed on %+v", a.Video)
	}
	quiet("on hold")
	update(2, func(d *session.Description) { d.Video.Direction = parley.SendRecv })
	see(20)
	if a := update(3, func(d *session.Description) { d.Video = nil }); a.Video != nil {
		t.Errorf("agreed on %+v", a.Video)
	}
	quiet("without video")
	update(4, func(*session.Description) {})
	see(20)
	server.request("BYE", 5, nil)
}
