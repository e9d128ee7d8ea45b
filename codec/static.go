package codec

// Static returns the audio payload format that RFC 3551, table 4, assigns to a
// payload type below 35, without any signalling. Its clock rate is the one on
// the wire: 8000 Hz for G722.
func Static(payloadType uint8) (Params, bool) {
	p := Params{PayloadType: payloadType, ClockRate: 8000, Channels: 1}
	switch payloadType {
	case 0:
		p.Name = "PCMU"
	case 3:
		p.Name = "GSM"
	case 4:
		p.Name = "G723"
	case 5:
		p.Name = "DVI4"
	case 6:
		p.Name, p.ClockRate = "DVI4", 16000
	case 7:
		p.Name = "LPC"
	case 8:
		p.Name = "PCMA"
	case 9:
		p.Name = "G722"
	case 10:
		p.Name, p.ClockRate, p.Channels = "L16", 44100, 2
	case 11:
		p.Name, p.ClockRate = "L16", 44100
	case 12:
		p.Name = "QCELP"
	case 13:
		p.Name = "CN"
	case 14:
		p.Name, p.ClockRate = "MPA", 90000
	case 15:
		p.Name = "G728"
	case 16:
		p.Name, p.ClockRate = "DVI4", 11025
	case 17:
		p.Name, p.ClockRate = "DVI4", 22050
	case 18:
		p.Name = "G729"
	default:
		return Params{}, false
	}
	return p, true
}
