package rtcpctl

import "time"

// ntpToUnix is the number of seconds from 1 January 1900 to 1 January 1970.
const ntpToUnix = 2208988800

// NTP returns the wall clock of t as a 64-bit NTP timestamp: seconds since 1900
// modulo 2^32 in the upper half, fraction in the lower (RFC 3550, section 4).
// The seconds wrap in February 2036, and so does the result.
func NTP(t time.Time) uint64 {
	seconds := uint32(t.Unix() + ntpToUnix)
	return uint64(seconds)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// NTPTime returns the time that a 64-bit NTP timestamp stands for. Of the times
// 136 years apart which have that timestamp it is the one closest to near. It
// has no monotonic clock reading.
func NTPTime(ntp uint64, near time.Time) time.Time {
	now := near.Unix()
	seconds := now + int64(int32(uint32(ntp>>32)-uint32(now+ntpToUnix)))
	nanoseconds := ((ntp&0xffffffff)*1e9 + 1<<31) >> 32
	return time.Unix(seconds, int64(nanoseconds))
}

// middle returns the middle 32 bits of an NTP timestamp: units of 1/65536
// seconds, which wrap every 18 hours.
func middle(ntp uint64) uint32 { return uint32(ntp >> 16) }

// shortUnits returns d in units of 1/65536 seconds, rounded down, between 0 and
// the largest 32-bit value.
func shortUnits(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min(toUnits(d, 1<<16), 1<<32-1))
}

// fromShortUnits returns the duration of n units of 1/65536 seconds.
func fromShortUnits(n uint32) time.Duration {
	return time.Duration(uint64(n) * 1e9 >> 16)
}

// toUnits returns d in units of 1/rate seconds, rounded toward zero.
func toUnits(d time.Duration, rate int) int64 {
	whole, part := d/time.Second, d%time.Second
	return int64(whole)*int64(rate) + int64(part)*int64(rate)/int64(time.Second)
}

// fromUnits returns the duration of n units of 1/rate seconds.
func fromUnits(n int64, rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	whole, part := n/int64(rate), n%int64(rate)
	return time.Duration(whole)*time.Second + time.Duration(part)*time.Second/time.Duration(rate)
}
