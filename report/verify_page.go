package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/evidence"
)

//go:embed verify.html
var verifySource string

var verifyTemplate = template.Must(template.New("verify").Funcs(template.FuncMap{
	"percent":     func(f float64) string { return fmt.Sprintf("%.4g %%", 100*f) },
	"share":       func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) },
	"correlation": Correlation,
	"figure":      Figure,
	"change":      func(v float64) string { return fmt.Sprintf("%+.4f", v) },
	"points":      func(v float64) string { return fmt.Sprintf("%+.2f", 100*v) },
	"deviation":   func(v datadropout.Number) string { return Figure(v, 4) },
	"seconds":     func(s float64) string { return fmt.Sprintf("%.3g s", s) },
	"mebibytes":   func(b int64) string { return fmt.Sprintf("%.0f MiB", float64(b)/(1<<20)) },
	"slope": func(e evidence.EstimatorResult, v datadropout.Number) string {
		if !e.Calibrated {
			return "ranking only"
		}
		return Figure(v, 3)
	},
	"scatter": scatter,
	"has":     func(tests []string, test string) bool { return slices.Contains(tests, test) },
}).Parse(styleSource + verifySource))

// VerifyPage returns verify.html: one self-contained page, without script and without anything to load.
func VerifyPage(r *evidence.Result) ([]byte, error) {
	var b bytes.Buffer
	err := verifyTemplate.Execute(&b, map[string]any{"R": r, "Untrusted": !r.Trusted(), "PerPoint": perPoint(r)})
	return b.Bytes(), err
}

// perPoint says whether any estimator was measured per test point.
func perPoint(r *evidence.Result) bool {
	for _, e := range r.Estimators {
		for _, l := range e.LDS {
			if l.PerPoint != nil {
				return true
			}
		}
	}
	return false
}
