package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// withDefault adds to the help of a flag what it is by default, which kong leaves out
// where the flag has a placeholder. Where the default means that something else
// decides, the help tells.
func withDefault(value *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(value)
	switch value.Default {
	case "", "0", "0s", "-1", "true", "false":
		return help
	}
	return strings.TrimSuffix(help, ".") + " (default " + value.Default + ")."
}

// eventsHelp tells of the events of send and recv.
const eventsHelp = `With --json each line is an event. Its "event" is listening, started, stats (once a second), digit or digits, warning, and at last end, whose "reason" is sent, bye, duration, timeout, interrupted or another in a word; if it is failed, or nothing was received for a reason that is known, there is a "message". Before the call has begun there is nothing else.

stats and end have the measures of the call until then. Of audio: packets_sent, octets_sent; packets_received, packets_lost, packets_late, packets_duplicated, packets_reordered, packets_discarded; jitter_ms, delay_ms and delay_target_ms of the playout; concealed_ms that were made up; stalled_ms for which this machine had no time to send; round_trip_ms and remote_loss_pct as the far end reports, if it does; mos, from 1 to 4.4, of what was received.

Of video: video_packets_sent, video_octets_sent, video_frames_sent, video_key_frames_sent; video_key_frame_requests that came, and video_packets_retransmitted; video_packets_received, video_octets_received, video_packets_lost, video_packets_late, video_packets_duplicated, video_packets_discarded; video_packets_requested again; video_frames_received and video_key_frames_received that could be shown, video_frames_lost that could not; video_key_frames_requested from the far end; video_jitter_ms, video_round_trip_ms, video_remote_loss_pct, if the far end reports.

Packets lost are those expected less those received, copies included, as in RFC 3550: with those duplicated added, they are the ones that never came.`

func (*serveCommand) Help() string {
	return `With --json each line is an event. Its "event" is profiling, listening, started for each call, recorded, end of a call, warning, and at last stopped. Those of a call have its id in the log as "call", and its end has the measures that the help of recv names, of audio and video where the call has them.`
}

func (*sendCommand) Help() string { return eventsHelp }

func (*recvCommand) Help() string { return eventsHelp }
