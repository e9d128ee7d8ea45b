package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

const (
	callSamples = 160
	callPacket  = 12 + callSamples
	callBuffer  = 256 << 10 // of sockets, as ours ask for
)

// A callWay is a way of ours, or a bare one, to have many calls at once.
type callWay interface {
	address(i int) netip.AddrPort
	begin(ctx context.Context) error

	// least returns the packets that the call has received that has least of them, and
	// counts those of all.
	least() int64
	counts() (sent, received int64)

	// finish closes the calls, and returns how many packets did not reach them.
	finish() (lost int64)
}

// An opener opens n calls, of which the first talk to far, and the others to each other.
type opener func(ctx context.Context, c *callSetup) (callWay, error)

type callSetup struct {
	n       int
	far     []netip.AddrPort
	keys    *callKeys     // nil: not encrypted
	reports time.Duration // between those of RTCP; 0: as calls have it
}

// partner returns the SSRC of whom end i talks to.
func (s *callSetup) partner(i int) uint32 {
	if i < len(s.far) {
		return farSSRC + uint32(i)
	}
	return uint32(i^1) + 1
}

func loopCalls(ctx context.Context, b *callBench) (loadRound, error) {
	return b.measure(ctx, openLoopCalls, nil)
}

func readCalls(ctx context.Context, b *callBench) (loadRound, error) {
	return b.measure(ctx, openReadCalls, nil)
}

func secretCalls(ctx context.Context, b *callBench) (loadRound, error) {
	return b.measure(ctx, openLoopCalls, newCallKeys())
}

func drainedSockets(ctx context.Context, b *callBench) (loadRound, error) {
	return b.measure(ctx, openBareCalls, nil)
}

func blockingSockets(ctx context.Context, b *callBench) (loadRound, error) {
	return b.measure(ctx, openBlockingCalls, nil)
}

// measure opens calls, measures and closes them.
func (b *callBench) measure(ctx context.Context, open opener, keys *callKeys) (r loadRound, err error) {
	before := memory()
	far, err := b.openFar(ctx, keys)
	if err != nil {
		return r, err
	}
	w, err := b.open(ctx, far, keys, open)
	if err == nil {
		r, err = b.watch(ctx, w, far, before)
		r.lost = w.finish()
	}
	report, farErr := far.finish()
	if err != nil {
		return r, err
	}
	r.lost += report.Lost
	r.late, r.silent = report.Late, report.Silent
	return r, farErr
}

func (b *callBench) open(ctx context.Context, far farEnds, keys *callKeys, open opener) (callWay, error) {
	addresses := make([]netip.AddrPort, b.far)
	for i := range addresses {
		addresses[i] = far.address(i)
	}
	w, err := open(ctx, &callSetup{n: b.calls, far: addresses, keys: keys, reports: b.options.reports})
	if err != nil {
		return nil, err
	}
	for i := range addresses {
		addresses[i] = w.address(i)
	}
	if err := far.begin(addresses); err != nil {
		w.finish()
		return nil, err
	}
	return w, nil
}

func (b *callBench) openFar(ctx context.Context, keys *callKeys) (farEnds, error) {
	if b.options.Other != nil {
		return startFarEnds(ctx, b.options.Other, b.far, b.options.Length)
	}
	return openFarEnds(b.far, b.options.Length, keys)
}

// watch measures calls that are open.
func (b *callBench) watch(ctx context.Context, w callWay, far farEnds, before memories) (r loadRound, err error) {
	if err := w.begin(ctx); err != nil {
		return r, err
	}
	if err := b.settle(ctx, w); err != nil {
		return r, err
	}
	runtime.GC()
	if err := far.measure(true); err != nil {
		return r, err
	}
	first := b.snapshot(w, far)
	if err := pause(ctx, b.options.Length); err != nil {
		return r, err
	}
	last := b.snapshot(w, far)
	if err := far.measure(false); err != nil {
		return r, err
	}
	now := memory()
	packets := float64(last.packets - first.packets)
	if packets == 0 {
		return r, errors.New("no packet was sent")
	}
	length := last.at.Sub(first.at)
	r.ns = 2 * float64(last.cpu-first.cpu) / packets
	r.cpu = float64(last.cpu-first.cpu) / float64(length)
	r.allocs = float64(last.mallocs-first.mallocs) / packets
	r.sent = float64(last.sent-first.sent) / (float64(b.calls) * float64(length) / float64(callPeriod))
	r.kib = float64(now.bytes-before.bytes) / 1024 / float64(b.calls)
	r.goroutines = float64(now.goroutines-before.goroutines) / float64(b.calls)
	return r, nil
}

func (b *callBench) settle(ctx context.Context, w callWay) error {
	packets, patience := settledPackets, settledTime
	if b.options.hurry {
		packets, patience = 5, 0
	}
	for start := time.Now(); w.least() < packets && time.Since(start) < settledLimit; {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return pause(ctx, patience)
}

type callSnapshot struct {
	at      time.Time
	cpu     time.Duration
	mallocs uint64
	packets int64 // of all ends in this process, sent and received
	sent    int64 // by the calls
}

func (b *callBench) snapshot(w callWay, far farEnds) (s callSnapshot) {
	sent, received := w.counts()
	farSent, farReceived := far.counts()
	s.packets, s.sent = sent+received+farSent+farReceived, sent
	s.mallocs, s.cpu, s.at = mallocs(), processTime(), time.Now()
	return s
}

type memories struct {
	bytes      int64 // of heap and stacks
	goroutines int
}

func memory() memories {
	for range 2 { // pools need more than one cycle
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memories{int64(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()}
}

// program has a program do the work that prints what calls.c prints.
func program(ctx context.Context, b *callBench, n int, name string, args ...string) (r loadRound, err error) {
	warmUp := 500 * time.Millisecond
	if b.options.hurry {
		warmUp = 50 * time.Millisecond
	}
	args = append(args, fmt.Sprint(n), fmt.Sprint(warmUp.Milliseconds()), fmt.Sprint(b.options.Length.Milliseconds()))
	stderr := &limited{}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if err == nil {
		r, err = parseCalls(string(out), n, b.options.Length)
	}
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(stderr.text)), "\n")
		return r, missing(fmt.Sprintf("a yardstick that works: %v: %s", err, first))
	}
	return r, nil
}

func parseCalls(line string, n int, length time.Duration) (r loadRound, err error) {
	var sent int64
	var late Lateness
	k, err := fmt.Sscan(line, &r.ns, &sent, &r.lost, &late.P50, &late.P99, &late.P999)
	if err != nil || k != 6 || !(r.ns > 0) {
		return r, fmt.Errorf("it said %q", strings.TrimSpace(line))
	}
	r.sent = float64(sent) / (float64(n) * float64(length) / float64(callPeriod))
	r.cpu = r.ns * float64(sent) / float64(length)
	r.late = &late
	return r, nil
}

var cCalls = &yardstick{source: "calls.c"}

// inC has the sockets in C.
func inC(ctx context.Context, b *callBench) (loadRound, error) {
	name, err := b.bench.build(ctx, cCalls)
	if err != nil {
		return loadRound{}, err
	}
	return program(ctx, b, b.calls, name)
}

// aiortpCalls is how many calls of aiortp there are: they are more than it can have
// from a few hundred on.
const aiortpCalls = 100

func inAiortp(ctx context.Context, b *callBench) (loadRound, error) {
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.CommandContext(ctx, python, "-c", "import aiortp").Run()
	}
	if err != nil {
		return loadRound{}, missing("a python3 on the path that has aiortp")
	}
	return program(ctx, b, min(b.calls, aiortpCalls), python, filepath.Join(b.bench.dir, "calls_aiortp.py"))
}

// files fails if this process may not open as many files as n calls need. The runtime
// of Go has raised the limit as far as it goes when the program began.
func files(n, far int) error {
	const others = 50
	need := uint64(2*n + far + others)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur < need {
		return fmt.Errorf("%d calls need %d open files at once, and this machine allows %d (see ulimit -Hn)", n, need, limit.Cur)
	}
	return nil
}
