// Package dtmf sends and receives the keys of a telephone: as telephone events
// in RTP (RFC 4733), and out of the audio itself (ITU-T Q.23, Q.24). To make the
// tones, see package audio/tone.
//
// A [Sender] turns a string of digits into events in real time, on the media
// clock of an audio stream, a [Receiver] turns the packets of a far end into one
// press and one release of each key, and a [Detector] does so with PCM.
//
//	sender.Queue(now, "1234#", nil)
//	for {
//		sleepUntil(sender.Next())
//		p, ok := sender.Pull(now, timestampAt(now))
//		// ok: send p.Event.AppendTo(nil) in a packet with p.Timestamp and p.Marker
//	}
//
//	receiver.Push(arrival, packet.SequenceNumber, packet.Timestamp, packet.Payload)
//	for r, ok := receiver.Pull(now); ok; r, ok = receiver.Pull(now) {
//		fmt.Println(r.Digit, r.End, r.Duration)
//	}
//
// Nothing here has a goroutine, lock or timer, and nothing is safe for
// concurrent use.
//
// Known limits: of the events of RFC 4733, the sixteen keys and the hook flash
// are known; all others are ignored. Tones of other events and the tone payload
// (RFC 4733, section 4) are not there. An event whose packets are away for longer
// than the timeout of a Receiver ends there; what comes of it later is ignored.
// Two sines that someone sings, plays or sweeps through the frequencies of a digit
// for 40 ms are a digit to a Detector.
package dtmf
