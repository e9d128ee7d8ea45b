package rtcpctl

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNTP(t *testing.T) {
	for _, c := range []struct {
		time time.Time
		ntp  uint64
	}{
		{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Unix(0, 0), 2208988800 << 32},
		{time.Date(1995, 11, 10, 11, 33, 25, 125e6, time.UTC), 0xb44db705_20000000}, // RFC 3550, section 6.4.1, figure 2
		{time.Date(2036, 2, 7, 6, 28, 15, 5e8, time.UTC), 0xffffffff_80000000},
		{time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), 0},
		{time.Date(2040, 1, 1, 0, 0, 0, 25e7, time.UTC), 123010304<<32 | 0x40000000},
	} {
		if got := NTP(c.time); got != c.ntp {
			t.Errorf("NTP(%v) = %#x, want %#x", c.time, got, c.ntp)
		}
		near := c.time.AddDate(50, 0, 0)
		if got := NTPTime(c.ntp, near); !got.Equal(c.time) {
			t.Errorf("NTPTime(%#x) = %v, want %v", c.ntp, got, c.time)
		}
	}
}

func TestNTPRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
		near := want.Add(time.Duration(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "off")))
		if got := NTPTime(NTP(want), near); !got.Equal(want) {
			t.Fatalf("%v came back as %v", want, got)
		}
	})
}

func TestShortUnits(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want uint32
	}{
		{-time.Second, 0},
		{time.Second, 65536},
		{5250 * time.Millisecond, 0x00054000}, // RFC 3550, section 6.4.1, figure 2
		{18 * time.Hour, 18 * 3600 * 65536},
		{100 * time.Hour, 1<<32 - 1},
	} {
		if got := shortUnits(c.d); got != c.want {
			t.Errorf("shortUnits(%v) = %d, want %d", c.d, got, c.want)
		}
	}
	if got := fromShortUnits(0x00062000); got != 6125*time.Millisecond {
		t.Errorf("6.125 s came out as %v", got)
	}
}
