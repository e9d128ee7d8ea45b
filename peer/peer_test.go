package peer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/stream"
)

// hear returns the payload of the first packet from p that fits.
func (b *browser) hear(t *testing.T, ssrc uint32, fits func(payload []byte) bool) {
	t.Helper()
	patience := time.NewTimer(5 * time.Second)
	defer patience.Stop()
	for {
		select {
		case p := <-b.heard:
			if p.SSRC != ssrc {
				t.Fatalf("a packet from %08x, the call is %08x", p.SSRC, ssrc)
			}
			if fits(p.Payload) {
				return
			}
		case <-patience.C:
			t.Fatal("the browser does not hear what was sent")
		}
	}
}

// Opus passes through coded, whether or not this build has a decoder.
func TestOpus(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, opusCapability, 96, sendrecv)
	p, answer := b.call(t, e, nil)
	line := p.Audio()
	if c := line.Codec(); c.Name != "opus" || c.PayloadType != 96 || c.ClockRate != 48000 || c.Channels != 2 {
		t.Errorf("codec %+v, want opus with the payload type of the offer", c)
	}
	if want := fmt.Sprintf("a=ssrc:%d ", line.SSRC()); !strings.Contains(answer, want) {
		t.Errorf("no %q in the answer\n%s", want, answer)
	}
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 960, 40)
	line.SetReadDeadline(time.Now().Add(5 * time.Second))
	var in stream.Packet
	for range 10 {
		if err := line.ReadPacket(&in); err != nil {
			t.Fatal(err)
		}
		if len(in.Payload) != 40 || !bytes.Equal(in.Payload, bytes.Repeat(in.Payload[:1], 40)) {
			t.Fatalf("payload % x", in.Payload)
		}
		if err := line.WritePacket(&in); err != nil {
			t.Fatal(err)
		}
	}
	b.hear(t, line.SSRC(), func(payload []byte) bool { return bytes.Equal(payload, in.Payload) })
}

// PCMU is decoded, played out and encoded again.
func TestPCMU(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	p, _ := b.call(t, e, nil)
	line := p.Audio()
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 160, 160)
	line.SetReadDeadline(time.Now().Add(5 * time.Second))
	var f audio.Frame
	for media := 0; media < 10; {
		if err := line.ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if f.Format != (audio.Format{Rate: 8000, Channels: 1}) || len(f.Samples) != 160 {
			t.Fatalf("a frame of %v with %d samples", f.Format, len(f.Samples))
		}
		if f.Kind == audio.Media {
			media++
		}
	}
	f.Samples = f.Samples[:0]
	for range 160 {
		f.Samples = append(f.Samples, 120) // 0xf0 in mu-law
	}
	for range 5 {
		if err := line.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	want := bytes.Repeat([]byte{0xf0}, 160)
	b.hear(t, line.SSRC(), func(payload []byte) bool { return bytes.Equal(payload, want) })
}

// The browser gets our sender reports with our CNAME, and what it answers gives
// a round trip.
func TestReports(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, opusCapability, 111, sendrecv)
	p, answer := b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 960, 40)
	go parley.Copy(t.Context(), p.Call, p.Call)

	var cname string
	eventually(t, 10*time.Second, "a sender report with a CNAME", func() bool {
		report := b.find(func(p rtcp.Packet) bool { _, ok := p.(*rtcp.SenderReport); return ok })
		description := b.find(func(p rtcp.Packet) bool { _, ok := p.(*rtcp.SourceDescription); return ok })
		if report == nil || description == nil {
			return false
		}
		if got := report.(*rtcp.SenderReport).SSRC; got != p.Audio().SSRC() {
			t.Fatalf("a report of %08x, the call is %08x", got, p.Audio().SSRC())
		}
		chunk := description.(*rtcp.SourceDescription).Chunks[0]
		if chunk.Source != p.Audio().SSRC() || len(chunk.Items) == 0 || chunk.Items[0].Type != rtcp.SDESCNAME {
			t.Fatalf("description %+v", chunk)
		}
		cname = chunk.Items[0].Text
		return true
	})
	if want := fmt.Sprintf("a=ssrc:%d cname:%s", p.Audio().SSRC(), cname); cname == "" || line(answer, want) != want {
		t.Errorf("no %q in the answer, which has %q", want, line(answer, "a=ssrc:"))
	}
	var s parley.Stats
	eventually(t, 15*time.Second, "a round trip", func() bool { p.Stats(&s); return s.Audio.RoundTrip > 0 })
	if s.Audio.RoundTrip > time.Second {
		t.Errorf("round trip %v on one machine", s.Audio.RoundTrip)
	}
	if s.Audio.RemoteLost != 0 || s.Audio.PacketsSent == 0 {
		t.Errorf("%d packets sent, %d lost", s.Audio.PacketsSent, s.Audio.RemoteLost)
	}
	t.Logf("round trip %v", s.Audio.RoundTrip)
}

func TestBrowserHangsUp(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, opusCapability, 111, sendrecv)
	p, _ := b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 960, 40)
	var in stream.Packet
	if err := p.Audio().ReadPacket(&in); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err := b.pc.Close()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(time.Second):
		t.Fatal("the call goes on a second after the browser hung up")
	}
	end, ok := errors.AsType[*parley.EndError](p.Err())
	if !ok || end.Reason != parley.Bye {
		t.Errorf("ended with %v", p.Err())
	}
	t.Logf("%v after %v", p.Err(), time.Since(begin))
	for err = nil; err == nil; { // what was received before the end
		err = p.Audio().ReadPacket(&in)
	}
	if err != io.EOF {
		t.Errorf("ReadPacket: %v", err)
	}
}

func TestWeHangUp(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, opusCapability, 111, sendrecv)
	p, _ := b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 960, 40)
	var in stream.Packet
	if err := p.Audio().ReadPacket(&in); err != nil {
		t.Fatal(err)
	}
	if err := p.Audio().WritePacket(&in); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("Close took %v", d)
	}
	select {
	case <-b.closed:
	case <-time.After(2 * time.Second):
		t.Error("the browser has not noticed after two seconds")
	}
	if state := p.Connection().ConnectionState(); state != webrtc.PeerConnectionStateClosed {
		t.Errorf("our connection is %v", state)
	}
}

// The goodbye leaves before the connection is closed. pion's own end would close
// with ours and not read it, so it is told not to.
func TestGoodbye(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, opusCapability, 111, sendrecv, func(s *webrtc.SettingEngine) { s.DisableCloseByDTLS(true) })
	p, _ := b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 960, 40)
	var in stream.Packet
	if err := p.Audio().ReadPacket(&in); err != nil {
		t.Fatal(err)
	}
	if err := p.Audio().WritePacket(&in); err != nil {
		t.Fatal(err)
	}
	b.hear(t, p.Audio().SSRC(), func([]byte) bool { return true })
	p.Close()
	eventually(t, 2*time.Second, "a goodbye", func() bool {
		bye := b.find(func(p rtcp.Packet) bool { _, ok := p.(*rtcp.Goodbye); return ok })
		if bye == nil {
			return false
		}
		if s := bye.(*rtcp.Goodbye).Sources; len(s) != 1 || s[0] != p.Audio().SSRC() {
			t.Fatalf("goodbye of %x, the call is %x", s, p.Audio().SSRC())
		}
		return true
	})
}

// One end may only listen.
func TestDirections(t *testing.T) {
	t.Run("recvonly", func(t *testing.T) {
		e := listen(t, nil)
		b := newBrowser(t, pcmuCapability, 0, webrtc.RTPTransceiverDirectionRecvonly)
		p, answer := b.call(t, e, nil)
		if line(answer, "a=sendonly") == "" {
			t.Errorf("the answer to recvonly is not sendonly\n%s", answer)
		}
		if err := p.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
		if err := p.Audio().WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
		b.hear(t, p.Audio().SSRC(), func(payload []byte) bool { return len(payload) == 160 })
	})
	t.Run("sendonly", func(t *testing.T) {
		e := listen(t, nil)
		b := newBrowser(t, pcmuCapability, 0, webrtc.RTPTransceiverDirectionSendonly)
		p, answer := b.call(t, e, nil)
		if line(answer, "a=recvonly") == "" {
			t.Errorf("the answer to sendonly is not recvonly\n%s", answer)
		}
		if err := p.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.talk(t, 160, 160)
		p.Audio().SetReadDeadline(time.Now().Add(5 * time.Second))
		var f audio.Frame
		if err := p.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		// There is nobody to hear this, but it must not block or break anything.
		if err := p.Audio().WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	})
}

// Real browsers' offers are answered with the codec that they put first.
func TestRecordedOffers(t *testing.T) {
	e := listen(t, nil)
	for _, tt := range []struct {
		browser     string
		payloadType uint8
	}{{"chromium", 111}, {"firefox", 109}} {
		t.Run(tt.browser, func(t *testing.T) {
			p, answer, err := e.Answer(t.Context(), recorded(t, tt.browser), &peer.CallConfig{Deadlines: parley.Deadlines{Connect: 500 * time.Millisecond}})
			if err != nil {
				t.Fatal(err)
			}
			if c := p.Audio().Codec(); c.Name != "opus" || c.PayloadType != tt.payloadType {
				t.Errorf("codec %+v", c)
			}
			if line(answer, fmt.Sprintf("a=rtpmap:%d opus/48000/2", tt.payloadType)) == "" || line(answer, "a=candidate:") == "" {
				t.Errorf("answer\n%s", answer)
			}
			<-p.Done()
			if end, ok := errors.AsType[*parley.EndError](p.Err()); !ok || end.Reason != parley.NotConnected {
				t.Errorf("ended with %v", p.Err())
			}
		})
	}
}
