package stream_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// Packets of another implementation's tests, rebuilt from their fields.
func TestOtherRTPVectors(t *testing.T) {
	media := bytes.Repeat([]byte{0xff}, 160)
	header := func(first, second byte, seq uint16, ts, ssrc uint32) []byte {
		b := binary.BigEndian.AppendUint16([]byte{first, second}, seq)
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, ts), ssrc)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	padding := join(make([]byte, 223), []byte{224})
	for _, tt := range []struct {
		name    string
		b       []byte
		size    int
		want    rtp.Header
		payload int
		verdict stream.Verdict // of its second packet
	}{
		{"rtp", join(header(0x80, 0, 15743, 3937035252, 1), media), 172, rtp.Header{SequenceNumber: 15743, Timestamp: 3937035252}, 160, stream.Accepted},
		{"no_ssrc", header(0x80, 0, 0, 0, 0), 12, rtp.Header{}, 0, stream.Malformed},
		{"rtp_dtmf", join(header(0x80, 0x80|101, 24152, 4021352124, 1), []byte{1, 0x8a, 3, 0xc0}), 16, rtp.Header{Marker: true, PayloadType: 101, SequenceNumber: 24152, Timestamp: 4021352124}, 4, stream.Accepted},
		{"rtp_with_csrc", join(header(0x82, 0, 16082, 144, 1), []byte{0xab, 0xcd, 0xef, 1, 0xde, 0xad, 0xbe, 0xef}, media), 180, rtp.Header{SequenceNumber: 16082, Timestamp: 144, CSRC: []uint32{0xabcdef01, 0xdeadbeef}}, 160, stream.Accepted},
		{"rtp_with_sdes_mid", join(header(0x90, 0x80|111, 14156, 1327210925, 1), []byte{0xbe, 0xde, 0, 1, 0x90, '0', 0, 0}, make([]byte, 54)), 74, rtp.Header{Marker: true, PayloadType: 111, SequenceNumber: 14156, Timestamp: 1327210925, Extension: true}, 54, stream.WrongType},
		{"rtp_only_padding", join(header(0xa0, 0, 27759, 4044047131, 1), padding), 236, rtp.Header{SequenceNumber: 27759, Timestamp: 4044047131, Padding: true}, 0, stream.Malformed},
		{"rtp_only_padding_with_header_extensions", join(header(0xb0, 0, 22138, 3171065731, 1), []byte{0xbe, 0xde, 0, 1, 0x22, 0xf1, 0xcc, 0xc4}, padding), 244, rtp.Header{SequenceNumber: 22138, Timestamp: 3171065731, Padding: true, Extension: true}, 0, stream.Malformed},
	} {
		var p rtp.Packet
		if err := p.Unmarshal(tt.b); err != nil || len(tt.b) != tt.size {
			t.Errorf("%s: %v, %d bytes", tt.name, err, len(tt.b))
			continue
		}
		h := p.Header
		if h.Marker != tt.want.Marker || h.PayloadType != tt.want.PayloadType || h.SequenceNumber != tt.want.SequenceNumber ||
			h.Timestamp != tt.want.Timestamp || h.Padding != tt.want.Padding || h.Extension != tt.want.Extension ||
			fmt.Sprint(h.CSRC) != fmt.Sprint(tt.want.CSRC) || h.SSRC != binary.BigEndian.Uint32(tt.b[8:]) || len(p.Payload) != tt.payload {
			t.Errorf("%s: %+v with %d bytes", tt.name, h, len(p.Payload))
		}
		again, err := p.Marshal()
		if err != nil || !bytes.Equal(again, tt.b) {
			t.Errorf("%s: written as %x, %v", tt.name, again, err)
		}
		l := newListener(t, stream.ReceiverConfig{Codecs: []codec.Params{
			{Name: "PCMU", ClockRate: 8000, Channels: 1}, {Name: "telephone-event", PayloadType: 101, ClockRate: 8000},
		}})
		l.r.Push(l.begin, &p)
		p.SequenceNumber++
		p.Timestamp += 160
		if v := l.r.Push(l.begin.Add(frame), &p); v != tt.verdict {
			t.Errorf("%s: verdict %d, want %d", tt.name, v, tt.verdict)
		}
		if tt.payload == 0 { // as a probe, which takes a number and is not lost
			p.SequenceNumber++
			p.Payload = media
			l.r.Push(l.begin.Add(2*frame), &p)
			if s := l.stats(); s.Received != 3 || s.Lost != 0 {
				t.Errorf("%s: %d received, %d lost", tt.name, s.Received, s.Lost)
			}
		}
		for n := 1; n < 12; n++ {
			if p.Unmarshal(tt.b[:n]) == nil {
				t.Errorf("%s: %d bytes are a packet", tt.name, n)
			}
		}
	}
}

// Header extensions in both forms (RFC 8285, sections 4.2 and 4.3), of which the
// audio level is read wherever it is.
func TestOtherHeaderExtensions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		id    uint8
		b     string
		level int // -1: none, -2: the packet is malformed
	}{
		{"empty", 9, "bede0000", -1},
		{"one byte", 9, "bede0001 90da0000", 90},
		{"one byte, padding between", 9, "bede0002 20410000 0090da00", 90},
		{"one byte, two elements", 9, "bede0002 2041 90da 00000000", 90},
		{"one byte, another", 8, "bede0001 90da0000", -1},
		{"one byte, behind the end", 9, "bede0001 f000 90da", -1},
		{"two bytes", 255, "10000001 ff01da00", 90},
		{"two bytes, padding before", 255, "10000002 0000ff01 da000000", 90},
		{"two bytes, empty", 255, "10000001 ff000000", -1},
		{"of RFC 3550", 9, "12340001 90da0000", -1},
		{"a map", 1, "bede0008 10da 220156ce 32123456 41ceab 52727478 6573747265616d 710000 8000 000000", 90},
		{"one byte, truncated", 9, "bede0001 9fda0000", -2},
		{"two bytes, length missing", 255, "10000001 000000ff", -2},
		{"two bytes, truncated", 255, "10000001 ff03da00", -2},
	} {
		extension, err := hex.DecodeString(strings.ReplaceAll(tt.b, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		l := newListener(t, stream.ReceiverConfig{LevelExtension: tt.id})
		for n := range 3 {
			b := []byte{0x90, 96, 0, byte(n), 0, 0, byte(160 * n >> 8), byte(160 * n), 0, 0, 0, 1}
			b = append(append(b, extension...), make([]byte, 320)...)
			var p rtp.Packet
			if err := p.Unmarshal(b); (err != nil) != (tt.level == -2) {
				t.Fatalf("%s: %v", tt.name, err)
			} else if err != nil {
				continue
			}
			if len(p.Payload) != 320 {
				t.Errorf("%s: %d bytes of payload", tt.name, len(p.Payload))
			}
			l.r.Push(l.begin.Add(time.Duration(n)*frame), &p)
		}
		s := l.stats()
		if s.LevelKnown != (tt.level >= 0) || s.LevelKnown && (int(s.Level) != tt.level || !s.Voice) {
			t.Errorf("%s: level %d, voice %v, known %v", tt.name, s.Level, s.Voice, s.LevelKnown)
		}
	}
}
