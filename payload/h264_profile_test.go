package payload_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-media/parley/payload"
)

func fmtp(t *testing.T, s string) payload.H264FMTP {
	t.Helper()
	f, err := payload.ParseH264FMTP(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The rows of RFC 6184, table 5, with what "x" may be. Profiles of one line are
// the same, those of two are not.
func TestH264Compatible(t *testing.T) {
	rows := [][]string{
		{"42e00a", "42400a", "42500b", "42c01f", "4d801f", "4df01f", "58c01f", "58f00a"},
		{"42000a", "", "42801f", "42a01f", "58801f", "58b01f"},
		{"4d001f", "4d401f", "4d501f"},
		{"58001f", "58201f", "58301f"},
		{"4d201f"},
		{"58401f"}, // not in the table
		{"64001f", "640033"},
		{"640c1f", "640c2a"}, // Constrained High
		{"6e0010"},
		{"6e1010"},
		{"7a0010"},
		{"7a1010"},
		{"f40010"},
		{"f41010"},
		{"2c1010"},
	}
	for i, row := range rows {
		for _, a := range row {
			for j, other := range rows {
				for _, b := range other {
					f, g := fmtp(t, ""), fmtp(t, "")
					if a != "" {
						f = fmtp(t, "profile-level-id="+a)
					}
					if b != "" {
						g = fmtp(t, "profile-level-id="+b)
					}
					if got := f.Compatible(g); got != (i == j) {
						t.Errorf("%q and %q: %v", a, b, got)
					}
				}
			}
		}
	}
	one := fmtp(t, "packetization-mode=1;profile-level-id=42e01f")
	for s, want := range map[string]bool{
		"profile-level-id=42e01f":                      false,
		"profile-level-id=42e01f;packetization-mode=0": false,
		"packetization-mode=1;profile-level-id=42c00a": true,
		"packetization-mode=2;profile-level-id=42e01f": false,
	} {
		if got := one.Compatible(fmtp(t, s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	if two := fmtp(t, "packetization-mode=2"); two.Compatible(two) {
		t.Error("interleaved mode is compatible")
	}
}

func TestH264Answer(t *testing.T) {
	const asym = "level-asymmetry-allowed=1;"
	for _, tt := range []struct{ ours, offer, want string }{
		{"profile-level-id=42e01f", "profile-level-id=42e01f", "profile-level-id=42e01f"},
		{"profile-level-id=42e01f", "profile-level-id=42e00d", "profile-level-id=42e00d"},
		{"profile-level-id=42e00d", "profile-level-id=42e01f", "profile-level-id=42e00d"},
		// The profile stays as it was offered.
		{"profile-level-id=42e00d", "profile-level-id=4d801f", "profile-level-id=4d800d"},
		// A level of each way's own needs both ends.
		{asym + "profile-level-id=42e01f", "profile-level-id=42e00d", "profile-level-id=42e00d"},
		{"profile-level-id=42e01f", asym + "profile-level-id=42e00d", "profile-level-id=42e00d"},
		{asym + "profile-level-id=42e01f", asym + "profile-level-id=42e00d", asym + "profile-level-id=42e01f"},
		{asym + "profile-level-id=42e00d", asym + "profile-level-id=42e01f", asym + "profile-level-id=42e00d"},
		// Level 1b is less than 1.1, and more than 1.
		{"profile-level-id=42f00b", "profile-level-id=42e00b", "profile-level-id=42f00b"},
		{"profile-level-id=42e00b", "profile-level-id=42f00b", "profile-level-id=42f00b"},
		{"profile-level-id=42f00b", "profile-level-id=42e00a", "profile-level-id=42e00a"},
		{"profile-level-id=42e00a", "profile-level-id=42f00b", "profile-level-id=42e00a"},
		{"profile-level-id=640009", "profile-level-id=64000b", "profile-level-id=640009"},
		{"profile-level-id=64000a", "profile-level-id=640009", "profile-level-id=64000a"},
		{"profile-level-id=640009", "profile-level-id=64000a", "profile-level-id=64000a"},
		// Not stated is Baseline at level 1.
		{"profile-level-id=42001f", "", "profile-level-id=42000a"},
		{"", "profile-level-id=42001f", "profile-level-id=42000a"},
		// Parameter sets are the sender's own.
		{
			"profile-level-id=42e01f;sprop-parameter-sets=Z0IACpZTBYmI,aMljiA==", "profile-level-id=42e01f;sprop-parameter-sets=aMljiA==",
			"profile-level-id=42e01f;sprop-parameter-sets=Z0IACpZTBYmI,aMljiA==",
		},
		{"profile-level-id=42e01f", "profile-level-id=64001f", "none"},
		{"profile-level-id=42e01f", "packetization-mode=1;profile-level-id=42e01f", "none"},
		{
			asym + "packetization-mode=1;profile-level-id=42e01f", asym + "packetization-mode=1;profile-level-id=42c034",
			asym + "packetization-mode=1;profile-level-id=42c01f",
		},
	} {
		got := "none"
		if a, ok := fmtp(t, tt.ours).Answer(fmtp(t, tt.offer)); ok {
			got = a.String()
		}
		if got != tt.want {
			t.Errorf("%q to %q: %q, want %q", tt.ours, tt.offer, got, tt.want)
		}
	}
}

// An answer is compatible with both ends, and an end that gets its own
// parameters answers the same.
func TestH264AnswerIsCompatible(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) payload.H264FMTP {
		return payload.H264FMTP{
			Profile:           rapid.SampledFrom([]uint8{66, 77, 88, 100, 110, 44}).Draw(t, "profile"),
			Constraints:       rapid.SampledFrom([]uint8{0, 0x80, 0x40, 0xc0, 0xe0, 0x10, 0xf0, 0x20, 0x0c}).Draw(t, "constraints"),
			Level:             rapid.SampledFrom([]uint8{9, 10, 11, 12, 31, 52}).Draw(t, "level"),
			PacketizationMode: rapid.IntRange(0, 1).Draw(t, "mode"), LevelAsymmetryAllowed: rapid.Bool().Draw(t, "asymmetry"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		ours, offer := draw.Draw(t, "ours"), draw.Draw(t, "offer")
		if ours.Compatible(offer) != offer.Compatible(ours) {
			t.Fatal("compatible one way")
		}
		answer, ok := ours.Answer(offer)
		if ok != ours.Compatible(offer) {
			t.Fatalf("answered %v", ok)
		}
		if ok && (!answer.Compatible(ours) || !answer.Compatible(offer)) {
			t.Fatalf("answer %v", answer)
		}
		if again, ok := offer.Answer(offer); !ok || again.String() != offer.String() {
			t.Fatalf("%v answers itself with %v", offer, again)
		}
	})
}

// Cameras leave the padding of base64 out, or end with a comma.
func TestH264ParameterSets(t *testing.T) {
	for _, in := range []string{"Z0IACpZTBYmI,aMljiA==", "Z0IACpZTBYmI,aMljiA", "Z0IACpZTBYmI, aMljiA==,"} {
		f := fmtp(t, "sprop-parameter-sets="+in)
		if len(f.ParameterSets) != 2 || !bytes.Equal(f.ParameterSets[1], []byte{0x68, 0xc9, 0x63, 0x88}) {
			t.Errorf("%q: %x", in, f.ParameterSets)
		}
	}
}
