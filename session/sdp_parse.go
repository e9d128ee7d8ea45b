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

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// maxDescription bounds the descriptions that are read: those of browsers with
// many tracks have some 10 kB.
const maxDescription = 64 << 10

// ParseDescription reads the first audio section and the first video section of a
// session description that a call can be made from; the other ones become Others.
// Unknown lines are passed over. The error, if there is neither, wraps
// [ErrDescription] and tells why not.
func ParseDescription(text []byte) (*Description, error) {
	head, streams, sections, err := parseSections(text)
	if err != nil {
		return nil, err
	}
	d, err := combine(head, streams, sections)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	return d, nil
}

// parseSections takes a description apart: into what is before the first section, the
// sections, and how each of these would be turned down.
func parseSections(text []byte) (head block, streams []block, sections []Section, err error) {
	if len(text) > maxDescription {
		return nil, nil, nil, fmt.Errorf("%w: %d bytes, more than %d", ErrDescription, len(text), maxDescription)
	}
	parts, err := split(string(text))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	head, streams = parts[0], parts[1:]
	for _, m := range streams {
		fields := strings.Fields(m[0].value)
		if len(fields) < 4 {
			return nil, nil, nil, fmt.Errorf("%w: media line %.100q", ErrDescription, m[0].value)
		}
		sections = append(sections, Section{fields[0], fields[2], strings.Join(fields[3:], " ")})
	}
	return head, streams, sections, nil
}

// combine makes a description of the sections that a call can be made from.
func combine(head block, streams []block, sections []Section) (*Description, error) {
	d := &Description{}
	var all []place
	var audioErr, videoErr error
	for i, m := range streams {
		p := place{Section: sections[i]}
		switch {
		case p.Media == "audio" && !d.hasAudio():
			audio, err := parseStream("audio", head, m)
			if err == nil {
				audio.Video, p.kind = d.Video, placeAudio
				d = audio
			}
			audioErr = cmp.Or(audioErr, err)
		case p.Media == "video" && d.Video == nil:
			video, err := parseVideo(head, m)
			if err == nil {
				d.Video, p.kind = video, placeVideo
			}
			videoErr = cmp.Or(videoErr, err)
		}
		all = append(all, p)
	}
	if !d.hasAudio() && d.Video == nil {
		return nil, cmp.Or(audioErr, videoErr, errNoSection)
	}
	d.arrange(all)
	d.parseOrigin(head)
	return d, nil
}

// A line of a description: "a=ptime:20" has the kind 'a'.
type line struct {
	kind  byte
	value string
}

// A block is the lines of a section, or those before the first one.
type block []line

// attribute returns the value of the first a= line with that name.
func (b block) attribute(name string) (value string, ok bool) {
	for _, l := range b {
		if l.kind == 'a' {
			if n, v, _ := strings.Cut(l.value, ":"); strings.TrimSpace(n) == name {
				return v, true
			}
		}
	}
	return "", false
}

// first returns the value of the first line of that kind.
func (b block) first(kind byte) (value string, ok bool) {
	i := slices.IndexFunc(b, func(l line) bool { return l.kind == kind })
	if i < 0 {
		return "", false
	}
	return b[i].value, true
}

// split returns what is before the first section, and each of the sections with
// its m= line first. The order of the other lines does not matter: many programs
// have their own.
func split(text string) ([]block, error) {
	blocks := []block{nil}
	for l := range strings.SplitSeq(text, "\n") {
		l = strings.TrimSuffix(l, "\r")
		if strings.TrimSpace(l) == "" {
			continue
		}
		if len(l) < 2 || l[1] != '=' {
			return nil, fmt.Errorf("line %.40q", l)
		}
		if l[0] == 'm' {
			blocks = append(blocks, nil)
		}
		b := &blocks[len(blocks)-1]
		*b = append(*b, line{l[0], l[2:]})
	}
	if head := blocks[0]; len(head) == 0 || head[0].kind != 'v' || strings.TrimSpace(head[0].value) != "0" {
		return nil, errors.New("no version (v=0)")
	}
	return blocks, nil
}

// parseStream reads what audio and video sections have in common.
func parseStream(media string, head, m block) (*Description, error) {
	d := &Description{}
	fields := strings.Fields(m[0].value)
	secure, err := d.parseProfile(media, fields[2])
	if err != nil {
		return nil, err
	}
	if err := d.parseAddresses(media, head, m, fields[1]); err != nil {
		return nil, err
	}
	if err := d.parseFormats(media, m, fields[3:]); err != nil {
		return nil, err
	}
	if d.PTime, err = parsePTime(m, "ptime"); err != nil {
		return nil, err
	}
	if d.MaxPTime, err = parsePTime(m, "maxptime"); err != nil {
		return nil, err
	}
	if secure {
		if err := d.parseCrypto(media, m, fields[2]); err != nil {
			return nil, err
		}
	}
	_, d.Mux = m.attribute("rtcp-mux")
	label, _ := m.attribute("label")
	d.Label = strings.TrimSpace(label)
	d.parseDirection(head, m)
	return d, nil
}

func (d *Description) parseProfile(media, proto string) (secure bool, err error) {
	switch proto {
	case "RTP/AVP":
	case "RTP/AVPF":
		d.Feedback = true
	case "RTP/SAVP":
		secure = true
	case "RTP/SAVPF":
		secure, d.Feedback = true, true
	case "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return false, fmt.Errorf("%s over %s has its keys by DTLS, as in WebRTC; want RTP/AVP, or RTP/SAVP with a=crypto", media, proto)
	default:
		return false, fmt.Errorf("%s over %s, want RTP/AVP or RTP/SAVP", media, proto)
	}
	return secure, nil
}

func (d *Description) parseAddresses(media string, head, m block, number string) error {
	connection, ok := m.first('c')
	if !ok {
		connection, ok = head.first('c')
	}
	fields := strings.Fields(connection)
	if !ok || len(fields) < 3 {
		return errors.New("no connection address (c=)")
	}
	host, _, _ := strings.Cut(fields[2], "/") // a group has a time to live
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("connection address %.100q is not an IP address", host)
	}
	addr = plain(addr)
	number, _, _ = strings.Cut(number, "/")
	port, err := strconv.ParseUint(number, 10, 16)
	if err == nil && port == 0 {
		return fmt.Errorf("%s port 0: turned down", media)
	}
	if err != nil || port > 65534 {
		return fmt.Errorf("%s port %.20s", media, number)
	}
	d.Addr = netip.AddrPortFrom(addr, uint16(port))

	rtcp, ok := m.attribute("rtcp")
	if !ok {
		return nil
	}
	fields = strings.Fields(rtcp)
	if len(fields) > 0 {
		port, err = strconv.ParseUint(fields[0], 10, 16)
	}
	if len(fields) == 0 || err != nil {
		return fmt.Errorf("RTCP port %.100q", rtcp)
	}
	if len(fields) >= 4 {
		if addr, err = netip.ParseAddr(fields[3]); err != nil {
			return nil // the name of a host, which nothing here looks up
		}
		addr = plain(addr)
	}
	if port != 0 {
		d.RTCP = netip.AddrPortFrom(addr, uint16(port))
	}
	return nil
}

// parseOrigin reads what names the session, around the "IN" before its address: there are
// user names with spaces, and lines without one or without an address. What cannot be
// read, such as a name of a host, is left out: it tells nothing.
func (d *Description) parseOrigin(head block) {
	origin, _ := head.first('o')
	fields := strings.Fields(origin)
	at := slices.Index(fields, "IN")
	if at < 0 {
		at = min(len(fields), 3)
	}
	if at < 2 {
		return
	}
	for i, number := range []*uint64{&d.ID, &d.Version} {
		n, err := strconv.ParseUint(fields[at-2+i], 10, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) { // of any length (RFC 8866, section 5.2); the largest one then
			*number = n
		}
	}
	if len(fields) > at+2 {
		if addr, err := netip.ParseAddr(fields[at+2]); err == nil && plain(addr) != d.host() {
			d.Origin = plain(addr)
		}
	}
}

// parseFormats reads the formats of m. One that makes no sense is left out, unless there
// is no other.
func (d *Description) parseFormats(media string, m block, formats []string) error {
	var seen [128]bool
	var wrong error
	for _, format := range formats {
		pt, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			return fmt.Errorf("payload type %.100q", format)
		}
		if seen[pt] {
			continue
		}
		seen[pt] = true
		p, err := parseFormat(media, m, format, uint8(pt))
		switch {
		case err != nil:
			wrong = cmp.Or(wrong, err)
		case p.Name != "":
			d.Codecs = append(d.Codecs, p)
		}
	}
	if len(d.Codecs) == 0 {
		return cmp.Or(wrong, errors.New("no payload format that is known by number or by rtpmap"))
	}
	return nil
}

// parseFormat returns the parameters of a payload type of m, without a name if
// it is neither described nor static.
func parseFormat(media string, m block, format string, pt uint8) (codec.Params, error) {
	p, _ := codec.Static(pt)
	if media == "video" {
		p = staticVideo(pt)
	}
	p.PayloadType = pt
	for _, l := range m {
		key, line, _ := strings.Cut(l.value, ":")
		number, value, _ := strings.Cut(line, " ")
		if l.kind != 'a' || number != format || key != "rtpmap" && key != "fmtp" {
			continue
		}
		if strings.ContainsAny(value, "\x00\r") { // RFC 8866, section 9, byte-string
			return p, fmt.Errorf("control character in %s %.100q", key, line)
		}
		if key == "fmtp" {
			p.FMTP = value
			continue
		}
		parts := strings.Split(strings.TrimSpace(value), "/")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" {
			return p, fmt.Errorf("rtpmap %.100q", line)
		}
		rate, err := strconv.ParseUint(parts[1], 10, 31)
		if err != nil || rate == 0 {
			return p, fmt.Errorf("clock rate in rtpmap %.100q", line)
		}
		p.Name, p.ClockRate, p.Channels = parts[0], int(rate), 1
		if len(parts) == 3 {
			channels, err := strconv.ParseUint(parts[2], 10, 8)
			if err != nil || channels == 0 {
				return p, fmt.Errorf("channels in rtpmap %.100q", line)
			}
			p.Channels = int(channels)
		}
	}
	return p, nil
}

// parsePTime reads a packet time; one of 0 says nothing.
func parsePTime(m block, name string) (time.Duration, error) {
	v, ok := m.attribute(name)
	if !ok {
		return 0, nil
	}
	ms, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(ms >= 0 && ms <= 1000) {
		return 0, fmt.Errorf("%s %.100q", name, v)
	}
	return time.Duration(math.Round(ms * float64(time.Millisecond))), nil
}

// parseCrypto keeps the crypto lines that can be used.
func (d *Description) parseCrypto(media string, m block, proto string) error {
	var skipped []error
	for _, l := range m {
		name, value, _ := strings.Cut(l.value, ":")
		if l.kind != 'a' || name != "crypto" {
			continue
		}
		c, err := parseCrypto(value)
		switch {
		case err != nil:
			skipped = append(skipped, err)
		case !slices.ContainsFunc(d.Crypto, func(o Crypto) bool { return o.Tag == c.Tag }):
			d.Crypto = append(d.Crypto, c)
		}
	}
	if len(d.Crypto) > 0 {
		return nil
	}
	if len(skipped) > 0 {
		return fmt.Errorf("%s over %s without a crypto attribute that can be used: %w", media, proto, skipped[0])
	}
	if _, ok := m.attribute("fingerprint"); ok {
		return fmt.Errorf("%s over %s has its keys by DTLS (a=fingerprint), want a=crypto", media, proto)
	}
	return fmt.Errorf("%s over %s without a key (a=crypto)", media, proto)
}

// parseDirection reads the direction of the section or else of the session. An
// end with an unspecified address receives nothing, which is how telephones
// held a call before there was a direction (RFC 3264, section 8.4).
func (d *Description) parseDirection(head, m block) {
	if dir, ok := m.direction(); ok {
		d.Direction = dir
	} else if dir, ok := head.direction(); ok {
		d.Direction = dir
	}
	d.Direction = parley.DirectionOf(d.Direction.Sends(), d.receives())
}

func (b block) direction() (d parley.Direction, ok bool) {
	for _, l := range b {
		for d := parley.SendRecv; d <= parley.Inactive; d++ {
			if l.kind == 'a' && strings.TrimSpace(l.value) == d.String() {
				return d, true
			}
		}
	}
	return 0, false
}
