package session

import (
	"time"

	"github.com/parley-media/parley/transport"
)

// A batch is packets on their way through encryption.
type batch struct {
	bytes [80 << 10]byte // 64 packets of 1200 bytes and what they grow by
	sizes []int
}

// WriteBatch sends packets of video, and runs of equal ones at once where that can
// be. The counters and the capture have each of them.
func (l *leg) WriteBatch(b []byte, sizes []int) (sent int, err error) {
	r := l.remote.Load()
	if r == nil {
		return 0, errNobody
	}
	protect := l.srtp.Load()
	switch {
	case protect != nil:
		return l.encryptBatch(protect, r, b, sizes)
	case l.secure:
		return 0, errKeys
	}
	for rest, i := b, 0; l.capture != nil && i < len(sizes); i++ {
		packet := rest[:sizes[i]]
		l.record(time.Now(), l.rtp, r.rtp, packet, packet, true)
		rest = rest[len(packet):]
	}
	return l.sender.Write(b, sizes, r.rtp)
}

func (l *leg) encryptBatch(protect *transport.SRTP, r *remote, b []byte, sizes []int) (sent int, err error) {
	if l.coded == nil {
		l.coded = new(batch)
	}
	coded := l.coded
	out := coded.bytes[:0]
	coded.sizes = coded.sizes[:0]
	for _, size := range sizes {
		packet := b[:size]
		b = b[size:]
		next, e := encryptInto(out[len(out):], packet, protect)
		if e != nil { // costs this packet alone
			err = e
			continue
		}
		if l.capture != nil {
			l.record(time.Now(), l.rtp, r.rtp, packet, next, true)
		}
		out = out[:len(out)+len(next)]
		coded.sizes = append(coded.sizes, len(next))
	}
	sent, e := l.sender.Write(out, coded.sizes, r.rtp)
	if e != nil {
		err = e
	}
	return sent, err
}

// encryptInto returns a packet encrypted in the memory of dst, which has to have room.
func encryptInto(dst, packet []byte, protect *transport.SRTP) ([]byte, error) {
	if cap(dst) < len(packet)+maxExpansion {
		return nil, errLong
	}
	return protect.EncryptRTP(dst, packet)
}

// maxExpansion is more than what encryption adds to a packet.
const maxExpansion = 64
