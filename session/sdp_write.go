package session

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/parley-media/parley/codec"
)

// Marshal returns d as a session description. The error wraps
// [ErrDescription] if [ParseDescription] would not read it as d again, as with
// a name that has a line break in it.
func (d *Description) Marshal() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	b := d.appendHead(nil)
	for _, p := range d.places() {
		switch p.kind {
		case placeAudio:
			b = d.appendAudio(b, d.host())
		case placeVideo:
			b = d.Video.appendTo(b, d.host())
		default:
			b = p.appendTo(b)
		}
	}
	read, err := ParseDescription(b)
	if err != nil {
		return nil, err
	}
	switch want, got := d.canonical(), read.canonical(); {
	case !slices.Equal(want.Codecs, got.Codecs):
		return nil, fmt.Errorf("%w: %q would be read as %q", ErrDescription, formats(want.Codecs), formats(got.Codecs))
	case !reflect.DeepEqual(want.Video, got.Video):
		return nil, fmt.Errorf("%w: video %+v would be read as %+v", ErrDescription, want.Video, got.Video)
	case !reflect.DeepEqual(want, got):
		return nil, fmt.Errorf("%w: %v would be read as %v", ErrDescription, want, got)
	}
	return b, nil
}

// check returns why d cannot be written at all.
func (d *Description) check() error {
	if (d.hasAudio() || d.Video == nil) && (!d.Addr.IsValid() || len(d.Codecs) == 0) {
		return fmt.Errorf("no address or no codec")
	}
	if d.Video != nil {
		if err := d.Video.check(); err != nil {
			return err
		}
		if d.Video.Index < 0 || d.Video.Index > len(d.Others) {
			return fmt.Errorf("video after %d of %d other streams", d.Video.Index, len(d.Others))
		}
	}
	if d.Index < 0 || d.Index > len(d.Others) {
		return fmt.Errorf("audio after %d of %d other streams", d.Index, len(d.Others))
	}
	for _, c := range d.Crypto {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

func (s Section) appendTo(b []byte) []byte {
	return fmt.Appendf(b, "m=%s 0 %s %s\r\n", s.Media, s.Proto, s.Formats)
}

// appendHead appends what is before the first section.
func (d *Description) appendHead(b []byte) []byte {
	origin := d.Origin
	if !origin.IsValid() {
		origin = d.host()
	}
	return fmt.Appendf(b, "v=0\r\no=- %d %d %s\r\ns=Parley\r\nc=%s\r\nt=0 0\r\n",
		d.ID, d.Version, network(origin), network(d.host()))
}

// appendAudio appends the section. The session has the connection address of host.
func (d *Description) appendAudio(b []byte, host netip.Addr) []byte {
	b = d.appendMedia(b, "audio")
	if a := plain(d.Addr.Addr()); a != host {
		b = fmt.Appendf(b, "c=%s\r\n", network(a))
	}
	b = d.appendFormats(b)
	b = appendPTime(b, "ptime", d.PTime)
	b = appendPTime(b, "maxptime", d.MaxPTime)
	return d.appendTransport(b)
}

// appendMedia appends the media line.
func (d *Description) appendMedia(b []byte, media string) []byte {
	b = fmt.Appendf(b, "m=%s %d %s", media, d.Addr.Port(), d.profile())
	for _, p := range d.Codecs {
		b = fmt.Appendf(b, " %d", p.PayloadType)
	}
	return append(b, "\r\n"...)
}

func (d *Description) appendFormats(b []byte) []byte {
	for _, p := range d.Codecs {
		b = fmt.Appendf(b, "a=rtpmap:%d %v\r\n", p.PayloadType, p)
		if p.FMTP != "" {
			b = fmt.Appendf(b, "a=fmtp:%d %s\r\n", p.PayloadType, p.FMTP)
		}
	}
	return b
}

// appendTransport appends where RTCP goes, the label, the keys and the direction.
func (d *Description) appendTransport(b []byte) []byte {
	switch {
	case !d.RTCP.IsValid():
	case plain(d.RTCP.Addr()) == plain(d.Addr.Addr()):
		b = fmt.Appendf(b, "a=rtcp:%d\r\n", d.RTCP.Port())
	default:
		b = fmt.Appendf(b, "a=rtcp:%d %s\r\n", d.RTCP.Port(), network(d.RTCP.Addr()))
	}
	if d.Mux {
		b = append(b, "a=rtcp-mux\r\n"...)
	}
	if d.Label != "" {
		b = fmt.Appendf(b, "a=label:%s\r\n", d.Label)
	}
	for _, c := range d.Crypto {
		b = fmt.Appendf(b, "a=crypto:%s\r\n", c.attribute())
	}
	return fmt.Appendf(b, "a=%v\r\n", d.Direction)
}

func appendPTime(b []byte, name string, d time.Duration) []byte {
	if d == 0 {
		return b
	}
	return fmt.Appendf(b, "a=%s:%s\r\n", name, strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', -1, 64))
}

// network returns an address as c= lines have it.
func network(a netip.Addr) string {
	if a = plain(a); a.Is6() {
		return "IN IP6 " + a.String()
	}
	return "IN IP4 " + a.String()
}

// formats describes codecs with all that a description says of them.
func formats(codecs []codec.Params) (all []string) {
	for _, p := range codecs {
		all = append(all, fmt.Sprintf("%d %s %s", p.PayloadType, p, p.FMTP))
	}
	return all
}
