package stream

// Rejoin says that the source that is heard was not heard for a while, as on hold:
// what is missing before the next packet is a pause, not lost. If its timestamps have
// not kept time meanwhile, it goes on at the time of arrival.
func (r *AudioReceiver) Rejoin() { r.line.closes, r.line.rejoins = r.line.begun, r.line.begun }

// Rejoin says that packets of the source that is heard were not pushed for a while,
// as on hold: what is missing before the next one is not waited for, and pictures go
// on at a key frame.
func (r *VideoReceiver) Rejoin() {
	if r.heard != nil {
		r.line.enter(r.heard.ssrc, false)
	}
}
