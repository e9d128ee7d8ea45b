package main

import (
	"path/filepath"
	"testing"

	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/file"
)

// No packet tells the far end of the gain of a file, so what is sent has it.
func TestGainOfOpus(t *testing.T) {
	config := []byte("OpusHead\x01\x01\x00\x00\x80\xBB\x00\x00\x00\xF4\x00") // -12 dB
	name := filepath.Join(t.TempDir(), "a.opus")
	w, err := file.Create(name, file.Track{Codec: file.Opus, Channels: 1, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 60)
	for i := range packet {
		packet[i] = byte(i * i) // some noise
	}
	packet[0] = 0xF8
	if err := w.WritePacket(&file.Packet{Data: packet}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := openSource(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p, err := (&sendCommand{}).sound(src)
	if encodes := libopus.Available() == nil; err != nil || p.Name != "opus" || src.coded(p) == encodes {
		t.Errorf("%v, as it is: %v, %v", p, src.coded(p), err)
	}
	loudness := func() (sum float64) {
		d, err := src.decoder()
		if err != nil {
			t.Fatal(err)
		}
		samples, err := d.Decode(nil, packet)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			sum += float64(max(s, -s))
		}
		return sum
	}
	quiet := loudness()
	src.sound.Config = nil
	if ratio := quiet / loudness(); ratio < 0.24 || ratio > 0.26 {
		t.Errorf("%.3f as loud", ratio)
	}
}
