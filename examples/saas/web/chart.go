package web

import (
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
)

// chart is a bar chart as SVG, in its units: 700 wide, 196 high.
type chart struct {
	Bars  []bar
	Lines []line
}

type bar struct {
	X, Y, Width, Height float64
	Middle              float64 // where the label stands
	Day                 time.Time
	Value               int
	Labelled            bool
}

type line struct {
	Y     float64
	Value int
}

const (
	chartLeft, chartRight = 54.0, 700.0
	chartTop, chartBottom = 12.0, 164.0
)

// chartOf draws the words of each day.
func chartOf(days []workspace.DayCount) chart {
	most := 0
	for _, d := range days {
		most = max(most, d.Words())
	}
	top := roundUp(most)
	var c chart
	apart := max(3, (len(days)+4)/5) // labels
	slot := (chartRight - chartLeft) / float64(max(len(days), 1))
	for i, d := range days {
		words := d.Words()
		height := (chartBottom - chartTop) * float64(words) / float64(top)
		left := chartLeft + slot*float64(i)
		c.Bars = append(c.Bars, bar{
			X: left + slot*0.2, Width: slot * 0.6, Y: chartBottom - height, Height: height,
			Middle: left + slot/2, Day: d.Day, Value: words, Labelled: (len(days)-1-i)%apart == 0,
		})
	}
	for i := range 3 {
		share := float64(i) / 2
		c.Lines = append(c.Lines, line{Y: chartBottom - (chartBottom-chartTop)*share, Value: int(float64(top) * share)})
	}
	return c
}

// roundUp returns the next number of the form 2, 4, 6, 8 or 10 times a power of ten.
func roundUp(n int) int {
	power := 1
	for n > power*10 {
		power *= 10
	}
	for step := 2; step <= 10; step += 2 {
		if n <= step*power {
			return step * power
		}
	}
	return 10 * power
}
