package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// The file of two packets, with checksums that were added up apart from here.
func TestCaptureFile(t *testing.T) {
	var file bytes.Buffer
	c := NewCapture(&file)
	at := time.Unix(0x65000000, 123456789)
	c.Write(at, netip.MustParseAddrPort("192.0.2.1:5004"), netip.MustParseAddrPort("192.0.2.2:6000"), []byte{0x80, 0, 1})
	c.Write(at.Add(time.Second), netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[::ffff:192.0.2.2]:2"), nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "d4c3b2a1 0200 0400 00000000 00000000 27000100 65000000"+
		"00000065 40e20100 1f000000 1f000000"+
		"4500 001f 0000 4000 4011 b6ca c0000201 c0000202"+
		"138c 1770 000b cfd7 800001"+
		"01000065 40e20100 30000000 30000000"+
		"60000000 0008 11 40 20010db8000000000000000000000001 00000000000000000000ffffc0000202"+
		"0001 0002 0008 101f")
	if !bytes.Equal(file.Bytes(), want) {
		t.Errorf("wrote\n%x, want\n%x", file.Bytes(), want)
	}
}

// Every datagram has checksums that add up, whatever its length and addresses.
func TestCaptureChecksums(t *testing.T) {
	addresses := []netip.AddrPort{
		{},
		public, signalled, netip.MustParseAddrPort("0.0.0.0:7"), netip.MustParseAddrPort("[::]:8"),
		netip.MustParseAddrPort("[2001:db8::1%eth0]:5004"), netip.MustParseAddrPort("[::ffff:192.0.2.1]:65535"),
	}
	for _, from := range addresses {
		for _, to := range addresses {
			for n := range 300 {
				b := appendRecord(nil, epoch, from, to, bytes.Repeat([]byte{0xf0, byte(n)}, n)[:n])[16:]
				header, sources := 20, 12
				if b[0]>>4 == 6 {
					header, sources = 40, 8
				} else if got := checksum(0, b[:20]); got != 0xffff {
					t.Fatalf("%v to %v: the header adds up to %#x", from, to, got)
				}
				if got := checksum(uint32(17+8+n), b[sources:]); got != 0xffff || len(b) != header+8+n {
					t.Fatalf("%v to %v, %d bytes: adds up to %#x", from, to, n, got)
				}
				if b[header+6] == 0 && b[header+7] == 0 {
					t.Fatal("no checksum")
				}
			}
		}
	}
	// The sum of this one is the 0 that would stand for none.
	b := appendRecord(nil, epoch, nowhere, nowhere, []byte{0xff, 0xff - 17 - 2*10})
	if got := b[16+20+6 : 16+20+8]; got[0] != 0xff || got[1] != 0xff {
		t.Errorf("checksum %x", got)
	}
}

// A slow writer does not hold up those who write; what it cannot take is counted.
func TestCaptureDropsForASlowWriter(t *testing.T) {
	r, w := io.Pipe()
	c := NewCapture(w)
	packet := make([]byte, 1000)
	for range 5000 {
		c.Write(epoch, public, signalled, packet)
	}
	dropped := c.Dropped()
	var file []byte
	var reading sync.WaitGroup
	reading.Go(func() { file, _ = io.ReadAll(r) })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	reading.Wait()
	const record = 16 + 20 + 8 + 1000
	if kept := int64(len(file)-24) / record; kept+dropped != 5000 || kept < captureLimit/record || kept > 2*captureLimit/record {
		t.Errorf("%d kept and %d dropped of 5000", kept, dropped)
	}
}

type failing struct{ after int }

var errDisk = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if f.after -= len(b); f.after < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

func TestCaptureErrors(t *testing.T) {
	c := NewCapture(&failing{after: 100})
	for c.Dropped() == 0 {
		c.Write(epoch, public, signalled, make([]byte, 60))
	}
	for range 2 {
		if err := c.Close(); !errors.Is(err, errDisk) {
			t.Errorf("Close: %v", err)
		}
	}
	var file bytes.Buffer
	c = NewCapture(&file)
	c.Write(epoch, public, signalled, make([]byte, 65508))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	c.Write(epoch, public, signalled, nil)
	if c.Dropped() != 2 || file.Len() != 24 {
		t.Errorf("%d dropped, %d bytes", c.Dropped(), file.Len())
	}
	if err := NewCapture(&failing{}).Close(); !errors.Is(err, errDisk) {
		t.Errorf("no room for the file's header: %v", err)
	}
}

func TestCaptureConcurrently(t *testing.T) {
	var file bytes.Buffer
	c := NewCapture(&file)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 100 {
				c.Write(epoch, public, signalled, make([]byte, 10))
			}
		})
	}
	calls.Wait()
	if err := c.Close(); err != nil || file.Len() != 24+400*(16+28+10) || c.Dropped() != 0 {
		t.Errorf("%d bytes, %d dropped, %v", file.Len(), c.Dropped(), err)
	}
}

func TestCaptureRecordDoesNotAllocate(t *testing.T) {
	buf, packet := make([]byte, 0, 1000), make([]byte, 172)
	six := netip.MustParseAddrPort("[2001:db8::1]:5004")
	if n := testing.AllocsPerRun(1000, func() {
		appendRecord(buf, epoch, public, signalled, packet)
		appendRecord(buf, epoch, six, six, packet)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleCapture() {
	var file bytes.Buffer
	c := NewCapture(&file)
	from, to := netip.MustParseAddrPort("192.0.2.1:5004"), netip.MustParseAddrPort("192.0.2.2:5004")
	c.Write(time.Now(), from, to, []byte{0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4})
	err := c.Close()
	fmt.Println(file.Len(), c.Dropped(), err)
	// Output: 80 0 <nil>
}
