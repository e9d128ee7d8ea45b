package session

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/sdp/v3"

	"github.com/parley-media/parley/codec"
)

// ErrDescription is returned, wrapped with what was wrong, for a session
// description that no call can be made from.
var ErrDescription = errors.New("session: unusable session description")

// A Description is what a session description (SDP, RFC 8866) says of an audio
// stream: where it is received, and in which payload formats.
type Description struct {
	Addr   netip.AddrPort // where the media is to be sent
	Codecs []codec.Params // in order of preference
	PTime  time.Duration  // 0: not said
}

// maxDescription bounds the descriptions that are read: those of browsers with
// many tracks have some 10 kB.
const maxDescription = 64 << 10

// ParseDescription reads the first audio section of a session description. The
// error wraps [ErrDescription].
func ParseDescription(text []byte) (*Description, error) {
	if len(text) > maxDescription {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrDescription, len(text), maxDescription)
	}
	var s sdp.SessionDescription
	if err := s.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	for _, m := range s.MediaDescriptions {
		if m.MediaName.Media == "audio" {
			return parseAudio(&s, m)
		}
	}
	return nil, fmt.Errorf("%w: no audio section", ErrDescription)
}

func parseAudio(s *sdp.SessionDescription, m *sdp.MediaDescription) (*Description, error) {
	if proto := strings.Join(m.MediaName.Protos, "/"); proto != "RTP/AVP" && proto != "RTP/AVPF" {
		return nil, fmt.Errorf("%w: audio over %s, want RTP/AVP", ErrDescription, proto)
	}
	connection := m.ConnectionInformation
	if connection == nil {
		connection = s.ConnectionInformation
	}
	if connection == nil || connection.Address == nil {
		return nil, fmt.Errorf("%w: no connection address (c=)", ErrDescription)
	}
	host, _, _ := strings.Cut(connection.Address.Address, "/")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("%w: connection address %q is not an IP address", ErrDescription, host)
	}
	port := m.MediaName.Port.Value
	if port < 1 || port > 65534 {
		return nil, fmt.Errorf("%w: audio port %d", ErrDescription, port)
	}
	d := &Description{Addr: netip.AddrPortFrom(addr.WithZone(""), uint16(port))} // a zone is the far end's own affair
	for _, format := range m.MediaName.Formats {
		p, err := parseFormat(m, format)
		if err != nil {
			return nil, err
		}
		if p.Name != "" {
			d.Codecs = append(d.Codecs, p)
		}
	}
	if len(d.Codecs) == 0 {
		return nil, fmt.Errorf("%w: no payload format that is known by number or by rtpmap", ErrDescription)
	}
	if v, ok := m.Attribute("ptime"); ok {
		ms, err := strconv.ParseFloat(v, 64)
		if err != nil || !(ms > 0 && ms <= 1000) {
			return nil, fmt.Errorf("%w: ptime %q", ErrDescription, v)
		}
		d.PTime = time.Duration(math.Round(ms * float64(time.Millisecond)))
	}
	return d, nil
}

// parseFormat returns the parameters of a payload type of m, without a name if
// it is neither described nor static.
func parseFormat(m *sdp.MediaDescription, format string) (codec.Params, error) {
	pt, err := strconv.ParseUint(format, 10, 7)
	if err != nil {
		return codec.Params{}, fmt.Errorf("%w: payload type %q", ErrDescription, format)
	}
	p, _ := codec.Static(uint8(pt))
	p.PayloadType = uint8(pt)
	for _, a := range m.Attributes {
		number, value, _ := strings.Cut(a.Value, " ")
		if number != format {
			continue
		}
		if strings.ContainsAny(value, "\x00\r") { // RFC 8866, section 9, byte-string
			return p, fmt.Errorf("%w: control character in %s %q", ErrDescription, a.Key, a.Value)
		}
		switch a.Key {
		case "rtpmap":
			parts := strings.Split(value, "/")
			if len(parts) < 2 || len(parts) > 3 || parts[0] == "" {
				return p, fmt.Errorf("%w: rtpmap %q", ErrDescription, a.Value)
			}
			rate, err := strconv.ParseUint(parts[1], 10, 31)
			if err != nil || rate == 0 {
				return p, fmt.Errorf("%w: clock rate in rtpmap %q", ErrDescription, a.Value)
			}
			p.Name, p.ClockRate, p.Channels = parts[0], int(rate), 1
			if len(parts) == 3 {
				channels, err := strconv.ParseUint(parts[2], 10, 8)
				if err != nil || channels == 0 {
					return p, fmt.Errorf("%w: channels in rtpmap %q", ErrDescription, a.Value)
				}
				p.Channels = int(channels)
			}
		case "fmtp":
			p.FMTP = value
		}
	}
	return p, nil
}

// Marshal returns d as a session description. The error wraps
// [ErrDescription] if [ParseDescription] would not read it as d again, as with
// a name that has a line break in it.
func (d *Description) Marshal() ([]byte, error) {
	if !d.Addr.IsValid() || len(d.Codecs) == 0 {
		return nil, fmt.Errorf("%w: no address or no codec", ErrDescription)
	}
	family := "IP4"
	if d.Addr.Addr().Is6() {
		family = "IP6"
	}
	address := d.Addr.Addr().WithZone("").String()
	m := &sdp.MediaDescription{MediaName: sdp.MediaName{
		Media:  "audio",
		Port:   sdp.RangedPort{Value: int(d.Addr.Port())},
		Protos: []string{"RTP", "AVP"},
	}}
	for _, p := range d.Codecs {
		number := strconv.Itoa(int(p.PayloadType))
		m.MediaName.Formats = append(m.MediaName.Formats, number)
		m.WithValueAttribute("rtpmap", number+" "+p.String())
		if p.FMTP != "" {
			m.WithValueAttribute("fmtp", number+" "+p.FMTP)
		}
	}
	if d.PTime != 0 {
		m.WithValueAttribute("ptime", strconv.FormatFloat(float64(d.PTime)/float64(time.Millisecond), 'f', -1, 64))
	}
	s := &sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: "-", SessionID: 1, SessionVersion: 1,
			NetworkType: "IN", AddressType: family, UnicastAddress: address,
		},
		SessionName: "Parley",
		ConnectionInformation: &sdp.ConnectionInformation{
			NetworkType: "IN", AddressType: family, Address: &sdp.Address{Address: address},
		},
		TimeDescriptions:  []sdp.TimeDescription{{}},
		MediaDescriptions: []*sdp.MediaDescription{m},
	}
	text, err := s.Marshal()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	read, err := ParseDescription(text)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(read.Codecs, d.Codecs, samePayload) {
		return nil, fmt.Errorf("%w: %q would be read as %q", ErrDescription, formats(d.Codecs), formats(read.Codecs))
	}
	return text, nil
}

// formats describes codecs with all that a description says of them.
func formats(codecs []codec.Params) (all []string) {
	for _, p := range codecs {
		all = append(all, fmt.Sprintf("%d %s %s", p.PayloadType, p, p.FMTP))
	}
	return all
}

func samePayload(p, q codec.Params) bool {
	p.Channels, q.Channels = cmp.Or(p.Channels, 1), cmp.Or(q.Channels, 1)
	return p == q
}
