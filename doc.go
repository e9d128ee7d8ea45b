// Package parley is real-time voice and video for Go back ends: calls with telephones
// over plain RTP and with browsers over WebRTC, through one API.
//
// A [Call] is made by package session (RTP) or package peer (WebRTC). A
// [Handler] is an application that serves one:
//
//	err := parley.Serve(ctx, call, parley.HandlerFunc(
//		func(ctx context.Context, c *parley.Call) error {
//			var f audio.Frame
//			for {
//				if err := c.Audio().ReadFrame(&f); err != nil {
//					return err
//				}
//				if err := c.Audio().WriteLive(&f); err != nil {
//					return err
//				}
//			}
//		}))
//
// The call is the engine that both kinds share: ordering, playout, pacing,
// timestamps, RTCP, deadlines and statistics. What differs is the [Leg], which
// carries packets.
package parley
