package rtcpctl

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// What has broken other stacks: each is taken without a panic, counted where it
// is wrong, and what is whole around it is heeded.
func TestAbuse(t *testing.T) {
	blocks := make([]ReportBlock, MaxBlocks)
	for i := range blocks {
		blocks[i] = ReportBlock{SSRC: uint32(100 + i)}
	}
	blocks[30] = ReportBlock{SSRC: 1, Lost: 7}
	full := AppendRR(AppendRR(AppendSR(nil, 2, SenderInfo{}, blocks), 2, blocks), 3, blocks)

	rr := "80c9000100000002" // of 2
	tail := fmt.Sprintf("%x", AppendRR(nil, 4, []ReportBlock{{SSRC: 1, Lost: 5}}))
	after := "reported 4 5 lost"
	zeros := func(n int) string { return strings.Repeat("00", n) }
	voip := "07000008" + "00000001" + zeros(28)
	rrtr := "04000002" + "0000000100000000"

	for _, c := range []struct {
		name      string
		compound  string
		events    string
		malformed int64
	}{
		{"AST-2017-012: three reports with 31 blocks each", fmt.Sprintf("%x", full), "sender reported 2 0 packets; reported 2 7 lost; reported 2 7 lost; reported 3 7 lost", 0},

		{"CVE-2021-43804: reason of 255 bytes with none left", rr + "81cb0001" + "00000002" + tail, "goodbye 2; " + after, 0},
		{"CVE-2021-43804: reason length 255 in the last word", rr + "81cb0002" + "00000002" + "ff000000" + tail, "goodbye 2; " + after, 1},
		{"CVE-2021-43804: goodbye of 31 without a source", rr + "9fcb0000" + tail, after, 1},

		{"CVE-2021-43845: XR block of length 0", rr + "80cf0002" + "00000002" + "01000000" + tail, after, 0},
		{"CVE-2021-43845: RRTR of length 0", rr + "80cf0005" + "00000002" + "04000000" + rrtr + tail, "reference time 2; " + after, 1},
		{"CVE-2021-43845: XR block past the end", rr + "80cf0003" + "00000002" + "04000002" + "00000000" + tail, after, 1},
		{"CVE-2021-43845: XR block of length 65535", rr + "80cf0002" + "00000002" + "0400ffff" + tail, after, 1},
		{"CVE-2021-43845: unknown XR block types", rr + "80cf0008" + "00000002" + "ff000001" + "deadbeef" + "00000000" + rrtr + "63000000" + tail, "reference time 2; " + after, 0},
		{"CVE-2021-43845: truncated VoIP block", rr + "80cf0005" + "00000002" + "07000003" + "00000001" + zeros(8) + tail, after, 1},
		{"CVE-2021-43845: VoIP block past the end", rr + "80cf0005" + "00000002" + "07000008" + "00000001" + zeros(8) + tail, after, 1},
		{"DLRR of no whole sub-blocks", rr + "80cf0004" + "00000002" + "05000002" + zeros(8) + tail, after, 1},
		{"DLRR about nobody", rr + "80cf0002" + "00000002" + "05000000" + tail, after, 0},

		// The sizes that accessors of others read past.
		{"XR of 8 bytes", rr + "80cf0001" + "00000002" + tail, after, 0},
		{"XR of 12 bytes", rr + "80cf0002" + "00000002" + "07000000" + tail, after, 1},
		{"XR of 20 bytes", rr + "80cf0004" + "00000002" + rrtr + tail, "reference time 2; " + after, 0},
		{"XR of 28 bytes", rr + "80cf0006" + "00000002" + "07000004" + zeros(16) + tail, after, 1},
		{"XR of 44 bytes", rr + "80cf000a" + "00000002" + voip + tail, "voip reported 2 MOS 0; " + after, 0},
		{"XR without a source", rr + "80cf0000" + tail, after, 1},

		{"CVE-2022-24786: RPSI with padding longer than its data", rr + "83ce0003" + "00000002" + "00000001" + "ff610000" + tail, "other 2 PSFB/3; " + after, 0},
		{"CVE-2022-24786: RPSI of length 2", rr + "83ce0002" + "00000002" + "00000001" + tail, "other 2 PSFB/3; " + after, 0},
		{"CVE-2022-24786: feedback with padding longer than the packet", rr + "a3ce0003" + "00000002" + "00000001" + "000000ff", "", 1},

		{"SA-2026-0030: description without an end", rr + "81ca0002" + "00000002" + "01026162" + tail, "named 2 ab; " + after, 1},
		{"SA-2026-0030: item of 255 bytes", rr + "81ca0002" + "00000002" + "01ff6162" + tail, after, 1},
		{"SA-2026-0030: description of 31", rr + "9fca0002" + "00000002" + "01016100" + tail, "named 2 a; " + after, 1},

		{"oRTP: unknown type of 65 kB", rr + "80df3ffe" + zeros(4*0x3ffe) + tail, "other 0 Type(223)/0; " + after, 0},
		{"unknown type with a length of 65535 words", "80dfffff" + zeros(4*0xffff), "other 0 Type(223)/0", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(Config{SSRC: 1})
			if got := strings.Join(events(s, epoch, unhex(t, c.compound)), "; "); got != c.events {
				t.Errorf("events %q, want %q", got, c.events)
			}
			if s.stats.Malformed != c.malformed {
				t.Errorf("%d malformed, want %d", s.stats.Malformed, c.malformed)
			}
			_, b := report(t, s)
			parse(t, b)
		})
	}
}

// CVE-2017-14099: RTCP of 0 to 11 bytes, whole and cut, of every type.
func TestShortRTCP(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	for kind := 192; kind <= 223; kind++ {
		for words := range 3 {
			for first := range 256 {
				b := append([]byte{byte(first), byte(kind), 0, byte(words)}, make([]byte, 8)...)
				for n := range 12 {
					s.Receive(epoch, b[:n], nil)
				}
			}
		}
	}
	var st Stats
	if s.Stats(&st); st.Members > 2 || st.Malformed == 0 {
		t.Errorf("%+v", st)
	}
}

// Packets of another implementation's tests, rebuilt from their fields, and what
// is to become of them.
func TestOtherVectors(t *testing.T) {
	rr := AppendRR(nil, 817267719, []ReportBlock{{SSRC: 1200895919, Highest: 630, Jitter: 1906}})
	sr := AppendSR(nil, 1831097322, SenderInfo{16016567581311369308, 1722342718, 269, 13557}, []ReportBlock{{SSRC: 2398654957, Highest: 246, Jitter: 127}})
	sdes := AppendSDES(nil, 1831097322, "{00112233-4455-6677-8899-aabbccddeeff}")
	body := bytes.Clone(rr)
	body[1] = byte(TypeSDES)
	for _, c := range []struct {
		name      string
		b         []byte
		events    string
		malformed int64
	}{
		{"rtcp_sr", sr, "sender reported 1831097322 269 packets", 0},
		{"rtcp_rr", rr, "", 0},
		{"rtcp_sdes", sdes, "named 1831097322 {00112233-4455-6677-8899-aabbccddeeff}", 0},
		{"compound", append(bytes.Clone(sr), sdes...), "sender reported 1831097322 269 packets; named 1831097322 {00112233-4455-6677-8899-aabbccddeeff}", 0},
		{"rtcp_bye of a stranger", AppendBYE(nil, 2924645187, ""), "", 0},
		{"rtcp_bye_no_sources", unhex(t, "80cb0000"), "", 0},
		{"rtcp_bye_padding", unhex(t, "a0cb000100000004"), "", 0},
		{"bye_only_padding_zero", unhex(t, "a0cb000100000000"), "", 1},
		{"rtcp_psfb_pli", unhex(t, "81ce0002"+"54506265"+"00000001"), "key frame wanted 1414554213", 0},
		{"rtcp_bye_invalid", unhex(t, "91cb0001ae528b43"), "", 1},
		{"rtcp_rr_invalid", unhex(t, "81c9000130b68407"), "", 1},
		{"rtcp_sr_invalid", unhex(t, "81c800016d2453ea"), "", 1},
		{"rtcp_rtpfb_invalid", unhex(t, "81cd00018b446bbb"), "", 1},
		{"rtcp_sdes_item_truncated", body, "", 1},
		{"rtcp_sdes_source_truncated", unhex(t, "81ca0000"+"6d2447ea000000000000"), "", 2}, // the chunk, and what is taken for a packet
		{"bad_version", unhex(t, "40c9000130b68407"), "", 1},
	} {
		s := newSession(Config{SSRC: 1})
		if got := strings.Join(events(s, epoch, c.b), "; "); got != c.events {
			t.Errorf("%s: events %q, want %q", c.name, got, c.events)
		}
		if s.stats.Malformed != c.malformed {
			t.Errorf("%s: %d malformed, want %d", c.name, s.stats.Malformed, c.malformed)
		}
	}
	// rr_truncated: each cut is an error, and not more than one.
	for n := 1; n < len(rr); n++ {
		s := newSession(Config{SSRC: 1})
		s.Receive(epoch, rr[:n], nil)
		if s.stats.Malformed != 1 || s.stats.Compounds != 0 {
			t.Errorf("%d bytes: %+v", n, s.stats)
		}
	}
	// clamp_packets_lost and its packing.
	for lost, want := range map[int32]string{-8388609: "800000", -8388608: "800000", -1: "ffffff", 1: "000001", 8388607: "7fffff", 8388608: "7fffff"} {
		if b := (ReportBlock{Lost: lost}).AppendTo(nil); fmt.Sprintf("%x", b[5:8]) != want {
			t.Errorf("%d is %x", lost, b[5:8])
		}
	}
}

// The cases of another implementation's loss statistics.
func TestOtherStatistics(t *testing.T) {
	for _, c := range []struct {
		seqs           []uint16
		expected, lost int64
	}{
		{[]uint16{0, 1, 2}, 3, 0},
		{[]uint16{0, 1, 3}, 4, 1},
	} {
		if r, _, _ := feed(c.seqs...); r.Expected() != c.expected || r.Lost() != c.lost {
			t.Errorf("%v: expected %d, lost %d", c.seqs, r.Expected(), r.Lost())
		}
	}
	// One of two in the second interval only.
	r, _, _ := feed(0, 1)
	if b := r.Report(epoch); b.FractionLost != 0 {
		t.Errorf("fraction %d", b.FractionLost)
	}
	r.Update(3, 480, epoch)
	if b := r.Report(epoch); b.FractionLost != 128 {
		t.Errorf("fraction %d", b.FractionLost)
	}
}
