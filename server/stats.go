package server

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// A report is what there is to tell of a call, by id, as the getStats of browsers
// (W3C "Identifiers for WebRTC's Statistics API").
type report map[string]any

// A statistic is what all of them begin with.
type statistic struct {
	ID        string  `json:"id"`
	Type      string  `json:"type"`
	Timestamp float64 `json:"timestamp"` // ms since 1970
}

// rtpStatistic is of one line of media.
type rtpStatistic struct {
	statistic
	Kind    string `json:"kind"` // "audio" or "video"
	Mid     string `json:"mid,omitempty"`
	SSRC    uint32 `json:"ssrc,omitempty"`
	CodecID string `json:"codecId,omitempty"`
}

type codecStatistic struct {
	statistic
	PayloadType uint8  `json:"payloadType"`
	MimeType    string `json:"mimeType"`
	ClockRate   int    `json:"clockRate"`
	Channels    int    `json:"channels,omitempty"`
	FMTP        string `json:"sdpFmtpLine,omitempty"`
}

type inboundRTP struct {
	rtpStatistic
	PacketsReceived  int64   `json:"packetsReceived"`
	BytesReceived    int64   `json:"bytesReceived"`
	PacketsLost      int64   `json:"packetsLost"`
	PacketsDiscarded int64   `json:"packetsDiscarded"`
	Jitter           float64 `json:"jitter"` // seconds

	*inboundAudio
	*inboundVideo
}

// inboundAudio has delays as sums over the samples that have left the buffer, as
// browsers do: what they grow by, over what the count grows by, is the mean.
type inboundAudio struct {
	JitterBufferDelay        float64 `json:"jitterBufferDelay"`
	JitterBufferTargetDelay  float64 `json:"jitterBufferTargetDelay"`
	JitterBufferEmittedCount int64   `json:"jitterBufferEmittedCount"`
	TotalSamplesReceived     int64   `json:"totalSamplesReceived"`
	ConcealedSamples         int64   `json:"concealedSamples"`
	ConcealmentEvents        int64   `json:"concealmentEvents"`
	Inserted                 int64   `json:"insertedSamplesForDeceleration"`
	Removed                  int64   `json:"removedSamplesForAcceleration"`
}

type inboundVideo struct {
	FramesReceived   int64 `json:"framesReceived"`
	KeyFramesDecoded int64 `json:"keyFramesDecoded"`
	FramesDropped    int64 `json:"framesDropped"`
	PLICount         int64 `json:"pliCount"`
}

type outboundRTP struct {
	rtpStatistic
	PacketsSent   int64 `json:"packetsSent"`
	BytesSent     int64 `json:"bytesSent"`
	Retransmitted int64 `json:"retransmittedPacketsSent"`

	*outboundVideo
}

type outboundVideo struct {
	FramesSent       int64 `json:"framesSent"`
	KeyFramesEncoded int64 `json:"keyFramesEncoded"`
	PLICount         int64 `json:"pliCount"`
}

type remoteInboundRTP struct {
	rtpStatistic
	LocalID       string  `json:"localId"`
	PacketsLost   int64   `json:"packetsLost"`
	FractionLost  float64 `json:"fractionLost"`
	Jitter        float64 `json:"jitter"`
	RoundTripTime float64 `json:"roundTripTime,omitempty"`
}

// stats tells how a call does.
func (s *Server) stats(w http.ResponseWriter, r *http.Request, path string) {
	c, no := s.known(r.PathValue("id"), path)
	if no != nil {
		no.write(w)
		return
	}
	writeJSON(w, http.StatusOK, c.report(time.Now()))
}

func (c *session) report(now time.Time) report {
	all := report{}
	head := func(kind, id string) statistic {
		return statistic{ID: kind + "-" + id, Type: kind, Timestamp: float64(now.UnixMicro()) / 1000}
	}
	line := func(kind, mid string, ssrc uint32, p codec.Params, l *parley.LineStats, in *inboundRTP, out *outboundRTP) {
		id := kind + mid
		format := codecStatistic{head("codec", id), p.PayloadType, kind + "/" + p.Name, p.ClockRate, p.Channels, p.FMTP}
		in.rtpStatistic = rtpStatistic{head("inbound-rtp", id), kind, mid, l.Heard, format.ID}
		out.rtpStatistic = rtpStatistic{head("outbound-rtp", id), kind, mid, ssrc, format.ID}
		out.PacketsSent, out.BytesSent, out.Retransmitted = l.PacketsSent+l.Retransmitted, l.OctetsSent, l.Retransmitted
		all[format.ID], all[in.ID], all[out.ID] = format, in, out
		if l.RoundTrip > 0 || !l.Reported.IsZero() {
			remote := remoteInboundRTP{
				rtpStatistic{head("remote-inbound-rtp", id), kind, mid, ssrc, format.ID},
				out.ID,
				l.RemoteLost, l.RemoteLoss, l.RemoteJitter.Seconds(), l.RoundTrip.Seconds(),
			}
			all[remote.ID] = remote
		}
	}
	for a := range c.peer.Audios() {
		var s parley.AudioStats
		a.Stats(&s)
		p, heard := a.Codec(), &s.ReceiverStats
		rate := float64(p.ClockRate)
		samples := func(d time.Duration) int64 { return int64(d.Seconds() * rate) }
		line("audio", a.Mid(), a.SSRC(), p, &s.LineStats, &inboundRTP{
			PacketsReceived: heard.Received, BytesReceived: heard.Octets, PacketsLost: heard.Lost,
			PacketsDiscarded: heard.Late + heard.Discarded, Jitter: heard.Jitter.Seconds(),
			inboundAudio: &inboundAudio{
				heard.Waited.Seconds() * rate, heard.Aimed.Seconds() * rate, samples(heard.Emitted),
				samples(heard.Media + heard.Concealed + heard.Noise), samples(heard.Concealed), heard.Concealments, samples(heard.Stretched), samples(heard.Compressed),
			},
		}, &outboundRTP{})
	}
	for v := range c.peer.Videos() {
		var s parley.VideoStats
		v.Stats(&s)
		line("video", v.Mid(), v.SSRC(), v.Codec(), &s.LineStats, &inboundRTP{
			PacketsReceived: s.Received, BytesReceived: s.Octets, PacketsLost: s.Lost,
			PacketsDiscarded: s.Late + s.Discarded, Jitter: s.Jitter.Seconds(),
			inboundVideo: &inboundVideo{s.Frames, s.KeyFrames, s.Broken + s.Skipped + s.Dropped, s.KeyframesAsked},
		}, &outboundRTP{outboundVideo: &outboundVideo{s.FramesSent, s.KeyFramesSent, s.KeyframesWanted}})
	}
	c.addPath(all)
	return all
}

// unmeasured are members of a candidate pair that the connection underneath leaves at 0,
// whatever happens.
var unmeasured = []string{
	"availableIncomingBitrate", "availableOutgoingBitrate", "bytesDiscardedOnSend", "circuitBreakerTriggerCount",
	"consentRequestsSent", "packetsDiscardedOnSend", "retransmissionsReceived", "retransmissionsSent",
}

// addPath adds what the connection underneath tells of the ways that it has tried.
func (c *session) addPath(all report) {
	for id, s := range c.peer.Connection().GetStats() {
		b, err := json.Marshal(s)
		var told map[string]json.RawMessage
		if err != nil || json.Unmarshal(b, &told) != nil {
			continue
		}
		switch string(told["type"]) {
		case `"candidate-pair"`, `"local-candidate"`, `"remote-candidate"`, `"data-channel"`:
			// A time that has not come is a zero time.Time there, which is the year 1754 here.
			maps.DeleteFunc(told, func(name string, v json.RawMessage) bool {
				return slices.Contains(unmeasured, name) || strings.HasSuffix(name, "Timestamp") && v[0] == '-'
			})
			if ip, ok := told["ip"]; ok { // its name in earlier drafts
				told["address"] = ip
			}
			all[id] = told
		}
	}
}
