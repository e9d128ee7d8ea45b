//go:build interop

package peer_test

import (
	"bytes"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A footage is what ffmpeg finds in a recording. Times are of the file.
type footage struct {
	pictures []picturedAt
	loud     [][]int16                // of each channel the peak in each piece of 5 ms; -1: nothing in the file
	length   time.Duration            // as the file says; 0: it does not
	last     map[string]time.Duration // by codec, when its last packet begins
	problems []string
}

type picturedAt struct {
	at   time.Duration
	luma int
	size string
}

// envelope is how fine a footage knows its sound.
const envelope = 5 * time.Millisecond

var (
	pictureInfo = regexp.MustCompile(`pts_time:([-0-9.]+).* s:([0-9x]+) .* mean:\[([0-9]+)`)
	soundInfo   = regexp.MustCompile(`pts_time:([-0-9.]+).* channels:([0-9]+).* rate:([0-9]+) nb_samples:([0-9]+)`)
)

// probe looks at a whole recording: its streams have to be those, their times have
// to ascend strictly, and each has to be decoded without an error.
func probe(t *testing.T, name string, codecs ...string) *footage {
	t.Helper()
	f := &footage{last: map[string]time.Duration{}}
	out := probed(t, name, "stream=codec_name")
	names := strings.Fields(out)
	if slices.Sort(names); !slices.Equal(names, codecs) {
		t.Fatalf("%s: streams %v, want %v", name, names, codecs)
	}
	streams := strings.Fields(out)
	for line := range strings.Lines(probed(t, name, "packet=stream_index,pts_time")) {
		index, at, _ := strings.Cut(strings.TrimSpace(line), ",")
		i, _ := strconv.Atoi(index)
		now := seconds(t, strings.TrimSuffix(at, ","))
		if before, ok := f.last[streams[i]]; ok && now <= before {
			f.problems = append(f.problems, fmt.Sprintf("the times of %s go from %v to %v", streams[i], before, now))
		}
		f.last[streams[i]] = now
	}
	if length := strings.TrimSpace(probed(t, name, "format=duration")); length != "N/A" {
		f.length = seconds(t, length)
	}
	args := []string{"-nostdin", "-hide_banner", "-v", "level+info", "-xerror", "-i", name}
	hasPicture := slices.ContainsFunc(codecs, func(c string) bool { return c[0] == 'v' || c[0] == 'h' })
	if hasPicture {
		args = append(args, "-map", "0:v:0", "-vf", "showinfo", "-vsync", "passthrough", "-enc_time_base", "-1", "-f", "null", "/dev/null")
	}
	if len(codecs) > 1 || !hasPicture {
		args = append(args, "-map", "0:a:0", "-af", "ashowinfo", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1")
	}
	var pcm, log bytes.Buffer
	cmd := exec.Command("ffmpeg", args...)
	cmd.Stdout, cmd.Stderr = &pcm, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg (Debian package ffmpeg): %v\n%s", err, log.Bytes())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "[error]") || strings.Contains(line, "[fatal]") {
			f.problems = append(f.problems, strings.TrimSpace(line))
		}
		if m := pictureInfo.FindStringSubmatch(line); m != nil && strings.Contains(line, "_showinfo") {
			luma, _ := strconv.Atoi(m[3])
			f.pictures = append(f.pictures, picturedAt{seconds(t, m[1]), luma, m[2]})
		}
		if m := soundInfo.FindStringSubmatch(line); m != nil && strings.Contains(line, "_ashowinfo") {
			channels, _ := strconv.Atoi(m[2])
			rate, _ := strconv.Atoi(m[3])
			n, _ := strconv.Atoi(m[4])
			f.hear(seconds(t, m[1]), channels, rate, pcm.Next(2*n*channels))
		}
	}
	return f
}

func probed(t *testing.T, name, entries string) string {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", entries, name).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe (Debian package ffmpeg): %v\n%s", err, out)
	}
	return string(out)
}

func seconds(t *testing.T, s string) time.Duration {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(math.Round(x*1e6)) * time.Microsecond
}

// hear puts samples where they belong.
func (f *footage) hear(at time.Duration, channels, rate int, pcm []byte) {
	if f.loud == nil {
		f.loud = make([][]int16, channels)
	}
	for i := 0; i+1 < len(pcm); i += 2 {
		c := i / 2 % channels
		x := int16(uint16(pcm[i]) | uint16(pcm[i+1])<<8)
		piece := int((at + time.Duration(i/2/channels)*time.Second/time.Duration(rate)) / envelope)
		if piece < 0 {
			continue
		}
		for len(f.loud[c]) <= piece {
			f.loud[c] = append(f.loud[c], -1)
		}
		f.loud[c][piece] = max(f.loud[c][piece], x, -max(x, -math.MaxInt16))
	}
}

// A flash is when the picture becomes bright: after the last dark picture, and not
// later than the first bright one. What lies between was not sent, or lost.
type flash struct{ dark, at time.Duration }

func (f *footage) flashes() (all []flash) {
	bright := true // what begins so, began before
	var dark time.Duration
	for _, p := range f.pictures {
		now := p.luma > 140
		if now && !bright {
			all = append(all, flash{dark, p.at})
		}
		if bright = now; !bright {
			dark = p.at
		}
	}
	return all
}

// later returns by how much later than a time the flash is, as far as is known.
func (f flash) later(than time.Duration) time.Duration {
	if f.at-f.dark < 100*time.Millisecond {
		return f.at - than
	}
	return min(max(0, f.dark-than), f.at-than)
}

const beeping = 5000 // a beep is 16384 high, the hum 1638

// beeps are the times at which a channel becomes loud, after 300 ms at least in
// which it was not.
func (f *footage) beeps(channel int) (all []time.Duration) {
	since := time.Duration(0)
	for i, x := range f.loud[channel] {
		at := time.Duration(i) * envelope
		if x > beeping && at-since > 300*time.Millisecond {
			all = append(all, at)
		}
		if x > beeping {
			since = at
		}
	}
	return all
}

// quiet returns the longest time with no more than the given level, between two
// times.
func (f *footage) quiet(channel int, level int16, from, to time.Duration) (longest, begin time.Duration) {
	var since time.Duration = -1
	for i, x := range f.loud[channel] {
		at := time.Duration(i) * envelope
		switch {
		case at < from || at >= to:
		case x > level:
			since = -1
		case since < 0:
			since = at
			fallthrough
		default:
			if d := at + envelope - since; d > longest {
				longest, begin = d, since
			}
		}
	}
	return longest, begin
}

// apart pairs flashes with beeps, and returns by how much the flash comes later, in
// the order of time.
func apart(flashes []flash, beeps []time.Duration) (all []time.Duration) {
	for _, f := range flashes {
		for _, b := range beeps {
			if d := f.later(b); d.Abs() < 400*time.Millisecond {
				all = append(all, d)
				break
			}
		}
	}
	return all
}
