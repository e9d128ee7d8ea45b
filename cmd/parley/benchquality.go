package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/internal/quality"
	"github.com/parley-media/parley/stream"
)

type benchQualityCommand struct {
	Trace []string `sep:"none" placeholder:"FILE" help:"Trace of arrivals: rows of seq,arrival_ms, where nothing after the comma is a lost packet. One without a dot is the name of one of our own traces, all of which are the default. Repeat for more."`
	In    string   `placeholder:"FILE" help:"WAV file to send, over and over. The default is speech that comes with the program."`
	codecFlags
	PTime    time.Duration `name:"ptime" default:"20ms" placeholder:"D" help:"Audio in one packet."`
	Playout  string        `enum:"adaptive,fixed" default:"adaptive" help:"adaptive or fixed."`
	MinDelay time.Duration `placeholder:"D" help:"Least delay of the playout. The default is that of calls."`
	MaxDelay time.Duration `placeholder:"D" help:"Greatest delay of the playout. The default is that of calls."`
	Duration time.Duration `placeholder:"D" help:"Take only the beginning of each trace."`
	Seed     uint64        `default:"1" placeholder:"N" help:"Makes our own traces different ones of the same kind."`
	Cost     bool          `help:"Measure what an ordinary, a stretched and a concealed frame cost on these traces, instead of how they sound."`
	Out      string        `placeholder:"FILE" help:"Write what is heard behind the one --trace to a WAV file."`
	HTML     string        `name:"html" placeholder:"FILE" help:"Write a web page with plots of delay and gaps over time."`
}

func (c *benchQualityCommand) Run(ctx context.Context, out *output) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	traces, err := c.traces()
	if err != nil {
		return err
	}
	if c.Out != "" && len(traces) != 1 {
		return useError{errors.New("--out needs one --trace")}
	}
	if c.Cost {
		return c.cost(ctx, out, config, traces)
	}
	for _, name := range []string{c.Out, c.HTML} {
		if err := writable(name); err != nil {
			return err
		}
	}
	if !out.json {
		out.emit(event{}, quality.Header())
	}
	var results []*quality.Result
	for _, t := range traces {
		r, err := quality.Run(ctx, config, t)
		if errors.Is(err, context.Canceled) {
			return errors.New("interrupted")
		}
		if err != nil {
			return err
		}
		results = append(results, r)
		out.object(r.String(), struct {
			Event string `json:"event"`
			*quality.Result
		}{"quality", r})
	}
	if c.Out != "" {
		if err := writeWAV(c.Out, results[0].Rate, results[0].Heard); err != nil {
			return err
		}
	}
	if c.HTML != "" {
		return c.report(config, results)
	}
	return nil
}

// cost prints what frames cost.
func (c *benchQualityCommand) cost(ctx context.Context, out *output, config quality.Config, traces []*quality.Trace) error {
	if c.Out != "" || c.HTML != "" {
		return useError{errors.New("--cost hears nothing for --out and --html")}
	}
	costs, err := quality.Costs(ctx, config, traces)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	if !out.json {
		out.emit(event{}, quality.CostHeader())
	}
	for _, cost := range costs {
		out.object(cost.String(), struct {
			Event string `json:"event"`
			quality.Cost
		}{"cost", cost})
	}
	return nil
}

// config returns what is sent and how it is received.
func (c *benchQualityCommand) config() (quality.Config, error) {
	if c.PTime < 5*time.Millisecond || c.PTime > 120*time.Millisecond {
		return quality.Config{}, useError{fmt.Errorf("--ptime %v is not between 5ms and 120ms", c.PTime)}
	}
	if c.Duration < 0 || c.Duration > 0 && c.Duration < time.Second {
		return quality.Config{}, useError{fmt.Errorf("--duration %v is less than 1s", c.Duration)}
	}
	for _, d := range []struct {
		name string
		time.Duration
	}{{"min-delay", c.MinDelay}, {"max-delay", c.MaxDelay}} {
		if d.Duration < 0 || d.Duration > 10*time.Second {
			return quality.Config{}, useError{fmt.Errorf("--%s %v is not between 0s and 10s", d.name, d.Duration)}
		}
	}
	config, err := benchConfig(c.codecFlags, c.In)
	if err != nil {
		return quality.Config{}, err
	}
	config.PTime, config.Duration = c.PTime, c.Duration
	config.MinDelay, config.MaxDelay = c.MinDelay, c.MaxDelay
	if c.Playout == "fixed" {
		config.Playout = stream.Fixed
	}
	return config, nil
}

// benchConfig returns what is sent: a WAV file, or the speech that comes with
// the program if it has no name.
func benchConfig(f codecFlags, wav string) (quality.Config, error) {
	params, err := f.params(audio.Format{Rate: 16000, Channels: 1})
	if err != nil {
		return quality.Config{}, err
	}
	if strings.EqualFold(params.Name, "opus") {
		params.FMTP = opus.FMTP{MaxAverageBitrate: opusBitrate}.String()
	}
	format, err := formatOf(params)
	if err != nil {
		return quality.Config{}, err
	}
	if format.Channels != 1 {
		return quality.Config{}, useError{fmt.Errorf("--codec %s: quality is measured in mono", f.Codec)}
	}
	speech, err := readSpeech(wav, format.Rate)
	return quality.Config{Codec: params, Speech: speech}, err
}

// opusBitrate is that of a telephone call over Opus.
const opusBitrate = 24000

// formatOf returns the shape of what p is made of, if this build can encode it.
func formatOf(p codec.Params) (audio.Format, error) {
	impl, err := codec.Lookup(p)
	if err != nil {
		return audio.Format{}, err
	}
	if impl.NewEncoder == nil {
		return audio.Format{}, fmt.Errorf("%v cannot be encoded: %w", p, cmp.Or(libopus.Available(), codec.ErrUnknown))
	}
	return impl.Format(p)
}

// readSpeech returns the sound of a WAV file, or the speech that comes with the
// program if it has no name.
func readSpeech(name string, rate int) ([]int16, error) {
	if name == "" {
		return quality.Speech(rate), nil
	}
	in, err := file.OpenWAV(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	pcm, err := quality.ReadSpeech(in, rate)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return pcm, nil
}

// writeWAV writes mono samples.
func writeWAV(name string, rate int, samples []int16) error {
	format := audio.Format{Rate: rate, Channels: 1}
	w, err := file.CreateWAV(name, format)
	if err != nil {
		return err
	}
	return errors.Join(w.WriteFrame(&audio.Frame{Format: format, Samples: samples}), w.Close())
}

// report writes the web page.
func (c *benchQualityCommand) report(config quality.Config, results []*quality.Result) error {
	f, err := os.Create(c.HTML)
	if err != nil {
		return err
	}
	subtitle := fmt.Sprintf("%v in packets of %v, %v playout, seed %d", config.Codec, config.PTime, config.Playout, c.Seed)
	return errors.Join(quality.WriteReport(f, subtitle, results), f.Close())
}

// traces reads the files, or makes the traces that are named.
func (c *benchQualityCommand) traces() ([]*quality.Trace, error) {
	own := quality.Generate(c.Seed)
	if len(c.Trace) == 0 {
		return own, nil
	}
	var all []*quality.Trace
	for _, name := range c.Trace {
		if !strings.Contains(name, ".") {
			i := slices.IndexFunc(own, func(t *quality.Trace) bool { return t.Name == name })
			if i < 0 {
				return nil, useError{fmt.Errorf("--trace %s is none of our own, %s; a file has a dot in its name", name, traceNames(own))}
			}
			all = append(all, own[i])
			continue
		}
		t, err := readTrace(name)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func traceNames(all []*quality.Trace) string {
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}

func readTrace(name string) (*quality.Trace, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := quality.ReadTrace(strings.TrimSuffix(filepath.Base(name), ".csv"), f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// object writes a line of a table, or the object that it shows.
func (o *output) object(line string, object any) {
	if !o.json {
		o.emit(event{}, line)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearProgress()
	json.NewEncoder(o.stdout).Encode(object) //nolint:errcheck // nobody is left to tell
}
