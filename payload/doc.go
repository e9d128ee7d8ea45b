// Package payload has RTP payload formats that are not audio codecs: those of
// video, see [VideoFormat]; redundant audio (RFC 2198), in which a packet also
// carries frames that were sent before, see [AppendRED] and [ParseRED]; and comfort
// noise (RFC 3389), which tells a receiver what the pauses of a speaker sound like.
//
// A sender lets a [NoiseEstimator] hear everything that it captures, speech
// included, and sends a payload when a pause begins and when the noise changes:
//
//	est, err := payload.NewNoiseEstimator(8000, 0)
//	...
//	est.Write(pcm)                    // each frame
//	buf = est.AppendPayload(buf[:0])  // in a pause
//
// A receiver makes noise of the same level and spectrum until speech returns:
//
//	gen, err := payload.NewNoiseGenerator(8000, ssrc)
//	...
//	cn, err := payload.ParseCN(packet.Payload)
//	gen.Set(cn)
//	gen.Fill(pcm)                     // each frame
//
// For video there are H.264 (RFC 6184, packetization modes 0 and 1), VP8 (RFC
// 7741) and VP9 (RFC 9628). A [VideoPacketizer] makes the payloads of a frame; the
// last one goes into the packet with the marker:
//
//	p := &payload.H264Packetizer{}
//	...
//	err := p.Begin(accessUnit)
//	for more := err == nil; more; {
//		buf, more = p.AppendPayload(buf[:0])
//		send(buf, !more)
//	}
//
// A [VideoDepacketizer] makes frames of packets that come in order, and whoever
// puts packets in order first does it with a [VideoFormat]. A frame comes out
// whole or not at all.
//
// Nothing here is safe for concurrent use unless it says so, or allocates after
// its constructor (appending, errors and [ParseVP9Structure] aside). Nothing keeps
// a slice that it was passed, but for a packetizer, until its frame ends.
//
// Known limits: VP9 with several spatial layers is received, not sent; H.264 has
// no interleaved mode and no arbitrary slice order. Comfort noise is mono only;
// when to send is for the caller to decide; a constant offset of the samples counts
// as noise; and speech that goes on for about two seconds without a pause of a
// tenth of a second is taken for noise.
package payload
