package parley

import (
	"maps"
	"slices"
	"strings"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// describedSets has the parameter sets of H.264 that the far end has stated in its
// description (RFC 6184, section 8.1, sprop-parameter-sets). It puts them ahead of
// key frames, for decoders that know nothing of descriptions, until the source
// sends some itself, which then hold.
type describedSets struct {
	byType      map[uint8]describedSet
	payloadType uint8  // of the packet that came last
	source      uint32 // that was heard last
	inBand      bool   // it has sent parameter sets itself
}

type describedSet struct {
	units         string // with start codes
	width, height int
}

// set takes the formats that are received.
func (d *describedSets) set(codecs []codec.Params) {
	sets := make(map[uint8]describedSet)
	for _, p := range codecs {
		if !strings.EqualFold(p.Name, "H264") {
			continue
		}
		f, err := payload.ParseH264FMTP(p.FMTP)
		if err != nil || len(f.ParameterSets) == 0 {
			continue
		}
		var s describedSet
		var units []byte
		for _, unit := range f.ParameterSets {
			units = payload.AppendAnnexB(units, unit)
			if sps, err := payload.ParseH264SPS(unit); err == nil {
				s.width, s.height = sps.Width, sps.Height
			}
		}
		s.units = string(units)
		sets[p.PayloadType] = s
	}
	if !maps.Equal(sets, d.byType) {
		d.byType, d.inBand = sets, false
	}
}

// complete completes a frame of the source.
func (d *describedSets) complete(source uint32, f *video.Frame) {
	if len(d.byType) == 0 || !f.Fits("H264") {
		return
	}
	if source != d.source {
		d.source, d.inBand = source, false
	}
	s, ok := d.byType[d.payloadType]
	if !ok || d.inBand {
		return
	}
	after := 0 // an access unit delimiter stays first (ITU-T H.264, 7.4.1.2.3)
	if f.Key {
		for unit := range payload.AnnexB(f.Data) {
			switch payload.H264TypeOf(unit) {
			case payload.H264Delimiter:
				after = len(payload.AppendAnnexB(nil, unit))
			case payload.H264SPS:
				d.inBand = true
				return
			}
		}
		f.Data = slices.Insert(f.Data, after, []byte(s.units)...)
	}
	if f.Width == 0 {
		f.Width, f.Height = s.width, s.height
	}
}
