package transport

import "testing"

// Payload types and packet types as they are on the wire.
func TestClassifyPackets(t *testing.T) {
	for name, tt := range map[string]struct {
		b    []byte
		want Kind
	}{
		"PCMU":               {[]byte{0x80, 0}, RTP},
		"PCMU, marker":       {[]byte{0x80, 0x80}, RTP},
		"payload type 96":    {[]byte{0x80, 96}, RTP},
		"127 with marker":    {[]byte{0x80, 0xff}, RTP},
		"sender report":      {[]byte{0x81, 200}, RTCP},
		"goodbye":            {[]byte{0x81, 203}, RTCP},
		"extended report":    {[]byte{0x80, 207}, RTCP},
		"binding request":    {[]byte{0, 1}, STUN},
		"DTLS client hello":  {[]byte{22, 0xfe}, DTLS},
		"ZRTP hello":         {[]byte{0x10, 0}, ZRTP},
		"channel data":       {[]byte{0x40, 0}, TURN},
		"RTP of version 1":   {[]byte{0x40 | 0x0f, 0}, TURN},
		"text of a SIP ping": {[]byte("\r\n\r\n"), Unknown},
	} {
		if got := Classify(tt.b); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	names := ""
	for k := Unknown; k <= TURN; k++ {
		names += k.String() + " "
	}
	if names != "unknown RTP RTCP STUN ZRTP DTLS TURN " {
		t.Errorf("names %q", names)
	}
	// Values of other versions, as in a log that is read, have a name too.
	if k, r := Kind(200).String(), LatchReason(200).String(); k != "Kind(200)" || r != "LatchReason(200)" {
		t.Errorf("no kind is %q, no reason %q", k, r)
	}
}
