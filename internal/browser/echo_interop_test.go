//go:build interop

package browser_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley/internal/browser"
)

// echo answers offers and sends back the packets it gets. It is the yardstick
// for the page: what is measured here is what browsers do by themselves.
func echo(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := answer(t, w, r); err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

func answer(t *testing.T, w http.ResponseWriter, r *http.Request) error {
	var offer webrtc.SessionDescription
	if err := json.NewDecoder(r.Body).Decode(&offer); err != nil {
		return err
	}
	media := new(webrtc.MediaEngine)
	for pt, codec := range map[webrtc.PayloadType]webrtc.RTPCodecCapability{
		111: {MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1;stereo=1"},
		0:   {MimeType: webrtc.MimeTypePCMU, ClockRate: 8000},
		8:   {MimeType: webrtc.MimeTypePCMA, ClockRate: 8000},
	} {
		name, _, _ := strings.Cut(strings.TrimPrefix(codec.MimeType, "audio/"), "/")
		if !strings.Contains(offer.SDP, " "+name+"/") {
			continue
		}
		err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: codec, PayloadType: pt}, webrtc.RTPCodecTypeAudio)
		if err != nil {
			return err
		}
		if pt == 111 {
			break
		}
	}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	t.Cleanup(func() { pc.Close() })
	if err := pc.SetRemoteDescription(offer); err != nil {
		return err
	}
	transceiver := pc.GetTransceivers()[0]
	codec := transceiver.Receiver().GetParameters().Codecs[0]
	track, err := webrtc.NewTrackLocalStaticRTP(codec.RTPCodecCapability, "audio", "echo")
	if err != nil {
		return err
	}
	if _, err := pc.AddTrack(track); err != nil {
		return err
	}
	pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			packet.Extension, packet.Extensions = false, nil
			if err := track.WriteRTP(packet); err != nil {
				return
			}
		}
	})
	gathered := webrtc.GatheringCompletePromise(pc)
	description, err := pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := pc.SetLocalDescription(description); err != nil {
		return err
	}
	<-gathered
	return json.NewEncoder(w).Encode(pc.LocalDescription())
}

func TestToneComesBack(t *testing.T) {
	for _, test := range []struct {
		name string
		open func(testing.TB, string) *browser.Process
		tone browser.Tone
	}{
		{"Chromium opus", browser.Chromium, browser.Tone{Codec: "opus"}},
		{"Chromium opus stereo", browser.Chromium, browser.Tone{Codec: "opus", Right: 880}},
		{"Chromium PCMU", browser.Chromium, browser.Tone{Codec: "PCMU"}},
		{"Chromium PCMA", browser.Chromium, browser.Tone{Codec: "PCMA", Frequency: 1000}},
		{"Firefox opus", browser.Firefox, browser.Tone{Codec: "opus"}},
		{"Firefox PCMU", browser.Firefox, browser.Tone{Codec: "PCMU"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			page := browser.NewPage()
			mux := http.NewServeMux()
			mux.Handle("/tone/", page)
			mux.Handle("POST /offer", echo(t))
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)

			test.tone.Listen = 3 * time.Second
			// The best of three counts: the browser shares this machine with whatever else
			// runs on it.
			var heard *browser.Result
			for try := 0; try < 3 && (heard == nil || heard.Inbound.Concealment() > 0.01 || heard.LongestSteadyGapMs > 40); try++ {
				process := test.open(t, page.URL(server.URL, test.tone))
				heard = page.Wait(t, time.Minute)
				process.Kill()
			}
			t.Logf("%s at %.2f Hz, right %.2f Hz, apart %.1f dB, level %.2f dB of %.2f, concealed %.2f %%, gap %.1f ms (start %.1f), delay %v, clock %.4f, connected in %.0f ms, received %+v",
				heard.Codec, heard.PeakHz, heard.RightPeakHz, heard.SeparationDB, heard.LevelDB, heard.SentLevelDB, 100*heard.Inbound.Concealment(),
				heard.LongestSteadyGapMs, heard.LongestGapMs, heard.Inbound.Delay(), heard.ClockRate, heard.ConnectMs, heard.Inbound)

			want := test.tone.Frequency
			if want == 0 {
				want = 440
			}
			if math.Abs(heard.PeakHz-want) > 2 {
				t.Errorf("peak at %.2f Hz, want %v", heard.PeakHz, want)
			}
			if right := test.tone.Right; right != 0 && (math.Abs(heard.RightPeakHz-right) > 2 || heard.SeparationDB < 20) {
				t.Errorf("right: peak at %.2f Hz, want %v; channels %.1f dB apart, want 20", heard.RightPeakHz, right, heard.SeparationDB)
			}
			if !strings.EqualFold(heard.Codec, "audio/"+test.tone.Codec) {
				t.Errorf("codec %s, want %s", heard.Codec, test.tone.Codec)
			}
			if math.Abs(heard.LevelDB-heard.SentLevelDB) > 1 {
				t.Errorf("level %.2f dB, sent %.2f", heard.LevelDB, heard.SentLevelDB)
			}
			if c := heard.Inbound.Concealment(); c > 0.01 {
				t.Errorf("%.2f %% concealed", 100*c)
			}
			if heard.LongestSteadyGapMs > 40 {
				t.Errorf("silent for %.1f ms", heard.LongestSteadyGapMs)
			}
		})
	}
}
