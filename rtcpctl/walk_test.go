package rtcpctl

import (
	"encoding/hex"
	"errors"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMembers(t *testing.T) {
	type member struct {
		kind  Type
		count uint8
		body  string
		err   error
	}
	for _, c := range []struct {
		name, compound string
		want           []member
	}{
		{"nothing", "", nil},
		{"empty goodbye", "80cb0000", []member{{TypeBYE, 0, "", nil}}},
		{"goodbye of padding only", "a0cb000100000004", []member{{TypeBYE, 0, "", nil}}},
		{"padding of zero bytes", "a0cb000100000000", []member{{TypeBYE, 0, "00000000", errPadding}}},
		{"padding longer than the body", "a0cb000100000008", []member{{TypeBYE, 0, "00000008", errPadding}}},
		{"padding of no whole words", "a0cb00020000000000000006", []member{{TypeBYE, 0, "0000000000000006", errPadding}}},
		{"padding bit without padding", "a0cb0000", []member{{TypeBYE, 0, "", errPadding}}},
		{
			"padding in the middle",
			"80c9000100000001" + "a0cb000100000004" + "80c9000100000002",
			[]member{{TypeRR, 0, "00000001", nil}, {TypeBYE, 0, "00000004", errPadded}, {TypeRR, 0, "00000002", nil}},
		},
		{"length goes past the end", "80c9000100000001" + "81ca0002ffffffff", []member{{TypeRR, 0, "00000001", nil}, {TypeSDES, 1, "", errLength}}},
		{"version 1", "80c9000100000001" + "40c90000", []member{{TypeRR, 0, "00000001", nil}, {TypeRR, 0, "", errVersion}}},
		{"rest of a header", "80c9000100000001" + "80c9", []member{{TypeRR, 0, "00000001", nil}, {0, 0, "", errHeader}}},
		{"chunk missing behind a length of zero", "81ca0000" + "6d2447ea00000000" + "0000", []member{{TypeSDES, 1, "", nil}, {36, 13, "", errVersion}}},
		{"unknown type", "9fff0001deadbeef", []member{{255, 31, "deadbeef", nil}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := 0
			for m, err := range Members(unhex(t, c.compound)) {
				if i == len(c.want) {
					t.Fatalf("one more: %+v, %v", m, err)
				}
				w := c.want[i]
				if m.Type != w.kind || m.Count != w.count || hex.EncodeToString(m.Body) != w.body || err != w.err {
					t.Errorf("member %d: %+v, %v, want %+v", i, m, err, w)
				}
				if err != nil && !errors.Is(err, ErrMalformed) {
					t.Errorf("%v does not wrap ErrMalformed", err)
				}
				i++
			}
			if i != len(c.want) {
				t.Errorf("%d members, want %d", i, len(c.want))
			}
		})
	}
}

func TestMembersStops(t *testing.T) {
	n := 0
	for range Members(unhex(t, "80cb000080cb000080cb0000")) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d members", n)
	}
}
