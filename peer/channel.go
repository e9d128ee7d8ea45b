package peer

import (
	"context"
	"errors"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

type channels struct{}

func newChannels(*webrtc.PeerConnection) *channels { return &channels{} }
func (c *channels) serve(*parley.Call)             {}
func (c *channels) OpenChannel(context.Context, *parley.ChannelConfig) (parley.Channel, error) {
	return nil, errors.ErrUnsupported
}
func (c *channels) Close() error { return nil }
