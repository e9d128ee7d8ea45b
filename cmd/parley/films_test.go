package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/video"
)

const ms = time.Millisecond

// coding makes frames of a codec that say which one they are.
type coding func(key bool, n int) []byte

func vp8Frame(key bool, n int) []byte {
	if key {
		return fmt.Appendf([]byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00}, "key %d%4000d", n, 0) // 320x240
	}
	return fmt.Appendf([]byte{0x11, 0, 0}, "delta %d", n)
}

func vp9Frame(key bool, n int) []byte {
	if key { // profile 0, 352x288
		return fmt.Appendf([]byte{0x82, 0x49, 0x83, 0x42, 0x20, 0x15, 0xF0, 0x11, 0xF0}, "key %d%4000d", n, 0)
	}
	return fmt.Appendf([]byte{0x86, 0}, "delta %d", n)
}

// h264Frame has the parameter sets of 198x130 pictures before key frames.
func h264Frame(key bool, n int) []byte {
	unit := fmt.Appendf([]byte{0x41, 0x9A}, "slice %d", n)
	var b []byte
	if key {
		for _, set := range []string{"6742c00bd90344f9a23011000003000100000300320f142a48", "68cb83cb20"} {
			unit, _ := hex.DecodeString(set)
			b = payload.AppendAnnexB(b, unit)
		}
		unit = fmt.Appendf([]byte{0x65, 0x88, 0x80}, "slice %d%4000d", n, 0)
	}
	return payload.AppendAnnexB(b, unit)
}

// film makes frames for d, 40 ms apart, of which each tenth is a key frame.
func film(d time.Duration, frame coding) (all []file.Packet) {
	for n := 0; time.Duration(n)*40*ms < d; n++ {
		key := n%10 == 0
		all = append(all, file.Packet{Time: time.Duration(n) * 40 * ms, Key: key, Data: frame(key, n)})
	}
	return all
}

func onTrack(track int, all []file.Packet) []file.Packet {
	for i := range all {
		all[i].Track = track
	}
	return all
}

// reordered is a film in the order of decoding, with two B-frames after each P.
func reordered(d time.Duration, frame coding) (all []file.Packet) {
	for n := 0; time.Duration(n+3)*40*ms < d; n += 3 {
		if n == 0 {
			all = append(all, file.Packet{Key: true, Data: frame(true, 0)})
		}
		for _, i := range []int{3, 1, 2} {
			all = append(all, file.Packet{Time: time.Duration(n+i) * 40 * ms, Data: frame(false, n+i)})
		}
	}
	return all
}

// opusPackets makes packets of one CELT frame of 20 ms.
func opusPackets(track int, d time.Duration) (all []file.Packet) {
	for n := 0; time.Duration(n)*20*ms < d; n++ {
		all = append(all, file.Packet{Track: track, Time: time.Duration(n) * 20 * ms, Duration: 20 * ms, Data: fmt.Appendf([]byte{0xF8}, "packet %d", n)})
	}
	return all
}

// pcmPackets has another sample in each packet of 20 ms of 8 kHz mono.
func pcmPackets(track int, d time.Duration) (all []file.Packet) {
	for n := 0; time.Duration(n)*20*ms < d; n++ {
		data := bytes.Repeat([]byte{0, byte(10 + n%50)}, 160)
		all = append(all, file.Packet{Track: track, Time: time.Duration(n) * 20 * ms, Duration: 20 * ms, Data: data})
	}
	return all
}

func writeFilm(t testing.TB, name string, tracks []file.Track, lists ...[]file.Packet) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	w, err := file.Create(name, tracks...)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(lists...)
	if len(lists) > 1 {
		slices.SortStableFunc(all, func(a, b file.Packet) int { return cmp.Compare(a.Time, b.Time) })
	}
	for i := range all {
		if err := w.WritePacket(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// readFilm returns the packets of each track of a file.
func readFilm(t testing.TB, name string) ([]file.Track, [][]file.Packet) {
	t.Helper()
	r, err := file.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := make([][]file.Packet, len(r.Tracks()))
	for {
		var p file.Packet
		err := r.ReadPacket(&p)
		if err == io.EOF {
			return r.Tracks(), all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[p.Track] = append(all[p.Track], p)
	}
}

// sameTrack compares packets, and the times between them.
func sameTrack(t *testing.T, codec file.Codec, got, want []file.Packet, within time.Duration) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets of %s, want %d", len(got), codec, len(want))
	}
	for i := range got {
		g, w := got[i].Data, want[i].Data
		if codec == file.H264 {
			g, w = units(g), units(w)
		}
		if !bytes.Equal(g, w) {
			t.Fatalf("packet %d of %s is %.40q, want %.40q", i, codec, g, w)
		}
		if codec.Video() && got[i].Key != want[i].Key {
			t.Errorf("packet %d of %s: key frame %t", i, codec, got[i].Key)
		}
		if at, should := got[i].Time-got[0].Time, want[i].Time-want[0].Time; (at - should).Abs() > within {
			t.Fatalf("packet %d of %s is at %v, want %v", i, codec, at, should)
		}
	}
}

// units is an access unit with one kind of start codes.
func units(b []byte) (all []byte) {
	for unit := range payload.AnnexB(b) {
		all = payload.AppendAnnexB(all, unit)
	}
	return all
}

// videoSaid has the measures of video in an event.
func videoSaid(t testing.TB, s said) (v struct {
	videoStatistics
	Media        string `json:"media"`
	VideoAddress string `json:"video_address"`
	VideoCodec   string `json:"video_codec"`
	VideoFormat  string `json:"video_format"`
},
) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.line), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// addresses are the flags of send for a recv that listens.
func addresses(t testing.TB, s said) []string {
	t.Helper()
	to := []string{"--to", s.Address}
	if v := videoSaid(t, s); v.VideoAddress != "" && v.VideoAddress != s.Address {
		to = append(to, "--video-to", v.VideoAddress)
	}
	return to
}

// drain takes events until there are no more, and returns the last one.
func (p *program) drain(t *testing.T, status int) (last said) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case s, ok := <-p.events:
			if !ok {
				p.exit(t, status)
				return last
			}
			last = s
		case <-late:
			t.Fatalf("no end within %v\n%s", patience, p.stderr)
		}
	}
}

// openVideo opens a call with VP8 alone, for what is sent to it.
func openVideo(t *testing.T) *session.Session {
	t.Helper()
	p, err := videoParams("vp8", -1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(t.Context(), &session.Config{
		Local: netip.MustParseAddrPort("127.0.0.1:0"),
		Video: &session.VideoConfig{Codecs: []codec.Params{p}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// readVideo reads n frames, or with 0 all.
func readVideo(t *testing.T, s *session.Session, n int) {
	t.Helper()
	s.Video().SetReadDeadline(time.Now().Add(patience))
	var f video.Frame
	for i := 0; n == 0 || i < n; i++ {
		err := s.Video().ReadFrame(&f)
		if err == io.EOF && n == 0 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
