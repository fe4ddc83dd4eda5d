package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"
	"math"
	"slices"

	"github.com/datadropout/datadropout"
)

//go:embed page.html
var pageSource string

//go:embed style.html
var styleSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": Percent,
	"share": func(a float64) string {
		if math.IsNaN(a) {
			return ""
		}
		return fmt.Sprintf("%.1f %%", 100*a)
	},
	"change": func(a float64) string {
		if math.IsNaN(a) {
			return ""
		}
		return fmt.Sprintf("%+.1f", 100*a)
	},
	"accuracy":  func(a float64) string { return Percent(a, math.NaN()) },
	"plusminus": PlusMinus,
	"points":    Points,
	"seconds":   func(s float64) string { return fmt.Sprintf("%.1f s", s) },
	"inc":       func(i int) int { return i + 1 },
	"mebibytes": func(b int64) string { return fmt.Sprintf("%.0f MiB", float64(b)/(1<<20)) },
	"name":      armName,
	"deref":     func(e *datadropout.Effect) datadropout.Effect { return *e },
}).Parse(styleSource + pageSource))

// shown is how many of the most harmful and of the most helpful samples the page shows.
const shown = 20

// card is one sample as the page shows it.
type card struct {
	Picture   template.URL
	ID        string
	Label     string
	Predicted string
	Original  string // the label before one was planted, else empty
	Delta     string
	Dropped   bool
}

// Page returns report.html: one self-contained page, without script and without anything to load.
func Page(o *datadropout.Outcome) ([]byte, error) {
	order := datadropout.MostHarmful(o.Estimates.Delta)
	n := min(shown, len(order))
	harmful, err := cards(o, order[:n])
	if err != nil {
		return nil, err
	}
	last := slices.Clone(order[len(order)-n:])
	slices.Reverse(last)
	helpful, err := cards(o, last)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, map[string]any{
		"O": o, "R": o.Result, "Lines": ArmLines(o), "Verdict": Verdict(o), "Dropping": Dropping(o),
		"Harmful": harmful, "Helpful": helpful,
		"Classes": ClassLines(o), "Calibration": Calibration(o),
		"Dots": armPlot(ArmLines(o)), "Histogram": histogram(o),
		"Version": datadropout.Version(),
	})
	return b.Bytes(), err
}

func cards(o *datadropout.Outcome, order []int) ([]card, error) {
	images := o.Data.Images
	dropped := make(map[int]bool, len(o.Dropped))
	for _, p := range o.Dropped {
		dropped[p] = true
	}
	out := make([]card, len(order))
	for k, i := range order {
		p := o.Data.Split.Train[i]
		var b bytes.Buffer
		if err := png.Encode(&b, images.Image(p)); err != nil {
			return nil, err
		}
		out[k] = card{
			Picture:   template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())),
			ID:        images.ID(p),
			Label:     images.Classes[images.Labels[p]],
			Predicted: images.Classes[o.Predicted[i]],
			Delta:     fmt.Sprintf("%+.2e", o.Estimates.Delta[i]),
			Dropped:   dropped[p],
		}
		if images.Planted(p) {
			out[k].Original = images.Classes[images.Original[p]]
		}
	}
	return out, nil
}

func armName(arm string) string {
	switch arm {
	case datadropout.Full:
		return "full"
	case datadropout.Dropped:
		return "dropped"
	case datadropout.Random:
		return "random control"
	case datadropout.HighestLoss:
		return "highest loss control"
	}
	return arm
}
