package bench

import "fmt"

// A PeersRow compares one figure of calls with browsers with that of another
// program.
type PeersRow struct {
	Work      string  `json:"work"`
	Unit      string  `json:"unit"`
	Reference string  `json:"reference"`
	Calls     int     `json:"calls"`
	Rounds    int     `json:"rounds"`
	Ours      *Stat   `json:"ours,omitempty"`            // nil: Missing says why
	Theirs    *Stat   `json:"reference_value,omitempty"` // likewise
	Ratio     *Stat   `json:"ratio,omitempty"`           // of the medians, and the extremes of single rounds
	Goal      float64 `json:"goal,omitempty"`            // largest ratio that we want; 0: none
	Lost      Lost    `json:"lost_pct"`
	Missing   string  `json:"missing,omitempty"` // what it takes to measure
}

// Lost is how many of the packets that far ends have sent did not come back, in per
// cent.
type Lost struct {
	Ours   float64 `json:"ours"`
	Theirs float64 `json:"reference"`
}

// Units of rows.
const (
	nsPacket     = "ns a packet"
	allocsPacket = "allocations a packet"
	kibCall      = "KiB a call"
	goroutines   = "goroutines a call"
)

// rows returns what was measured.
func (b *peersBench) rows() []PeersRow {
	cpu := func(p *peersProgram) []float64 { return p.cpu }
	allocs := func(p *peersProgram) []float64 { return p.allocs }
	memory := func(p *peersProgram) []float64 { return p.memory }
	parked := func(p *peersProgram) []float64 { return p.goroutines }
	const pion, aiortc = "pion/webrtc alone", "aiortc, echo"
	return []PeersRow{
		b.row("forward Opus", nsPacket, pion, 1.15, &b.forward, &b.pion, cpu),
		b.row("forward Opus", nsPacket, aiortc, 1./20, &b.forward, &b.aiortc, cpu),
		b.row("echo, decode and encode", nsPacket, aiortc, 1/1.8, &b.echo, &b.aiortc, cpu),
		b.row("forward Opus", allocsPacket, pion, 1, &b.forward, &b.pion, allocs),
		b.row("hold", kibCall, pion, 0, &b.forward, &b.pion, memory),
		b.row("hold", goroutines, pion, 0, &b.forward, &b.pion, parked),
	}
}

func (b *peersBench) row(work, unit, reference string, goal float64, ours, theirs *peersProgram, figure func(*peersProgram) []float64) PeersRow {
	r := PeersRow{Work: work, Unit: unit, Reference: reference, Calls: b.options.Calls, Rounds: b.options.Rounds, Goal: goal}
	switch {
	case ours.missing != "":
		r.Missing = ours.missing
	case theirs.missing != "":
		r.Missing = theirs.missing
	}
	if ours.missing == "" {
		s := newStat(figure(ours))
		r.Ours, r.Lost.Ours = &s, ours.lost()
	}
	if r.Missing == "" {
		s, ratio := newStat(figure(theirs)), newRatio(figure(ours), figure(theirs))
		r.Theirs, r.Ratio, r.Lost.Theirs = &s, &ratio, theirs.lost()
	}
	return r
}

// lost returns how much did not come back, in per cent.
func (p *peersProgram) lost() float64 { return max(0, 100*float64(p.sent-p.heard)/float64(p.sent)) }

// Met reports whether the goal is reached; without one, or a reference, it is not.
func (r *PeersRow) Met() bool { return r.Ratio != nil && r.Goal > 0 && r.Ratio.Median <= r.Goal }

const peersColumns = "%-24s %-20s %24s  %-18s %28s  %22s  %-14s %s"

// PeersHeader returns the names of the columns of [PeersRow.String].
func PeersHeader() string {
	return fmt.Sprintf(peersColumns, "calls with browsers", "unit", "ours", "reference", "reference's", "ratio", "goal", "lost, %")
}

// String returns the row as a line of a table.
func (r PeersRow) String() string {
	c := r.cells()
	if r.Missing != "" {
		c[len(c)-1] = "missing: " + r.Missing
	}
	return fmt.Sprintf(peersColumns, r.Work, r.Unit, c[0], r.Reference, c[1], c[2], c[3], c[4])
}

// cells returns the columns behind the unit and without the reference.
func (r *PeersRow) cells() []string {
	ours, theirs, ratio, lost := "-", "-", "-", ""
	if r.Ours != nil {
		ours = r.Ours.format(r.decimals())
	}
	if r.Theirs != nil {
		theirs, ratio = r.Theirs.format(r.decimals()), r.Ratio.format(3)
		lost = fmt.Sprintf("%.1f, %.1f", r.Lost.Ours, r.Lost.Theirs)
	}
	return []string{ours, theirs, ratio, r.goal(), lost}
}

func (r *PeersRow) goal() string {
	switch {
	case r.Met():
		return fmt.Sprintf("≤ %.2f met", r.Goal)
	case r.Goal > 0 && r.Ratio != nil:
		return fmt.Sprintf("≤ %.2f missed", r.Goal)
	case r.Goal > 0:
		return fmt.Sprintf("≤ %.2f", r.Goal)
	}
	return "-"
}

func (r *PeersRow) decimals() int {
	if r.Unit == nsPacket {
		return 0
	}
	return 1
}
