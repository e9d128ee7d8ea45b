// Package mix adds up the voices of a room, so that each participant hears all
// others and not itself.
//
//	m, err := mix.New(mix.Config{Format: audio.Format{Rate: 48000, Channels: 1}})
//	alice, bob := m.Add(), m.Add()
//	...
//	alice.WriteFrame(frame) // whenever there is one
//	...
//	m.Mix(960) // every 20 ms
//	toBob = bob.Append(toBob[:0])
//
// One step costs a sum over all inputs, and one subtraction for each output. An
// output is exactly the sum without its own part: nobody hears an echo of
// itself.
//
// Inputs may come and go, and their frames may be late or too many, at any time.
// What begins is faded in, and what ends or breaks off is faded out, within 5
// ms. The queue of each input is bounded, and kept short: what all frames wait for
// after a stall, or behind a sender whose clock is fast, is gone within two seconds,
// mostly unheard.
//
// Outputs are limited, not clipped: they are the plain sum as long as the peaks
// stay below -3 dB of full scale, and are turned down as a whole above that. The
// gain falls within 1 ms and rises again within half a second; what still sticks
// out in the first millisecond is bent, and never flat.
//
// A Mixer has no clock, lock or goroutine: it is for one goroutine, which calls
// Mix at a steady pace. All inputs have the format of the mixer; for others there
// is [audio.Adapter] and [audio.ConvertWriter].
package mix
