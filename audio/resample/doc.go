// Package resample changes the sampling rate of 16-bit PCM as it streams by.
//
//	r, err := resample.New(resample.Config{In: 8000, Out: 48000, Channels: 1})
//	...
//	out = r.Append(out[:0], in) // any number of samples at a time
//	...
//	out = r.Flush(out[:0])      // the tail, at the end
//
// Any two rates from 1000 to 384000 Hz will do. The work is done by two
// filters, both linear in phase. A sharp one runs between the lower of the two
// rates and twice that, and decides what passes; a short one runs between twice
// the lower rate and the higher rate, where there is room for a wide
// transition. Relative to half the lower rate, which is the highest frequency
// that both sides can carry:
//
//	          pass band       ripple      stop band   at least
//	Default   up to 0.9       0.05 dB     from 1.0    80 dB
//	High      up to 0.9       0.05 dB     from 1.0    100 dB
//
// Nothing folds back into the band in either, also not into its top tenth.
// The figure docs/resample.svg shows both responses; it is drawn by
//
//	go test ./audio/resample -run TestFigure -figure ../../docs/resample.svg
//
// Samples pass through float32 and are rounded to the nearest integer once, at
// the end; what exceeds 16 bits saturates. There is no dither.
//
// Each output sample appears as soon as the input reaches its nominal time, so
// that a frame of 20 ms gives a frame of 20 ms. The content is late by
// [Resampler.Delay], 6 ms from or to 8 kHz and 1 ms between 44.1 and 48 kHz,
// a whole number of output samples.
//
// [Resampler.SetCorrection] speeds up or slows down the output by up to half a
// percent at any time, for two clocks that drift apart. If the output rate is
// the lower one, the bands above move with it.
//
// On amd64 with AVX2 the inner loops are in assembly; everywhere else, and
// under the build tag purego, they are in Go, and take five to six times as
// long. Both give the same samples but for the rounding of single bits.
//
// The package works on plain integers and imports nothing of Parley, so that
// package audio can build on it.
//
// Limits: the rates of one Resampler are fixed (package audio has an Adapter
// that follows a changing format), and equal rates are filtered like any
// others, because their correction may change.
package resample
