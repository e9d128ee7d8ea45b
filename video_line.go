package parley

import (
	"encoding/binary"
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// What follows makes Video a medium.

func (v *Video) pushed(now time.Time, verdict stream.Verdict) {
	if verdict == stream.Accepted {
		v.described.payloadType = v.packet.PayloadType
	}
	v.pullLocked(now)
}

func (v *Video) hole(now time.Time, n int, r *rtcpctl.Reception) rtcpctl.Hole {
	// The packets of a frame are spread on purpose, which counts as jitter but
	// does not reorder them: what is believed of it is bounded.
	wait := min(max(10*time.Millisecond, 2*r.Jitter()), v.patience/8)
	return rtcpctl.Hole{First: r.Seq() - int64(n), Count: n, Wait: wait, Deadline: now.Add(v.patience)}
}

func (v *Video) resume() { v.receiver.Rejoin() }

func (v *Video) heed(now time.Time, e rtcpctl.Event) {
	switch e.Kind {
	case rtcpctl.KeyFrameWanted:
		v.requests++
		if v.thin.until.IsZero() { // it would get none
			v.sender.KeyFrames().Ask()
		}
	case rtcpctl.BandwidthEstimated:
		v.estimatedLocked(now, e.Bitrate)
	case rtcpctl.TransportReported:
		v.arrived += int64(e.Arrived)
		v.missing += int64(e.Missing)
	}
}

// bandwidthPause is the least time between two events about the bandwidth.
const bandwidthPause = 500 * time.Millisecond

// estimatedLocked takes what the far end says it can take. Whoever sends that
// repeats it each second or more often, so one that is left out is made up for.
func (v *Video) estimatedLocked(now time.Time, bitrate int64) {
	v.bandwidth = bitrate
	change := bitrate - v.told
	if !v.toldAt.IsZero() && (now.Sub(v.toldAt) < bandwidthPause || max(change, -change) < v.told/20) || change == 0 {
		return
	}
	v.told, v.toldAt = bitrate, now
	v.emitLocked(Event{Kind: BandwidthChanged, Time: now, SSRC: v.heard, Bitrate: bitrate})
}

func (v *Video) goodbye() {}

func (v *Video) rename(_ time.Time, ssrc uint32, sequence uint16) {
	v.sender.SetSSRC(ssrc, sequence)
	v.sequence = sequence
}

func (v *Video) appendMedia(dst []byte, now time.Time) ([]byte, bool) {
	queued := v.sender.Queued()
	v.sender.Hold(!v.direction.Sends())
	b, ok := v.sender.AppendPacket(dst, now)
	if ok {
		v.begun = true
		v.sequence = binary.BigEndian.Uint16(b[len(dst)+2:]) + 1
	}
	if v.sender.Queued() != queued && v.waiting.room > 0 {
		v.call.cond.Broadcast()
	}
	return b, ok
}

func (v *Video) idle(now time.Time) {
	v.pullLocked(now)
	v.thinLocked(now)
	if v.sender.KeyFrames().Take(now) {
		v.wanted = true
		v.emitLocked(Event{Kind: KeyframeRequested, SSRC: v.heard})
	}
	if v.waiting.drain > 0 && v.sender.Queued() == 0 {
		v.call.cond.Broadcast()
	}
}

func (v *Video) next() time.Time {
	return earliest(v.thin.until, earliest(v.receiver.Next(), v.sender.KeyFrames().Next(v.call.opened)))
}

func (v *Video) readers() time.Time { return v.deadlinesLocked() }

// pullLocked takes the frames that are ready out of the receiver, whether or not
// somebody reads them, so that what is lost is asked for in time.
func (v *Video) pullLocked(now time.Time) {
	any := false
	for v.receiver.Pull(now, v.frames.room()) {
		if v.frames.room().Key {
			v.pictures.open = false
		}
		v.described.complete(v.heard, v.frames.room())
		v.frames.push()
		any = true
	}
	if any && v.waiting.frame > 0 {
		v.call.cond.Broadcast()
	}
}
