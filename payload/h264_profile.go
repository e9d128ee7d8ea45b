package payload

// h264Profile is what a profile is by the table of sub-profiles (RFC 6184, table
// 5), in which several values of profile_idc stand for one. Those that are not
// in it are what their bytes are.
type h264Profile struct{ idc, constraints uint8 }

const (
	h264Baseline = 66
	h264Main     = 77
	h264Extended = 88
)

// The flags of the constraints.
const (
	constraint0 = 0x80 // obeys Baseline
	constraint1 = 0x40 // obeys Main
	constraint2 = 0x20 // obeys Extended
	constraint3 = 0x10 // level 1b, with level_idc 11, in the three old profiles
	otherBits   = 0x0f
)

// profile returns the sub-profile. In the three old profiles it is that of which
// the decoders can do everything that the constraints leave.
func (f H264FMTP) profile() h264Profile {
	p := h264Profile{f.Profile, f.Constraints}
	if !f.oldProfile() || f.Constraints&otherBits != 0 {
		return p
	}
	p.constraints = 0
	obeys0, obeys1 := f.Constraints&constraint0 != 0, f.Constraints&constraint1 != 0
	switch {
	case f.Profile == h264Baseline && obeys1, f.Profile == h264Main && obeys0, f.Profile == h264Extended && obeys0 && obeys1:
		p = h264Profile{h264Baseline, constraint1}
	case f.Profile == h264Extended && obeys0:
		p.idc = h264Baseline
	case f.Profile == h264Main && f.Constraints&constraint2 != 0,
		f.Profile == h264Extended && obeys1:
		p = h264Profile{f.Profile, f.Constraints &^ constraint3} // not in the table
	}
	return p
}

func (f H264FMTP) oldProfile() bool {
	return f.Profile == h264Baseline || f.Profile == h264Main || f.Profile == h264Extended
}

// stated puts what is meant if there is no profile-level-id (RFC 6184, section
// 8.1): Baseline at level 1.
func (f H264FMTP) stated() H264FMTP {
	if f.Profile == 0 && f.Constraints == 0 && f.Level == 0 {
		f.Profile, f.Level = h264Baseline, 10
	}
	return f
}

// Level 1b is between 1 and 1.1. The old profiles write it as level 1.1 with a
// constraint, the others as 9.
const (
	level1b = 9  // in the others
	level11 = 11 // in the old ones
	rank1b  = 2*10 + 1
)

// rank orders levels.
func (f H264FMTP) rank() int {
	old := f.oldProfile()
	if old && f.Level == level11 && f.Constraints&constraint3 != 0 || !old && f.Level == level1b {
		return rank1b
	}
	return int(f.Level) * 2
}

// withLevel returns f with the level of g, whose profile is the same.
func (f H264FMTP) withLevel(g H264FMTP) H264FMTP {
	if f.Level = g.Level; f.oldProfile() {
		f.Constraints = f.Constraints&^constraint3 | g.Constraints&constraint3
	}
	return f
}

// Compatible reports whether f and g name one configuration, in which both ends
// of a call understand each other: the same sub-profile (RFC 6184, table 5) and
// the same packetization mode, which is 0 or 1 (section 8.2.2). Levels may
// differ; see [H264FMTP.Answer] for what they mean.
func (f H264FMTP) Compatible(g H264FMTP) bool {
	return f.PacketizationMode == g.PacketizationMode && f.PacketizationMode <= 1 &&
		f.stated().profile() == g.stated().profile()
}

// Answer returns the parameters with which to answer an offer, where f are those
// of this end: its own level and its own parameter sets. It returns false if the
// offer is not [H264FMTP.Compatible].
//
// If both ends allow levels to differ, the answer has the level of f, and each
// end sends at most the level that the other one states. Otherwise it has the
// lower level, which holds for both ways (RFC 6184, section 8.2.2).
func (f H264FMTP) Answer(offer H264FMTP) (H264FMTP, bool) {
	if !f.Compatible(offer) {
		return H264FMTP{}, false
	}
	f, offer = f.stated(), offer.stated()
	answer := offer
	answer.ParameterSets = f.ParameterSets
	answer.LevelAsymmetryAllowed = f.LevelAsymmetryAllowed && offer.LevelAsymmetryAllowed
	if answer.LevelAsymmetryAllowed || f.rank() < offer.rank() {
		answer = answer.withLevel(f)
	}
	return answer, true
}
