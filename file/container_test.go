package file_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

// A container is a format that can be read as well as written.
type container struct {
	name   string
	tracks []file.Track
	create func(io.Writer, []file.Track) (file.PacketWriter, error)
	open   func(io.Reader) (file.PacketReader, error)
	in     []file.Packet
	within time.Duration // times come back to
}

func ivfWriter(w io.Writer, t []file.Track) (file.PacketWriter, error) {
	return file.NewIVFWriter(w, t[0])
}

func oggWriter(w io.Writer, t []file.Track) (file.PacketWriter, error) {
	return file.NewOggWriter(w, t[0])
}

func webmWriter(w io.Writer, t []file.Track) (file.PacketWriter, error) {
	return file.NewWebMWriter(w, t)
}

func mp4Writer(w io.Writer, t []file.Track) (file.PacketWriter, error) {
	return file.NewMP4Writer(w, t)
}

func annexBWriter(w io.Writer, t []file.Track) (file.PacketWriter, error) {
	return file.NewAnnexBWriter(w, t[0])
}
func ivfReader(r io.Reader) (file.PacketReader, error)    { return file.NewIVFReader(r) }
func oggReader(r io.Reader) (file.PacketReader, error)    { return file.NewOggReader(r) }
func webmReader(r io.Reader) (file.PacketReader, error)   { return file.NewWebMReader(r) }
func annexBReader(r io.Reader) (file.PacketReader, error) { return file.NewAnnexBReader(r) }

var opusTrack = file.Track{Codec: file.Opus, PreSkip: 312}

const preSkip = 6500 * time.Microsecond

func containers() []container {
	h264Track := file.Track{Codec: file.H264}
	return []container{
		{"VP8 in IVF", []file.Track{{Codec: file.VP8}}, ivfWriter, ivfReader, video(60, vp8), 6 * time.Microsecond},
		{"VP9 in IVF", []file.Track{{Codec: file.VP9}}, ivfWriter, ivfReader, video(60, vp9), 6 * time.Microsecond},
		{"Annex B", []file.Track{h264Track}, annexBWriter, annexBReader, video(60, h264), 0},
		{"Opus in Ogg", []file.Track{opusTrack}, oggWriter, oggReader, sound(0, 200, preSkip), 0},
		{
			"VP8 and Opus in WebM",
			[]file.Track{{Codec: file.VP8}, opusTrack},
			webmWriter, webmReader,
			together(video(60, vp8), sound(1, 120, preSkip)), ms / 2,
		},
		{
			"Opus and VP9 in WebM",
			[]file.Track{opusTrack, {Codec: file.VP9}},
			webmWriter, webmReader,
			together(sound(0, 400, preSkip), retrack(video(200, vp9), 1)), ms / 2,
		},
		{
			"H264 and PCM in Matroska",
			[]file.Track{h264Track, {Codec: file.PCM, Rate: 8000, Channels: 1}},
			webmWriter, webmReader,
			together(video(60, h264), samples(1, 120)), ms / 2,
		},
		{"Opus in WebM", []file.Track{opusTrack}, webmWriter, webmReader, sound(0, 2000, preSkip), ms / 2},
	}
}

func retrack(packets []file.Packet, track int) []file.Packet {
	for i := range packets {
		packets[i].Track = track
	}
	return packets
}

// same compares packets up to what the format rounds. Durations of pictures are
// not in files.
func same(t testing.TB, got, want []file.Packet, within time.Duration) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d packets come back, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.Track != w.Track || g.Key != w.Key || (g.Time-w.Time).Abs() > within || w.Duration != 0 && g.Duration != w.Duration || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("packet %d is {%d %v %v %t %q}, want {%d %v %v %t %q}", i,
				g.Track, g.Time, g.Duration, g.Key, g.Data, w.Track, w.Time, w.Duration, w.Key, w.Data)
		}
	}
}
