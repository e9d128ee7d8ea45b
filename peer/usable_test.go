package peer

import (
	"cmp"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5"
)

// A checking network has been given an address, and has the kernel ask until then whether
// another machine has it.
type checking struct {
	transport.Net
	address net.IP
	until   time.Time // zero: another one has
}

func (n checking) Interfaces() ([]*transport.Interface, error) {
	all, err := n.Net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			i.AddAddress(&net.IPNet{IP: n.address, Mask: net.CIDRMask(64, 128)})
		}
	}
	return all, err
}

func (n checking) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	if !local.IP.Equal(n.address) {
		return n.Net.ListenUDP(network, local)
	}
	if n.until.IsZero() || time.Now().Before(n.until) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: local, Err: syscall.EADDRNOTAVAIL}
	}
	return n.Net.ListenUDP(network, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// An endpoint waits for an address that this machine has just been given, and begins
// without it if another machine has it.
func TestAddressNotUsableYet(t *testing.T) {
	for name, after := range map[string]time.Duration{"soon": 1500 * time.Millisecond, "never": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sockets, err := newSockets()
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				n := checking{Net: sockets, address: net.ParseIP("2001:db8::7")}
				if after > 0 {
					n.until = began.Add(after)
				}
				var text strings.Builder
				c := &Config{Logger: slog.New(slog.NewTextHandler(&text, nil))}
				use := usable(c, n)
				if got := use(n.address); got != (after > 0) || use(net.IPv4(127, 0, 0, 1)) != true {
					t.Errorf("used: %v", got)
				}
				if took, want := time.Since(began), cmp.Or(after, checked); took != want {
					t.Errorf("waited %v, want %v", took, want)
				}
				if said := strings.Contains(text.String(), "address=2001:db8::7"); said == (after > 0) {
					t.Errorf("said: %s", text.String())
				}
			})
		})
	}
}

// One address that cannot be used is no reason not to listen on the others.
func TestAddressLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sockets, err := newSockets()
		if err != nil {
			t.Fatal(err)
		}
		n := checking{Net: sockets, address: net.ParseIP("2001:db8::7")}
		mux, _, err := listen(&Config{Logger: slog.New(slog.DiscardHandler)}, n)
		if err != nil {
			t.Fatal(err)
		}
		defer mux.Close()
		if all := mux.GetListenAddresses(); len(all) == 0 {
			t.Error("listens nowhere")
		}
	})
}
