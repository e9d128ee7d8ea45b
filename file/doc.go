// Package file reads audio and video from files and writes them there.
//
// Sound that is to be heard or changed is in WAV files: their types are
// [audio.Reader] and [audio.Writer], so that a file can stand wherever a call's
// audio can.
//
//	in, err := file.OpenWAV("prompt.wav")
//	if err != nil {
//		return err
//	}
//	defer in.Close()
//	_, err = call.Audio().Say(ctx, in) // returns when all of it has been said
//
// What stays coded are packets of tracks. [Create] and [Open] choose the format;
// there are IVF (VP8, VP9, AV1), a byte stream of H.264, Ogg (Opus), WebM and
// Matroska (VP8, VP9, H.264, Opus, PCM), and fragmented MP4 (H.264, Opus, AAC),
// which is only written. [OpenFFmpeg] reads the rest through another program.
//
//	out, err := file.Create("call.webm", file.Track{Codec: file.VP8}, file.Track{Codec: file.Opus})
//	if err != nil {
//		return err
//	}
//	defer out.Close()
//	err = out.WritePacket(&file.Packet{Track: 0, Time: at, Key: key, Data: frame})
//
// Calls are recorded and played to as they are: a [Recorder] writes what comes of
// them, with sound and pictures in sync, to one file that calls may join and
// leave, and a [Player] plays a file to any number of them, and pauses, seeks and
// loops.
//
//	rec, err := file.CreateRecorder("call.webm", file.RecorderConfig{})
//	if err != nil {
//		return err
//	}
//	defer rec.Close()
//	if _, _, err = rec.AddCall(call); err != nil { // what it hears; AddSent is for what it says
//		return err
//	}
//	<-call.Done()
//
// [Recorder.Pause] leaves out what must not be recorded, as the number of a card.
//
// A file is playable while it is written, up to the last half second, or second for MP4,
// or three for WAV of several sides of which one is silent, and stays so if the process
// is killed. Sizes in files that are read are never trusted: memory grows with what is
// there.
//
// Known limits: samples of WAV become 16 bits without dither, one or two channels
// are read, big-endian files (RIFX) and compressed ones other than A-law and
// mu-law are not. No reader seeks: a [Player] reads forward from the beginning. A track
// of H.264 keeps the parameter sets it began with in its header, and later ones in its
// stream, which players of MP4 need not look at. An Ogg file has one stream.
package file

import "errors"

// ErrMalformed is wrapped, with what is wrong and at which byte, by the error
// for a file that breaks the rules of its format. A file that is right but needs
// what this package does not have is [errors.ErrUnsupported], or
// [audio.ErrFormat] when the number of channels or the rate is the trouble.
var ErrMalformed = errors.New("malformed file")
