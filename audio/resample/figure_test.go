package resample

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

var figure = flag.String("figure", "", "file to draw the frequency responses to, as SVG")

// TestFigure draws the responses of both qualities, if asked to.
func TestFigure(t *testing.T) {
	if *figure == "" {
		return
	}
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 400" font-family="sans-serif" font-size="12">` + "\n")
	b.WriteString(`<rect width="920" height="400" fill="white"/>` + "\n")
	b.WriteString(`<text x="460" y="20" text-anchor="middle" font-size="14">Response of audio/resample, 16 kHz to 48 kHz</text>` + "\n")
	plot{left: 60, title: "stop band", x0: 0, x1: 3, dx: 0.5, y0: -140, y1: 10, dy: 20}.draw(t, &b)
	plot{left: 530, title: "pass band", x0: 0.8, x1: 1.02, dx: 0.05, y0: -0.3, y1: 0.1, dy: 0.05}.draw(t, &b)
	b.WriteString("</svg>\n")
	if err := os.WriteFile(*figure, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

type plot struct {
	left                   float64
	title                  string
	x0, x1, dx, y0, y1, dy float64
}

func (p plot) draw(t *testing.T, b *strings.Builder) {
	const top, width, height = 50.0, 360.0, 290.0
	x := func(v float64) float64 { return p.left + (v-p.x0)/(p.x1-p.x0)*width }
	y := func(v float64) float64 { return top + (p.y1-max(v, p.y0))/(p.y1-p.y0)*height }
	for i := 0; p.x0+float64(i)*p.dx <= p.x1+1e-9; i++ {
		v := p.x0 + float64(i)*p.dx
		fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="middle">%.3g</text>`+"\n",
			x(v), top, top+height, x(v), top+height+16, v)
	}
	for i := 0; p.y0+float64(i)*p.dy <= p.y1+1e-9; i++ {
		v := p.y0 + float64(i)*p.dy
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%.3g</text>`+"\n",
			p.left, y(v), p.left+width, p.left-6, y(v)+4, math.Round(v*100)/100)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s: gain in dB over frequency, 1 is half the lower rate</text>`+"\n",
		p.left+width/2, top+height+36, p.title)
	for quality, colour := range []string{Default: "#d55e00", High: "#0072b2"} {
		r := response{mustNew(t, Config{In: 16000, Out: 48000, Quality: Quality(quality)})}
		const points = 900
		fmt.Fprintf(b, `<path fill="none" stroke="%s" d="`, colour)
		for i := range points + 1 {
			v := p.x0 + (p.x1-p.x0)*float64(i)/points
			letter := "L"
			if i == 0 {
				letter = "M"
			}
			gain := r.at(v * 8000)
			fmt.Fprintf(b, "%s%.1f %.1f", letter, x(v), y(gain))
			if gain < p.y0 && p.y0 > -1 {
				break
			}
		}
		fmt.Fprintf(b, `"/><text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n",
			p.left+width-60, top+18+16*float64(quality), colour, [...]string{"Default", "High"}[quality])
	}
}
