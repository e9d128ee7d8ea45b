package peer

import (
	"net/netip"
	"strings"
)

// pion would give an address that stands for several to the socket of the first one
// alone, mostly that of loopback, and what comes to the others would be lost. So it
// knows of none, and PublicIP is put into what is told (see [Config]).

// announced returns a candidate of this end as it is told. Those whose place PublicIP
// takes are then the same, if they have one port.
func announced(candidate string, public netip.Addr) string {
	f := strings.Fields(candidate) // RFC 8839, section 5.1
	if !public.IsValid() || len(f) < 8 || f[7] != "host" {
		return candidate
	}
	if local, err := netip.ParseAddr(f[4]); err != nil || local.Is4() != public.Is4() {
		return candidate
	}
	f[0], f[4] = "candidate:1", public.String()
	return strings.Join(f, " ")
}

// announcedIn returns a description of this end as it is told.
func announcedIn(text string, public netip.Addr) string {
	if !public.IsValid() {
		return text
	}
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
