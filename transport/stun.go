package transport

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// A STUNResponder answers the Binding requests of RFC 8489 that far ends send on a media
// port to learn their address or to keep a translator's binding alive. It answers
// nothing else, so two of them never talk to each other, and it is of no use to
// amplify: an answer has at most 2.2 times the length of its request, and their
// rate is limited.
//
// The zero value is ready to use. It knows no credentials, so it is not for ICE.
// It is a state machine without locks; it is not for concurrent use, and
// allocates only if dst has to grow.
type STUNResponder struct {
	PerSource int // answers per second to an IPv4 address or an IPv6 network of 64 bits; 0 means 10
	Total     int // answers per second; 0 means 50

	Answered, Limited, Malformed int64 // requests; responses and indications are not counted

	all     bucket
	sources [32]stunSource
}

type stunSource struct {
	network netip.Prefix
	bucket  bucket
}

const (
	stunHeader  = 20
	stunCookie  = 0x2112a442
	stunRequest = 0x0001 // Binding, request
	stunSuccess = 0x0101
	stunError   = 0x0111

	stunErrorCode        = 0x0009
	stunUnknownAttribute = 0x000a
	stunXORMappedAddress = 0x0020
	stunOptional         = 0x8000 // attributes from here on may be ignored
)

// Answer appends the answer to a datagram that came from an address, and reports
// whether there is one. Requests with attributes that it must understand and does
// not are answered with error 420 (section 6.3.1).
func (s *STUNResponder) Answer(dst []byte, now time.Time, from netip.AddrPort, datagram []byte) ([]byte, bool) {
	if len(datagram) < 2 || binary.BigEndian.Uint16(datagram) != stunRequest {
		return dst, false
	}
	from = unmap(from)
	if !stunValid(datagram) || !suitable(from, true) {
		s.Malformed++
		return dst, false
	}
	if !s.allow(now, from) {
		s.Limited++
		return dst, false
	}
	s.Answered++
	begin := len(dst)
	dst = append(dst, datagram[:stunHeader]...)
	typ := uint16(stunSuccess)
	if n := stunUnknown(nil, datagram[stunHeader:]); n > 0 {
		typ = stunError
		dst = append(dst, 0, stunErrorCode, 0, 4, 0, 0, 4, 20, 0, stunUnknownAttribute)
		dst = binary.BigEndian.AppendUint16(dst, uint16(2*n))
		unknown := len(dst)
		dst = append(dst, make([]byte, (2*n+3)&^3)...)
		stunUnknown(dst[unknown:], datagram[stunHeader:])
	} else {
		dst = appendXORAddress(dst, from, datagram[4:stunHeader])
	}
	binary.BigEndian.PutUint16(dst[begin:], typ)
	binary.BigEndian.PutUint16(dst[begin+2:], uint16(len(dst)-begin-stunHeader))
	return dst, true
}

// stunValid reports whether b is one whole message of section 5, attributes
// included.
func stunValid(b []byte) bool {
	if len(b) < stunHeader || binary.BigEndian.Uint32(b[4:]) != stunCookie ||
		len(b)%4 != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b)-stunHeader {
		return false
	}
	for b = b[stunHeader:]; len(b) > 0; {
		n := 4 + (int(binary.BigEndian.Uint16(b[2:]))+3)&^3
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// stunUnknown counts the attributes that have to be understood, and writes their
// types to dst if there is room.
func stunUnknown(dst, attributes []byte) (n int) {
	for b := attributes; len(b) > 0; b = b[4+(int(binary.BigEndian.Uint16(b[2:]))+3)&^3:] {
		switch typ := binary.BigEndian.Uint16(b); {
		case typ >= stunOptional:
		case typ == 0x0006, typ == 0x0008, typ == 0x0014, typ == 0x0015, typ >= 0x001c && typ <= 0x001e:
			// Credentials, which nobody asked for.
		default:
			if 2*n+2 <= len(dst) {
				binary.BigEndian.PutUint16(dst[2*n:], typ)
			}
			n++
		}
	}
	return n
}

// appendXORAddress appends an XOR-MAPPED-ADDRESS (section 14.2). The key is the
// magic cookie and the transaction ID.
func appendXORAddress(dst []byte, a netip.AddrPort, key []byte) []byte {
	family, n := byte(1), 4
	if a.Addr().Is6() {
		family, n = 2, 16
	}
	dst = append(dst, 0, stunXORMappedAddress, 0, byte(4+n), 0, family)
	dst = binary.BigEndian.AppendUint16(dst, a.Port()^stunCookie>>16)
	ip := a.Addr().As16() // with an IPv4 address in its last four bytes
	for i, b := range ip[16-n:] {
		dst = append(dst, b^key[i])
	}
	return dst
}

// allow takes a token for from. The source that was answered longest ago loses
// its place to a new one, so that Total is what bounds many sources.
func (s *STUNResponder) allow(now time.Time, from netip.AddrPort) bool {
	key := network(from)
	place := &s.sources[0]
	for i := range s.sources {
		e := &s.sources[i]
		if e.network == key {
			place = e
			break
		}
		if e.bucket.full.Before(place.bucket.full) {
			place = e
		}
	}
	if place.network != key {
		place.network, place.bucket = key, bucket{}
	}
	perSource, total := s.PerSource, s.Total
	if perSource <= 0 {
		perSource = 10
	}
	if total <= 0 {
		total = 50
	}
	if !place.bucket.has(now, perSource) || !s.all.has(now, total) {
		return false
	}
	place.bucket.take(now, perSource)
	s.all.take(now, total)
	return true
}

// A bucket holds the tokens of one second, and knows when it will be full again.
type bucket struct{ full time.Time }

func (b *bucket) has(now time.Time, perSecond int) bool {
	return b.full.Sub(now) <= time.Second-time.Second/time.Duration(perSecond)
}

func (b *bucket) take(now time.Time, perSecond int) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(time.Second / time.Duration(perSecond))
}
