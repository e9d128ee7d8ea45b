package peer

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// pion would give an address that stands for several to the socket of the first one
// alone, mostly that of loopback, and what comes to the others would be lost. So it
// knows of none, and PublicIP is put into what is told (see [Config]).

// announced returns a candidate of this end as it is told. Those whose place PublicIP
// takes are then the same, if they have one port. That of loopback, which helps on this
// machine only, comes last: others may first wait for seconds for what has a higher
// priority, as libnice does through a relay.
func announced(candidate string, public netip.Addr) string {
	f := strings.Fields(candidate) // RFC 8839, section 5.1
	if len(f) < 8 || f[7] != "host" {
		return candidate
	}
	local, err := netip.ParseAddr(f[4])
	switch {
	case err != nil:
		return candidate
	case public.IsValid() && local.Is4() == public.Is4():
		f[0], f[4] = "candidate:1", public.String()
	case local.IsLoopback():
		priority, err := strconv.ParseUint(f[3], 10, 32)
		if err != nil {
			return candidate
		}
		f[3] = strconv.FormatUint(priority&^0xffff00, 10) // the local preference (RFC 8445, section 5.1.2.1)
	}
	return strings.Join(f, " ")
}

// announcedIn returns a description of this end as it is told.
func announcedIn(text string, public netip.Addr) string {
	var kept strings.Builder
	told := map[string]bool{} // of one line
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "m=") {
			clear(told)
		}
		if value, ok := strings.CutPrefix(l, "a=candidate:"); ok {
			l = "a=" + announced("candidate:"+strings.TrimSpace(value), public) + "\r\n"
			if told[l] {
				continue
			}
			told[l] = true
		}
		kept.WriteString(l)
	}
	return kept.String()
}

// address gives each line that has candidates the best of them as its address, where pion
// says 0.0.0.0 (RFC 8839, section 4.2.1.2). Media proxies and telephones take that for a
// hold, or for a sign that ICE does not work here.
func address(d *sdp.SessionDescription) {
	for _, m := range d.MediaDescriptions {
		var best netip.AddrPort
		var rank int64 // by what reaches furthest (RFC 8445, section 5.1.3), IPv4, and the priority
		for _, a := range m.Attributes {
			f := strings.Fields(a.Value) // RFC 8839, section 5.1
			if a.Key != "candidate" || len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") {
				continue
			}
			at, err := netip.ParseAddrPort(net.JoinHostPort(f[4], f[5]))
			priority, bad := strconv.ParseUint(f[3], 10, 32)
			if err != nil || bad != nil {
				continue
			}
			of := int64(slices.Index([]string{"host", "srflx", "relay"}, f[7]))<<33 | int64(priority)
			if at.Addr().Is4() {
				of |= 1 << 32
			}
			if of > rank {
				best, rank = at, of
			}
		}
		if !best.IsValid() || m.MediaName.Port.Value == 0 {
			continue
		}
		m.MediaName.Port.Value = int(best.Port())
		version := "IP6"
		if best.Addr().Is4() {
			version = "IP4"
		}
		m.ConnectionInformation = &sdp.ConnectionInformation{NetworkType: "IN", AddressType: version, Address: &sdp.Address{Address: best.Addr().String()}}
	}
}
