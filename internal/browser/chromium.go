package browser

import (
	"net/url"
	"os"
	"slices"
	"testing"
)

// Chromium opens address in a headless Chromium that lives until the test ends.
// The page may play and capture without being asked; the camera and microphone
// are simulated (a beep twice a second).
func Chromium(t testing.TB, address string) *Process {
	t.Helper()
	return startChromium(t, address, address, nil)
}

// fakeGrant lets each page use what it asks for.
const fakeGrant = "--use-fake-ui-for-media-stream"

// Ungranted is [Chromium] for a page that nobody has allowed anything, so that
// it may play only, and does not tell the addresses of the computer.
func Ungranted(t testing.TB, address string) *Process {
	t.Helper()
	profile := newProfile(t, "chromium")
	args := slices.DeleteFunc(chromiumFlags(t, address, profile), func(flag string) bool { return flag == fakeGrant })
	return start(t, "chromium", "chromium", profile, append(args, address), nil, nil)
}

func startChromium(t testing.TB, host, address string, files []*os.File, more ...string) *Process {
	t.Helper()
	profile := newProfile(t, "chromium")
	args := append(chromiumFlags(t, host, profile), more...)
	return start(t, "chromium", "chromium", profile, append(args, address), nil, files)
}

func chromiumFlags(t testing.TB, address, profile string) []string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"--headless=new",
		"--no-sandbox", // it refuses to run as root with one; the pages are ours
		"--disable-gpu",
		"--disable-dev-shm-usage",
		"--user-data-dir=" + profile,
		"--use-fake-device-for-media-stream",
		fakeGrant,
		"--autoplay-policy=no-user-gesture-required",
		// A page without focus must not have its timers and audio slowed down.
		"--disable-background-timer-throttling",
		"--disable-backgrounding-occluded-windows",
		"--disable-renderer-backgrounding",
		"--no-first-run",
		"--no-default-browser-check",
		"--disable-default-apps",
		"--disable-extensions",
		"--disable-sync",
		"--disable-breakpad",
		"--disable-background-networking",
		"--disable-component-update",
		"--disable-client-side-phishing-detection",
		"--disable-domain-reliability",
		"--metrics-recording-only",
		"--password-store=basic",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE " + u.Hostname(),
	}
}
