package payload_test

import (
	"encoding/hex"
	"fmt"

	"github.com/parley-media/parley/payload"
)

// A frame is sent in as many packets as it needs; the last one has the marker.
func ExampleVideoPacketizer() {
	var p payload.VideoPacketizer = &payload.VP8Packetizer{MaxPayload: 8}
	if err := p.Begin([]byte("a frame of VP8")); err != nil {
		fmt.Println(err)
		return
	}
	var buf []byte
	for more := true; more; {
		buf, more = p.AppendPayload(buf[:0])
		fmt.Printf("%q marker=%v\n", buf, !more)
	}
	// Output:
	// "\x10a frame" marker=false
	// "\x00 of VP8" marker=true
}

// Packets that come in order become frames. One is lost here, and with it its
// frame.
func ExampleVideoDepacketizer() {
	d := payload.VideoDepacketizer{Format: payload.VP8{}}
	for _, p := range []struct {
		seq       uint16
		timestamp uint32
		marker    bool
		payload   string
	}{
		{65534, 0, false, "\x10\x10first "},
		{65535, 0, true, "\x00frame"},
		{0, 3000, false, "\x10\x11second "},
		{2, 6000, false, "\x10\x11third "},
		{3, 6000, true, "\x00frame"},
	} {
		d.Push(p.seq, p.timestamp, p.marker, []byte(p.payload))
		for f, ok := d.Frame(); ok; f, ok = d.Frame() {
			fmt.Printf("%d %q key=%v\n", f.Timestamp, f.Data, f.Key)
		}
	}
	fmt.Println(d.Stats().Dropped, "dropped")
	// Output:
	// 0 "\x10first frame" key=true
	// 6000 "\x11third frame" key=false
	// 1 dropped
}

// Parameter sets travel together in one packet.
func ExampleH264Packetizer() {
	p := payload.H264Packetizer{MaxPayload: 14}
	if err := p.BeginUnits([][]byte{{0x67, 1, 2, 3}, {0x68, 4}, []byte("eIDR picture in slices")}); err != nil {
		fmt.Println(err)
		return
	}
	for more := true; more; {
		var b []byte
		b, more = p.AppendPayload(nil)
		fmt.Printf("%q\n", b)
	}
	// Output:
	// "x\x00\x04g\x01\x02\x03\x00\x02h\x04"
	// "|\x85IDR picture "
	// "|Ein slices"
}

func ExampleAnnexB() {
	for unit := range payload.AnnexB([]byte("\x00\x00\x00\x01\x67\x42\x00\x00\x01\x68\xce")) {
		fmt.Println(payload.H264TypeOf(unit) == payload.H264SPS, hex.EncodeToString(unit))
	}
	// Output:
	// true 6742
	// false 68ce
}

func ExampleParseH264FMTP() {
	f, err := payload.ParseH264FMTP("packetization-mode=1;profile-level-id=42e01f;sprop-parameter-sets=Z0IACpZTBYmI,aMljiA==")
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := payload.ParseH264SPS(f.ParameterSets[0])
	fmt.Println(f.PacketizationMode, s.Width, s.Height, err)
	// Output: 1 176 144 <nil>
}

// An answer has the lower level, unless both ends allow a level of each way's own.
func ExampleH264FMTP_Answer() {
	ours := payload.H264FMTP{Profile: 66, Constraints: 0xe0, Level: 31, PacketizationMode: 1}
	for _, line := range []string{
		"packetization-mode=1;profile-level-id=42c00d",
		"packetization-mode=1;profile-level-id=64001f",
	} {
		offer, err := payload.ParseH264FMTP(line)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, ok := ours.Answer(offer)
		fmt.Printf("%v %q\n", ok, answer)
	}
	// Output:
	// true "packetization-mode=1;profile-level-id=42c00d"
	// false ""
}

// Whoever puts packets in order makes a frame of the payloads of one timestamp.
func ExampleH264_AppendFrame() {
	frame, info, err := payload.H264{}.AppendFrame(nil, [][]byte{[]byte("|\x85\x88ID"), []byte("|ER")})
	fmt.Printf("%q key=%v %v\n", frame, info.Key, err)
	// Output: "\x00\x00\x00\x01e\x88IDR" key=true <nil>
}

func ExampleAVCC() {
	for unit := range payload.AVCC([]byte("\x00\x02\x67\x42\x00\x01\x68"), 2) {
		fmt.Println(hex.EncodeToString(unit))
	}
	// Output:
	// 6742
	// 68
}

func ExampleParseVP8Descriptor() {
	d, data, err := payload.ParseVP8Descriptor([]byte("\x90\x80\x92\x67data"))
	fmt.Println(d.PictureID, d.BeginsFrame(), string(data), err)
	// Output: 4711 true data <nil>
}

func ExampleParseVP9Descriptor() {
	d, data, err := payload.ParseVP9Descriptor([]byte("\xdc\x05\x03\x0adata"))
	fmt.Println(d.PictureID, d.Diffs[:d.References], string(data), err)
	// Output: 5 [1 5] data <nil>
}
