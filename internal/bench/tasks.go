package bench

import (
	"fmt"
	"strconv"

	"github.com/parley-media/parley/audio/resample"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/codec/g722"
)

var (
	cTables  = &yardstick{source: "g711.c"}
	spandsp  = &yardstick{source: "spandsp.c", libraries: []library{{"libspandsp.so.2", "libspandsp2"}}}
	avcodec  = &yardstick{source: "libavcodec.c", libraries: []library{{"libavcodec.so.59", "libavcodec59"}, {"libavutil.so.57", "libavutil57"}}}
	speexdsp = &yardstick{source: "speexdsp.c", libraries: []library{{"libspeexdsp.so.1", "libspeexdsp1"}}}
	soxr     = &yardstick{source: "soxr.c", libraries: []library{{"libsoxr.so.0", "libsoxr0"}}}
)

// tasks returns all of them, in the order of the table.
func tasks() ([]task, error) {
	all := append(g711Tasks(), g722Tasks()...)
	for _, rates := range [][2]int{{48000, 8000}, {8000, 48000}, {16000, 48000}} {
		t, err := resampleTask(rates[0], rates[1])
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	opus, err := opusTasks()
	return append(all, opus...), err
}

func g711Tasks() []task {
	const frame = 160
	pcm := speech(8000)
	table := func(arg string) reference {
		return reference{name: "C table loop", yard: cTables, args: []string{arg}, goal: 1.5, exact: true}
	}
	return []task{
		encode("PCMU encode", pcm, frame, g711.AppendMuLaw, table("encode-pcmu")),
		decode("PCMU decode", g711.AppendMuLaw(nil, pcm), frame, g711.AppendPCMFromMuLaw, table("decode-pcmu")),
		encode("PCMA encode", pcm, frame, g711.AppendALaw, table("encode-pcma")),
		decode("PCMA decode", g711.AppendALaw(nil, pcm), frame, g711.AppendPCMFromALaw, table("decode-pcma")),
	}
}

// The goal is set by the best of the yardsticks, which is to say by each.
func g722Tasks() []task {
	const frame = 320
	pcm := speech(16000)
	references := func(arg string) []reference {
		return []reference{
			{name: "libavcodec", yard: avcodec, args: []string{arg}, goal: 1.2, exact: true},
			{name: "spandsp", yard: spandsp, args: []string{arg}, goal: 1.2, exact: true},
		}
	}
	enc, dec := g722.NewEncoder(), g722.NewDecoder()
	coder := func(dst []byte, pcm []int16) []byte {
		dst, _ = enc.Encode(dst, pcm) // fails for odd numbers only
		return dst
	}
	codes := make([]byte, 0, len(pcm)/2)
	codes, _ = g722.NewEncoder().Encode(codes, pcm)
	return []task{
		encode("G.722 encode", pcm, frame, coder, references("encode")...),
		decode("G.722 decode", codes, frame/2, func(dst []int16, codes []byte) []int16 {
			dst, _ = dec.Decode(dst, codes) // fails for long payloads only
			return dst
		}, references("decode")...),
	}
}

func resampleTask(in, out int) (task, error) {
	r, err := resample.New(resample.Config{In: in, Out: out})
	if err != nil {
		return task{}, err
	}
	from, to := strconv.Itoa(in), strconv.Itoa(out)
	return convert(fmt.Sprintf("resample %d to %d k", in/1000, out/1000), speech(in), in/50, r.Append,
		reference{name: "speexdsp q5", yard: speexdsp, args: []string{from, to, "5"}, goal: 1},
		reference{name: "soxr HQ", yard: soxr, args: []string{from, to}, goal: 2},
	), nil
}
