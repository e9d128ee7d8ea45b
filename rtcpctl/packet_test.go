package rtcpctl

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pion/rtcp"
	"pgregory.net/rapid"
)

func pionBlock(b ReportBlock) rtcp.ReceptionReport {
	return rtcp.ReceptionReport{
		SSRC: b.SSRC, FractionLost: b.FractionLost, TotalLost: uint32(b.Lost) & 0xffffff, LastSequenceNumber: b.Highest,
		Jitter: b.Jitter, LastSenderReport: b.LastSR, Delay: b.Delay,
	}
}

var anyBlock = rapid.Custom(func(t *rapid.T) ReportBlock {
	return ReportBlock{
		SSRC: rapid.Uint32().Draw(t, "ssrc"), FractionLost: rapid.Uint8().Draw(t, "fraction"),
		Lost: rapid.Int32Range(-1<<23, 1<<23-1).Draw(t, "lost"), Highest: rapid.Uint32().Draw(t, "highest"),
		Jitter: rapid.Uint32().Draw(t, "jitter"), LastSR: rapid.Uint32().Draw(t, "lsr"), Delay: rapid.Uint32().Draw(t, "dlsr"),
	}
})

// What is written here is read by pion/rtcp with the same fields, and written by
// it with the same bytes.
func TestWritersAgainstPion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ssrc := rapid.Uint32().Draw(t, "ssrc")
		info := SenderInfo{
			NTP: rapid.Uint64().Draw(t, "ntp"), Timestamp: rapid.Uint32().Draw(t, "timestamp"),
			Packets: rapid.Uint32().Draw(t, "packets"), Octets: rapid.Uint32().Draw(t, "octets"),
		}
		blocks := rapid.SliceOfN(anyBlock, 0, MaxBlocks).Draw(t, "blocks")
		var theirs []rtcp.ReceptionReport
		for _, b := range blocks {
			theirs = append(theirs, pionBlock(b))
		}
		cname := rapid.StringN(0, -1, maxText).Draw(t, "cname")
		reason := rapid.StringN(0, -1, maxText).Draw(t, "reason")

		want := []rtcp.Packet{
			&rtcp.SenderReport{
				SSRC: ssrc, NTPTime: info.NTP, RTPTime: info.Timestamp, PacketCount: info.Packets, OctetCount: info.Octets,
				Reports: theirs, ProfileExtensions: []byte{},
			},
			&rtcp.ReceiverReport{SSRC: ssrc, Reports: theirs, ProfileExtensions: []byte{}},
			&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
				Source: ssrc,
				Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: cname}},
			}}},
			&rtcp.Goodbye{Sources: []uint32{ssrc}, Reason: reason},
		}
		b := AppendSR(nil, ssrc, info, blocks)
		b = AppendRR(b, ssrc, blocks)
		b = AppendSDES(b, ssrc, cname)
		b = AppendBYE(b, ssrc, reason)
		got, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range got {
			if diff := cmp.Diff(want[i], p, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
		again, err := rtcp.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again, b); diff != "" {
			t.Fatal(diff)
		}
		n := 0
		for m, err := range Members(b) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(m.Raw)
		}
		if n != len(b) {
			t.Fatalf("walked %d of %d bytes", n, len(b))
		}
	})
}

func TestLongTexts(t *testing.T) {
	long := strings.Repeat("a", 254) + strings.Repeat("\u00e9", 10)
	for _, b := range [][]byte{AppendSDES(nil, 1, long), AppendBYE(nil, 1, long)} {
		packets, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		switch p := packets[0].(type) {
		case *rtcp.SourceDescription:
			text = p.Chunks[0].Items[0].Text
		case *rtcp.Goodbye:
			text = p.Reason
		}
		if text != long[:254] || !utf8.ValidString(text) {
			t.Errorf("%q of %d bytes", text, len(text))
		}
	}
	if got := truncate(strings.Repeat("\x80", 300)); len(got) < 250 || len(got) > maxText {
		t.Errorf("no text at all is cut to %d bytes", len(got))
	}
}

// Packets of other implementations, rebuilt from their fields.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{
			"sender report",
			AppendSR(nil, 1831097322, SenderInfo{16016567581311369308, 1722342718, 269, 13557},
				[]ReportBlock{{SSRC: 2398654957, Highest: 246, Jitter: 127}}),
			"81c8000c6d2453eade46475b151a005c66a8dd3e0000010d000034f58ef891ed00000000000000f60000007f0000000000000000",
		},
		{
			"receiver report",
			AppendRR(nil, 817267719, []ReportBlock{{SSRC: 1200895919, Highest: 630, Jitter: 1906}}),
			"81c9000730b68407479437af0000000000000276000007720000000000000000",
		},
		{
			"source description",
			AppendSDES(nil, 1831097322, "{00112233-4455-6677-8899-aabbccddeeff}"),
			"81ca000c6d2453ea0126" + hex.EncodeToString([]byte("{00112233-4455-6677-8899-aabbccddeeff}")) + "00000000",
		},
		{"goodbye", AppendBYE(nil, 2924645187, ""), "81cb0001ae528b43"},
	} {
		want, err := hex.DecodeString(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.got); diff != "" {
			t.Errorf("%s: %x\n%s", c.name, c.got, diff)
		}
	}
}
