package payload

// VP8 is the [VideoFormat] of VP8 (RFC 7741). Frames are as in RFC 6386, and as
// IVF and WebM have them.
type VP8 struct{}

// ParsePacket implements [VideoFormat].
func (VP8) ParsePacket(payload []byte) (VideoPart, error) {
	d, data, err := ParseVP8Descriptor(payload)
	if err != nil {
		return VideoPart{}, err
	}
	part := VideoPart{Start: d.BeginsFrame(), Picture: true, PictureID: d.PictureID, PictureIDBits: d.PictureIDBits}
	part.Discardable = d.NonReference
	part.Continues = !part.Start
	if part.Start {
		part.Key, part.Width, part.Height = parseVP8Header(data)
	}
	return part, nil
}

// AppendFrame implements [VideoFormat].
func (VP8) AppendFrame(dst []byte, payloads [][]byte) ([]byte, VideoInfo, error) {
	var info VideoInfo
	out := dst
	for i, p := range payloads {
		d, data, err := ParseVP8Descriptor(p)
		if err != nil {
			return dst, VideoInfo{}, err
		}
		if d.BeginsFrame() != (i == 0) {
			return dst, VideoInfo{}, malformed("VP8 frame that begins in packet %d", i)
		}
		out = append(out, data...)
		info.Discardable = info.Discardable || d.NonReference
	}
	if len(payloads) == 0 {
		return dst, VideoInfo{}, malformed("VP8 frame without packets")
	}
	info.Key, info.Width, info.Height = parseVP8Header(out[len(dst):])
	return out, info, nil
}

// Info implements [VideoFormat].
func (VP8) Info(frame []byte) (info VideoInfo) {
	info.Key, info.Width, info.Height = parseVP8Header(frame)
	return info
}

// A VP8Packetizer is the [VideoPacketizer] of VP8 (RFC 7741). The zero value is
// ready. All of a frame is sent as one partition, which section 4.2 allows.
type VP8Packetizer struct {
	// MaxPayload is the largest payload in bytes, 8..65535. 0 is
	// [DefaultMaxPayload].
	MaxPayload int

	// Descriptor is what the packets of the next frame carry. The caller may
	// change it before each Begin. Begin sets Start and Partition, and counts
	// PictureID up after each frame. The zero value has no picture ID and no
	// layers; browsers work better with 15 bits of picture ID.
	Descriptor VP8Descriptor

	max        int
	descriptor VP8Descriptor // of the next packet
	rest       []byte
}

const minVP8Payload = 8 // a descriptor has up to 6 bytes

// Begin implements [VideoPacketizer]. An empty frame is refused.
func (p *VP8Packetizer) Begin(frame []byte) error {
	p.rest = nil
	p.max = maxPayload(p.MaxPayload)
	switch {
	case p.max < minVP8Payload:
		return unsendable("VP8 in payloads of %d bytes", p.max)
	case len(frame) == 0:
		return unsendable("VP8 frame without content")
	}
	p.descriptor, p.rest = p.Descriptor, frame
	p.descriptor.Start, p.descriptor.Partition = true, 0
	p.Descriptor.PictureID = nextPictureID(p.Descriptor.PictureIDBits, p.Descriptor.PictureID)
	return nil
}

// AppendPayload implements [VideoPacketizer].
func (p *VP8Packetizer) AppendPayload(dst []byte) (payload []byte, more bool) {
	if len(p.rest) == 0 {
		return dst, false
	}
	at := len(dst)
	dst = p.descriptor.AppendTo(dst)
	n := min(p.max-(len(dst)-at), len(p.rest))
	dst = append(dst, p.rest[:n]...)
	p.rest = p.rest[n:]
	p.descriptor.Start = false
	return dst, len(p.rest) > 0
}
