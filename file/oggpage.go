package file

import "encoding/binary"

// Ogg pages (RFC 3533 section 6).
const (
	oggHeader   = 27
	oggSegments = 255

	oggContinued = 1 // flags of a page
	oggFirst     = 2
	oggLast      = 4

	// oggNoPacket is the granule position of a page on which no packet ends.
	oggNoPacket = -1
)

// oggCRCTable is for the polynomial 0x04C11DB7 with the highest bit first.
var oggCRCTable = func() (table [256]uint32) {
	for i := range table {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04C11DB7
			} else {
				c <<= 1
			}
		}
		table[i] = c
	}
	return table
}()

func oggCRC(crc uint32, b []byte) uint32 {
	for _, c := range b {
		crc = crc<<8 ^ oggCRCTable[byte(crc>>24)^c]
	}
	return crc
}

// appendOggPage appends a page with the given segment table and data.
func appendOggPage(b []byte, flags byte, granule int64, serial, sequence uint32, table, data []byte) []byte {
	start := len(b)
	le := binary.LittleEndian
	b = append(b, "OggS\x00"...)
	b = append(b, flags)
	b = le.AppendUint64(b, uint64(granule))
	b = le.AppendUint32(b, serial)
	b = le.AppendUint32(b, sequence)
	b = append(b, 0, 0, 0, 0, byte(len(table)))
	b = append(b, table...)
	b = append(b, data...)
	le.PutUint32(b[start+22:], oggCRC(0, b[start:]))
	return b
}
