package browser

import (
	_ "embed"
	"os"
	"path/filepath"
	"testing"
)

//go:embed testdata/firefox.js
var firefoxPrefs []byte

// Firefox opens address, whose host must be an IP address, in a headless Firefox
// that lives until the test ends. The page may play and capture without being
// asked; the microphone is simulated.
func Firefox(t testing.TB, address string) *Process {
	t.Helper()
	profile := newProfile(t, "firefox")
	if err := os.WriteFile(filepath.Join(profile, "user.js"), firefoxPrefs, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--headless", "--no-remote", "--new-instance", "--profile", profile, address}
	return start(t, "firefox-esr", "firefox-esr", profile, args, []string{"MOZ_CRASHREPORTER_DISABLE=1"}, nil)
}
