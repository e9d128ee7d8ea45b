package peer

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
)

// What goes wrong with the feedback on congestion, as when a call ends at that moment, is
// in the log of the call, and nowhere else.
func TestLogOfFeedback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		x, err := feedback(logger).Build("")
		if err != nil {
			t.Fatal(err)
		}
		x.BindRTCPWriter(interceptor.RTCPWriterFunc(func([]rtcp.Packet, interceptor.Attributes) (int, error) {
			return 0, errors.New("a closed pipe")
		}))
		p := rtp.Packet{Header: rtp.Header{Version: 2}}
		if err := p.SetExtension(1, []byte{0, 1}); err != nil {
			t.Fatal(err)
		}
		packet, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		info := &interceptor.StreamInfo{RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: sdp.TransportCCURI, ID: 1}}}
		in := x.BindRemoteStream(info, interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
			return copy(b, packet), a, nil
		}))
		if _, _, err := in.Read(make([]byte, 1500), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(150 * time.Millisecond) // feedback goes out each 100 ms
		x.Close()
		if !strings.Contains(log.String(), "a closed pipe") {
			t.Errorf("the log is %q", log.String())
		}
	})
}
