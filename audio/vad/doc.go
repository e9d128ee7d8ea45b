// Package vad detects when somebody speaks: for turn-taking and barge-in, and to
// send nothing while nobody does.
//
//	d, err := vad.New(format, vad.Config{})
//	...
//	events, err = d.Detect(events[:0], &frame)
//	for _, e := range events {
//		switch e.Kind {
//		case vad.Start: // speech since e.Time
//		case vad.Stop: // silence since e.Time
//		}
//	}
//
// A detector takes 10 ms at a time, cut from frames of any length, and looks at
// spectra of 40 ms up to 3.7 kHz. The background noise is the least that each
// bin of the spectrum held in the last 1.6 s. Speech starts with a voice: sound
// above the noise that is periodic at a pitch of 75 to 400 Hz, spread over the
// spectrum, and never the same for long. Noise of any colour is not periodic,
// hum and buzz stay as they are, tones are narrow; none of them starts speech,
// not even when it begins suddenly. A buzz that comes and goes in noise almost as
// loud does now and then, and so do many loud clicks in a second. Once there is
// speech, any sound above the noise keeps it up, for up to 0.6 s without voice.
//
// It starts some 100 ms after a voice, and later by as long as a word begins
// with consonants that have none, and by a short first syllable in noise that is
// 10 dB below the speech; pre-roll makes up for the usual delay. It stops one
// hangover after the last sound.
//
// Known limits: whispering does not start speech. Other voices do, and so do
// music, and an echo of one's own that was not cancelled: set MinLevel or
// MinSpeech against those. A vowel sung on one note for seconds is taken for
// hum.
package vad
