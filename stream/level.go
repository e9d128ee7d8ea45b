package stream

import "github.com/pion/rtp"

// level takes the audio level from a header extension (RFC 6464, section 3): a
// bit that says whether it is speech and seven of level.
func (r *AudioReceiver) level(p *rtp.Packet) {
	if r.config.LevelExtension == 0 || !p.Extension {
		return
	}
	b := p.GetExtension(r.config.LevelExtension)
	if len(b) == 0 {
		return
	}
	r.stats.Level, r.stats.Voice, r.stats.LevelKnown = b[0]&0x7f, b[0]&0x80 != 0, true
}
