package transport

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// binding is a request with attributes, and the transaction ID of RFC 5769.
func binding(t testing.TB, attributes string) []byte {
	t.Helper()
	a := unhex(t, attributes)
	b := unhex(t, "0001 0000 2112a442 b7e7a701 bc34d686 fa87dfae")
	binary.BigEndian.PutUint16(b[2:], uint16(len(a)))
	return append(b, a...)
}

// The addresses are those of the sample responses in RFC 5769, sections 2.2 and
// 2.3.
func TestSTUNAnswers(t *testing.T) {
	const id = "2112a442 b7e7a701 bc34d686 fa87dfae"
	four := "0101 000c" + id + "0020 0008 0001a147e112a643"
	six := "0101 0018" + id + "0020 0014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
	for name, tt := range map[string]struct{ from, attributes, want string }{
		"IPv4":             {"192.0.2.1:32853", "", four},
		"IPv4 in IPv6":     {"[::ffff:192.0.2.1]:32853", "", four},
		"IPv6":             {"[2001:db8:1234:5678:11:2233:4455:6677]:32853", "", six},
		"IPv6 with a zone": {"[2001:db8:1234:5678:11:2233:4455:6677%eth0]:32853", "", six},
		"software":         {"192.0.2.1:32853", "8022 0003 61626320", four},
		"user name":        {"192.0.2.1:32853", "0006 0003 61626300 8028 0004 12345678", four},
		// CHANGE-REQUEST, and two of ICE.
		"one unknown":   {"192.0.2.1:32853", "0003 0004 00000000", "0111 0010" + id + "0009 0004 00000414 000a 0002 00030000"},
		"three unknown": {"192.0.2.1:32853", "0003 0000 0024 0004 00000000 0025 0000", "0111 0014" + id + "0009 0004 00000414 000a 0006 000300240025 0000"},
	} {
		var s STUNResponder
		got, ok := s.Answer([]byte("before"), epoch, netip.MustParseAddrPort(tt.from), binding(t, tt.attributes))
		if want := append([]byte("before"), unhex(t, tt.want)...); !ok || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
		if s.Answered != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestSTUNStaysSilent(t *testing.T) {
	change := func(at int, b ...byte) []byte {
		m := binding(t, "8022 0004 61626364")
		copy(m[at:], b)
		return m
	}
	for name, tt := range map[string]struct {
		b         []byte
		malformed int64
	}{
		"nothing":                     {nil, 0},
		"a byte":                      {[]byte{0}, 0},
		"a success":                   {change(0, 1, 1), 0},
		"an error":                    {change(0, 1, 0x11), 0},
		"an indication":               {change(0, 0, 0x11), 0},
		"an allocation":               {change(0, 0, 3), 0},
		"RTP":                         {change(0, 0x80), 0},
		"another cookie":              {change(4, 0), 1},
		"length not multiple of 4":    {append(change(2, 0, 9), 0), 1},
		"length 1":                    {change(2, 0, 1)[:21], 1},
		"longer than it says":         {change(2, 0, 4), 1},
		"shorter than it says":        {change(2, 0, 12), 1},
		"length 65535":                {change(2, 0xff, 0xff), 1},
		"length 65532":                {change(2, 0xff, 0xfc), 1},
		"header cut":                  {change(0)[:19], 1},
		"attribute of 5 in 4":         {change(22, 0, 5), 1},
		"attribute of 65535":          {change(22, 0xff, 0xff), 1},
		"attribute of 65532":          {change(22, 0xff, 0xfc), 1},
		"three bytes of an attribute": {binding(t, "800000")[:23], 1},
	} {
		var s STUNResponder
		got, ok := s.Answer([]byte("x"), epoch, public, tt.b)
		if ok || string(got) != "x" || s.Malformed != tt.malformed || s.Answered+s.Limited != 0 {
			t.Errorf("%s: %x, %v, %+v", name, got, ok, s)
		}
	}
	for _, from := range []string{"0.0.0.0:1", "224.0.0.1:9", "192.0.2.1:0"} {
		var s STUNResponder
		if got, ok := s.Answer(nil, epoch, netip.MustParseAddrPort(from), binding(t, "")); ok {
			t.Errorf("%x to %s", got, from)
		}
	}
}

// Attributes of 0 to 3 bytes of every type in the last place, where a reader of
// their content would leave the message.
func TestSTUNShortAttributes(t *testing.T) {
	for n := range 4 {
		for typ := range 65536 {
			b := binding(t, "0000 0000 00000000"[:10+2*min(n, 1)*4])
			binary.BigEndian.PutUint16(b[20:], uint16(typ))
			binary.BigEndian.PutUint16(b[22:], uint16(n))
			var s STUNResponder
			if got, ok := s.Answer(nil, epoch, public, b); !ok || 10*len(got) > 22*len(b) {
				t.Fatalf("type %#x of %d bytes: %x, %v", typ, n, got, ok)
			}
		}
	}
}

// What one says, the other does not answer, nor does it answer itself.
func TestSTUNRespondersDoNotTalk(t *testing.T) {
	var a, b STUNResponder
	for _, attributes := range []string{"", "0003 0004 00000000"} {
		answer, ok := a.Answer(nil, epoch, public, binding(t, attributes))
		if !ok {
			t.Fatal("no answer")
		}
		if again, ok := b.Answer(nil, epoch, public, answer); ok {
			t.Errorf("answered with %x", again)
		}
		if again, ok := a.Answer(nil, epoch, public, answer); ok {
			t.Errorf("answered itself with %x", again)
		}
	}
}

func TestSTUNLimits(t *testing.T) {
	request := binding(t, "")
	var s STUNResponder
	count := func(at time.Time, n int, from func(int) netip.AddrPort) (answers int) {
		for i := range n {
			if _, ok := s.Answer(nil, at, from(i), request); ok {
				answers++
			}
		}
		return answers
	}
	ports := func(i int) netip.AddrPort { return port(attacker, 1+i) }
	hosts := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 9)
	}
	subnet := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 14: byte(i >> 8), 15: byte(i)}), 9)
	}
	for _, tt := range []struct {
		at   time.Duration
		from func(int) netip.AddrPort
		want int
	}{
		{0, ports, 10},                     // of one address
		{0, subnet, 10},                    // of one network
		{0, hosts, 30},                     // what is left in all
		{99 * time.Millisecond, ports, 0},  // not yet
		{100 * time.Millisecond, ports, 1}, // one each 100 ms
		{200 * time.Millisecond, hosts, 9}, // one each 20 ms, less that one
		{time.Minute, ports, 10},           // rested
		{2 * time.Minute, hosts, 50},       // rested
		{2*time.Minute + time.Second, subnet, 10},
	} {
		if got := count(after(tt.at), 1000, tt.from); got != tt.want {
			t.Errorf("%v: %d answers to 1000 requests, want %d", tt.at, got, tt.want)
		}
	}
	if sum := s.Answered + s.Limited; sum != 9000 {
		t.Errorf("%+v", s)
	}
	s = STUNResponder{PerSource: 3, Total: 4}
	if a, b := count(epoch, 9, ports), count(epoch, 9, subnet); a != 3 || b != 1 {
		t.Errorf("%d and %d answers", a, b)
	}
}

func TestSTUNDoesNotAllocate(t *testing.T) {
	var s STUNResponder
	requests := [][]byte{binding(t, ""), binding(t, "0003 0004 00000000"), binding(t, "")[:8]}
	buf := make([]byte, 0, 100)
	now := epoch
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(100 * time.Millisecond)
		for _, b := range requests {
			s.Answer(buf, now, public, b)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.Answered == 0 {
		t.Error("nothing was answered")
	}
}

func FuzzSTUN(f *testing.F) {
	f.Add(binding(f, ""), true)
	f.Add(binding(f, "0003 0004 00000000"), false)
	f.Add(binding(f, "8022 0003 61626320 0006 0001 61000000"), true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		from := public
		if six {
			from = netip.MustParseAddrPort("[2001:db8::1]:5004")
		}
		var s STUNResponder
		got, ok := s.Answer(nil, epoch, from, b)
		if ok != (s.Answered == 1) || !ok && len(got) != 0 {
			t.Fatalf("%x, %v, %+v", got, ok, s)
		}
		if !ok {
			return
		}
		if Classify(b) != STUN || Classify(got) != STUN || 10*len(got) > 22*len(b) || !stunValid(got) {
			t.Fatalf("%x answered with %x", b, got)
		}
		if !bytes.Equal(got[4:20], b[4:20]) || got[0] != 1 {
			t.Fatalf("%x answered with %x", b, got)
		}
		if again, ok := s.Answer(nil, epoch, from, got); ok {
			t.Fatalf("the answer %x was answered with %x", got, again)
		}
	})
}

func ExampleSTUNResponder() {
	request := []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	var s STUNResponder
	answer, ok := s.Answer(nil, time.Now(), netip.MustParseAddrPort("192.0.2.1:5004"), request)
	fmt.Println(ok, len(answer), Classify(answer))
	_, ok = s.Answer(nil, time.Now(), netip.MustParseAddrPort("192.0.2.1:5004"), answer)
	fmt.Println(ok)
	// Output:
	// true 32 STUN
	// false
}
