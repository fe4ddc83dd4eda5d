package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net/http"

	"github.com/datadropout/datadropout"
)

//go:embed page.html
var pageSource string

//go:embed sections.html
var sectionsSource string

//go:embed gallery.html
var gallerySource string

//go:embed style.html
var styleSource string

// pageFunctions are those of the templates of a run's page.
var pageFunctions = template.FuncMap{
	"percent":     Percent,
	"accuracy":    func(a float64) string { return Percent(a, math.NaN()) },
	"plusminus":   PlusMinus,
	"metric":      func(m Metric, v float64) string { return m.Value(v, math.NaN()) },
	"counted":     Counted,
	"overfitting": func() string { return overfitting },
	"share":       func(v float64) string { return fmt.Sprintf("%.4g %%", 100*v) },
	"p":           func(p *datadropout.Number) string { return pWords(float64(*p)) },
	"calibration": Calibration,
	"seconds":     func(s float64) string { return fmt.Sprintf("%.1f s", s) },
	"mebibytes":   func(b int64) string { return fmt.Sprintf("%.0f MiB", float64(b)/(1<<20)) },
	"name":        armName,
	"deref":       func(e *datadropout.Effect) datadropout.Effect { return *e },
	"picture":     picture,
	"inc":         func(k int) int { return k + 1 },
}

var pageTemplate = template.Must(template.New("page").Funcs(pageFunctions).Parse(styleSource + gallerySource + sectionsSource + pageSource))

// Page returns report.html of a finished run: one self-contained page, without script and without anything to load.
func Page(o *datadropout.Outcome) ([]byte, error) {
	c, err := NewContent(o)
	if err != nil {
		return nil, err
	}
	return c.Render(nil)
}

// runPage is what the page of any run is made of.
type runPage struct {
	*Content
	R                         *datadropout.Result
	D                         *datadropout.DenoisingResult // nil in classification
	Seeds                     int
	Lines                     []ArmLine
	Headline, Remarks         string // the verdict: its first sentence, and what limits it
	Dropping                  string
	M                         Metric
	Guards, Corrected         string
	Gap                       []gapRow
	Dots, Dose, Curve, Deltas template.HTML
	Controls                  bool // the dose-response has controls
	KeptBack                  bool // it has amounts of which the guards kept something back
	Review                    *Review
}

func (c *Content) newRunPage() runPage {
	page := runPage{
		Content: c, R: &c.Result, D: c.Result.Denoising, Seeds: seedsOf(&c.Result), Lines: armLines(&c.Result), Dropping: dropping(&c.Result),
		M: MetricOf(c.Result.Metric), Guards: guards(&c.Result), Corrected: corrected(&c.Result), Gap: gapRows(&c.Result),
		Dots: c.armPlot(armLines(&c.Result)), Dose: c.dosePlot(), Curve: c.curvePlot(), Deltas: c.histogramPlot(),
	}
	page.Headline, page.Remarks = headline(verdict(&c.Result))
	for _, a := range c.Result.Drop.Amounts {
		page.Controls = page.Controls || a.Random != nil
		page.KeptBack = page.KeptBack || a.Guarded > 0
	}
	return page
}

// Render returns the page. With a review, which there is of classification alone, it has buttons and their script, which only the
// server of that review answers; without, it has no script.
func (c *Content) Render(review *Review) ([]byte, error) {
	if c.Denoising != nil {
		if review != nil {
			return nil, fmt.Errorf("a run of %s has no review", c.Result.Task)
		}
		return c.renderDenoising()
	}
	page := struct {
		runPage
		HarmfulCards, Helpfuls []card
		Matrix                 []confusionRow
	}{c.newRunPage(), c.cards(c.Harmful, review), c.cards(c.Helpful, review), c.confusionMatrix()}
	page.Review = review
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, page)
	return b.Bytes(), err
}

// card is one sample as the page shows it.
type card struct {
	Sample
	LabelName, PredictedName string
	OriginalName             string // the label before one was planted, else empty
	DeltaWords               string
	Reasons                  []Reason
	Strips                   []strip
	// Decision is the state of a review.
	Decision Decision
	Review   *Review
	Classes  []string
}

// strip is a row of small pictures beside a sample.
type strip struct {
	Title string
	Items []stripItem
}

type stripItem struct {
	Picture          []byte
	ID, Label, Note  string
	Differs, Mistake bool
}

func (c *Content) cards(samples []Sample, review *Review) []card {
	out := make([]card, len(samples))
	for k, s := range samples {
		out[k] = card{
			Sample: s, LabelName: c.Classes[s.Label], PredictedName: c.Classes[s.Predicted], DeltaWords: fmt.Sprintf("%+.2e", s.Delta),
			Review: review, Classes: c.Classes,
		}
		if !math.IsNaN(float64(s.StandardError)) {
			out[k].DeltaWords += fmt.Sprintf(" ± %.0e", float64(s.StandardError))
		}
		if s.Original != s.Label {
			out[k].OriginalName = c.Classes[s.Original]
		}
		if review != nil {
			out[k].Decision = review.Decisions[s.Index]
		}
		if s.Facts == nil {
			continue
		}
		out[k].Reasons = c.reasons(s)
		for _, row := range []struct {
			title string
			list  []Nearby
		}{
			{"Nearest", s.Facts.Neighbors}, {"Nearest in its class", s.Facts.ClassNeighbors}, {"Score samples it hurts most", s.Facts.Hurts},
		} {
			if len(row.list) == 0 {
				continue
			}
			line := strip{Title: row.title}
			for _, n := range row.list {
				item := stripItem{Picture: n.Picture, ID: n.ID, Label: c.Classes[n.Label], Differs: n.Label != s.Label && n.Product == 0}
				if n.Product != 0 {
					item.Note = fmt.Sprintf("product of gradients %.2g", n.Product)
				} else {
					item.Note = fmt.Sprintf("distance %.2f", n.Distance)
				}
				if n.Predicted >= 0 && n.Predicted != n.Label {
					item.Note, item.Mistake = item.Note+", taken for "+c.Classes[n.Predicted], true
				}
				line.Items = append(line.Items, item)
			}
			out[k].Strips = append(out[k].Strips, line)
		}
	}
	return out
}

// picture is the data URL of an encoded picture, whose kind its first bytes tell.
func picture(data []byte) template.URL {
	kind := http.DetectContentType(data)
	if kind != "image/png" && kind != "image/jpeg" {
		kind = "image/png" // no picture: the page shows its description instead
	}
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)) //nolint:gosec // base64 of a picture
}

// ClassName is the name of a class.
func (c *Content) ClassName(k int) string {
	if k < 0 || k >= len(c.Classes) {
		return fmt.Sprint(k)
	}
	return c.Classes[k]
}

// pWords writes a p value.
func pWords(p float64) string {
	if p < 1e-4 {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.2g", p)
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
