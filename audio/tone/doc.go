// Package tone makes the tones of the telephone network as PCM: DTMF digits, the
// call progress tones of several countries, and any other sums of sines with a
// cadence.
//
//	plan, ok := tone.National("DE")
//	if !ok {
//		plan, _ = tone.National("US")
//	}
//	g, err := tone.NewGenerator(audio.Format{Rate: 8000, Channels: 1}, plan.Ringback)
//	if err != nil {
//		return err
//	}
//	var f audio.Frame
//	for {
//		if err := g.ReadFrame(&f); err != nil {
//			return err // io.EOF when the signal is over, which a ringback never is
//		}
//		if err := call.Audio().WriteFrame(&f); err != nil {
//			return err
//		}
//	}
//
// Levels are in dBm0 for each sine. The largest sine that 16 bits hold has
// [FullScale] dBm0, and 0 dBm0 is [ZeroDBm0] dBov.
//
// Known limits: one signal in all channels, no sweeps, and of each country the
// one variant of a tone that its network uses most.
package tone

const (
	// FullScale is the level in dBm0 of a sine whose peaks are at ±32767, as
	// mu-law has it (ITU-T G.711; A-law's is 3.14).
	FullScale = 3.17

	// ZeroDBm0 is what 0 dBm0 is in dBov, the level relative to a square wave of
	// full scale (RFC 6464 section 3).
	ZeroDBm0 = -6.18
)
