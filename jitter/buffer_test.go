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
	push(&b, 20, 21)
	b.Reset()
	if got := push(&b, 3); got[0] != Stored || b.Len() != 1 || b.First().Seq != 3 {
		t.Errorf("after Reset: %v, %d packets", got, b.Len())
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
		const packets, size = 12, 160 // 12 packets with numbers of three digits have 120 bytes
		b := Buffer{Limits: Limits{Packets: packets, Bytes: size}}
		var model []int64
		floor, evicted := int64(-1<<62), int64(0)
		next := int64(100)
		wire := make([]byte, 0, 100)
		content := func(seq int64) []byte { return payload(seq * seq * seq) } // of several lengths
		drop := func() {
			floor = model[0] + 1
			model = model[1:]
		}
		total := func() (n int) {
			for _, seq := range model {
				n += len(content(seq))
			}
			return n
		}
		want := func(seq int64) Verdict {
			switch {
			case seq < floor:
				return Late
			case slices.Contains(model, seq):
				return Duplicate
			case len(model) > 0 && model[len(model)-1]-seq >= packets:
				return Late
			}
			for len(model) > 0 && (seq-model[0] >= packets || len(model) == packets || total()+len(content(seq)) > size) {
				if seq < model[0] {
					return Late
				}
				drop()
				evicted++
			}
			i, _ := slices.BinarySearch(model, seq)
			model = slices.Insert(model, i, seq)
			return Stored
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				seq := next + rapid.Int64Range(-15, 18).Draw(t, "offset")
				next = max(next, seq)
				wire = append(wire[:0], content(seq)...)
				got := b.Push(&Packet{Seq: seq, Payload: wire})
				clear(wire) // as who reads from a socket does with the next packet
				if want := want(seq); got != want {
					t.Fatalf("push %d to %v: %v, want %v", seq, model, got, want)
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
				if p.Seq != model[0] || !bytes.Equal(p.Payload, content(p.Seq)) {
					t.Fatalf("popped %d %q, want %d", p.Seq, p.Payload, model[0])
				}
				drop()
			},
			"": func(t *rapid.T) {
				if b.Len() != len(model) || b.Bytes() != total() || b.Evicted != evicted {
					t.Fatalf("%d packets, %d bytes, %d evicted; want %v, %d bytes, %d evicted", b.Len(), b.Bytes(), b.Evicted, model, total(), evicted)
				}
				for seq := next - 40; seq <= next+1; seq++ {
					p := b.At(seq)
					if p != nil != slices.Contains(model, seq) || p != nil && (p.Seq != seq || !bytes.Equal(p.Payload, content(seq))) {
						t.Fatalf("%d is %v in %v", seq, p, model)
					}
				}
				if len(model) == 0 {
					return
				}
				if b.First().Seq != model[0] || b.Last() != model[len(model)-1] {
					t.Fatalf("from %d to %d, want %v", b.First().Seq, b.Last(), model)
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
