package session

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-media/parley/transport"
)

func TestCryptoAttribute(t *testing.T) {
	const key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj" // RFC 4568, section 6.1
	master := []byte("wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#")
	const gcm = "IjvFAXZ7ePFcCN7dPQ6r5QBHUiFK1bxk0y5hDA"
	for _, tt := range []struct {
		value string
		want  string // "" for what is read
		len   int    // of the master key and salt
	}{
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key, "", 30},
		{"2 AES_CM_128_HMAC_SHA1_32 inline:" + key + "|2^20", "", 30},
		{"3  AES_CM_128_HMAC_SHA1_32\tINLINE:" + key + "|1048576 ", "", 30},
		{"999999999 AEAD_AES_128_GCM inline:" + gcm + "==", "", 28},
		{"4 AEAD_AES_128_GCM inline:" + gcm, "", 28}, // some leave the padding out
		{"5 AEAD_AES_128_GCM inline:" + gcm + "=|2^31", "", 28},
		{"6 AEAD_AES_256_GCM inline:" + key + "MDEyMzQ1Njc4OTAxMjM0Njc4", `crypto 6: transport: unusable SRTP key: 48 bytes, AEAD_AES_256_GCM has 44`, 0},
		{"7 AES_CM_128_HMAC_SHA1_80 inline:" + gcm, "crypto 7: transport: unusable SRTP key: 28 bytes, AES_CM_128_HMAC_SHA1_80 has 30", 0},
		{"8 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|66051:4", "", 30},
		{"9 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|66051:4", "", 30},
		{"10 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|", `crypto 10: MKI "", want one of 1 to 8 bytes`, 0},
		{"10 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|", `crypto 10: MKI "", want one of 1 to 8 bytes`, 0},
		{"10 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:9", `crypto 10: MKI "1:9", want one of 1 to 8 bytes`, 0},
		{"10 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|256:1", `crypto 10: MKI "256:1", want one of 1 to 8 bytes`, 0},
		{"10 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|1:4|1:4", `crypto 10: MKI "1:4|1:4", want one of 1 to 8 bytes`, 0},
		{"11 AES_CM_128_HMAC_SHA1_80 inline:" + key + ";inline:" + key, "crypto 11: key not in base64", 0},
		{"12 AES_CM_128_HMAC_SHA1_80 inline:" + key + " KDR=1", "crypto 12: session parameters", 0},
		{"13 AES_CM_128_HMAC_SHA1_80 uri:https://192.0.2.1", "crypto 13: key not inline", 0},
		{"14 AES_192_CM_HMAC_SHA1_80 inline:" + key, `crypto 14: transport: unusable SRTP key: profile "AES_192_CM_HMAC_SHA1_80"`, 0},
		{"0 AES_CM_128_HMAC_SHA1_80 inline:" + key, `tag "0" of a crypto attribute`, 0},
		{"1000000000 AES_CM_128_HMAC_SHA1_80 inline:" + key, `tag "1000000000" of a crypto attribute`, 0},
		{"1 AES_CM_128_HMAC_SHA1_80", "crypto attribute without tag, suite or key", 0},
		{"", "crypto attribute without tag, suite or key", 0},
	} {
		c, err := parseCrypto(tt.value)
		if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
			t.Errorf("%q: got %s, want %s", tt.value, got, tt.want)
			continue
		}
		if len(c.Key.Master) != tt.len && err == nil {
			t.Errorf("%q: key of %d bytes, want %d", tt.value, len(c.Key.Master), tt.len)
		}
		if mki := strings.Contains(tt.value, ":4"); err == nil && mki != bytes.Equal(c.Key.MKI, []byte{0, 1, 2, 3}) {
			t.Errorf("%q: MKI %x", tt.value, c.Key.MKI)
		}
		if err == nil && strings.Contains(tt.value, key) && !bytes.Equal(c.Key.Master, master) {
			t.Errorf("%q: key %q, want %q", tt.value, c.Key.Master, master)
		}
	}
}

func TestNewCrypto(t *testing.T) {
	all, err := NewCrypto()
	if err != nil || len(all) != len(transport.SRTPProfiles) {
		t.Fatal(all, err)
	}
	for i, c := range all {
		if c.Tag != i+1 || c.Key.Profile != transport.SRTPProfiles[i] || c.check() != nil {
			t.Errorf("%d: %v", i, c)
		}
		if got, err := parseCrypto(c.attribute()); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v was read as %v, %v", c, got, err)
		}
	}
	again, _ := NewCrypto(transport.AES_CM_128_HMAC_SHA1_80)
	if len(again) != 1 || bytes.Equal(again[0].Key.Master, all[2].Key.Master) {
		t.Error("the same key twice")
	}
	if _, err := NewCrypto("x"); !errors.Is(err, transport.ErrSRTPKey) {
		t.Errorf("unknown profile: %v", err)
	}
}

// Keys do not leak into logs.
func TestCryptoPrintsWithoutKey(t *testing.T) {
	d, err := ParseDescription([]byte(baresip))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%x"} {
		got := fmt.Sprintf(verb, *d)
		if strings.Contains(got, "sj8rK1") || strings.Contains(got, "254 200") || strings.Contains(got, "fec8fcac") {
			t.Errorf("%s shows the key: %s", verb, got)
		}
	}
}

func FuzzCrypto(f *testing.F) {
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4")
	f.Add("2 AEAD_AES_128_GCM inline:IjvFAXZ7ePFcCN7dPQ6r5QBHUiFK1bxk0y5hDA==")
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseCrypto(value)
		if err != nil {
			return
		}
		if err := c.check(); err != nil {
			t.Fatal(err)
		}
		if got, err := parseCrypto(c.attribute()); err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%q was read as %q, %v", c.attribute(), got.attribute(), err)
		}
	})
}
