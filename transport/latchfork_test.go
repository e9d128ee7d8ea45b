package transport

import (
	"net/netip"
	"testing"
)

// A call rings at two telephones behind translators, each with early media of its own. The
// first one answers, and is heard again at once, whether or not the second one has said
// anything; the second one is not, though it goes on until it is told.
func TestLatchForked(t *testing.T) {
	other, seen := netip.MustParseAddrPort("192.168.7.9:6000"), netip.MustParseAddrPort("198.51.100.99:7000")
	for name, said := range map[string]int{"the other one is silent": 0, "the other one speaks": 10} {
		t.Run(name, func(t *testing.T) {
			l := symmetric(t, signalled)
			first, second := newVoice(1), newVoice(2)
			if n := stream(l, epoch, public, first, 10); n != 7 {
				t.Fatalf("%d of 10 packets of the first one", n)
			}
			l.SetSignalled(after(ms(200)), other, nowhere)
			stream(l, after(ms(200)), seen, second, said)
			if n := stream(l, after(ms(400)), public, first, 10); n != 0 {
				t.Errorf("%d packets of the first one while the second one is to be heard", n)
			}
			l.SetSignalled(after(ms(600)), signalled, nowhere)
			if said > 0 {
				if n := stream(l, after(ms(600)), seen, second, 10); n != 0 {
					t.Errorf("%d packets of the second one when the first one has answered", n)
				}
			}
			if n := stream(l, after(ms(800)), public, first, 10); n != 7 {
				t.Errorf("%d of 10 packets of the first one when it has answered", n)
			}
			wantRemote(t, l, public, port(public, 31001))
		})
	}
}
