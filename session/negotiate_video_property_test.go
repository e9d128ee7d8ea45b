package session

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// drawVideoCodecs returns up to eight formats with payload types of their own,
// among which several of one name may differ.
func drawVideoCodecs(t *rapid.T) (list []codec.Params) {
	known := []codec.Params{
		{Name: "H264"},
		{Name: "H264", FMTP: "packetization-mode=1"},
		{Name: "H264", FMTP: "packetization-mode=1; profile-level-id=42E01F; sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA="},
		{Name: "H264", FMTP: "profile-level-id=42c00d;packetization-mode=0;max-br=3000"},
		{Name: "h264", FMTP: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"},
		{Name: "H264", FMTP: "packetization-mode=2;profile-level-id=42e01f"},
		{Name: "H264", FMTP: "packetization-mode=nonsense"},
		{Name: "VP8", FMTP: "max-fs=3600"},
		{Name: "VP9"},
		{Name: "VP9", FMTP: "profile-id=0"},
		{Name: "VP9", FMTP: "profile-id=2"},
		{Name: "rtx", FMTP: "apt=96"},
		{Name: "H265"},
	}
	for _, pt := range rapid.SliceOfNDistinct(rapid.Uint8Range(0, 127), 1, 8, rapid.ID[uint8]).Draw(t, "video types") {
		p := rapid.SampledFrom(known).Draw(t, "video codec")
		p.PayloadType, p.ClockRate, p.Channels = pt, 90000, 1
		list = append(list, p)
	}
	return list
}

func drawCrypto(t *rapid.T) (all []Crypto) {
	for i, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(transport.SRTPProfiles[:]), 0, 4, rapid.ID[transport.SRTPProfile]).Draw(t, "video suites") {
		key, _ := transport.NewSRTPKey(p)
		all = append(all, Crypto{Tag: 1 + 7*i, Key: key})
	}
	return all
}

// drawMedia returns a description of audio, video or both.
func drawMedia(t *rapid.T, host string) *Description {
	d := drawDescription(t, host)
	if !rapid.Bool().Draw(t, "with video") {
		return d
	}
	d.Video = &VideoDescription{
		Addr:      netip.AddrPortFrom(netip.MustParseAddr(rapid.SampledFrom([]string{host, "192.0.2.55"}).Draw(t, "video host")), rapid.Uint16Range(1, 65534).Draw(t, "video port")),
		Codecs:    drawVideoCodecs(t),
		Mux:       rapid.Bool().Draw(t, "video mux"),
		Direction: rapid.SampledFrom([]parley.Direction{parley.SendRecv, parley.SendOnly, parley.RecvOnly, parley.Inactive}).Draw(t, "video direction"),
		AVPF:      rapid.Bool().Draw(t, "avpf"),
		Feedback:  parley.VideoFeedback{NACK: rapid.Bool().Draw(t, "nack"), PLI: rapid.Bool().Draw(t, "pli"), FIR: rapid.Bool().Draw(t, "fir")},
		Bandwidth: rapid.SampledFrom([]int64{0, 1, 999, 512000, maxBandwidth}).Draw(t, "bandwidth"),
		Crypto:    drawCrypto(t),
		Index:     rapid.IntRange(0, len(d.Others)).Draw(t, "video index"),
	}
	if rapid.Bool().Draw(t, "video rtcp") {
		d.Video.RTCP = netip.MustParseAddrPort("192.0.2.200:9")
	}
	if rapid.Bool().Draw(t, "without audio") {
		d = &Description{Video: d.Video, ID: d.ID, Version: d.Version, Origin: d.Origin, Others: d.Others}
	}
	d.Video.First = d.hasAudio() && d.Index == d.Video.Index && rapid.Bool().Draw(t, "video first")
	return d
}

// What is written is what is read, with video too.
func TestVideoDescriptionProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawMedia(t, rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1"}).Draw(t, "host"))
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseDescription(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Fatalf("wrote %s\nread  %s\nby\n%s", order(d), order(got), text)
		}
	})
}

// A description that follows another has its media lines and no payload type with
// another meaning, and nothing is lost of what it has itself.
func TestFollowProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last, d := drawMedia(t, "192.0.2.1"), drawMedia(t, "192.0.2.1")
		audio, video := d.hasAudio(), d.Video != nil
		d.Follow(last)
		got, before := d.places(), last.places()
		if len(got) < len(before) {
			t.Fatalf("%s follows %s", order(d), order(last))
		}
		for i, p := range before {
			if got[i].Media != p.Media {
				t.Fatalf("%s follows %s", order(d), order(last))
			}
		}
		if d.hasAudio() != audio || (d.Video != nil) != video {
			t.Fatalf("%s follows %s, and has not all that it had", order(d), order(last))
		}
		if _, err := d.Marshal(); err != nil {
			t.Fatal(err)
		}
		for i, p := range d.Codecs {
			for _, q := range last.Codecs {
				if p.PayloadType == q.PayloadType && !p.Same(q) {
					t.Fatalf("%v becomes %v", q, p)
				}
			}
			if !free(d.Codecs[:i], p.PayloadType) {
				t.Fatalf("a payload type twice in %v", formats(d.Codecs))
			}
		}
		version := d.Version
		again := *d
		again.Follow(d)
		if again.Version != version || !reflect.DeepEqual(again.places(), got) {
			t.Fatalf("%s follows itself as %s", order(d), order(&again))
		}
	})
}

// The two ends of any exchange of audio and video agree, or it fails for a reason
// that is there, and so does each medium of it.
func TestVideoAgreementProperty(t *testing.T) {
	videos := 0
	rapid.Check(t, func(t *rapid.T) {
		offer, local := drawMedia(t, "192.0.2.1"), drawMedia(t, "192.0.2.2")
		possible := offer.Video != nil && local.Video != nil
		if possible {
			_, _, err := answerVideo(offer.Video, local.Video, false)
			possible = err == nil
		}
		answer, answerer, err := Answer(offer, local)
		switch {
		case err != nil && (possible || !errors.Is(err, ErrNoCommonCodec) && !errors.Is(err, ErrDescription)):
			t.Fatal(err)
		case err != nil:
			return
		case (answer.Video != nil) != possible:
			t.Fatalf("answered\n%s\nto\n%s\nby\n%s", order(answer), order(offer), order(local))
		}
		if possible {
			videos++
		}
		checkVideoAgreement(t, offer, answer, answerer)
	})
	if videos == 0 {
		t.Error("no two ends have agreed on video")
	}
}

// checkVideoAgreement checks that the offerer reads of an answer what the answerer
// has agreed to.
func checkVideoAgreement(t interface{ Fatalf(string, ...any) }, offer, answer *Description, answerer *Agreed) {
	text, err := answer.Marshal()
	if err != nil {
		t.Fatalf("%s: %v", order(answer), err)
	}
	read, err := ParseDescription(text)
	if err != nil {
		t.Fatalf("%v in our own\n%s", err, text)
	}
	offerer, err := Agree(offer, read)
	if err != nil {
		t.Fatalf("answered\n%s\nto\n%s\nbut: %v", text, order(offer), err)
	}
	before, after := offer.places(), read.places()
	if len(before) != len(after) {
		t.Fatalf("answered %s to %s", order(read), order(offer))
	}
	for i := range before {
		if before[i].Media != after[i].Media || after[i].kind != 0 && before[i].kind != after[i].kind {
			t.Fatalf("answered %s to %s", order(read), order(offer))
		}
	}
	if (offerer.Send.Name == "") != (answerer.Send.Name == "") || (offerer.Video == nil) != (answerer.Video == nil) {
		t.Fatalf("%+v and %+v", offerer, answerer)
	}
	if offerer.Send.Name == "" && offerer.Video == nil {
		t.Fatalf("agreed on nothing")
	}
	if offerer.Video == nil {
		return
	}
	o, a := offerer.Video, answerer.Video
	if o.Mux != a.Mux || o.Mux && o.Remote != o.RemoteRTCP || o.Feedback != a.Feedback ||
		o.Direction.Sends() != a.Direction.Receives() || o.Direction.Receives() != a.Direction.Sends() {
		t.Fatalf("%+v and %+v", o, a)
	}
	if o.Feedback.And(offer.Video.Feedback) != o.Feedback {
		t.Fatalf("%+v of %+v", o.Feedback, offer.Video.Feedback)
	}
	for _, ends := range [][2]*AgreedVideo{{o, a}, {a, o}} {
		from, to := ends[0], ends[1]
		if len(from.Accepts) != len(to.Receive) || from.Accepts[0] != from.Send {
			t.Fatalf("sends %q, may send %q, seen are %q", formats([]codec.Params{from.Send}), formats(from.Accepts), formats(to.Receive))
		}
		for _, send := range from.Accepts {
			i := slices.IndexFunc(to.Receive, func(p codec.Params) bool { return p.PayloadType == send.PayloadType })
			if i < 0 || !sameVideo(send, to.Receive[i]) {
				t.Fatalf("sends %q, seen are %q", formats([]codec.Params{send}), formats(to.Receive))
			}
			if isH264(send) && parameter(send.FMTP, parameterSets) != parameter(to.Receive[i].FMTP, parameterSets) {
				t.Fatalf("sends with the sets of %q, seen with those of %q", send.FMTP, to.Receive[i].FMTP)
			}
		}
		if !from.LocalKey.Equal(to.RemoteKey) ||
			(from.LocalKey.Profile != "") != (len(offer.Video.Crypto) > 0) {
			t.Fatalf("encrypted with one key, decrypted with another")
		}
		for j, p := range to.Receive {
			if slices.ContainsFunc(to.Receive[:j], func(q codec.Params) bool { return p.PayloadType == q.PayloadType }) {
				t.Fatalf("a payload type twice in %v", formats(to.Receive))
			}
		}
	}
}
