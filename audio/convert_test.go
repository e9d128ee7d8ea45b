package audio_test

import (
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

// A script is a reader of prepared frames. A frame without a format stands for
// an error.
type script []audio.Frame

var errLate = errors.New("late")

func (s *script) ReadFrame(f *audio.Frame) error {
	if len(*s) == 0 {
		return io.EOF
	}
	next := (*s)[0]
	*s = (*s)[1:]
	if next.Format == (audio.Format{}) {
		return errLate
	}
	samples := append(f.Samples[:0], next.Samples...)
	*f = next
	f.Samples = samples
	return nil
}

// sine returns n frames of a tone of 400 Hz in one go.
func sine(format audio.Format, at time.Duration, frame time.Duration, n int) []audio.Frame {
	frames := make([]audio.Frame, n)
	i := int(math.Round(at.Seconds() * float64(format.Rate)))
	for k := range frames {
		f := audio.Frame{Format: format, Time: at + time.Duration(k)*frame}
		for range format.Samples(frame) / format.Channels {
			v := int16(math.Round(8000 * math.Sin(2*math.Pi*400*float64(i)/float64(format.Rate))))
			for range format.Channels {
				f.Samples = append(f.Samples, v)
			}
			i++
		}
		frames[k] = f
	}
	return frames
}

// all reads to the end and checks what holds for every converter.
func all(t *testing.T, c *audio.Converter, format audio.Format, frame time.Duration) []audio.Frame {
	t.Helper()
	var frames []audio.Frame
	for {
		var f audio.Frame
		err := c.ReadFrame(&f)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Format != format {
			t.Fatalf("frame is %v, want %v", f.Format, format)
		}
		if n := len(frames); n > 0 {
			last := &frames[n-1]
			if len(last.Samples) != format.Samples(frame) {
				t.Fatalf("frame %d has %d samples, want %d", n-1, len(last.Samples), format.Samples(frame))
			}
			if d := f.Time - last.Time - last.Duration(); d < -1 || d > 1 {
				t.Fatalf("frame %d is at %v, after %v of %v", n, f.Time, last.Time, last.Duration())
			}
		}
		frames = append(frames, f)
	}
	return frames
}

func total(frames []audio.Frame) int {
	n := 0
	for _, f := range frames {
		n += len(f.Samples)
	}
	return n
}

var formats = []audio.Format{
	{Rate: 8000, Channels: 1},
	{Rate: 11025, Channels: 1},
	{Rate: 16000, Channels: 2},
	{Rate: 24000, Channels: 1},
	{Rate: 44100, Channels: 2},
	{Rate: 48000, Channels: 1},
	{Rate: 48000, Channels: 2},
}

// TestConvert converts half a minute between all formats and compares it with
// the same tone made in the format asked for.
func TestConvert(t *testing.T) {
	for _, in := range formats {
		for _, out := range formats {
			s := script(sine(in, time.Second, 20*time.Millisecond, 1500))
			frames := all(t, audio.Convert(&s, out, 50*time.Millisecond), out, 50*time.Millisecond)
			if frames[0].Time != time.Second {
				t.Errorf("%v to %v begins at %v", in, out, frames[0].Time)
			}
			want := 0
			for _, f := range sine(in, 0, 20*time.Millisecond, 1500) {
				want += len(f.Samples)
			}
			want = int(int64(want/in.Channels)*int64(out.Rate)/int64(in.Rate)) * out.Channels
			if n := total(frames); n < want-2*out.Channels || n > want+2*out.Channels {
				t.Errorf("%v to %v: %d samples, want %d", in, out, n, want)
			}
			f := frames[20]
			for i, v := range f.Samples {
				at := f.Time.Seconds() + float64(i/out.Channels)/float64(out.Rate)
				if want := 8000 * math.Sin(2*math.Pi*400*at); math.Abs(float64(v)-want) > 8 {
					t.Errorf("%v to %v: sample %d is %d, want %.0f", in, out, i, v, want)
					break
				}
			}
		}
	}
}

// TestConvertChangingFormat: each half second the source has another format. The
// tone has to go on without a click.
func TestConvertChangingFormat(t *testing.T) {
	for _, out := range []audio.Format{{Rate: 24000, Channels: 1}, {Rate: 48000, Channels: 2}} {
		var s script
		for i := range 20 {
			in := formats[i%len(formats)]
			if in.Rate == 11025 {
				in.Rate = 12000
			}
			s = append(s, sine(in, time.Duration(i)*500*time.Millisecond, 20*time.Millisecond, 25)...)
		}
		var got []int16
		for _, f := range all(t, audio.Convert(&s, out, 50*time.Millisecond), out, 50*time.Millisecond) {
			got = append(got, f.Samples...)
		}
		if d := len(got) - 10*out.Rate*out.Channels; d < -20 || d > 20 {
			t.Errorf("%v: %d samples are too many", out, d)
		}
		// The tone bends by 90, and a gap of zeros by 5000 or more.
		const limit = 300
		for i := out.Rate / 10; i < len(got)-out.Rate/10; i++ {
			c := out.Channels
			if bend := int(got[i-c]) - 2*int(got[i]) + int(got[i+c]); bend > limit || bend < -limit {
				t.Errorf("%v: a click of %d at %.4f s", out, bend, float64(i/c)/float64(out.Rate))
			}
		}
	}
}

// jittery puts every third frame off by d.
func jittery(frames []audio.Frame, d time.Duration) []audio.Frame {
	for i := 1; i < len(frames); i += 3 {
		frames[i].Time += d
	}
	return frames
}

// late gives every fourth frame the time of the next one.
func late(frames []audio.Frame) []audio.Frame {
	for i := 3; i+1 < len(frames); i += 4 {
		frames[i].Time = frames[i+1].Time
	}
	return frames
}

func TestConvertGaps(t *testing.T) {
	format, out := audio.Format{Rate: 8000, Channels: 1}, audio.Format{Rate: 16000, Channels: 1}
	at := func(from time.Duration, n int) []audio.Frame {
		return sine(format, from, 20*time.Millisecond, n)
	}
	for _, test := range []struct {
		name   string
		frames []audio.Frame
		want   time.Duration
	}{
		{"none", at(0, 10), 200 * time.Millisecond},
		{"200 ms", slices.Concat(at(0, 10), at(400*time.Millisecond, 10)), 600 * time.Millisecond},
		{"an odd one", slices.Concat(at(0, 10), at(203*time.Millisecond+125*time.Microsecond, 10)), 403*time.Millisecond + 125*time.Microsecond},
		{"a minute", slices.Concat(at(0, 10), at(time.Minute, 10)), time.Minute + 200*time.Millisecond},
		{"two hours", slices.Concat(at(0, 10), at(2*time.Hour, 10)), 400 * time.Millisecond},
		{"jitter", slices.Concat(at(0, 10), at(200*time.Millisecond+900*time.Microsecond, 1), at(220*time.Millisecond, 9)), 400 * time.Millisecond},
		{"jitter of 15 ms, again and again", jittery(at(0, 500), 15*time.Millisecond), 10*time.Second + 15*time.Millisecond},
		{"jitter, and then a gap", slices.Concat(jittery(at(0, 10), 15*time.Millisecond), at(400*time.Millisecond, 10)), 600 * time.Millisecond},
		{"two that came at once, again and again", late(at(0, 500)), 10*time.Second + 20*time.Millisecond},
		{"back, and then a gap", slices.Concat(at(time.Second, 10), at(0, 10), at(300*time.Millisecond, 10)), 700 * time.Millisecond},
		{"no times", slices.Concat(at(0, 1), at(0, 1), at(0, 1)), 60 * time.Millisecond},
		{"another format after it", slices.Concat(at(0, 10), sine(audio.Format{Rate: 48000, Channels: 2}, 300*time.Millisecond, 10*time.Millisecond, 10)), 400 * time.Millisecond},
	} {
		s := script(test.frames)
		n := total(all(t, audio.Convert(&s, out, 20*time.Millisecond), out, 20*time.Millisecond))
		if want := out.Samples(test.want); n < want-2 || n > want+2 {
			t.Errorf("%s: %v, want %v", test.name, out.Duration(n), test.want)
		}
	}
}

func TestConvertKinds(t *testing.T) {
	in, out := audio.Format{Rate: 8000, Channels: 1}, audio.Format{Rate: 48000, Channels: 1}
	s := script(sine(in, 0, 20*time.Millisecond, 20))
	captured := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range s {
		s[i].Captured = captured.Add(s[i].Time)
	}
	s[5].Kind = audio.Concealed
	s[6].Kind = audio.Concealed
	s[7].Kind = audio.Noise // 140 ms
	s = slices.Delete(s, 12, 16)
	var got []audio.Kind
	for _, f := range all(t, audio.Convert(&s, out, 40*time.Millisecond), out, 40*time.Millisecond) {
		got = append(got, f.Kind)
		if f.Kind == audio.Media && !f.Captured.Equal(captured.Add(f.Time)) {
			t.Errorf("frame at %v was captured at %v", f.Time, f.Captured)
		}
		if f.Kind == audio.Silence && !f.Captured.IsZero() {
			t.Errorf("silence was captured at %v", f.Captured)
		}
	}
	want := []audio.Kind{
		audio.Media, audio.Media, audio.Media, audio.Concealed, audio.Media,
		audio.Media, audio.Silence, audio.Silence, audio.Media, audio.Media,
	}
	if !slices.Equal(got, want) {
		t.Errorf("kinds %v, want %v", got, want)
	}
}

func TestConvertErrors(t *testing.T) {
	mono := audio.Format{Rate: 8000, Channels: 1}
	for _, format := range []audio.Format{{}, {Rate: 8000}, {Rate: 8000, Channels: 3}, {Rate: 1, Channels: 1}} {
		s := script(sine(mono, 0, 20*time.Millisecond, 3))
		var f audio.Frame
		if err := audio.Convert(&s, format, 0).ReadFrame(&f); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("to %v: error %v, want ErrFormat", format, err)
		}
		w := audio.ConvertWriter(nil, format, 0)
		if err := w.WriteFrame(&s[0]); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("writer to %v: error %v, want ErrFormat", format, err)
		}
		if err := w.Flush(); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("writer to %v: Flush error %v, want ErrFormat", format, err)
		}
	}

	// A bad frame and an error of the source are reported, and lost; the rest is not.
	s := script(sine(mono, 0, 20*time.Millisecond, 5))
	s[1] = audio.Frame{}
	s[3] = audio.Frame{Format: audio.Format{Rate: 8000, Channels: 2}, Samples: make([]int16, 3)}
	c := audio.Convert(&s, mono, 20*time.Millisecond)
	var f audio.Frame
	var failures []error
	n := 0
	for {
		err := c.ReadFrame(&f)
		if err == io.EOF {
			break
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		n += len(f.Samples)
	}
	if len(failures) != 2 || failures[0] != errLate || !errors.Is(failures[1], audio.ErrFormat) {
		t.Errorf("errors %v", failures)
	}
	if n != 5*160 {
		t.Errorf("%d samples, want %d: the gaps have to be filled", n, 5*160)
	}
	if err := c.ReadFrame(&f); err != io.EOF {
		t.Errorf("error %v after the end", err)
	}
}

type collector struct {
	frames []audio.Frame
	fail   int
}

func (c *collector) WriteFrame(f *audio.Frame) error {
	if c.fail > 0 {
		c.fail--
		return errLate
	}
	g := *f
	g.Samples = slices.Clone(f.Samples)
	c.frames = append(c.frames, g)
	return nil
}

// TestConvertWriter: the writer writes what the reader reads.
func TestConvertWriter(t *testing.T) {
	in, out := audio.Format{Rate: 44100, Channels: 2}, audio.Format{Rate: 8000, Channels: 1}
	frames := slices.Concat(sine(in, 0, 30*time.Millisecond, 10), sine(in, time.Second, 128*time.Millisecond, 3))
	s := script(frames)
	want := all(t, audio.Convert(&s, out, 20*time.Millisecond), out, 20*time.Millisecond)

	var got collector
	w := audio.ConvertWriter(&got, out, 20*time.Millisecond)
	for i := range frames {
		if err := w.WriteFrame(&frames[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	equal := slices.EqualFunc(got.frames, want, func(a, b audio.Frame) bool {
		return a.Time == b.Time && a.Kind == b.Kind && slices.Equal(a.Samples, b.Samples)
	})
	if !equal {
		t.Errorf("%d frames written, %d read, or they differ", len(got.frames), len(want))
	}

	failing := collector{fail: 1}
	w = audio.ConvertWriter(&failing, out, 20*time.Millisecond)
	err := w.WriteFrame(&frames[11])
	if !errors.Is(err, errLate) {
		t.Fatalf("error %v, want that of the writer", err)
	}
	if err := w.Flush(); err != nil || len(failing.frames) != 6 {
		t.Errorf("%d frames after an error, want 6 (%v)", len(failing.frames), err)
	}
}

// TestConvertWriterFailing: nothing piles up while the writer fails.
func TestConvertWriterFailing(t *testing.T) {
	format := audio.Format{Rate: 8000, Channels: 1}
	frames := sine(format, 0, 110*time.Millisecond, 20)
	frames[10].Time += time.Hour // a gap that is given up at once
	to := collector{fail: 1 << 30}
	w := audio.ConvertWriter(&to, format, 20*time.Millisecond)
	for i := range frames {
		if err := w.WriteFrame(&frames[i]); !errors.Is(err, errLate) {
			t.Fatalf("error %v, want that of the writer", err)
		}
	}
	if tried := 1<<30 - to.fail; tried != 20*110/20+1 {
		t.Errorf("%d frames tried", tried)
	}
	to.fail = 0
	if err := w.Flush(); err != nil || len(to.frames) != 0 {
		t.Errorf("%d frames kept, %v", len(to.frames), err)
	}
	if err := w.WriteFrame(&frames[0]); err != nil || len(to.frames) != 5 {
		t.Errorf("%d frames afterwards, %v", len(to.frames), err)
	}
}

func TestAdapterFlush(t *testing.T) {
	for _, in := range formats {
		for _, out := range formats {
			a, err := audio.NewAdapter(out)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var got []int16
				for _, n := range []int{0, 1, 7, 500, 0, 3} {
					f := audio.Frame{Format: in, Samples: make([]int16, n*in.Channels)}
					if got, err = a.Append(got, &f); err != nil {
						t.Fatal(err)
					}
				}
				got = a.Flush(got)
				want := 511 * out.Rate / in.Rate
				if n := len(got) / out.Channels; n < want || n > want+1 {
					t.Errorf("%v to %v: %d samples, want %d", in, out, n, want)
				}
			}
		}
	}
}

func TestConvertAllocations(t *testing.T) {
	in := sine(audio.Format{Rate: 48000, Channels: 2}, 0, 20*time.Millisecond, 1)[0]
	for _, out := range formats {
		c := audio.Convert(forever{&in}, out, 50*time.Millisecond)
		var f audio.Frame
		for range 20 {
			if err := c.ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(100, func() { _ = c.ReadFrame(&f) }); n != 0 {
			t.Errorf("to %v: %v allocations per frame, want 0", out, n)
		}
	}
}

// forever is a reader of one frame again and again.
type forever struct{ frame *audio.Frame }

func (r forever) ReadFrame(f *audio.Frame) error {
	f.Format = r.frame.Format
	f.Samples = append(f.Samples[:0], r.frame.Samples...)
	return nil
}

func FuzzConvert(f *testing.F) {
	f.Add(24000, 1, int64(50e6), []byte{0, 10, 0, 1, 20, 3, 2, 200, 1})
	f.Add(8000, 2, int64(1), []byte{5, 255, 0, 6, 255, 255, 3, 0, 9})
	f.Fuzz(func(t *testing.T, rate, channels int, frame int64, source []byte) {
		var s script
		at := time.Duration(0)
		for len(source) >= 3 && len(s) < 20 {
			in := formats[int(source[0])%len(formats)]
			samples := make([]int16, int(source[1])*in.Channels)
			at += time.Duration(int8(source[2])) * time.Millisecond
			s = append(s, audio.Frame{Format: in, Time: at, Samples: samples, Kind: audio.Kind(source[0] >> 4)})
			source = source[3:]
		}
		c := audio.Convert(&s, audio.Format{Rate: rate, Channels: channels}, time.Duration(frame))
		var out audio.Frame
		n := 0
		for {
			err := c.ReadFrame(&out)
			if errors.Is(err, io.EOF) || errors.Is(err, audio.ErrFormat) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := out.Check(); err != nil || len(out.Samples) == 0 {
				t.Fatalf("frame of %d samples: %v", len(out.Samples), err)
			}
			if n += len(out.Samples) / channels; n > 10*rate {
				t.Fatal("more than 10 s from at most 8")
			}
		}
	})
}
