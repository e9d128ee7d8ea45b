package rtcpctl

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxBlocks is the largest number of report blocks in one SR or RR.
const MaxBlocks = 31

const (
	blockSize      = 24
	senderInfoSize = 20
	maxText        = 255 // bytes of an SDES item or of a reason

	itemCNAME = 1
)

// A ReportBlock says how well one source is received (RFC 3550, section 6.4.1).
type ReportBlock struct {
	SSRC         uint32 // the source that is reported on
	FractionLost uint8  // since the report before, in 1/256
	Lost         int32  // since the beginning; 24 bits on the wire
	Highest      uint32 // extended highest sequence number
	Jitter       uint32 // in timestamp units
	LastSR       uint32 // middle bits of the NTP timestamp of the last SR; 0 if none came
	Delay        uint32 // since that SR came, in 1/65536 seconds
}

// AppendTo appends the 24 bytes of the block to dst. Lost is limited to what
// fits.
func (b ReportBlock) AppendTo(dst []byte) []byte {
	lost := uint32(max(-1<<23, min(1<<23-1, b.Lost))) & 0xffffff
	dst = binary.BigEndian.AppendUint32(dst, b.SSRC)
	dst = binary.BigEndian.AppendUint32(dst, uint32(b.FractionLost)<<24|lost)
	dst = binary.BigEndian.AppendUint32(dst, b.Highest)
	dst = binary.BigEndian.AppendUint32(dst, b.Jitter)
	dst = binary.BigEndian.AppendUint32(dst, b.LastSR)
	return binary.BigEndian.AppendUint32(dst, b.Delay)
}

// parseBlock reads the block at the beginning of b, which is long enough.
func parseBlock(b []byte) ReportBlock {
	word := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	return ReportBlock{
		SSRC:         word(0),
		FractionLost: b[4],
		Lost:         int32(word(1)<<8) >> 8,
		Highest:      word(2),
		Jitter:       word(3),
		LastSR:       word(4),
		Delay:        word(5),
	}
}

// SenderInfo is what a sender report says of the sender itself.
type SenderInfo struct {
	NTP       uint64 // wall clock of the report; see [NTPTime]
	Timestamp uint32 // the same instant on the clock of the RTP timestamps
	Packets   uint32 // sent since the beginning, modulo 2^32
	Octets    uint32 // of payload in those, modulo 2^32
}

// AppendSR appends a sender report to dst. Blocks after the first [MaxBlocks]
// are left out.
func AppendSR(dst []byte, ssrc uint32, info SenderInfo, blocks []ReportBlock) []byte {
	blocks = blocks[:min(len(blocks), MaxBlocks)]
	dst = appendSRHead(dst, ssrc, info, len(blocks))
	for _, b := range blocks {
		dst = b.AppendTo(dst)
	}
	return dst
}

// AppendRR appends a receiver report to dst. Blocks after the first [MaxBlocks]
// are left out.
func AppendRR(dst []byte, ssrc uint32, blocks []ReportBlock) []byte {
	blocks = blocks[:min(len(blocks), MaxBlocks)]
	dst = appendRRHead(dst, ssrc, len(blocks))
	for _, b := range blocks {
		dst = b.AppendTo(dst)
	}
	return dst
}

func appendSRHead(dst []byte, ssrc uint32, info SenderInfo, blocks int) []byte {
	dst = appendHeader(dst, TypeSR, blocks, 4+senderInfoSize+blocks*blockSize)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = binary.BigEndian.AppendUint64(dst, info.NTP)
	dst = binary.BigEndian.AppendUint32(dst, info.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, info.Packets)
	return binary.BigEndian.AppendUint32(dst, info.Octets)
}

func appendRRHead(dst []byte, ssrc uint32, blocks int) []byte {
	dst = appendHeader(dst, TypeRR, blocks, 4+blocks*blockSize)
	return binary.BigEndian.AppendUint32(dst, ssrc)
}

// AppendSDES appends a source description with one CNAME item to dst. A name of
// more than 255 bytes is cut at the end of a character.
func AppendSDES(dst []byte, ssrc uint32, cname string) []byte {
	cname = truncate(cname)
	dst = appendHeader(dst, TypeSDES, 1, sdesSize(cname)-headerSize)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = append(dst, itemCNAME, byte(len(cname)))
	dst = append(dst, cname...)
	// One to four zero bytes end the list of items and fill the word.
	return append(dst, "\x00\x00\x00\x00"[:4-(2+len(cname))%4]...)
}

// AppendBYE appends a goodbye of one source to dst. A reason of more than 255
// bytes is cut at the end of a character; an empty one is left out.
func AppendBYE(dst []byte, ssrc uint32, reason string) []byte {
	reason = truncate(reason)
	dst = appendHeader(dst, TypeBYE, 1, byeSize(reason)-headerSize)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	if reason == "" {
		return dst
	}
	dst = append(dst, byte(len(reason)))
	dst = append(dst, reason...)
	return append(dst, "\x00\x00\x00"[:(3-len(reason)%4)%4]...)
}

// appendHeader appends the header of a packet whose body has the given number
// of bytes, a multiple of four.
func appendHeader(dst []byte, t Type, count, body int) []byte {
	return append(dst, 2<<6|byte(count), byte(t), byte(body/4>>8), byte(body/4))
}

// sdesSize and byeSize return the bytes of the whole packet.
func sdesSize(cname string) int { return headerSize + 4 + (2+len(cname))/4*4 + 4 }

func byeSize(reason string) int {
	if reason == "" {
		return headerSize + 4
	}
	return headerSize + 4 + (1+len(reason)+3)/4*4
}

// truncate cuts s to what fits an item, at the end of a character.
func truncate(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
