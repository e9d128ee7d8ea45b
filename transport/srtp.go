package transport

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// An SRTPProfile is how packets are encrypted and authenticated, by its name in
// session descriptions (RFC 4568, section 6.2; RFC 6188, section 4.2; RFC 7714,
// section 14.2).
type SRTPProfile string

const (
	AEAD_AES_128_GCM        SRTPProfile = "AEAD_AES_128_GCM" // the fastest one here
	AEAD_AES_256_GCM        SRTPProfile = "AEAD_AES_256_GCM"
	AES_CM_128_HMAC_SHA1_80 SRTPProfile = "AES_CM_128_HMAC_SHA1_80"
	AES_CM_128_HMAC_SHA1_32 SRTPProfile = "AES_CM_128_HMAC_SHA1_32"
	AES_256_CM_HMAC_SHA1_80 SRTPProfile = "AES_256_CM_HMAC_SHA1_80"
	AES_256_CM_HMAC_SHA1_32 SRTPProfile = "AES_256_CM_HMAC_SHA1_32"
)

// SRTPProfiles are the profiles that there are, the preferred one first.
var SRTPProfiles = [...]SRTPProfile{
	AEAD_AES_128_GCM, AEAD_AES_256_GCM, AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32,
	AES_256_CM_HMAC_SHA1_80, AES_256_CM_HMAC_SHA1_32,
}

// srtpProfile has what a profile is made of: the lengths of the master key and
// the master salt, in bytes.
type srtpProfile struct {
	pion      srtp.ProtectionProfile
	key, salt int
}

func (p SRTPProfile) lookup() (srtpProfile, error) {
	switch p {
	case AEAD_AES_128_GCM:
		return srtpProfile{srtp.ProtectionProfileAeadAes128Gcm, 16, 12}, nil
	case AEAD_AES_256_GCM:
		return srtpProfile{srtp.ProtectionProfileAeadAes256Gcm, 32, 12}, nil
	case AES_CM_128_HMAC_SHA1_80:
		return srtpProfile{srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14}, nil
	case AES_CM_128_HMAC_SHA1_32:
		return srtpProfile{srtp.ProtectionProfileAes128CmHmacSha1_32, 16, 14}, nil
	case AES_256_CM_HMAC_SHA1_80:
		return srtpProfile{srtp.ProtectionProfileAes256CmHmacSha1_80, 32, 14}, nil
	case AES_256_CM_HMAC_SHA1_32:
		return srtpProfile{srtp.ProtectionProfileAes256CmHmacSha1_32, 32, 14}, nil
	}
	return srtpProfile{}, fmt.Errorf("%w: profile %q", ErrSRTPKey, string(p))
}

var (
	// ErrSRTPKey is wrapped by the error for a key that does not fit its
	// profile, for an unknown profile, or for an MKI that is too long.
	ErrSRTPKey = errors.New("transport: unusable SRTP key")

	// ErrSRTP is wrapped by the error for a packet that is not from the holder
	// of the key, that was seen before, or that is none.
	ErrSRTP = errors.New("transport: SRTP packet refused")
)

// An SRTPKey protects one direction of a call. It prints as its profile alone.
type SRTPKey struct {
	Profile SRTPProfile
	Master  []byte // the master key and the master salt, one after the other, as in SDES
	MKI     []byte // the master key identifier, up to 8 bytes, that each packet carries; mostly none
}

// maxMKI leaves an encrypted packet within the 32 bytes that [SRTP] speaks of.
const maxMKI = 8

// NewSRTPKey returns a random key.
func NewSRTPKey(p SRTPProfile) (SRTPKey, error) {
	profile, err := p.lookup()
	if err != nil {
		return SRTPKey{}, err
	}
	k := SRTPKey{Profile: p, Master: make([]byte, profile.key+profile.salt)}
	rand.Read(k.Master) // never fails
	return k, nil
}

// Format keeps the key out of whatever it is printed to.
func (k SRTPKey) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "%s key", string(k.Profile))
}

// MarshalText keeps the key out of whatever it is logged to.
func (k SRTPKey) MarshalText() ([]byte, error) { return fmt.Append(nil, k), nil }

// Check returns nil if the key fits its profile, or an error that wraps
// [ErrSRTPKey].
func (k SRTPKey) Check() error {
	profile, err := k.Profile.lookup()
	if err != nil {
		return err
	}
	if want := profile.key + profile.salt; len(k.Master) != want {
		return fmt.Errorf("%w: %d bytes, %s has %d", ErrSRTPKey, len(k.Master), string(k.Profile), want)
	}
	if len(k.MKI) > maxMKI {
		return fmt.Errorf("%w: MKI of %d bytes, at most %d", ErrSRTPKey, len(k.MKI), maxMKI)
	}
	return nil
}

// Equal reports whether packets that one key protects can be read with the other.
func (k SRTPKey) Equal(other SRTPKey) bool {
	return k.Profile == other.Profile && bytes.Equal(k.Master, other.Master) && bytes.Equal(k.MKI, other.MKI)
}

func (k SRTPKey) context() (*srtp.Context, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	profile, _ := k.Profile.lookup()
	c, err := srtp.CreateContext(k.Master[:profile.key], k.Master[profile.key:], profile.pion,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow), srtp.MasterKeyIndicator(k.MKI))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSRTPKey, err)
	}
	return c, nil
}

// replayWindow is how many packets may come late: some 10 s of audio.
const replayWindow = 512

// An SRTP encrypts what one call sends and decrypts what it receives (RFC 3711).
// A packet that is refused leaves no trace but its error. New keys are a new
// SRTP: see [SRTP.Rekey]. Its methods are safe for concurrent use.
//
// Each method overwrites dst, which it grows if it has to and which may not be
// the packet's own memory, and returns it. Nothing is allocated if dst has room
// for 32 bytes more than the packet.
type SRTP struct {
	out, in         *srtpDirection
	pastOut, pastIn []*srtpDirection // what these were before
}

// maxPast is how many earlier keys are remembered: more than there are suites.
const maxPast = 16

type srtpDirection struct {
	key     SRTPKey
	mu      sync.Mutex
	context *srtp.Context
	rtp     rtp.Header
	rtcp    rtcp.Header
}

// NewSRTP returns the protection of a call that sends with the key local, and
// receives with remote. The error wraps [ErrSRTPKey].
func NewSRTP(local, remote SRTPKey) (*SRTP, error) {
	return new(SRTP).Rekey(local, remote)
}

// Rekey returns the protection of the same call with these keys. A direction whose
// key is the one in force, or an earlier one, goes on with its rollover counter, its
// SRTCP index and what it has seen, which it shares with s: from the beginning, what
// is sent would use a key stream twice, and what is received would be refused after a
// wrap of its sequence numbers, or taken again (RFC 3711, sections 3.2.1 and 3.3.2).
// s stays as it is. The error wraps [ErrSRTPKey].
func (s *SRTP) Rekey(local, remote SRTPKey) (*SRTP, error) {
	next := &SRTP{}
	var err error
	if next.out, next.pastOut, err = rekey(local, s.out, s.pastOut); err != nil {
		return nil, err
	}
	if next.in, next.pastIn, err = rekey(remote, s.in, s.pastIn); err != nil {
		return nil, err
	}
	if next.out == s.out && next.in == s.in {
		return s, nil // so that it is seen to be the same
	}
	return next, nil
}

// rekey returns the direction that goes on with the key k after now, which may be nil,
// and past, and what it was before.
func rekey(k SRTPKey, now *srtpDirection, past []*srtpDirection) (next *srtpDirection, before []*srtpDirection, err error) {
	if now != nil {
		past = append([]*srtpDirection{now}, past...)
	}
	if i := slices.IndexFunc(past, func(d *srtpDirection) bool { return d.key.Equal(k) }); i >= 0 {
		next = past[i]
		return next, slices.Delete(past, i, i+1), nil
	}
	c, err := k.context()
	if err != nil {
		return nil, nil, err
	}
	k.Master, k.MKI = bytes.Clone(k.Master), bytes.Clone(k.MKI)
	return &srtpDirection{key: k, context: c}, past[:min(len(past), maxPast)], nil
}

// EncryptRTP protects an RTP packet.
func (s *SRTP) EncryptRTP(dst, packet []byte) ([]byte, error) {
	d := s.out
	d.mu.Lock()
	defer d.mu.Unlock()
	out, err := d.context.EncryptRTP(dst[:0], packet, &d.rtp)
	return out, refused(err)
}

// EncryptRTCP protects an RTCP compound.
func (s *SRTP) EncryptRTCP(dst, compound []byte) ([]byte, error) {
	d := s.out
	d.mu.Lock()
	defer d.mu.Unlock()
	out, err := d.context.EncryptRTCP(dst[:0], compound, &d.rtcp)
	return out, refused(err)
}

// DecryptRTP checks and decrypts an SRTP packet. The error wraps [ErrSRTP].
func (s *SRTP) DecryptRTP(dst, packet []byte) ([]byte, error) {
	d := s.in
	d.mu.Lock()
	defer d.mu.Unlock()
	out, err := d.context.DecryptRTP(dst[:0], packet, &d.rtp)
	return out, refused(err)
}

// DecryptRTCP checks and decrypts an SRTCP packet. The error wraps [ErrSRTP].
func (s *SRTP) DecryptRTCP(dst, packet []byte) ([]byte, error) {
	d := s.in
	d.mu.Lock()
	defer d.mu.Unlock()
	out, err := d.context.DecryptRTCP(dst[:0], packet, &d.rtcp)
	return out, refused(err)
}

func refused(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrSRTP, err)
}
