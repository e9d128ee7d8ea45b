// Package file reads audio from files and writes it to them. So far it knows
// WAV; the types are [audio.Reader] and [audio.Writer], so that a file can stand
// wherever a call's audio can.
//
//	in, err := file.OpenWAV("prompt.wav")
//	if err != nil {
//		return err
//	}
//	defer in.Close()
//	out, err := file.CreateWAV("copy.wav", in.Format())
//	if err != nil {
//		return err
//	}
//	defer out.Close()
//	var f audio.Frame
//	for {
//		if err := in.ReadFrame(&f); err == io.EOF {
//			return out.Close()
//		} else if err != nil {
//			return err
//		}
//		if err := out.WriteFrame(&f); err != nil {
//			return err
//		}
//	}
//
// Known limits: samples become 16 bits without dither, one or two channels are
// read, big-endian files (RIFX) and compressed ones other than A-law and mu-law
// are not, and nothing seeks.
package file

import "errors"

// ErrMalformed is wrapped, with what is wrong and at which byte, by the error
// for a file that breaks the rules of its format. A file that is right but needs
// what this package does not have is [errors.ErrUnsupported], or
// [audio.ErrFormat] when the number of channels or the rate is the trouble.
var ErrMalformed = errors.New("malformed file")
