package stream

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
)

// scenarioCodecs are the payload types of scenario files.
var scenarioCodecs = []codec.Params{
	l16, wide, pcmu,
	{Name: "CN", PayloadType: 13, ClockRate: 8000},
	{Name: "telephone-event", PayloadType: 101, ClockRate: 8000},
	{Name: "RED", PayloadType: 102, ClockRate: 8000},
}

// TestScenarios plays the files in testdata/scenarios. A line is a command:
//
//	playout fixed 60           the way of playout, and its depth in ms
//	in 40 3 [key=value]...     packet 3 arrives 40 ms after the beginning
//	out 100 1 2 concealed      what is heard until 100 ms, a word a frame
//	digits 500 5+ 5-           keys reported until 500 ms: pressed and released
//	stat Concealed 20ms        a field of the statistics
//	end                        no more packets will come
//
// Packet n has the sequence number 65530+n, the timestamp 160n from the wrap and
// 20 ms of samples of the value n. The keys of a packet are type (payload type),
// seq and time (added to its number and, in ms, to its timestamp), ssrc, ms
// (length) and hex (the payload). A frame is described by its kind or, if it is
// media, by the value of its samples: first and last, if they differ. A word *
// stands for any frame of media.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := scenario{T: t, config: ReceiverConfig{Codecs: scenarioCodecs, Playout: Fixed}}
			for i, line := range strings.Split(string(text), "\n") {
				line, _, _ = strings.Cut(line, "#")
				words := strings.Fields(line)
				if len(words) == 0 {
					continue
				}
				s.where = fmt.Sprintf("%s:%d", file, i+1)
				s.run(words[0], words[1:])
			}
		})
	}
}

type scenario struct {
	*testing.T
	config ReceiverConfig
	far    *far
	where  string
}

func (s *scenario) run(command string, args []string) {
	if command == "playout" {
		s.config.Playout = map[string]Playout{"adaptive": Adaptive, "fixed": Fixed, "in-order": InOrder}[args[0]]
		if len(args) > 1 {
			s.config.MinDelay = time.Duration(s.number(args[1])) * ms
		}
		return
	}
	if s.far == nil {
		s.far = newFar(s.T, s.config)
		s.far.ts = 1<<32 - 160*5
		s.far.begin = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	switch command {
	case "in":
		s.in(time.Duration(s.number(args[0]))*ms, s.number(args[1]), args[2:])
	case "out":
		s.out(time.Duration(s.number(args[0]))*ms, args[1:])
	case "digits":
		s.digits(time.Duration(s.number(args[0]))*ms, args[1:])
	case "stat":
		s.stat(args[0], args[1])
	case "end":
		s.far.r.End()
	default:
		s.Fatalf("%s: no such command: %s", s.where, command)
	}
}

func (s *scenario) number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		s.Fatalf("%s: %v", s.where, err)
	}
	return n
}

func (s *scenario) in(at time.Duration, n int, keys []string) {
	p := &rtp.Packet{Header: rtp.Header{
		Version: 2, PayloadType: 96, SSRC: 1,
		SequenceNumber: s.far.seq + uint16(n), Timestamp: s.far.ts + uint32(n*160),
	}}
	length := 20
	for _, key := range keys {
		name, value, _ := strings.Cut(key, "=")
		switch name {
		case "type":
			p.PayloadType = uint8(s.number(value))
		case "seq":
			p.SequenceNumber += uint16(s.number(value))
		case "time":
			p.Timestamp += uint32(s.number(value) * 8)
		case "ssrc":
			p.SSRC = uint32(s.number(value))
		case "ms":
			length = s.number(value)
		case "hex":
			b, err := hex.DecodeString(value)
			if err != nil {
				s.Fatalf("%s: %v", s.where, err)
			}
			p.Payload = b
		default:
			s.Fatalf("%s: no such key: %s", s.where, name)
		}
	}
	if p.Payload == nil {
		samples := 8 * length
		if p.PayloadType == 97 {
			samples *= 2
		}
		for range samples {
			p.Payload = append(p.Payload, byte(n>>8), byte(n))
		}
	}
	s.far.push(at, p)
}

func (s *scenario) out(until time.Duration, want []string) {
	s.Helper()
	got := s.far.hear(until)
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		kind := got[i] == "concealed" || got[i] == "silence" || got[i] == "noise"
		same = got[i] == want[i] || want[i] == "*" && !kind
	}
	if !same {
		s.Errorf("%s: heard %v\nwant %v", s.where, got, want)
	}
}

func (s *scenario) digits(until time.Duration, want []string) {
	s.Helper()
	var got []string
	for {
		next := s.far.r.NextDigit()
		if next.IsZero() || next.After(s.far.begin.Add(until)) {
			break
		}
		report, ok := s.far.r.PullDigit(next)
		if !ok {
			s.Fatalf("%s: no digit at its time", s.where)
		}
		got = append(got, fmt.Sprintf("%v%s", report.Digit, map[bool]string{false: "+", true: "-"}[report.End]))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.Errorf("%s: digits %v, want %v", s.where, got, want)
	}
}

func (s *scenario) stat(name, want string) {
	s.Helper()
	stats := s.far.stats()
	got := fmt.Sprint(map[string]any{
		"Lost": stats.Lost, "Late": stats.Late, "Recovered": stats.Recovered, "Discarded": stats.Discarded,
		"Duplicated": stats.Duplicated, "Reordered": stats.Reordered, "Concealments": stats.Concealments,
		"Interrupted": stats.Interrupted, "Concealed": stats.Concealed, "Noise": stats.Noise,
	}[name])
	if got != want {
		s.Errorf("%s: %s is %s, want %s", s.where, name, got, want)
	}
}
