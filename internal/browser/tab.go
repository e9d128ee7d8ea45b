package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// stepWithin bounds each step of a [Tab] that has no bound of its own.
const stepWithin = 20 * time.Second

// A View is how a [Tab] shows its page. The zero value is a light desktop.
type View struct {
	Width, Height int // in CSS pixels; 0: 1280 by 900
	Dark          bool
}

// A Tab is a page in a Chromium that is driven over the DevTools protocol. Each
// method fails the test when the page doesn't get there in time.
type Tab struct {
	t   testing.TB
	ctx context.Context
}

// Open opens address in a headless Chromium with a simulated microphone, which
// the page may use without being asked. Both live until the test ends.
func Open(t testing.TB, address string, v View) *Tab {
	t.Helper()
	if v.Width == 0 {
		v.Width = 1280
	}
	if v.Height == 0 {
		v.Height = 900
	}
	fromTab, toChromium := pipe(t)
	fromChromium, toTab := pipe(t)
	more := []string{"--remote-debugging-pipe", "--hide-scrollbars"}
	if v.Dark {
		more = append(more, "--blink-settings=preferredColorScheme=0")
	}
	process := startChromium(t, address, "about:blank", []*os.File{fromTab, toTab}, more...)
	fromTab.Close()
	toTab.Close()

	allocator, cancelAllocator := chromedp.NewAllocatorContext(context.Background(),
		&piped{chromedp.NewPipeConn(fromChromium, toChromium)})
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf),
		chromedp.WithBrowserOption(chromedp.WithConsolef(t.Logf)))
	t.Cleanup(func() {
		process.Kill()
		cancel()
		cancelAllocator()
	})
	tab := &Tab{t: t, ctx: ctx}
	// The first call binds the connection to its context, so that one has no
	// deadline; what bounds it is that it fails when the browser ends.
	stuck := time.AfterFunc(stepWithin, process.Kill)
	tab.check("connecting to Chromium", chromedp.Do(ctx))
	stuck.Stop()
	tab.do("opening "+address, chromedp.EmulateViewport(int64(v.Width), int64(v.Height)), chromedp.Navigate(address))
	return tab
}

// piped is an allocator for the one browser at the other end of a pipe.
type piped struct{ conn *chromedp.PipeConn }

func (p *piped) Allocate(ctx context.Context, o ...chromedp.BrowserOption) (*chromedp.Browser, error) {
	return chromedp.NewBrowserTransport(ctx, p.conn, o...)
}

func (p *piped) Wait() {}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// check fails the test with a message that says which step it was.
func (tab *Tab) check(what string, err error) {
	tab.t.Helper()
	if err != nil {
		tab.t.Fatalf("%s: %v", what, err)
	}
}

func (tab *Tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepWithin)
	defer cancel()
	tab.check(what, chromedp.Do(ctx, actions...))
}

// Click clicks the element that the CSS selector finds, once it is visible.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Press sends keys, such as "\t" or "\r", to whatever has the focus.
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	tab.do(fmt.Sprintf("pressing %q", keys), chromedp.KeyEvent(keys))
}

// Wait waits until the CSS selector finds an element, visible or not.
func (tab *Tab) Wait(selector string, within time.Duration) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, within)
	defer cancel()
	tab.check(fmt.Sprintf("waiting %v for %s", within, selector), chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(selector))))
}

// Text returns the text of the element that the CSS selector finds, shown or not.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepWithin)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS(selector)))
	tab.check("text of "+selector, err)
	return strings.TrimSpace(text)
}

// Eval evaluates a JavaScript expression, awaits it if it is a promise, and
// returns its value as a string.
func (tab *Tab) Eval(expression string) string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepWithin)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => String(await ("+expression+")))()", chromedp.EvalAwaitPromise))
	tab.check("evaluating "+expression, err)
	return value
}

// Screenshot writes the whole page as name.png into the artifact folder of the
// test and returns its path.
func (tab *Tab) Screenshot(name string) string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepWithin)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	tab.check("screenshot", err)
	path := filepath.Join(tab.t.ArtifactDir(), name+".png")
	tab.check("screenshot", os.WriteFile(path, png, 0o644))
	return path
}
