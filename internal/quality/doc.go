// Package quality measures what is heard behind a network, as "parley bench
// quality" and "parley bench conceal" print it.
//
//	for _, trace := range quality.Generate(1) {
//		r, err := quality.Run(ctx, quality.Config{Codec: pcmu, Speech: quality.Speech(8000)}, trace)
//		...
//		fmt.Println(r)
//	}
//
// A [Trace] says when each packet arrives. Time is simulated: speech goes
// through the encoder into packets, these are pushed into a
// [stream.AudioReceiver] at their times, and frames are pulled exactly when they
// are due, so that every run gives the same numbers.
//
// The receiver is not asked how well it does. The added delay is found in the
// sound: each frame is looked for, sample by sample, in what was sent, which
// tells its media time. A little noise is added to the speech, so that no two
// moments of it are the same. A frame that was stretched all over is in none of
// its parts what was sent, and lies between its neighbours. The one number that
// is taken from the receiver is how much of a frame is media at all; what is not
// counts as concealed, whatever it is called, since the sender never pauses.
package quality
