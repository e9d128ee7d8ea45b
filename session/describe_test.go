package session

import (
	"testing"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// This end answers a call with what the telephone likes best, and then holds and resumes
// it. The telephone takes the first codec and the first suite of any offer, as baresip
// does: they have to be the ones that the call has.
func TestOfferKeepsWhatIsUsed(t *testing.T) {
	pcma, _ := codec.Static(8)
	pcmu, _ := codec.Static(0)
	h264 := codec.Params{Name: "H264", PayloadType: 98, ClockRate: 90000, Channels: 1, FMTP: "packetization-mode=1;profile-level-id=42801f"}
	invite, err := ParseDescription([]byte("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n" +
		"m=audio 7628 RTP/SAVP 0 8\n" +
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n" +
		"m=video 7630 RTP/SAVP 107 106\na=rtpmap:107 H264/90000\na=fmtp:107 packetization-mode=1;profile-level-id=42801F\na=rtpmap:106 VP8/90000\n" +
		"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, last, err := OpenAnswer(t.Context(), &Config{
		Local: local,
		Audio: &AudioConfig{Codecs: []codec.Params{pcma, pcmu}},
		Video: &VideoConfig{Codecs: []codec.Params{vp8, h264}},
	}, invite)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	audioKey, videoKey := last.Crypto[0].Key, last.Video.Crypto[0].Key
	check := func(d *Description, audio, video string, a, v transport.SRTPProfile) {
		t.Helper()
		if d.Codecs[0].Name != audio || d.Video.Codecs[0].Name != video {
			t.Errorf("offers %v and %v, want %s and %s first", d.Codecs, d.Video.Codecs, audio, video)
		}
		if d.Crypto[0].Key.Profile != a || d.Video.Crypto[0].Key.Profile != v {
			t.Errorf("offers %v and %v, want %s and %s first", d.Crypto, d.Video.Crypto, string(a), string(v))
		}
		if len(d.Codecs) < 2 || len(d.Video.Codecs) != 2 || len(d.Crypto) != len(transport.SRTPProfiles) || len(d.Video.Crypto) != len(transport.SRTPProfiles) {
			t.Errorf("offers %v, %v, %v and %v, want all there are", d.Codecs, d.Video.Codecs, d.Crypto, d.Video.Crypto)
		}
		for i, c := range d.Crypto {
			if c.Tag != i+1 {
				t.Errorf("tag %d in the place of %d", c.Tag, i+1)
			}
		}
	}
	offer := func(change func(d *Description)) *Description {
		t.Helper()
		d, err := s.Describe()
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(d)
		}
		d.Follow(last)
		last = d
		far := &Description{Addr: invite.Addr, Codecs: []codec.Params{pcmu, pcma}, Crypto: newCrypto(t), Video: &VideoDescription{
			Addr: invite.Video.Addr, Codecs: invite.Video.Codecs, Crypto: newCrypto(t),
		}}
		answer, _, err := Answer(reread(t, d), far)
		if err != nil {
			t.Fatal(err)
		}
		agreed, err := Agree(d, answer)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(agreed); err != nil {
			t.Fatal(err)
		}
		return d
	}
	const sha80, sha32, gcm = transport.AES_CM_128_HMAC_SHA1_80, transport.AES_CM_128_HMAC_SHA1_32, transport.AEAD_AES_128_GCM
	for range 2 { // hold, resume
		d := offer(func(d *Description) { d.Direction = parley.SendOnly })
		check(d, "PCMU", "H264", sha80, sha32)
		if d.Crypto[0].Key.Profile == sha80 && string(d.Crypto[0].Key.Master) != string(audioKey.Master) ||
			d.Video.Crypto[0].Key.Profile == sha32 && string(d.Video.Crypto[0].Key.Master) != string(videoKey.Master) {
			t.Error("offers another key than it uses")
		}
	}
	// The program wants others, and has them from then on.
	offer(func(d *Description) {
		d.Codecs, d.Video.Codecs = []codec.Params{pcma, pcmu}, []codec.Params{vp8, h264}
		d.Crypto, d.Video.Crypto = newCrypto(t), newCrypto(t)
	})
	check(offer(nil), "PCMA", "VP8", gcm, gcm)
}

func newCrypto(t *testing.T) []Crypto {
	t.Helper()
	c, err := NewCrypto()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reread(t *testing.T, d *Description) *Description {
	t.Helper()
	b, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if d, err = ParseDescription(b); err != nil {
		t.Fatal(err)
	}
	return d
}
