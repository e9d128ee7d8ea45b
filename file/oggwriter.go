package file

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

const (
	// oggSerial is the number of the one logical stream.
	oggSerial = 1

	// oggMaxPacket fits one page.
	oggMaxPacket = 255 * (oggSegments - 1)

	// oggMaxGap is the longest gap that is filled: a day.
	oggMaxGap = 24 * 3600 * opusRate
)

// An OggWriter writes one track of Opus to an Ogg file (RFC 7845).
//
// A page holds half a second at most, which is what a recording lacks whose
// process is killed. Where the time of a packet is later than the end of the one
// before, the gap is filled with packets that tell the decoder of a loss, as
// section 4.1 asks for; if it is earlier, the packet follows without a gap.
type OggWriter struct {
	out      output
	track    []Track
	sequence uint32
	table    []byte // of the page in the making
	data     []byte
	granule  int64 // at its end
	start    int64 // at its beginning
	trim     int64 // samples at the end of the last packet that are not played
	begun    bool
}

// NewOggWriter writes the two headers to w and returns a writer of the packets.
func NewOggWriter(w io.Writer, track Track) (*OggWriter, error) {
	tracks, err := checkTracks([]Track{track}, "ogg", Opus)
	if err != nil {
		return nil, err
	}
	o := &OggWriter{track: tracks}
	o.out.w, o.out.format = w, "ogg"
	o.page(tracks[0].Config, oggFirst)
	tags := append([]byte(nil), "OpusTags"...)
	tags = binary.LittleEndian.AppendUint32(tags, uint32(len(muxer)))
	tags = append(tags, muxer...)
	tags = binary.LittleEndian.AppendUint32(tags, 0)
	o.page(tags, 0)
	return o, o.out.flush()
}

// muxer is who wrote a file, in formats that ask.
const muxer = "parley"

// page writes one packet on a page of its own.
func (w *OggWriter) page(packet []byte, flags byte) {
	w.add(packet)
	w.end(flags)
}

// add puts a packet, for which there is room, on the page.
func (w *OggWriter) add(packet []byte) {
	for range len(packet) / 255 {
		w.table = append(w.table, 255)
	}
	w.table = append(w.table, byte(len(packet)%255))
	w.data = append(w.data, packet...)
}

func (w *OggWriter) end(flags byte) {
	w.out.buf = appendOggPage(w.out.buf, flags, w.granule, oggSerial, w.sequence, w.table, w.data)
	w.sequence++
	w.table, w.data = w.table[:0], w.data[:0]
	w.start = w.granule
}

// put adds a packet of so many samples, on a new page if it has to be.
func (w *OggWriter) put(packet []byte, samples int64) error {
	limit := int64(opusRate * flushInterval / time.Second)
	if full := len(w.table)+len(packet)/255+1 > oggSegments; len(w.table) > 0 && (full || w.granule+samples-w.start > limit) {
		w.end(0)
		if err := w.out.flush(); err != nil {
			return err
		}
	}
	w.add(packet)
	w.granule += samples
	return nil
}

// WritePacket writes one packet. A Duration of less than its samples counts if
// it is the last. A gap of more than a day is no gap but a mistake. See
// [PacketWriter].
func (w *OggWriter) WritePacket(p *Packet) error {
	if err := w.out.usable(); err != nil {
		return err
	}
	if err := p.check(w.track); err != nil {
		return fmt.Errorf("ogg: %w", err)
	}
	if len(p.Data) > oggMaxPacket {
		return fmt.Errorf("ogg: %w", packetError("%d bytes, want at most %d", len(p.Data), oggMaxPacket))
	}
	at := timeToSamples(p.Time, opusRate) + int64(w.track[0].PreSkip)
	if !w.begun && at < 0 {
		return fmt.Errorf("ogg: %w", packetError("time %v is before that of the pre-skip", p.Time))
	}
	if gap := at - w.granule; gap > oggMaxGap {
		return fmt.Errorf("ogg: %w", packetError("a gap of %v before it", samplesToTime(gap, opusRate)))
	}
	w.begun = true
	if err := w.fill(at-w.granule, p.Data[0]); err != nil {
		return err
	}
	n := int64(opusSamples(p.Data))
	w.trim = 0
	if d := timeToSamples(p.Duration, opusRate); d > 0 && d < n {
		w.trim = n - d
	}
	return w.put(p.Data, n)
}

// fill writes packets without sound for so many samples, in the mode of the
// packet that follows. Less than 2.5 ms cannot be filled.
func (w *OggWriter) fill(samples int64, toc byte) error {
	frame := int64(opusFrame(toc))
	if frame > samples || samples%frame != 0 {
		// CELT frames of 2.5 ms, in the bandwidth of the packet or the next.
		frame = 120
		toc = toc&4 | celtBandwidth(toc)<<5 | 0x80
	}
	most := 5760 / frame // frames of a packet
	for samples >= frame {
		n := min(samples/frame, most)
		if err := w.put([]byte{toc&^3 | 3, byte(n)}, n*frame); err != nil {
			return err
		}
		samples -= n * frame
	}
	return nil
}

// celtBandwidth returns bits 1 and 2 of the CELT configurations (RFC 6716 table
// 2) for the bandwidth of a packet that begins with toc.
func celtBandwidth(toc byte) byte {
	switch config := toc >> 3; {
	case config >= 16:
		return config >> 2 & 3
	case config >= 14:
		return 3 // hybrid, fullband
	case config >= 12:
		return 2 // hybrid, super-wideband
	case config >= 4:
		return 1 // medium band, which CELT has not, and wideband
	}
	return 0
}

// Close writes the last page. See [PacketWriter].
func (w *OggWriter) Close() error {
	if w.out.closed {
		return w.out.err
	}
	if w.out.err == nil {
		w.granule -= w.trim
		w.end(oggLast) // of no packets, if none came
	}
	w.out.flush()
	w.out.closed = true
	return w.out.err
}
