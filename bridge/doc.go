// Package bridge joins two calls, so that each far end hears and sees the other: two
// telephones, a telephone and a browser, or two browsers.
//
//	err := bridge.Join(ctx, caller, callee, nil)
//	caller.Close()
//	callee.Close()
//
// Audio that both ends speak in one codec is forwarded packet by packet, as
// [parley.Forwarder] describes; otherwise it is decoded and encoded again. Which of
// the two is decided for each direction, and anew when either end changes its codec.
// To encode Opus, as for a browser that talks to a telephone, the program imports
// codec/opus/libopus; without it that direction is silent, which Withheld of
// [parley.ForwardStats] and the log of the call tell.
// Keys pressed at one end are sent to the other: within the packets where the two
// understand the same ones, as new telephone events where they do not, and as tones to
// an end that takes no events. Video is passed on if both ends have it, and so are
// requests for key frames. What the program says to one end meanwhile, by
// [parley.Audio.Say], is heard there in the place of the other end.
//
// Whoever supervises a call hears it by a [parley.Tap] of each line, which has what that
// end is sent; so does a recorder ([github.com/parley-media/parley/file.Recorder.AddSent]).
// A browser can have a line of its own for each ([parley.Call.AddAudio]), and on another
// one the agent hears what the supervisor whispers ([parley.CopyAudio]), beside the
// customer, who does not hear it. Three who hear each other are in a room of package
// conference.
//
// # RTCP
//
// A bridge is not the translator of RFC 3550, section 7.2, which has no source of its
// own and passes on the reports of others with their numbers corrected. It terminates
// RTCP: each call is an RTP session by itself, with its own SSRC, CNAME, reports and
// goodbye (back-to-back RTP sessions: RFC 7667, section 3.2.2). That is right here
// because each end has agreed on its SSRC, keys, feedback and clock rate with us and
// not with the other, so that a report about one session would mean nothing in the
// other, and because a codec may be changed in between.
//
// What section 7.2 is about holds all the same. The gaps of what is received stay gaps
// of what is sent, so that the loss which a far end sees and reports is that of both
// paths together, as it is for a receiver behind a translator, while our reports to
// the source tell of its own path alone. Sender reports count what was sent on, on the
// clock of the source. Packets that are asked for again (NACK) come from us, who have
// asked the source for the ones that we miss; requests for key frames (PLI, FIR) go on
// to the source, which alone can heed them.
//
// # Limits
//
// The first audio and the first video of each call are joined. Video is not
// transcoded: while the codecs differ there is none. Data channels are not joined.
package bridge
