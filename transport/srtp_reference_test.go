package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
)

// referenceCM protects a packet of rollover counter 0 by the letter of RFC 3711:
// section 4.1.1 for AES in counter mode, section 4.2.1 for HMAC-SHA1 of 80 bits.
func referenceCM(packet, key, salt, auth []byte) []byte {
	var iv [16]byte
	copy(iv[:], salt)
	for i, b := range packet[8:12] { // SSRC times 2^64
		iv[4+i] ^= b
	}
	for i, b := range packet[2:4] { // index times 2^16
		iv[12+i] ^= b
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := append([]byte(nil), packet...)
	cipher.NewCTR(block, iv[:]).XORKeyStream(out[12:], packet[12:])
	mac := hmac.New(sha1.New, auth)
	mac.Write(out)
	mac.Write(binary.BigEndian.AppendUint32(nil, 0))
	return append(out, mac.Sum(nil)[:10]...)
}
