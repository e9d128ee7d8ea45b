// Package payload has RTP payload formats that are not audio codecs: redundant
// audio (RFC 2198), in which a packet also carries frames that were sent before,
// see [AppendRED] and [ParseRED], and comfort noise (RFC 3389), which tells a
// receiver what the pauses of a speaker sound like.
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
// Nothing here is safe for concurrent use, keeps a slice that it was passed, or
// allocates after its constructor (appending aside).
//
// Known limits: comfort noise is mono only; when to send is for the caller to decide; a constant
// offset of the samples counts as noise; and speech that goes on for about two
// seconds without a pause of a tenth of a second is taken for noise.
package payload
