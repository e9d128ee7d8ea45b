package stream

// Rejoin says that packets of the source that is heard were not pushed for a while,
// as on hold: what is missing before the next one is a pause, not lost.
func (r *AudioReceiver) Rejoin() { r.line.closes = r.line.begun }

// Rejoin says that packets of the source that is heard were not pushed for a while,
// as on hold: what is missing before the next one is not waited for, and pictures go
// on at a key frame.
func (r *VideoReceiver) Rejoin() {
	if r.heard != nil {
		r.line.enter(r.heard.ssrc, false)
	}
}
