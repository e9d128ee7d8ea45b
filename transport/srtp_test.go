package transport

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// srtpPair returns the two ends of a call.
func srtpPair(t testing.TB, p SRTPProfile) (a, b *SRTP) {
	t.Helper()
	x, err := NewSRTPKey(p)
	if err != nil {
		t.Fatal(err)
	}
	y, err := NewSRTPKey(p)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = NewSRTP(x, y); err != nil {
		t.Fatal(err)
	}
	if b, err = NewSRTP(y, x); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func rtpPacket(seq uint16) []byte {
	b := make([]byte, 12, 172)
	b[0] = 0x80
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], uint32(seq)*160)
	binary.BigEndian.PutUint32(b[8:], 0x1234)
	for i := range 160 {
		b = append(b, byte(i))
	}
	return b
}

// receiverReport is an empty report.
var receiverReport = []byte{0x80, 201, 0, 1, 0, 0, 0x12, 0x34}

func TestSRTPRoundTrip(t *testing.T) {
	overhead := map[SRTPProfile][2]int{ // of RTP and RTCP
		AEAD_AES_128_GCM: {16, 20}, AEAD_AES_256_GCM: {16, 20},
		AES_CM_128_HMAC_SHA1_80: {10, 14}, AES_CM_128_HMAC_SHA1_32: {4, 14},
		AES_256_CM_HMAC_SHA1_80: {10, 14}, AES_256_CM_HMAC_SHA1_32: {4, 14},
	}
	for _, p := range SRTPProfiles {
		t.Run(string(p), func(t *testing.T) {
			a, b := srtpPair(t, p)
			var coded, plain []byte
			for seq := range uint16(300) {
				want := rtpPacket(seq)
				var err error
				if coded, err = a.EncryptRTP(coded, want); err != nil {
					t.Fatal(err)
				}
				if len(coded) != len(want)+overhead[p][0] || bytes.Contains(coded, want[12:44]) {
					t.Fatalf("%d bytes became %d, or were left as they were", len(want), len(coded))
				}
				if plain, err = b.DecryptRTP(plain, coded); err != nil || !bytes.Equal(plain, want) {
					t.Fatalf("packet %d: %v", seq, err)
				}
				if _, err = a.DecryptRTP(nil, coded); !errors.Is(err, ErrSRTP) {
					t.Fatalf("our own packet came back and was taken: %v", err)
				}
				if coded, err = b.EncryptRTCP(coded, receiverReport); err != nil || len(coded) != len(receiverReport)+overhead[p][1] {
					t.Fatalf("report of %d bytes: %v", len(coded), err)
				}
				if plain, err = a.DecryptRTCP(plain, coded); err != nil || !bytes.Equal(plain, receiverReport) {
					t.Fatalf("report %d: %v", seq, err)
				}
			}
		})
	}
}

// RFC 3711, appendix B.3, has a master key and salt, and the session keys and
// salt that follow from them.
func TestSRTPKeyDerivation(t *testing.T) {
	master, _ := hex.DecodeString("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6")
	key := SRTPKey{Profile: AES_CM_128_HMAC_SHA1_80, Master: master}
	s, err := NewSRTP(key, key)
	if err != nil {
		t.Fatal(err)
	}
	packet := rtpPacket(7)
	coded, err := s.EncryptRTP(nil, packet)
	if err != nil {
		t.Fatal(err)
	}
	cipher, _ := hex.DecodeString("C61E7A93744F39EE10734AFE3FF7A087")
	salt, _ := hex.DecodeString("30CBBC08863D8C85D49DB34A9AE1")
	auth, _ := hex.DecodeString("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
	if want := referenceCM(packet, cipher, salt, auth); !bytes.Equal(coded, want) {
		t.Errorf("packet\n%x, want\n%x", coded, want)
	}
}

// The identifier of the master key stands before the tag of AES in counter mode, and
// at the end with GCM (RFC 3711, section 3.1; RFC 7714, section 6). The key may have
// one in one direction alone.
func TestSRTPMasterKeyIdentifier(t *testing.T) {
	mki := []byte{0, 0, 0x5a, 1}
	for tag, p := range map[int]SRTPProfile{10: AES_CM_128_HMAC_SHA1_80, 4: AES_256_CM_HMAC_SHA1_32, 0: AEAD_AES_256_GCM} {
		ours, _ := NewSRTPKey(p)
		theirs, _ := NewSRTPKey(p)
		theirs.MKI = mki
		a, err := NewSRTP(ours, theirs)
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewSRTP(theirs, ours)
		if err != nil {
			t.Fatal(err)
		}
		coded, err := b.EncryptRTP(nil, rtpPacket(1))
		if err != nil || !bytes.Equal(coded[len(coded)-tag-4:len(coded)-tag], mki) {
			t.Errorf("%s: sent %x, %v", p, coded, err)
		}
		mustDecrypt(t, b, a, 2)
		mustReport(t, b, a)
		mustDecrypt(t, a, b, 3)

		theirs.MKI = []byte{0, 0, 0x5a, 2}
		if a, err = a.Rekey(ours, theirs); err != nil {
			t.Fatal(err)
		}
		if _, err := a.DecryptRTP(nil, coded); !errors.Is(err, ErrSRTP) {
			t.Errorf("%s: another key's packet was taken: %v", p, err)
		}
	}
	k, _ := NewSRTPKey(AEAD_AES_128_GCM)
	if k.MKI = make([]byte, 9); !errors.Is(k.Check(), ErrSRTPKey) {
		t.Errorf("MKI of nine bytes: %v", k.Check())
	}
}

func TestSRTPReplays(t *testing.T) {
	a, b := srtpPair(t, AEAD_AES_128_GCM)
	first, err := a.EncryptRTP(nil, rtpPacket(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.DecryptRTP(nil, first); err != nil {
		t.Fatal(err)
	}
	report := mustReport(t, a, b)
	for range 10000 {
		if _, err := b.DecryptRTP(nil, first); !errors.Is(err, ErrSRTP) {
			t.Fatalf("replay: %v", err)
		}
		if _, err := b.DecryptRTCP(nil, report); !errors.Is(err, ErrSRTP) {
			t.Fatalf("replay of a report: %v", err)
		}
	}
	mustDecrypt(t, a, b, 2)
}

func mustDecrypt(t *testing.T, a, b *SRTP, seq uint16) {
	t.Helper()
	coded, err := a.EncryptRTP(nil, rtpPacket(seq))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := b.DecryptRTP(nil, coded); err != nil || !bytes.Equal(plain, rtpPacket(seq)) {
		t.Fatalf("packet %d: %v", seq, err)
	}
}

// mustReport sends a report of a to b, and returns the packet.
func mustReport(t *testing.T, a, b *SRTP) []byte {
	t.Helper()
	coded, err := a.EncryptRTCP(nil, receiverReport)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.DecryptRTCP(nil, coded); err != nil {
		t.Fatalf("report: %v", err)
	}
	return coded
}

// What comes from others, whatever it says of itself, does not keep the next
// packet of the far end from being heard.
func TestSRTPGarbage(t *testing.T) {
	for _, p := range SRTPProfiles {
		a, b := srtpPair(t, p)
		mustDecrypt(t, a, b, 65000)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 25000 {
			junk := rtpPacket(uint16(random.Uint32()))
			for j := 12; j < len(junk); j++ {
				junk[j] = byte(random.Uint32())
			}
			if i%3 == 0 {
				binary.BigEndian.PutUint32(junk[8:], random.Uint32())
			}
			if _, err := b.DecryptRTP(nil, junk); !errors.Is(err, ErrSRTP) {
				t.Fatalf("junk %d: %v", i, err)
			}
			if _, err := b.DecryptRTCP(nil, junk); !errors.Is(err, ErrSRTP) {
				t.Fatalf("junk report %d: %v", i, err)
			}
		}
		mustDecrypt(t, a, b, 65001)
	}
}

// Lengths that point past the end, as in CVE-2015-6360 of libsrtp, and packets
// that are shorter than what is added to each.
func TestSRTPTruncated(t *testing.T) {
	for _, p := range SRTPProfiles {
		a, b := srtpPair(t, p)
		coded, err := a.EncryptRTP(nil, rtpPacket(1))
		if err != nil {
			t.Fatal(err)
		}
		report, err := a.EncryptRTCP(nil, receiverReport)
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(coded) {
			if _, err := b.DecryptRTP(nil, coded[:n]); !errors.Is(err, ErrSRTP) {
				t.Fatalf("%s: %d bytes of a packet: %v", p, n, err)
			}
		}
		for n := range len(report) {
			if _, err := b.DecryptRTCP(nil, report[:n]); !errors.Is(err, ErrSRTP) {
				t.Fatalf("%s: %d bytes of a report: %v", p, n, err)
			}
		}
		for _, first := range []byte{0x8f, 0x90, 0x9f, 0xaf, 0xbf} { // CC, X, P
			wrong := append([]byte{first}, coded[1:24]...)
			if _, err := b.DecryptRTP(nil, wrong); !errors.Is(err, ErrSRTP) {
				t.Fatalf("%s: first byte %#x in 24 bytes: %v", p, first, err)
			}
		}
		if _, err := b.DecryptRTP(nil, rtpPacket(2)); !errors.Is(err, ErrSRTP) {
			t.Fatalf("%s: plain RTP was taken: %v", p, err)
		}
	}
}

// The rollover counter is guessed right when packets are lost or out of order
// where sequence numbers wrap.
func TestSRTPWrap(t *testing.T) {
	for _, lost := range [][]uint16{nil, {65535}, {0}, {65534, 65535, 0, 1}} {
		a, b := srtpPair(t, AES_CM_128_HMAC_SHA1_80)
		var wire [][]byte
		var order []uint16
		for seq := uint16(65500); seq != 100; seq++ {
			coded, err := a.EncryptRTP(nil, rtpPacket(seq))
			if err != nil {
				t.Fatal(err)
			}
			wire, order = append(wire, coded), append(order, seq)
		}
		for i := 0; i+1 < len(wire); i += 2 { // neighbours change places
			wire[i], wire[i+1] = wire[i+1], wire[i]
			order[i], order[i+1] = order[i+1], order[i]
		}
		for i, coded := range wire {
			if slices.Contains(lost, order[i]) {
				continue
			}
			if plain, err := b.DecryptRTP(nil, coded); err != nil || !bytes.Equal(plain, rtpPacket(order[i])) {
				t.Fatalf("without %v: packet %d: %v", lost, order[i], err)
			}
		}
	}
}

// A direction whose key stays goes on where it was: past a wrap of the sequence
// numbers, with the next SRTCP index, and without what it has seen before.
func TestSRTPRekey(t *testing.T) {
	for _, p := range SRTPProfiles {
		t.Run(string(p), func(t *testing.T) {
			key := func() SRTPKey {
				k, err := NewSRTPKey(p)
				if err != nil {
					t.Fatal(err)
				}
				return k
			}
			rekey := func(s *SRTP, local, remote SRTPKey) *SRTP {
				t.Helper()
				next, err := s.Rekey(local, remote)
				if err != nil {
					t.Fatal(err)
				}
				return next
			}
			ours, theirs, other := key(), key(), key()
			a := rekey(new(SRTP), ours, theirs)
			b := rekey(new(SRTP), theirs, ours)
			for _, seq := range []uint16{65534, 65535, 0} {
				mustDecrypt(t, a, b, seq)
				mustDecrypt(t, b, a, seq)
				mustReport(t, a, b)
				mustReport(t, b, a)
			}

			hears := rekey(a, ours, other) // a new key for what is received alone
			mustDecrypt(t, hears, b, 1)
			mustReport(t, hears, b)
			far := rekey(new(SRTP), other, ours)
			mustDecrypt(t, far, hears, 1)
			mustReport(t, far, hears)

			seen, err := b.EncryptRTP(nil, rtpPacket(1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err = a.DecryptRTP(nil, seen); err != nil {
				t.Fatal(err)
			}
			mustReport(t, b, a)
			back := rekey(rekey(a, other, theirs), ours, theirs) // away, and back
			mustDecrypt(t, back, b, 3)
			mustReport(t, back, b)
			says := rekey(a, other, theirs) // for what is sent alone
			mustDecrypt(t, b, says, 2)
			mustReport(t, b, says)
			if _, err := says.DecryptRTP(nil, seen); !errors.Is(err, ErrSRTP) {
				t.Errorf("replay: %v", err)
			}
			far = rekey(new(SRTP), theirs, other)
			mustDecrypt(t, says, far, 2)
			mustReport(t, says, far)

			if _, err := a.Rekey(ours, SRTPKey{Profile: p}); !errors.Is(err, ErrSRTPKey) {
				t.Errorf("no key: %v", err)
			}
		})
	}
}

// A far end that was away, as in a transfer that failed, comes back with the key that
// it had, and has counted on meanwhile. Keys of others in between change nothing.
func TestSRTPRemoteKeyComesBack(t *testing.T) {
	for _, p := range SRTPProfiles {
		a, far := srtpPair(t, p)
		mustDecrypt(t, far, a, 65535)
		report := mustReport(t, far, a)
		seen, err := far.EncryptRTP(nil, rtpPacket(0)) // after a wrap
		if err != nil {
			t.Fatal(err)
		}
		if _, err = a.DecryptRTP(nil, seen); err != nil {
			t.Fatal(err)
		}
		for i := range 3 * maxPast {
			other := far.out.key
			if i%3 != 2 { // back and forth
				if other, err = NewSRTPKey(p); err != nil {
					t.Fatal(err)
				}
			}
			if a, err = a.Rekey(a.out.key, other); err != nil {
				t.Fatal(err)
			}
			if len(a.pastIn) > maxPast {
				t.Fatalf("%d keys are remembered", len(a.pastIn))
			}
		}
		if _, err := a.DecryptRTP(nil, seen); !errors.Is(err, ErrSRTP) {
			t.Errorf("%s: a replay: %v", p, err)
		}
		if _, err := a.DecryptRTCP(nil, report); !errors.Is(err, ErrSRTP) {
			t.Errorf("%s: a replay of a report: %v", p, err)
		}
		mustDecrypt(t, far, a, 500)
		mustDecrypt(t, a, far, 1) // and what is sent has gone on
	}
}

func TestSRTPKeysAreNotPrinted(t *testing.T) {
	key := SRTPKey{Profile: AES_CM_128_HMAC_SHA1_80, Master: []byte("0123456789abcdefghijklmnopqrst")}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "key", key, "keys", []SRTPKey{key})
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "key", key, "keys", []SRTPKey{key})
	all := fmt.Sprintf("%v %+v %#v %s %d %x %v", key, key, key, key, key, key, struct{ K *SRTPKey }{&key}) + logged.String()
	for _, secret := range []string{"0123", "48 49", "30313233", "MDEy"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q in %s", secret, all)
		}
	}
	if _, err := NewSRTP(key, SRTPKey{Profile: "NULL", Master: key.Master}); !errors.Is(err, ErrSRTPKey) {
		t.Errorf("unknown profile: %v", err)
	}
	key.Master = key.Master[1:]
	if _, err := NewSRTP(key, key); !errors.Is(err, ErrSRTPKey) {
		t.Errorf("short key: %v", err)
	}
	if _, err := NewSRTPKey(""); !errors.Is(err, ErrSRTPKey) {
		t.Errorf("no profile: %v", err)
	}
}

func BenchmarkSRTP(b *testing.B) {
	for _, p := range SRTPProfiles {
		b.Run(string(p), func(b *testing.B) {
			x, y := srtpPair(b, p)
			packet := rtpPacket(0)
			coded, plain := make([]byte, 0, 256), make([]byte, 0, 256)
			b.ReportAllocs()
			for i := range b.N {
				binary.BigEndian.PutUint16(packet[2:], uint16(i+1))
				coded, _ = x.EncryptRTP(coded, packet)
				plain, _ = y.DecryptRTP(plain, coded)
			}
		})
	}
}
