package session

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// drawCodecs returns up to eight formats with payload types of their own.
func drawCodecs(t *rapid.T) (list []codec.Params) {
	known := []codec.Params{
		{Name: "opus", ClockRate: 48000, Channels: 2},
		{Name: "opus", ClockRate: 48000, Channels: 2, FMTP: "stereo=1;useinbandfec=1;maxptime=40"},
		{Name: "PCMU", ClockRate: 8000, Channels: 1},
		{Name: "G722", ClockRate: 8000, Channels: 1},
		{Name: "L16", ClockRate: 44100, Channels: 2},
		{Name: "telephone-event", ClockRate: 8000, Channels: 1, FMTP: "0-16"},
		{Name: "telephone-event", ClockRate: 48000, Channels: 1},
		{Name: "CN", ClockRate: 8000, Channels: 1},
		{Name: "red", ClockRate: 48000, Channels: 2, FMTP: "96/96"},
	}
	types := rapid.SliceOfNDistinct(rapid.Uint8Range(0, 127), 1, 8, rapid.ID[uint8]).Draw(t, "types")
	for _, pt := range types {
		p := rapid.SampledFrom(known).Draw(t, "codec")
		p.PayloadType = pt
		list = append(list, p)
	}
	return list
}

func drawDescription(t *rapid.T, host string) *Description {
	ms := rapid.SampledFrom([]time.Duration{0, 0, 2500 * time.Microsecond, 20 * time.Millisecond, 30 * time.Millisecond, time.Second})
	d := &Description{
		Addr:      netip.AddrPortFrom(netip.MustParseAddr(host), rapid.Uint16Range(1, 65534).Draw(t, "port")),
		Codecs:    drawCodecs(t),
		PTime:     ms.Draw(t, "ptime"),
		MaxPTime:  ms.Draw(t, "maxptime"),
		Mux:       rapid.Bool().Draw(t, "mux"),
		Direction: rapid.SampledFrom([]parley.Direction{parley.SendRecv, parley.SendOnly, parley.RecvOnly, parley.Inactive}).Draw(t, "direction"),
		Feedback:  rapid.Bool().Draw(t, "feedback"),
		ID:        rapid.Uint64().Draw(t, "id"),
		Version:   rapid.Uint64().Draw(t, "version"),
	}
	if rapid.Bool().Draw(t, "rtcp") {
		d.RTCP = netip.MustParseAddrPort(rapid.SampledFrom([]string{"192.0.2.200:9", "[2001:db8::9]:65535"}).Draw(t, "rtcp address"))
	}
	if rapid.Bool().Draw(t, "origin") {
		d.Origin = netip.MustParseAddr("198.51.100.77")
	}
	for i, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(transport.SRTPProfiles[:]), 0, 4, rapid.ID[transport.SRTPProfile]).Draw(t, "suites") {
		key, _ := transport.NewSRTPKey(p)
		d.Crypto = append(d.Crypto, Crypto{Tag: 1 + 7*i, Key: key})
	}
	others := []Section{{"video", "RTP/AVP", "31 32"}, {"image", "udptl", "t38"}, {"audio", "RTP/AVP", "0"}}
	d.Others = rapid.SliceOfN(rapid.SampledFrom(others), 0, 3).Draw(t, "others")
	if len(d.Others) == 0 {
		d.Others = nil
	}
	d.Index = rapid.IntRange(0, len(d.Others)).Draw(t, "index")
	return d
}

// What is written is what is read.
func TestDescriptionProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDescription(t, rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1"}).Draw(t, "host"))
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseDescription(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Fatalf("wrote %s\nread  %s\nby\n%s", describe(d), describe(got), text)
		}
	})
}

// The two ends of any exchange agree, or it fails for a reason that is there.
func TestAgreementProperty(t *testing.T) {
	agreements := 0
	rapid.Check(t, func(t *rapid.T) {
		offer, local := drawDescription(t, "192.0.2.1"), drawDescription(t, "192.0.2.2")
		answer, answerer, err := Answer(offer, local)
		if err != nil {
			common := slices.ContainsFunc(offer.Codecs, func(p codec.Params) bool {
				return isMedia(p) && slices.ContainsFunc(local.Codecs, p.Same)
			})
			suite := len(offer.Crypto) == 0 && len(local.Crypto) == 0 || slices.ContainsFunc(offer.Crypto, func(o Crypto) bool {
				return slices.ContainsFunc(local.Crypto, func(l Crypto) bool { return o.Key.Profile == l.Key.Profile })
			})
			switch {
			case errors.Is(err, ErrNoCommonCodec) && !common, errors.Is(err, ErrDescription) && !suite:
				return
			}
			t.Fatal(err)
		}
		agreements++
		checkAgreement(t, offer, answer, answerer)
	})
	if agreements == 0 {
		t.Error("no two ends have agreed")
	}
}

// checkAgreement checks that the offerer reads of an answer what the answerer
// has agreed to.
func checkAgreement(t interface{ Fatalf(string, ...any) }, offer, answer *Description, answerer *Agreed) {
	text, err := answer.Marshal()
	if err != nil {
		t.Fatalf("%s: %v", describe(answer), err)
	}
	read, err := ParseDescription(text)
	if err != nil {
		t.Fatalf("%v in our own\n%s", err, text)
	}
	offerer, err := Agree(offer, read)
	if err != nil {
		t.Fatalf("answered\n%s\nto\n%s\nbut: %v", text, describe(offer), err)
	}
	if !slices.EqualFunc(read.places(), offer.places(), func(p, q place) bool { return p.Media == q.Media }) {
		t.Fatalf("answer has its streams in other places: %s to %s", describe(read), describe(offer))
	}
	if offerer.Mux != answerer.Mux || offerer.Mux && offerer.Remote != offerer.RemoteRTCP {
		t.Fatalf("mux: %+v and %+v", offerer, answerer)
	}
	if offerer.Direction.Sends() != answerer.Direction.Receives() || offerer.Direction.Receives() != answerer.Direction.Sends() {
		t.Fatalf("direction: %v and %v", offerer.Direction, answerer.Direction)
	}
	for _, ends := range [][2]*Agreed{{offerer, answerer}, {answerer, offerer}} {
		from, to := ends[0], ends[1]
		if !hears(to, from.Send) || !to.Receive[0].Same(from.Send) || from.Event.Name != "" && !hears(to, from.Event) {
			t.Fatalf("sends %v, heard are %v", formats([]codec.Params{from.Send, from.Event}), formats(to.Receive))
		}
		if from.PTime < time.Millisecond || from.PTime > time.Second {
			t.Fatalf("ptime %v", from.PTime)
		}
		if !from.LocalKey.Equal(to.RemoteKey) {
			t.Fatalf("encrypted with one key, decrypted with another")
		}
		if (from.LocalKey.Profile != "") != (len(offer.Crypto) > 0) {
			t.Fatalf("encrypted: %v, offered: %v", from.LocalKey, offer.Crypto)
		}
	}
}

func hears(a *Agreed, p codec.Params) bool {
	return slices.ContainsFunc(a.Receive, func(q codec.Params) bool {
		return q.PayloadType == p.PayloadType && q.Same(p)
	})
}

// FuzzAnswer answers whatever is offered.
func FuzzAnswer(f *testing.F) {
	for _, s := range shapes {
		f.Add([]byte(s.text))
	}
	for _, s := range videoShapes {
		f.Add([]byte(s.text))
	}
	crypto, err := NewCrypto()
	if err != nil {
		f.Fatal(err)
	}
	videoCrypto, err := NewCrypto()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		offer, err := ParseDescription(text)
		if err != nil {
			return
		}
		local := &Description{
			Addr: addr("192.0.2.1:4000"), Mux: true, PTime: 20 * time.Millisecond,
			Codecs: []codec.Params{
				opus96, g722, pcmu, pcma, cn, events97, events101,
				{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2},
				{Name: "L16", PayloadType: 10, ClockRate: 44100, Channels: 2},
			},
		}
		if len(offer.Crypto) > 0 {
			local.Crypto = crypto
		}
		local.Video = &VideoDescription{
			Addr: addr("192.0.2.1:4002"), Mux: true, Feedback: parley.VideoFeedback{NACK: true, PLI: true},
			Codecs: []codec.Params{
				{Name: "H264", PayloadType: 96, ClockRate: 90000, FMTP: "packetization-mode=1;profile-level-id=42e01f;sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA="},
				{Name: "H264", PayloadType: 97, ClockRate: 90000},
				vp8,
				{Name: "VP9", PayloadType: 98, ClockRate: 90000},
			},
		}
		if offer.Video != nil && len(offer.Video.Crypto) > 0 {
			local.Video.Crypto = videoCrypto
		}
		answer, agreed, err := Answer(offer, local)
		if err != nil {
			if !errors.Is(err, ErrNoCommonCodec) && !errors.Is(err, ErrDescription) {
				t.Fatal(err)
			}
			return
		}
		checkVideoAgreement(t, offer, answer, agreed)
		if agreed.Send.Name != "" {
			checkAgreement(t, offer, answer, agreed)
		}
	})
}
