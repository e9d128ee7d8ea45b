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
// the made-up part. From one period it goes over to two and three, and varies
// them, since the same period over and over buzzes. After 10 ms it begins to
// fade, and is only noise after 70 ms.
//
// Bridge also continues the audio after the gap backwards, bends both a little
// in time, so that each meets the other end in phase, and goes from one to the
// other. It is for gaps of known length, and needs 10 ms of what comes after
// them, better 20 ms or more.
//
// The noise has the level and the spectrum of the quietest that was played in
// the last seconds.
//
// Known limits: pitch is looked for in the mean of the channels. Whatever is not
// periodic, such as the beginning of a word, is replaced by something that is
// like its neighbourhood.
package conceal
