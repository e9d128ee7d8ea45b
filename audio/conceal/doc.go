// Package conceal makes up audio for what is missing, so that a listener does
// not hear that it is: a loss sounds like a little more of what was spoken, and
// a longer one fades into the background noise of the place, never into the dead
// silence of a line that was cut.
//
//	c, err := conceal.New(8000, 1)
//	...
//	c.Join(pcm)  // for every frame of media: does nothing but after a gap
//	c.Media(pcm) // and then play it
//	...
//	out = c.Extend(out[:0], 160)        // nothing has come: 20 ms made up
//	out = c.Bridge(out[:0], 160, ahead) // what comes after the gap is there already
//
// Extend repeats the last pitch periods of what was played, as the class of ITU-T
// G.711 Appendix I does, but without its delay: the first joint is smoothed into
// the made-up part. A pitch that rises or falls goes on to do so. From one period it
// goes over to two and three, and varies them, since the same period over and
// over buzzes. It fades about as fast as speech becomes unlike its repetition:
// from 6 ms on, to a third within 34 ms, and after 120 ms there is only noise.
//
// Bridge also continues the audio after the gap backwards. If both sides have a
// pitch, it lets it glide from what it is before the gap to what it is after it,
// with as many periods as that makes, so that the two sides are in phase all the
// way, and goes from one to the other. How much of each is heard depends on how
// far away it comes from, and on how much it is like the other end. It is for
// gaps of known length, and needs 10 ms of what comes after them, better 20 ms
// or more.
//
// The noise has the level and the spectrum of the quietest that was played in
// the last seconds, but is at most 30 dB below the loudest, or -50 dBov if that is
// more: the quietest in music is no background.
//
// Known limits: pitch is looked for in the mean of the channels. Whatever is not
// periodic, such as the beginning of a word, is replaced by something that is
// like its neighbourhood.
package conceal
