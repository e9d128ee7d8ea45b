// Package stream has one direction of one media line as a pure state machine:
// packets and times in, frames and times out.
//
// An [AudioReceiver] validates the packets of a line, puts them in order,
// decodes them and gives out frames, either one per tick of a steady clock or
// in order on the timeline of the media. An [AudioSender] takes PCM of any
// length, cuts it into frames, encodes them and says when each packet has to
// leave; coded frames, digits, comfort noise and redundancy go the same way.
// A [VideoReceiver] gives out whole frames that can be decoded, and a
// [VideoSender] paces the packets of those that it is given. A [Sync] puts what
// is received of both on one timeline, and a VideoSender with a Sound does so
// with what is sent.
//
// None of them owns a socket, a goroutine, a lock or a timer; every time they
// need is an argument, and all times of one stream must derive from one
// [time.Now] by Add, so that they stay monotonic.
package stream
