package session

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
)

func isEvent(p codec.Params) bool { return strings.EqualFold(p.Name, telephoneEvent) }
func isRed(p codec.Params) bool   { return strings.EqualFold(p.Name, "red") }

// isMedia reports whether p is more than a companion of a codec.
func isMedia(p codec.Params) bool {
	return !isEvent(p) && !isRed(p) && !strings.EqualFold(p.Name, "CN")
}

// clashes reports whether packets of p look like RTCP (RFC 5761, section 4).
func clashes(p codec.Params) bool { return p.PayloadType >= 64 && p.PayloadType <= 95 }

// match returns the entry of a list that stands for the same format as p, by the
// rule of its medium, the one with its payload type if there are several.
func match(list []codec.Params, p codec.Params, same func(p, q codec.Params) bool) (found codec.Params, ok bool) {
	for _, q := range list {
		if !same(p, q) {
			continue
		}
		if q.PayloadType == p.PayloadType {
			return q, true
		}
		if !ok {
			found, ok = q, true
		}
	}
	return found, ok
}

// compatible reports whether p and q are the same format. For most codecs the
// parameters are what each end wants to receive, but some have one without which
// payloads cannot be read (RFC 4867, section 8.1; RFC 5577).
func compatible(p, q codec.Params) bool {
	var name string
	switch strings.ToLower(p.Name) {
	case "amr", "amr-wb":
		name = "octet-align"
	case "g7221":
		name = "bitrate"
	}
	return p.Same(q) && (name == "" || parameter(p.FMTP, name) == parameter(q.FMTP, name))
}

// parameter returns the value of a format parameter, "0" if it is not stated.
func parameter(fmtp, name string) string {
	for part := range strings.SplitSeq(fmtp, ";") {
		if n, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(n, name) {
			return v
		}
	}
	return "0"
}

// answerCodecs returns the offered formats that local has too, with the offer's
// payload types and local parameters.
func answerCodecs(offered, local []codec.Params) (answer []codec.Params) {
	var seen [256]bool
	for _, o := range offered {
		l, ok := match(local, o, compatible)
		if !ok || seen[o.PayloadType] {
			continue
		}
		seen[o.PayloadType] = true
		l.PayloadType = o.PayloadType
		if isRed(o) {
			l.FMTP = o.FMTP // payload types (RFC 2198, section 5), which the answer shares with the offer
		}
		answer = append(answer, l)
	}
	return slices.DeleteFunc(answer, func(p codec.Params) bool {
		return isRed(p) && !redundancyOf(p, &seen)
	})
}

// keepTypes returns codecs with the payload types that they had in last, and with
// others than any there for those that it did not have: in a session a payload type
// keeps its meaning (RFC 3264, section 8.3.2). With mux, none becomes one that looks
// like RTCP.
func keepTypes(codecs, last []codec.Params, mux bool, same func(p, q codec.Params) bool) []codec.Params {
	equal := func(p, q codec.Params) bool { return same(p, q) || p.Same(q) && p.FMTP == q.FMTP }
	next := slices.Clone(codecs)
	types := map[uint8]uint8{} // by those in codecs
	var kept []codec.Params
	for i, p := range codecs {
		q, ok := match(last, p, equal)
		if ok && free(kept, q.PayloadType) && (q.PayloadType == p.PayloadType || !mux || !clashes(q)) {
			kept = append(kept, q)
			next[i].PayloadType, types[p.PayloadType] = q.PayloadType, q.PayloadType
		}
	}
	for i, p := range codecs {
		if _, ok := types[p.PayloadType]; ok || free(last, p.PayloadType) {
			continue
		}
		if pt, ok := freeType(slices.Concat(last, next)); ok {
			next[i].PayloadType, types[p.PayloadType] = pt, pt
		}
	}
	for i, p := range next {
		next[i].FMTP = withTypes(p, types)
	}
	return next
}

// withTypes returns the parameters of p with other payload types where they name
// some: those of redundancy (RFC 2198, section 5) and of retransmission (RFC 4588).
func withTypes(p codec.Params, types map[uint8]uint8) string {
	sep := "/"
	switch {
	case strings.EqualFold(p.Name, "rtx"):
		sep = ";"
	case !isRed(p):
		return p.FMTP
	}
	parts := strings.Split(p.FMTP, sep)
	for i, part := range parts {
		number := strings.TrimPrefix(strings.TrimSpace(part), "apt=")
		n, err := strconv.ParseUint(number, 10, 7)
		if pt, ok := types[uint8(n)]; ok && err == nil {
			parts[i] = strings.TrimSuffix(part, number) + strconv.Itoa(int(pt))
		}
	}
	return strings.Join(parts, sep)
}

// redundancyOf reports whether all payload types in a red format are known ones
// besides its own.
func redundancyOf(p codec.Params, known *[256]bool) bool {
	if p.FMTP == "" {
		return true // not said
	}
	for number := range strings.SplitSeq(p.FMTP, "/") {
		n, err := strconv.ParseUint(number, 10, 7)
		if err != nil || !known[n] || uint8(n) == p.PayloadType {
			return false
		}
	}
	return true
}

// toSend chooses the telephone events to send beside a codec: in its clock rate,
// as RFC 4733 wants, or else any, which for many ends is 8000 Hz.
func toSend(formats []codec.Params, clockRate int) codec.Params {
	e, ok := find(formats, telephoneEvent, clockRate)
	if !ok {
		e, _ = find(formats, telephoneEvent, 8000)
	}
	return e
}

// shortest returns the length of the shortest packets that an end sends because the
// other one likes them, which is a recommendation (RFC 8866, section 6.4): 10 ms, so
// that nobody makes it send a thousand a second, or what it likes itself.
func shortest(ours *Description) time.Duration {
	return min(cmp.Or(ours.PTime, time.Second), 10*time.Millisecond)
}

// packetTime returns the length of the packets to send: what the far end likes
// best, else what we do, within what it takes.
func packetTime(ours, theirs *Description, send codec.Params) time.Duration {
	t := max(cmp.Or(theirs.PTime, ours.PTime, 20*time.Millisecond), shortest(ours))
	const shortestFrame = 2500 * time.Microsecond // of Opus (RFC 6716, section 2.1.4)
	most := max(cmp.Or(theirs.MaxPTime, time.Second), shortestFrame)
	if !strings.EqualFold(send.Name, "opus") {
		return max(min(t, most), time.Millisecond)
	}
	f := opus.ParseFMTP(send.FMTP)
	t = max(t, time.Duration(f.MinPTime)*time.Millisecond)
	if f.MaxPTime > 0 {
		most = min(most, time.Duration(f.MaxPTime)*time.Millisecond)
	}
	t = min(t, most)
	for _, ms := range []time.Duration{60, 40, 20, 10, 5} {
		if t >= ms*time.Millisecond {
			return ms * time.Millisecond
		}
	}
	return shortestFrame
}

// opusToSend returns the parameters to encode with: what the far end wants to
// receive (RFC 7587, section 7). Two channels also need that we said to have
// them.
func opusToSend(ours, theirs string) string {
	f := opus.ParseFMTP(theirs)
	if f.Stereo {
		o := opus.ParseFMTP(ours)
		f.Stereo = o.Stereo || o.SpropStereo
	}
	f.SpropStereo, f.SpropMaxRate = false, 0
	return f.String()
}
