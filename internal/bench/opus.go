package bench

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/parley-media/parley/codec/opus/libopus"
)

var cOpus = &yardstick{source: "opus.c", libraries: []library{{"libopus.so.0", "libopus0"}}}

// Settings of the encoders on both sides, which take 48 kHz mono.
const (
	opusBitrate    = 24000
	opusComplexity = 5
)

// slot is the room for a packet and, before it, its size in a byte.
const slot = 256

// opusTasks measures what calling the library from Go costs. The tasks of a
// machine without it say what is missing.
func opusTasks() ([]task, error) {
	goal := func(args ...string) reference {
		return reference{name: "libopus in C", yard: cOpus, args: args, goal: 1.02, exact: true}
	}
	const frame = 960
	encodeInC := goal("encode", strconv.Itoa(opusBitrate), strconv.Itoa(opusComplexity))
	names := [2]string{fmt.Sprintf("Opus encode %dk c%d", opusBitrate/1000, opusComplexity), "Opus decode"}

	config := libopus.EncoderConfig{Bitrate: opusBitrate, Complexity: opusComplexity}
	enc, err := libopus.NewEncoder(config)
	if errors.Is(err, libopus.ErrUnavailable) {
		return []task{
			{name: names[0], missing: err.Error(), references: []reference{encodeInC}},
			{name: names[1], missing: err.Error(), references: []reference{goal("decode")}},
		}, nil
	}
	if err != nil {
		return nil, err
	}
	dec, err := libopus.NewDecoder(enc.Format())
	if err != nil {
		return nil, err
	}
	pcm := speech(48000)
	slots, err := opusSlots(config, pcm, frame)
	if err != nil {
		return nil, err
	}
	return []task{
		encode(names[0], pcm, frame, func(dst []byte, pcm []int16) []byte {
			dst, _ = enc.Encode(dst, pcm) // an error shows in the checksum
			return dst
		}, encodeInC),
		decode(names[1], slots, slot, func(dst []int16, s []byte) []int16 {
			dst, _ = dec.Decode(dst, s[1:][:s[0]])
			return dst
		}, goal("decode")),
	}, nil
}

// opusSlots returns pcm as packets, one to a slot.
func opusSlots(c libopus.EncoderConfig, pcm []int16, frame int) ([]byte, error) {
	enc, err := libopus.NewEncoder(c)
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	var slots, packet []byte
	for ; len(pcm) >= frame; pcm = pcm[frame:] {
		if packet, err = enc.Encode(packet[:0], pcm[:frame]); err != nil {
			return nil, err
		}
		if len(packet) >= slot {
			return nil, fmt.Errorf("a packet of %d bytes", len(packet))
		}
		at := len(slots)
		slots = append(slots, make([]byte, slot)...)
		slots[at] = byte(copy(slots[at+1:], packet))
	}
	return slots, nil
}
