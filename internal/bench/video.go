package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// A videoWay is a way of ours to send and receive frames.
type videoWay interface {
	run(frames int) error
	Close() error
}

type videoTask struct {
	path    string
	packets int // in a frame
	goal    float64
	single  bool // by one thread, as the yardstick
	open    func(ctx context.Context, packets int) (videoWay, error)
}

const (
	throughSockets = "streams, sockets"
	throughCalls   = "calls"
)

// videoTasks returns all of them, in the order of the table. The whole calls have
// no goal: what it takes to wake up goroutines, which a loop in C does not, is in
// their times.
func videoTasks() []videoTask {
	path := func(_ context.Context, packets int) (videoWay, error) { return openVideoPath(packets) }
	call := func(ctx context.Context, packets int) (videoWay, error) { return openVideoCall(ctx, packets) }
	return []videoTask{
		{throughSockets, 8, 0.65, true, path},
		{throughSockets, 16, 0.55, true, path},
		{throughCalls, 8, 0, false, call},
		{throughCalls, 16, 0, false, call},
	}
}

var cVideo = &yardstick{source: "video.c"}

// Packets in a round.
const (
	videoWarmUp = 40 * videoBurst
	videoTurn   = 400 * videoBurst
)

// Video measures what it costs to send and to receive frames of video over
// loopback, and reports each row as soon as it is known. Bursts of [videoBurst]
// packets are under way on both sides, so that waking up is spread over them. It
// takes about five seconds with the default options, and returns the error of ctx
// when that ends before.
func Video(ctx context.Context, o Options, report func(VideoRow)) error {
	o.fill(DefaultRounds)
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	input := filepath.Join(dir, "input")
	if err := errors.Join(unpack(dir), os.WriteFile(input, make([]byte, videoPacket), 0o600)); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b := &workbench{dir: dir, options: o, built: make(map[*yardstick]build)}
	for _, t := range videoTasks() {
		row, err := b.measureVideo(ctx, t, input)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("bench: video through %s: %w", t.path, err)
		}
		report(row)
	}
	return nil
}

func (b *workbench) measureVideo(ctx context.Context, t videoTask, input string) (VideoRow, error) {
	name := fmt.Sprintf("video through %s, %d packets a frame", t.path, t.packets)
	row := VideoRow{
		Path: t.path, Packets: t.packets, Bytes: videoPacket,
		Comparison: Comparison{Reference: "C sendto, recv", Rounds: b.options.Rounds, Goal: t.goal},
	}
	if t.single {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	way, err := t.open(ctx, t.packets)
	if err != nil {
		return row, err
	}
	defer way.Close()
	var c contestant
	c.process, err = b.start(ctx, reference{yard: cVideo, args: []string{strconv.Itoa(videoBurst)}}, input)
	if err != nil {
		c.missing = err.Error()
	}
	defer func() {
		if c.process != nil {
			c.process.stop()
		}
	}()
	c.run(videoWarmUp / videoBurst)
	if err := way.run(videoWarmUp / t.packets); err != nil {
		return row, err
	}
	var times []float64
	row.Allocs = -1
	for round := range b.options.Rounds {
		if err := ctx.Err(); err != nil {
			return row, err
		}
		b.options.Progress(name, round+1, b.options.Rounds)
		ns, _ := c.run(videoTurn / videoBurst)
		c.times = append(c.times, ns/videoBurst)
		before, start := mallocs(), processTime()
		if err := way.run(videoTurn / t.packets); err != nil {
			return row, err
		}
		times = append(times, float64(processTime()-start)/videoTurn)
		if n := int((mallocs() - before) / videoTurn); row.Allocs < 0 || n < row.Allocs { // other goroutines allocate too
			row.Allocs = n
		}
	}
	if row.Missing = c.missing; c.missing != "" {
		c.times = nil
	}
	row.compare(times, c.times)
	return row, nil
}
