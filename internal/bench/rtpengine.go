package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An rtpengine is a process of that name, which forwards in user space.
type rtpengine struct {
	cmd     *exec.Cmd
	said    strings.Builder
	control net.Conn
	cookie  int
}

func (r *rtpengine) pid() int { return r.cmd.Process.Pid }

func (r *rtpengine) stop() string {
	if r.control != nil {
		r.control.Close()
	}
	r.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	r.cmd.Wait()                          //nolint:errcheck // by that signal
	first, _, _ := strings.Cut(strings.TrimSpace(r.said.String()), "\n")
	return first
}

// openRTPEngine starts the program, and makes it join the ends.
func (b *relayBench) openRTPEngine(ctx context.Context, ends [][2]int) (relay, [][2]int, error) {
	program, err := exec.LookPath(cmp.Or(b.options.RTPEngine, "rtpengine"))
	if err != nil {
		return nil, nil, missing("rtpengine (Debian package rtpengine-daemon)")
	}
	probe, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	address := probe.LocalAddr().String()
	probe.Close()
	r := &rtpengine{cmd: exec.CommandContext(ctx, program, "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=3",
		"--interface=127.0.0.1", "--listen-ng="+address, "--port-min=20000", "--port-max=60000", "--timeout=3600", "--silent-timeout=3600")}
	r.cmd.Stderr = &r.said
	if err := r.cmd.Start(); err != nil {
		return nil, nil, err
	}
	if r.control, err = net.Dial("udp4", address); err != nil {
		return r, nil, err
	}
	if err := r.wait(); err != nil {
		return r, nil, err
	}
	ports := make([][2]int, len(ends))
	for i, e := range ends {
		call := map[string]any{"call-id": fmt.Sprint("call ", i), "from-tag": "a", "ICE": "remove", "flags": []any{"trust-address"}}
		if ports[i][1], err = r.describe("offer", call, e[0]); err != nil {
			return r, nil, err
		}
		call["to-tag"] = "b"
		if ports[i][0], err = r.describe("answer", call, e[1]); err != nil {
			return r, nil, err
		}
	}
	return r, ports, nil
}

// wait waits until the program answers.
func (r *rtpengine) wait() (err error) {
	for range 50 {
		var reply map[string]any
		if reply, err = r.ask(map[string]any{"command": "ping"}); err == nil && reply["result"] == "pong" {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.Join(errors.New("bench: rtpengine does not answer"), err)
}

// describe tells the port of one end, and returns the one that the other end has to
// send to.
func (r *rtpengine) describe(command string, call map[string]any, port int) (int, error) {
	call["command"] = command
	call["sdp"] = fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n", port)
	reply, err := r.ask(call)
	if err != nil {
		return 0, err
	}
	sdp, _ := reply["sdp"].(string)
	_, media, _ := strings.Cut(sdp, "m=audio ")
	text, _, _ := strings.Cut(media, " ")
	if port, err = strconv.Atoi(text); err != nil {
		return 0, fmt.Errorf("bench: rtpengine says %v to an %s", reply, command)
	}
	return port, nil
}

// ask sends a command by the protocol that the program calls ng: a cookie and a
// dictionary in bencode, in a datagram.
func (r *rtpengine) ask(command map[string]any) (map[string]any, error) {
	r.cookie++
	cookie := strconv.Itoa(r.cookie) + " "
	if _, err := r.control.Write(appendBencode([]byte(cookie), command)); err != nil {
		return nil, err
	}
	r.control.SetReadDeadline(time.Now().Add(2 * time.Second)) //nolint:errcheck // the read tells
	b := make([]byte, 1<<16)
	for {
		n, err := r.control.Read(b)
		if err != nil {
			return nil, err
		}
		text, ok := strings.CutPrefix(string(b[:n]), cookie)
		if !ok {
			continue // of an earlier one
		}
		v, _, err := parseBencode(text)
		if reply, ok := v.(map[string]any); ok && err == nil {
			return reply, nil
		}
		return nil, fmt.Errorf("bench: rtpengine says %q", text)
	}
}
