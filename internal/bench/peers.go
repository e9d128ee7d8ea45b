package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/opus/libopus"
)

// Defaults of [PeersOptions].
const (
	DefaultPeers       = 20
	DefaultPeersRounds = 5
	DefaultPeersTurn   = 2 * time.Second
)

// PeersOptions say how calls with browsers are measured.
type PeersOptions struct {
	Calls  int           // at a time, 2 or more; 0: DefaultPeers
	Rounds int           // 0 or less: DefaultPeersRounds
	Turn   time.Duration // for which the far ends talk to one program in a round; 0: DefaultPeersTurn

	// Command returns a program, not started yet, that does nothing but call
	// [ServePeers] with the role and with its own standard input and output.
	Command func(ctx context.Context, role string) (*exec.Cmd, error)

	// Python names programs, of which the first that has aiortc is the reference; nil:
	// the first one of the path, and that of the system, which Debian's packages are for.
	Python []string

	// Progress, if not nil, is told what is measured next. Round 0 is the making of
	// calls.
	Progress func(task string, round, rounds int)
}

// The programs that take turns. Each is a process of its own, and the far ends of
// all of them are another one.
const (
	roleFarEnds = "far ends"
	roleForward = "forward"
	roleEcho    = "echo"
	rolePion    = "pion"
	roleAiortc  = "aiortc" // not a role of ours, but a group of far ends
)

// A peersProgram is one that is measured.
type peersProgram struct {
	role    string
	name    string // for progress
	process *peersProcess
	missing string // why there is none, or no figure of it
	before  peersReply

	cpu, allocs, memory, goroutines []float64 // by round

	sent, heard int64 // of the packets of all rounds
}

// Peers measures calls with browsers, over loopback, in which the far ends are
// those of plain pion: what it costs to send each packet of Opus back as it came,
// beside plain pion; to decode and to encode it, beside aiortc; and how much a call
// holds. It reports the rows when all are known, since all take turns. It takes two
// minutes with the default options, and returns the error of ctx when that ends
// before.
func Peers(ctx context.Context, o PeersOptions, report func(PeersRow)) error {
	o.Calls = cmp.Or(o.Calls, DefaultPeers)
	o.Rounds = cmp.Or(max(o.Rounds, 0), DefaultPeersRounds)
	o.Turn = cmp.Or(o.Turn, DefaultPeersTurn)
	if o.Calls < 2 {
		return fmt.Errorf("bench: %d calls are too few", o.Calls)
	}
	if o.Python == nil {
		o.Python = []string{"python3", "/usr/bin/python3"}
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	b := &peersBench{options: o}
	defer b.stop()
	err := b.measure(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for _, r := range b.rows() {
		report(r)
	}
	return nil
}

type peersBench struct {
	options  PeersOptions
	payloads [][]byte
	far      *peersProcess

	forward, echo, pion, aiortc peersProgram
}

func (b *peersBench) programs() []*peersProgram {
	return []*peersProgram{&b.forward, &b.pion, &b.echo, &b.aiortc}
}

func (b *peersBench) measure(ctx context.Context) (err error) {
	b.forward = peersProgram{role: roleForward, name: "forwarding"}
	b.pion = peersProgram{role: rolePion, name: "forwarding by pion alone"}
	b.echo = peersProgram{role: roleEcho, name: "decoding and encoding"}
	b.aiortc = peersProgram{role: roleAiortc, name: "decoding and encoding by aiortc"}
	var noOpus error
	if b.payloads, noOpus = peersPayloads(); noOpus != nil {
		// What is forwarded may be anything.
		b.payloads = [][]byte{make([]byte, 160)}
		b.echo.missing, b.aiortc.missing = noOpus.Error(), noOpus.Error()
	}
	if b.far, err = b.start(ctx, roleFarEnds); err != nil {
		return err
	}
	for _, p := range b.programs() {
		if p.missing != "" {
			continue
		}
		b.options.Progress(p.name, 0, b.options.Rounds)
		if err := b.open(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for round := range b.options.Rounds {
		for _, p := range b.programs() {
			if p.process == nil {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			b.options.Progress(p.name, round+1, b.options.Rounds)
			if err := b.turn(p); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return nil
}

func (b *peersBench) start(ctx context.Context, role string) (*peersProcess, error) {
	cmd, err := b.options.Command(ctx, role)
	if err != nil {
		return nil, err
	}
	return startPeers(cmd)
}

// peersWarmUp is how long far ends talk to a program before it is measured.
const peersWarmUp = 500 * time.Millisecond

// open starts a program and makes its calls.
func (b *peersBench) open(ctx context.Context, p *peersProgram) (err error) {
	if p.role == roleAiortc {
		p.process, err = startAiortc(ctx, b.options.Python)
	} else {
		p.process, err = b.start(ctx, p.role)
	}
	if m, ok := errors.AsType[missing](err); ok {
		p.missing = string(m)
		return nil
	}
	if err != nil {
		return err
	}
	for i := range b.options.Calls {
		offer, err := b.far.ask(peersRequest{Do: doOffer, Group: p.role})
		if err != nil {
			return err
		}
		answer, err := p.process.ask(peersRequest{Do: doAnswer, SDP: offer.SDP})
		if err != nil {
			return err
		}
		if _, err = b.far.ask(peersRequest{Do: doConnect, Group: p.role, SDP: answer.SDP}); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		// What the first call brings with it is there for all of them.
		if _, err = b.far.ask(peersRequest{Do: doTalk, Group: p.role, Payloads: b.payloads, For: peersWarmUp}); err != nil {
			return err
		}
		if p.before, err = p.process.ask(peersRequest{Do: doMeasure}); err != nil {
			return err
		}
	}
	talked, err := b.far.ask(peersRequest{Do: doTalk, Group: p.role, Payloads: b.payloads, For: peersWarmUp})
	if err == nil && talked.Heard == 0 {
		err = errors.New("nothing comes back")
	}
	return err
}

// turn lets the far ends of a program talk.
func (b *peersBench) turn(p *peersProgram) error {
	before, err := p.process.ask(peersRequest{Do: doMeasure})
	if err != nil {
		return err
	}
	talked, err := b.far.ask(peersRequest{Do: doTalk, Group: p.role, Payloads: b.payloads, For: b.options.Turn})
	if err != nil {
		return err
	}
	after, err := p.process.ask(peersRequest{Do: doMeasure})
	if err != nil {
		return err
	}
	if talked.Heard == 0 {
		return errors.New("nothing comes back any more")
	}
	p.sent += talked.Sent
	p.heard += talked.Heard
	p.cpu = append(p.cpu, float64(after.Used-before.CPU)/float64(talked.Heard))
	p.allocs = append(p.allocs, float64(after.Mallocs-before.Mallocs)/float64(talked.Heard))
	more := float64(b.options.Calls - 1)
	p.memory = append(p.memory, float64(after.Memory-p.before.Memory)/1024/more)
	p.goroutines = append(p.goroutines, float64(after.Goroutines-p.before.Goroutines)/more)
	return nil
}

func (b *peersBench) stop() {
	for _, p := range append(b.programs(), &peersProgram{process: b.far}) {
		if p.process != nil {
			p.process.stop()
		}
	}
}

// peersPayloads returns two seconds of speech as packets of Opus, as aiortc makes
// them.
func peersPayloads() ([][]byte, error) {
	format := audio.Format{Rate: 48000, Channels: 2}
	encoder, err := libopus.NewEncoder(libopus.EncoderConfig{Format: format})
	if err != nil {
		return nil, err
	}
	defer encoder.Close()
	mono := speech(format.Rate)
	pcm := make([]int16, 0, 2*len(mono))
	for _, v := range mono {
		pcm = append(pcm, v, v)
	}
	var payloads [][]byte
	for n := 2 * 960; len(pcm) >= n; pcm = pcm[n:] {
		b, err := encoder.Encode(nil, pcm[:n])
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, b)
	}
	return payloads, nil
}
