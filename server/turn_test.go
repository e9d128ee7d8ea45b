package server

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-media/parley/peer"
)

// The password is what "openssl dgst -sha1 -hmac SECRET -binary | base64" makes of
// the name.
func TestTURNServers(t *testing.T) {
	urls := []string{"stun:a:3478", "turn:b:3478", "stuns:c", "turns:d?transport=tcp"}
	got := turnServers("north", time.Unix(1433895918, 0), "ninefingers", urls)
	want := []peer.Server{
		{URLs: []string{"stun:a:3478"}},
		{URLs: []string{"stuns:c"}},
		{URLs: []string{"turn:b:3478", "turns:d?transport=tcp"}, Username: "1433895918:ninefingers", Password: "jy8hTxmOO7UtEKXqSkSlvakPVYA="},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := turnServers("", time.Now(), "", urls[:1]); len(got) != 1 || got[0].Username != "" {
		t.Errorf("credentials where there is no relay: %v", got)
	}
}

func TestTURNCredentials(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: time.Minute} {
		f := TURNCredentials("secret", ttl, "turn:relay.example")
		a, b := f(nil)[0], f(nil)[0]
		if a.Username == b.Username || a.Password == b.Password {
			t.Errorf("two clients have the same name: %v", a)
		}
		until, _, _ := strings.Cut(a.Username, ":")
		seconds, err := strconv.ParseInt(until, 10, 64)
		if left := time.Until(time.Unix(seconds, 0)); err != nil || left > want || left < want-10*time.Second {
			t.Errorf("%v left, want %v", left, want)
		}
	}
}

func ExampleTURNCredentials() {
	servers := TURNCredentials("secret shared with coturn", 10*time.Minute, "stun:relay.example", "turn:relay.example")(nil)
	for _, s := range servers {
		fmt.Println(s.URLs, len(s.Username) > 0)
	}
	// Output:
	// [stun:relay.example] false
	// [turn:relay.example] true
}
