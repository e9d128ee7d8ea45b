package quality

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The page needs nothing but itself, and is whole whatever the names are.
func TestReport(t *testing.T) {
	trace := path(300, map[int]float64{100: -1, 101: -1})
	trace.Name = `<script>alert("x")</script>`
	a := run(t, fixed(), trace)
	b := run(t, fixed(), Generate(1)[6])
	var page bytes.Buffer
	if err := WriteReport(&page, `<b>"PCMU"</b>`, []*Result{a, b}); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, bad := range []string{"<script", "<b>", "http:", "https:", "url(", "@import", "src=", "NaN", "Inf", "ZgotmplZ", "%!"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "&lt;script&gt;", `id="t1"`, `href="#t1"`, "outage-250", "40 ms</title>"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	svgs := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(svgs) != 2 {
		t.Fatalf("%d plots", len(svgs))
	}
	for i, svg := range svgs {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("plot %d: %v", i, err)
			}
		}
		if !strings.Contains(svg, `class="gap"`) || strings.Count(svg, "<path") != 2 {
			t.Errorf("plot %d lacks something", i)
		}
	}
	// A minute of 50 frames a second is no list of 3000 points.
	if len(text) > 60_000 {
		t.Errorf("the page has %d bytes", len(text))
	}
}

func TestPath(t *testing.T) {
	points := []Point{{At: 0, Delay: 0}, {At: 1e9, Delay: 0}, {At: 2e9, Delay: 0}, {At: 3e9, Delay: 1e8}, {At: 4e9, Delay: -1}, {At: 5e9, Delay: 1e8}, {At: 6e9, Delay: 1e8}}
	p := &plot{Result: &Result{Points: points}, span: 6 * time.Second, top: 100 * time.Millisecond}
	got := p.path(func(p Point) time.Duration { return p.Delay })
	if want := "M44 178L346.7 178L498 10M800.7 10L952 10"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNiceStep(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		n    float64
		want time.Duration
	}{
		{60 * time.Second, 12, 5 * time.Second},
		{59 * time.Second, 12, 5 * time.Second},
		{100 * time.Millisecond, 5, 20 * time.Millisecond},
		{101 * time.Millisecond, 5, 50 * time.Millisecond},
		{time.Hour, 12, 500 * time.Second},
	} {
		if got := niceStep(c.d, c.n); got != c.want {
			t.Errorf("niceStep(%v, %v) = %v, want %v", c.d, c.n, got, c.want)
		}
	}
}

type fullDisk struct{}

var errFull = errors.New("the disk is full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestReportToFullDisk(t *testing.T) {
	if err := WriteReport(fullDisk{}, "", []*Result{run(t, fixed(), path(100, nil))}); !errors.Is(err, errFull) {
		t.Error(err)
	}
}
