package payload

import "testing"

func TestFollows(t *testing.T) {
	for _, tt := range []struct {
		bits, otherBits uint8
		id, other       uint16
		want            bool
	}{
		{7, 7, 8, 7, true},
		{7, 7, 0, 127, true},
		{7, 7, 9, 7, false},
		{7, 7, 7, 7, false},
		{7, 7, 7, 8, false},
		{15, 15, 128, 127, true},
		{15, 15, 0, 1<<15 - 1, true},
		{15, 15, 0, 127, false},
		{15, 7, 8, 7, false},
		{7, 0, 1, 0, false},
		{0, 0, 1, 0, false},
	} {
		p, q := VideoPart{PictureIDBits: tt.bits, PictureID: tt.id}, VideoPart{PictureIDBits: tt.otherBits, PictureID: tt.other}
		if got := p.Follows(q); got != tt.want {
			t.Errorf("%d of %d bits after %d of %d: %v", tt.id, tt.bits, tt.other, tt.otherBits, got)
		}
	}
}

// The packets of VP8 and VP9 tell the ID of their frame, those of H.264 none.
func TestPicturesAreNumbered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		format VideoFormat
		packet []byte
		bits   uint8
		id     uint16
	}{
		{"VP8, 7 bits", VP8{}, []byte{0x90, 0x80, 0x11, 1, 2, 3}, 7, 0x11},
		{"VP8, 15 bits, not the first packet", VP8{}, []byte{0x80, 0x80, 0x92, 0x34, 1}, 15, 0x1234},
		{"VP8, none", VP8{}, []byte{0x10, 1, 2, 3}, 0, 0},
		{"VP9, 15 bits", VP9{}, VP9Descriptor{PictureIDBits: 15, PictureID: 300, Begin: true, End: true}.AppendTo(nil), 15, 300},
		{"VP9, none", VP9{}, VP9Descriptor{Begin: true, End: true}.AppendTo(nil), 0, 0},
		{"H.264", H264{}, []byte{0x65}, 0, 0},
	} {
		p, err := tt.format.ParsePacket(append(tt.packet, 1))
		if err != nil || p.PictureIDBits != tt.bits || p.PictureID != tt.id {
			t.Errorf("%s: %d of %d bits, %v", tt.name, p.PictureID, p.PictureIDBits, err)
		}
	}
}
