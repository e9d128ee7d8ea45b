package page

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// The page must work with no network but its own server and under a strict
// content security policy.
func TestNothingFromElsewhere(t *testing.T) {
	elsewhere := regexp.MustCompile(`(https?:)?//[a-z0-9.-]+\.[a-z]+/`)
	inline := regexp.MustCompile(`(?i)<style|<script>|<[^>]+\s(style|on[a-z]+)=|javascript:|innerHTML|eval\(`)
	names, err := fs.Glob(Files(), "*")
	if err != nil || len(names) < 6 {
		t.Fatalf("files %q, %v", names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		source := strings.ReplaceAll(string(text), `xmlns="http://www.w3.org/2000/svg"`, "")
		for _, bad := range []*regexp.Regexp{elsewhere, inline} {
			if found := bad.FindString(source); found != "" {
				t.Errorf("%s has %q", name, found)
			}
		}
	}
}

// Each file that another one names must be embedded, with a type that browsers
// take for a module or a style sheet.
func TestFilesThatAreNamedExist(t *testing.T) {
	server := httptest.NewServer(http.FileServerFS(Files()))
	t.Cleanup(server.Close)
	named := regexp.MustCompile(`(?:href|src)="([^"]+)"|from '\./([^']+)'`)
	types := map[string]string{"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
	names, err := fs.Glob(Files(), "*")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range names {
		text, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range named.FindAllStringSubmatch(string(text), -1) {
			seen++
			target := match[1] + match[2]
			response, err := http.Get(server.URL + "/" + target)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			want := types[target[strings.LastIndexByte(target, '.')+1:]]
			if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(got, want) {
				t.Errorf("%s names %s: %s, %s", name, target, response.Status, got)
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d names found", seen)
	}
}
