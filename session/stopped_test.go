//go:build unix

package session

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/internal/census"
	"github.com/parley-media/parley/transport"
)

// A process with twenty calls is stopped for two seconds, as by a debugger, a
// hypervisor or a closed lid, and goes on.
func TestStoppedProcess(t *testing.T) {
	if isChild(t) {
		stoppedChild(t)
		return
	}
	timely(t, func() string { return stopped(t) })
}

const (
	stoppedCalls = 20
	stoppedFor   = 2 * time.Second
	farVariable  = "PARLEY_TEST_FAR"
)

// stoppedChild talks on half of the calls, from a source that gives as much as is
// taken, and echoes what it hears on the others.
func stoppedChild(t *testing.T) {
	warm, err := Open(t.Context(), &Config{Local: local})
	if err != nil {
		t.Fatal(err)
	}
	warm.Close()
	before := census.Rested()
	var sessions []*Session
	var near []string
	var running sync.WaitGroup
	for i, far := range strings.Split(os.Getenv(farVariable), ",") {
		s, err := Open(t.Context(), &Config{Local: local, Remote: netip.MustParseAddrPort(far), Deadlines: parley.Deadlines{Silence: stoppedFor / 2}})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
		near = append(near, s.LocalAddr().String())
		if i%2 == 0 {
			running.Go(func() {
				for n := 0; s.Audio().WriteFrame(tone(code(n))) == nil; n++ {
				}
			})
		}
		running.Go(func() {
			var f audio.Frame
			for s.Audio().ReadFrame(&f) == nil {
				if i%2 == 1 && f.Kind != audio.Silence {
					s.Audio().WriteLive(&f) //nolint:errcheck // it ends with the call
				}
			}
		})
	}
	report("near", strings.Join(near, ","))
	for in := bufio.NewScanner(os.Stdin); in.Scan() && in.Text() == "stats"; {
		var all []string
		for _, s := range sessions {
			var st stoppedStats
			st.of(s)
			b, _ := json.Marshal(&st)
			all = append(all, string(b))
		}
		report("stats", "["+strings.Join(all, ",")+"]")
	}
	for _, s := range sessions {
		s.Close()
	}
	running.Wait()
	sessions = nil
	slack := census.Census{Heap: 1 << 20}
	after := census.Return(before, slack)
	if !after.Within(before, slack) {
		after.LogGoroutines(t, before)
		t.Errorf("%v, and in the end %v", before, after)
	}
	report("left", fmt.Sprintf("%v, and in the end %v", before, after))
}

// stoppedStats are those of a call that matter here.
type stoppedStats struct {
	Delay, Added, Target, Skipped, Stalled, LeftOut time.Duration
	Lost, Late, Discarded, SendErrors               int64
}

func (st *stoppedStats) of(s *Session) {
	var a parley.AudioStats
	s.Audio().Stats(&a)
	*st = stoppedStats{a.Delay, a.Added, a.Target, a.Skipped, a.Stalled, a.LeftOut, a.Lost, a.Late, a.Discarded, a.SendErrors}
}

// code is a level that mu-law keeps, and another for each of a hundred numbers.
func code(n int) int16 { return g711.AppendPCMFromMuLaw(nil, []byte{codeByte(n)})[0] }

func codeByte(n int) byte { return byte(0x80 + n%100) }

// louder is a hum that every fifth frame becomes louder, in thirty steps, so that its
// level tells when it was said.
func louder(n int) []int16 {
	f := make([]int16, 160)
	for i := range f {
		f[i] = int16(1000 * math.Pow(1.1, float64(n/5%30)) * math.Sin(2*math.Pi*float64(i)/40))
	}
	return f
}

// saidAgo returns how long before frame number now something was said that has the
// level of f, or false if that was long ago.
func saidAgo(f []int16, now int) (time.Duration, bool) {
	peak := 0.0
	for _, v := range f {
		peak = max(peak, math.Abs(float64(v)))
	}
	step := int(math.Round(math.Log(peak/1000) / math.Log(1.1)))
	for n := now; n >= max(0, now-149); n-- {
		if n/5%30 == step {
			return time.Duration(now-n) * 20 * time.Millisecond, true
		}
	}
	return 0, false
}

// A farEnd hears what a call of the child says.
type farEnd struct {
	conn *net.UDPConn
	near netip.AddrPort
	mu   sync.Mutex
	got  []gotPacket
}

type gotPacket struct {
	at     time.Time
	seq    uint16
	ts     uint32
	marker bool
	pcm    []int16
	byte   byte
}

// transit returns by how much later the packet came than its timestamp says, from
// any zero that is the same for all of a call.
func (p *gotPacket) transit(first *gotPacket) time.Duration {
	return p.at.Sub(first.at) - time.Duration(int32(p.ts-first.ts))*time.Second/8000
}

func (f *farEnd) listen() {
	transport.Receive(f.conn, func(arrival time.Time, _ netip.AddrPort, b []byte) {
		if transport.Classify(b) != transport.RTP || len(b) < 12+80 {
			return
		}
		p := gotPacket{
			at: arrival, seq: binary.BigEndian.Uint16(b[2:]), ts: binary.BigEndian.Uint32(b[4:]), marker: b[1]&0x80 != 0,
			pcm: g711.AppendPCMFromMuLaw(nil, b[12:]), byte: b[12+80],
		}
		f.mu.Lock()
		f.got = append(f.got, p)
		f.mu.Unlock()
	})
}

func stopped(t *testing.T) (problem string) {
	var all [stoppedCalls]*farEnd
	var addresses []string
	var listening sync.WaitGroup
	for i := range all {
		all[i] = &farEnd{conn: from(t, "127.0.0.1:0")}
		addresses = append(addresses, all[i].conn.LocalAddr().String())
		listening.Go(all[i].listen)
	}
	c := startChild(t, farVariable+"="+strings.Join(addresses, ","))
	for i, address := range strings.Split(c.said("near"), ",") {
		all[i].near = netip.MustParseAddrPort(address)
	}
	begin := time.Now()
	frameAt := func(at time.Time) int { return int(at.Sub(begin) / (20 * time.Millisecond)) }
	stop := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() {
		head := []byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Until(begin.Add(time.Duration(n) * 20 * time.Millisecond))):
			}
			binary.BigEndian.PutUint16(head[2:], uint16(n))
			binary.BigEndian.PutUint32(head[4:], uint32(160*n))
			b := g711.AppendMuLaw(head[:12:12], louder(n))
			for _, f := range all {
				f.conn.WriteToUDPAddrPort(b, f.near) //nolint:errcheck // what is lost is seen
			}
		}
	})
	stats := func() (st []stoppedStats) {
		c.tell("stats")
		if err := json.Unmarshal([]byte(c.said("stats")), &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	time.Sleep(1500 * time.Millisecond)
	before := stats()
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(stoppedFor)
	goesOn := time.Now()
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	after := stats()
	time.Sleep(1500 * time.Millisecond)
	last := stats()
	close(stop)
	talking.Wait()
	c.tell("end")
	t.Log(c.said("left"))
	c.end()
	for _, f := range all {
		f.conn.Close()
	}
	listening.Wait()

	late, aged := time.Duration(0), time.Duration(0)
	for i, f := range all {
		n := slices.IndexFunc(f.got, func(p gotPacket) bool { return !p.at.Before(goesOn) })
		if n < 30 || len(f.got)-n < 50 {
			return fmt.Sprintf("call %d: %d packets, and %d after the stop", i, n, len(f.got)-n)
		}
		delay, problem := f.check(n, goesOn)
		if problem != "" {
			return fmt.Sprintf("call %d %s", i, problem)
		}
		late = max(late, delay)
		if i%2 == 0 {
			for k := 1; k < len(f.got); k++ { // what was queued is kept
				if got, last := int(f.got[k].byte), int(f.got[k-1].byte); got != int(codeByte(last-0x80+1)) {
					t.Errorf("call %d: level %#x after %#x at packet %d of %d", i, got, last, k, n)
				}
			}
			continue
		}
		age, problem := f.ages(n, goesOn, frameAt)
		if problem != "" {
			return fmt.Sprintf("call %d %s", i, problem)
		}
		aged = max(aged, age)
		if b, a := &before[i], &after[i]; a.Added > b.Added+stoppedFor/2 {
			return fmt.Sprintf("call %d: a second after the stop added %v, target %v; %v and %v before", i, a.Added, a.Target, b.Added, b.Target)
		}
		if l := &last[i]; l.Lost != 0 || l.SendErrors != 0 {
			t.Errorf("call %d: %d packets lost, %d not sent", i, l.Lost, l.SendErrors)
		}
	}
	t.Logf("on the clock again within %v, sound of up to %v ago after a second", late, aged)
	return ""
}

// check checks what came after the stop, which begins with packet n, and returns how
// late the first one that is on the clock again was.
func (f *farEnd) check(n int, goesOn time.Time) (late time.Duration, problem string) {
	const frame = 20 * time.Millisecond
	first := &f.got[n-1]
	base := f.least(n-30, n, first)
	burst := 0
	for k := n; k < len(f.got) && f.got[k].at.Sub(goesOn) < 200*time.Millisecond; k++ {
		burst++
	}
	// One that was on its way when the process was stopped, then eleven.
	if burst > 13 {
		return 0, fmt.Sprintf("sends %d packets in the first 200 ms", burst)
	}
	for k := 1; k < len(f.got); k++ {
		if f.got[k].seq != f.got[k-1].seq+1 {
			return 0, fmt.Sprintf("sends %d after %d", f.got[k].seq, f.got[k-1].seq)
		}
	}
	j := n
	for j < n+2 && !f.got[j].marker {
		j++
	}
	if !f.got[j].marker {
		return 0, "goes on without a marker"
	}
	if late = f.got[j].transit(first) - base; late < -frame || late > stoppedFor/2 {
		return 0, fmt.Sprintf("goes on with a timestamp that is wrong by %v", late)
	}
	from := slices.IndexFunc(f.got, func(p gotPacket) bool { return p.at.Sub(goesOn) > 500*time.Millisecond })
	if drift := f.least(from, len(f.got), first) - base; drift.Abs() > frame {
		return 0, fmt.Sprintf("has a media clock that is wrong by %v", drift)
	}
	return late, ""
}

// least returns the least transit time of some packets.
func (f *farEnd) least(from, to int, first *gotPacket) time.Duration {
	least := f.got[from].transit(first)
	for k := from; k < to; k++ {
		least = min(least, f.got[k].transit(first))
	}
	return least
}

// ages checks how old the sound is that is echoed, from packet n on, and returns the
// median after a second.
func (f *farEnd) ages(n int, goesOn time.Time, frameAt func(time.Time) int) (age time.Duration, problem string) {
	var before, after []time.Duration
	old := 0
	for k, p := range f.got {
		ago, ok := saidAgo(p.pcm, frameAt(p.at))
		switch {
		case !ok:
		case k < n:
			if goesOn.Sub(p.at) < stoppedFor+500*time.Millisecond {
				before = append(before, ago)
			}
		case p.at.Sub(goesOn) > time.Second:
			after = append(after, ago)
		case ago > time.Second:
			old++
		}
	}
	if len(before) == 0 || len(after) < 20 {
		return 0, fmt.Sprintf("echoes %d and %d packets that can be told", len(before), len(after))
	}
	slices.Sort(before)
	slices.Sort(after)
	was, is := before[len(before)/2], after[len(after)/2]
	// Old are what had been heard and waited to be sent, and what is heard until all
	// that has waited is received. Another program may hold this one up after the stop
	// too, and then there is more delay, but not that of the stop.
	if old > 25 || is > was+stoppedFor/2 {
		return is, fmt.Sprintf("echoes %d packets of old sound, and after a second what was said %v ago, %v before the stop", old, is, was)
	}
	return is, ""
}
