package rtcpctl

import "time"

// Received returns how many packets were received, duplicates and the ones of a
// proven probation included, strays excluded.
func (r *Reception) Received() int64 {
	if !r.valid {
		return 0
	}
	return r.pastReceived + r.received
}

// Expected returns how many packets should have been received by their numbers.
func (r *Reception) Expected() int64 {
	if !r.valid {
		return 0
	}
	return r.pastExpected + r.expected()
}

// expected returns how many packets this run should have brought.
func (r *Reception) expected() int64 { return r.max - r.base + 1 }

// Lost returns how many packets were lost: expected less received. As RFC 3550,
// section 6.4.1, has it, duplicates count as received, so it may be negative.
func (r *Reception) Lost() int64 { return r.Expected() - r.Received() }

// Duplicates returns how many packets were copies of ones received.
func (r *Reception) Duplicates() int64 { return r.duplicates }

// Reordered returns how many packets came after one with a higher number.
func (r *Reception) Reordered() int64 { return r.reordered }

// Strays returns how many packets did not fit into the sequence and were not
// followed by one that proved a restart.
func (r *Reception) Strays() int64 { return r.strays }

// Last returns when a packet that was not a stray arrived last; zero if none
// did.
func (r *Reception) Last() time.Time { return r.last }

// JitterUnits returns the interarrival jitter in timestamp units (RFC 3550,
// appendix A.8).
func (r *Reception) JitterUnits() uint32 { return uint32(r.timing.jitter >> 4) }

// Jitter returns the interarrival jitter as a time.
func (r *Reception) Jitter() time.Duration {
	return fromUnits(int64(r.JitterUnits()), r.clockRate)
}

// SetClockRate tells the clock rate of the timestamps from the next packet on,
// in Hz, as it may change with the payload type. The jitter so far is converted;
// how timestamps map to the sender's clock is unknown until its next report. A
// rate that is the same, or is not positive, changes nothing.
func (r *Reception) SetClockRate(clockRate int) {
	if clockRate == r.clockRate || clockRate <= 0 {
		return
	}
	if r.clockRate > 0 {
		r.timing.jitter = r.timing.jitter * int64(clockRate) / int64(r.clockRate)
	}
	r.timing.based = false
	r.lastReport.mapped = false
	r.clockRate = clockRate
}

// timing is the jitter estimate of RFC 3550, appendix A.8.
type timing struct {
	epoch     time.Time // arrival times are relative to this
	transit   uint32    // arrival less timestamp of the last packet, modulo 2^32
	timestamp uint32    // of the last packet
	based     bool      // the two are valid
	jitter    int64     // in 1/16 of a timestamp unit
}

// rebase takes a packet as the one that the next is compared with.
func (t *timing) rebase(timestamp uint32, arrival time.Time, clockRate int) {
	if t.epoch.IsZero() {
		t.epoch = arrival
	}
	t.transit = uint32(toUnits(arrival.Sub(t.epoch), clockRate)) - timestamp
	t.timestamp = timestamp
	t.based = true
}

// since returns how long ago the last packet came, or 0 if that is not known.
func (t *timing) since(arrival time.Time, clockRate int) time.Duration {
	if !t.based {
		return 0
	}
	return fromUnits(int64(int32(uint32(toUnits(arrival.Sub(t.epoch), clockRate))-t.transit-t.timestamp)), clockRate)
}

// update takes the next packet in the order of arrival (RFC 3550, section 6.4.1).
// Of several packets with one timestamp, as in video, only the first counts: the
// others were sent later than their timestamp says.
func (t *timing) update(timestamp uint32, arrival time.Time, clockRate int) {
	before := *t
	if before.based && timestamp == before.timestamp {
		return
	}
	t.rebase(timestamp, arrival, clockRate)
	if !before.based {
		return
	}
	step := distance(timestamp, before.timestamp)
	change := distance(t.transit, before.transit)
	// A jump of the timestamps that has nothing to do with the time that has
	// passed is a new beginning of theirs, not delay.
	if step > int64(clockRate) && change > int64(clockRate) {
		return
	}
	t.jitter += change - (t.jitter+8)>>4
}

// distance returns how far apart two numbers are modulo 2^32.
func distance(a, b uint32) int64 {
	d := int64(int32(a - b))
	return max(d, -d)
}

// senderReport is the last SR of a source.
type senderReport struct {
	arrival   time.Time
	ntp       uint64
	wall      time.Time // of ntp
	timestamp uint32
	mapped    bool // wall and timestamp are the same instant
}

// SenderReport takes the NTP and RTP timestamps of a sender report of this source
// that arrived at now. A session does this for the receptions of its
// [Config.Sources].
func (r *Reception) SenderReport(now time.Time, ntp uint64, timestamp uint32) {
	r.lastReport = senderReport{arrival: now, ntp: ntp}
	if ntp != 0 { // a sender without a clock says zero
		r.lastReport.wall = NTPTime(ntp, now)
		r.lastReport.timestamp = timestamp
		r.lastReport.mapped = true
	}
}

// Captured returns the sender's wall clock at an RTP timestamp within half the
// range of timestamps of its last report (74 hours at 8000 Hz), or the zero Time
// if there was no report. The sender's clock may be far from ours; it serves to
// align streams of one sender.
func (r *Reception) Captured(timestamp uint32) time.Time {
	sr := &r.lastReport
	if !sr.mapped || r.clockRate <= 0 {
		return time.Time{}
	}
	return sr.wall.Add(fromUnits(int64(int32(timestamp-sr.timestamp)), r.clockRate))
}

// Mapped returns when the report came that tells how timestamps map to the
// sender's clock, or the zero Time if none does.
func (r *Reception) Mapped() time.Time {
	if !r.lastReport.mapped {
		return time.Time{}
	}
	return r.lastReport.arrival
}

// ClockRate returns the clock rate of the timestamps, in Hz.
func (r *Reception) ClockRate() int { return r.clockRate }

// Report returns the report block on this source for a report that is sent at
// now, and begins the next interval of its fraction lost. After a restart of the
// sender the block counts from there, as appendix A.1 has it.
func (r *Reception) Report(now time.Time) ReportBlock {
	b := ReportBlock{SSRC: r.ssrc, Jitter: r.JitterUnits()}
	if r.valid {
		expected := r.expected()
		lost := expected - r.expectedPrior - (r.received - r.receivedPrior)
		if interval := expected - r.expectedPrior; lost > 0 && interval > 0 {
			b.FractionLost = uint8(min(lost*256/interval, 255))
		}
		r.expectedPrior, r.receivedPrior = expected, r.received
		b.Lost = int32(max(-1<<23, min(1<<23-1, expected-r.received)))
		b.Highest = uint32(r.max - r.origin)
	}
	if sr := &r.lastReport; !sr.arrival.IsZero() && middle(sr.ntp) != 0 {
		b.LastSR = middle(sr.ntp)
		b.Delay = shortUnits(now.Sub(sr.arrival))
	}
	return b
}

// unreported reports whether packets have come since the last report.
func (r *Reception) unreported() bool { return r.valid && r.received > r.receivedPrior }
