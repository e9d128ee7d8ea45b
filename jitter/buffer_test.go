package jitter

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func payload(seq int64) []byte { return fmt.Appendf(nil, "packet %d", seq) }

func push(b *Buffer, seqs ...int64) []Verdict {
	var verdicts []Verdict
	for _, s := range seqs {
		verdicts = append(verdicts, b.Push(&Packet{Seq: s, Payload: payload(s)}))
	}
	return verdicts
}

func drain(b *Buffer) []int64 {
	var seqs []int64
	for {
		p := b.Pop()
		if p == nil {
			return seqs
		}
		seqs = append(seqs, p.Seq)
	}
}

func TestOrder(t *testing.T) {
	tests := []struct {
		name     string
		in, want []int64
	}{
		{"in order", []int64{1, 2, 3}, []int64{1, 2, 3}},
		{"swapped at the start", []int64{2, 1, 3}, []int64{1, 2, 3}},
		{"backwards", []int64{5, 4, 3, 2, 1}, []int64{1, 2, 3, 4, 5}},
		{"across 65536", []int64{65534, 65535, 65537, 65536}, []int64{65534, 65535, 65536, 65537}},
		{"gap", []int64{1, 4, 9}, []int64{1, 4, 9}},
		{"negative", []int64{-1, -3, 2, 0}, []int64{-3, -1, 0, 2}},
		{"far apart", []int64{1, 400, 3}, []int64{1, 3, 400}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b Buffer
			push(&b, tt.in...)
			if got := drain(&b); !slices.Equal(got, tt.want) {
				t.Errorf("popped %v, want %v", got, tt.want)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	var b Buffer
	if got := push(&b, 10, 12, 10, 12); !slices.Equal(got, []Verdict{Stored, Stored, Duplicate, Duplicate}) {
		t.Errorf("verdicts %v", got)
	}
	b.Pop()
	if got := push(&b, 10, 9, 11, 11); !slices.Equal(got, []Verdict{Late, Late, Stored, Duplicate}) {
		t.Errorf("verdicts after Pop %v", got)
	}
	if got := drain(&b); !slices.Equal(got, []int64{11, 12}) {
		t.Errorf("popped %v", got)
	}
	if got := push(&b, 12); got[0] != Late {
		t.Errorf("a popped packet again: %v, want Late", got)
	}
	b.Reset()
	if got := push(&b, 3); got[0] != Stored {
		t.Errorf("after Reset: %v, want Stored", got)
	}
	if got := b.Push(&Packet{Payload: make([]byte, 1<<20)}); got != Oversize {
		t.Errorf("1 MiB: %v, want Oversize", got)
	}
}

func TestFullBufferDropsTheOldest(t *testing.T) {
	b := Buffer{Limits: Limits{Packets: 5}}
	push(&b, 1, 2, 3, 4, 5, 6, 7)
	if got := drain(&b); !slices.Equal(got, []int64{3, 4, 5, 6, 7}) || b.Evicted != 2 {
		t.Errorf("popped %v, evicted %d", got, b.Evicted)
	}
	b = Buffer{Limits: Limits{Packets: 5}}
	push(&b, 1, 3, 4, 6)
	if got := drain(&b); !slices.Equal(got, []int64{3, 4, 6}) || b.Evicted != 1 {
		t.Errorf("with gaps: popped %v, evicted %d", got, b.Evicted)
	}
	b = Buffer{Limits: Limits{Bytes: 100}}
	for s := range int64(10) {
		b.Push(&Packet{Seq: s, Payload: make([]byte, 30)})
	}
	if b.Len() != 3 || b.Bytes() != 90 || b.Evicted != 7 {
		t.Errorf("%d packets, %d bytes, %d evicted, want 3, 90, 7", b.Len(), b.Bytes(), b.Evicted)
	}
}

func TestJumpKeepsTheNewest(t *testing.T) {
	var b Buffer
	push(&b, 1, 2, 3, 1_000_000)
	if got := drain(&b); !slices.Equal(got, []int64{1_000_000}) || b.Evicted != 3 {
		t.Errorf("popped %v, evicted %d", got, b.Evicted)
	}
}

// TestModel compares the buffer with a sorted slice.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Buffer{Limits: Limits{Packets: 64, Bytes: 2000}}
		var model []int64
		floor, begun := int64(0), false
		next := int64(100)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				seq := next + rapid.Int64Range(-20, 80).Draw(t, "offset")
				next = max(next, seq)
				i, found := slices.BinarySearch(model, seq)
				before := len(model)
				got := b.Push(&Packet{Seq: seq, Payload: payload(seq)})
				switch {
				case begun && seq < floor:
					if got != Late {
						t.Fatalf("push %d below %d: %v", seq, floor, got)
					}
				case found:
					if got != Duplicate {
						t.Fatalf("push %d again: %v", seq, got)
					}
				case got == Stored:
					model = slices.Insert(model, i, seq)
				case got == Late:
					if seq > model[0] {
						t.Fatalf("refused %d although %d is older", seq, model[0])
					}
				default:
					t.Fatalf("push %d: %v", seq, got)
				}
				for len(model) > b.Len() { // the oldest made room
					floor, begun = model[0]+1, true
					model = model[1:]
				}
				if len(model) != b.Len() || before > 64 {
					t.Fatalf("%d packets, model has %d", b.Len(), len(model))
				}
			},
			"pop": func(t *rapid.T) {
				p := b.Pop()
				if (p != nil) != (len(model) > 0) {
					t.Fatalf("pop: %v with %d in the model", p, len(model))
				}
				if p == nil {
					return
				}
				if p.Seq != model[0] || !bytes.Equal(p.Payload, payload(p.Seq)) {
					t.Fatalf("popped %d %q, want %d", p.Seq, p.Payload, model[0])
				}
				floor, begun = p.Seq+1, true
				model = model[1:]
			},
			"": func(t *rapid.T) {
				if b.Len() > 64 || b.Bytes() > 2000 {
					t.Fatalf("%d packets, %d bytes: over the limits", b.Len(), b.Bytes())
				}
				if first := b.First(); len(model) > 0 && (first == nil || first.Seq != model[0]) {
					t.Fatalf("first is %v, want %d", first, model[0])
				}
			},
		})
	})
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	var b Buffer
	pcm := make([]byte, 160)
	seq := int64(0)
	step := func() {
		b.Push(&Packet{Seq: seq + 1, Payload: pcm})
		b.Push(&Packet{Seq: seq, Payload: pcm})
		seq += 2
		if b.Len() > 6 {
			b.Pop()
			b.Pop()
		}
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per two packets, want 0", n)
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0, 200, 5, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		b := Buffer{Limits: Limits{Packets: 32, Bytes: 4096}}
		seq, last := int64(0), int64(-1<<62)
		for _, op := range ops {
			if op == 0 {
				if p := b.Pop(); p != nil {
					if p.Seq <= last {
						t.Fatalf("popped %d after %d", p.Seq, last)
					}
					last = p.Seq
				}
				continue
			}
			seq += int64(int8(op)) * int64(op%7)
			b.Push(&Packet{Seq: seq, Payload: make([]byte, int(op)*8)})
			if b.Len() > 32 || b.Bytes() > 4096 {
				t.Fatalf("%d packets, %d bytes", b.Len(), b.Bytes())
			}
		}
	})
}

func ExampleBuffer() {
	var b Buffer
	b.Push(&Packet{Seq: 2, Payload: []byte("world")})
	b.Push(&Packet{Seq: 1, Payload: []byte("hello")})
	for b.Len() > 0 {
		p := b.Pop()
		fmt.Printf("%d %s\n", p.Seq, p.Payload)
	}
	// Output:
	// 1 hello
	// 2 world
}

func BenchmarkPushPop(b *testing.B) {
	var buf Buffer
	pcm := make([]byte, 160)
	seq := int64(0)
	for b.Loop() {
		buf.Push(&Packet{Seq: seq, Payload: pcm})
		seq++
		if buf.Len() > 5 {
			buf.Pop()
		}
	}
}
