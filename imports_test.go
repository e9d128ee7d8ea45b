package parley_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/parley-media/parley"

// layers is the house: a package may import the packages of layers above its
// own in this list, and those of its own layer that edges names. A package that
// is named is not where a pattern would put it.
var layers = [][]string{
	{"audio", "audio/*", "video", "video/*", "transport/netem", "internal/*"},
	{"codec"},
	{"codec/*", "codec/opus/libopus", "payload", "dtmf", "jitter", "rtcpctl"},
	{"stream"},
	{".", "transport"},
	{"session", "peer", "file"},
	{"bridge", "conference", "sip"},
	{"server/page", "server"},
	{"apps/internal/*"},
	{"apps/*", "internal/bench", "internal/bench/pionpeers", "internal/quality"},
	{"cmd/*", "examples", "examples/*"},
}

// edges are the imports within a layer.
var edges = []string{
	"audio -> audio/resample",
	"audio -> internal/fanout",
	"audio/conceal -> audio",
	"audio/mix -> audio",
	"audio/mix -> audio/stretch",
	"audio/stretch -> audio",
	"audio/tone -> audio",
	"audio/vad -> audio",
	"codec/opus/libopus -> codec/opus",
	"internal/bench -> internal/bench/pionpeers",
	"internal/loop -> internal/prefetch",
	"video/vpx -> video",
	"server -> server/page",
	"video -> internal/fanout",
	"video/vpx -> internal/bits",
}

// barePion is what peer is measured beside, which needs pion/webrtc itself.
const barePion = "internal/bench/pionpeers"

// only are imports from outside that belong to few packages.
var only = map[string][]string{
	"github.com/pion/webrtc/v4":           {"peer", barePion},
	"github.com/ebitengine/purego":        {"codec/opus/libopus", "video/vpx"},
	"net/http":                            {"peer", "server", "cmd/*", "examples/*", "internal/browser"},
	"github.com/alecthomas/kong":          {"cmd/*"},
	"github.com/prometheus/client_golang": {"server"},
	"github.com/coder/websocket":          {"server"},
	"github.com/chromedp/chromedp":        {"internal/browser"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room returns the folder of one of our packages.
func room(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func matches(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, folder)
		return ok
	})
}

func layer(folder string) int {
	if i := slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, folder) }); i >= 0 {
		return i
	}
	return slices.IndexFunc(layers, func(l []string) bool { return matches(l, folder) })
}

func TestImportsRunDownhill(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, _ := room(p.ImportPath)
		own := layer(from)
		if own < 0 {
			t.Errorf("%s has no place in the house: add it to layers", from)
			continue
		}
		for _, i := range p.Imports {
			for lib, allowed := range only {
				if (i == lib || strings.HasPrefix(i, lib+"/")) && !matches(allowed, from) {
					t.Errorf("%s imports %s, which only %v may", from, i, allowed)
				}
			}
			to, ours := room(i)
			if !ours {
				continue
			}
			if l := layer(to); l > own || l == own && !slices.Contains(edges, from+" -> "+to) {
				t.Errorf("%s may not import %s", from, to)
			}
		}
	}
}

// What peer is measured beside is in no program but the one that measures.
func TestBarePionIsForTheBench(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, _ := room(p.ImportPath)
		if slices.Contains(p.Deps, module+"/"+barePion) && from != "internal/bench" && from != "cmd/parley" {
			t.Errorf("%s links %s", from, barePion)
		}
	}
}

// A program that needs plain RTP links nothing of browsers.
func TestPlainRTPStaysLight(t *testing.T) {
	heavy := []string{"github.com/pion/webrtc/v4", "github.com/pion/ice/v4", "net/http", "github.com/ebitengine/purego", "github.com/alecthomas/kong"}
	for _, p := range list(t, "./session") {
		for _, d := range p.Deps {
			if slices.Contains(heavy, d) {
				t.Errorf("%s links %s", p.ImportPath, d)
			}
		}
	}
}
