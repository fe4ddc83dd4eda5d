package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/influence"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what was got with testdata/NAME, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew, if that is right. Got:\n%s", path, got)
	}
}

// clock is a time that passes only when told to.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(seconds float64) {
	c.at = c.at.Add(time.Duration(seconds * float64(time.Second)))
}

// plannedRun is a plan of five trainings and more.
func plannedRun() *estimate {
	training := func(stage string, n int) []datadropout.Work {
		var work []datadropout.Work
		for range n {
			work = append(work, datadropout.Work{Stage: stage, Kind: datadropout.KindTraining, Samples: 1000, Most: 1000, Trainings: 1})
		}
		return work
	}
	least := append(training(datadropout.StageRound1, 2), datadropout.Work{Stage: datadropout.StageInfluence, Kind: datadropout.KindScores, Samples: 500, Most: 1000})
	most := append(append(least[:3:3], training(datadropout.StageChoose, 3)...), training(datadropout.StageRound2, 2)...)
	return &estimate{
		plan:  &datadropout.Plan{Least: least, Most: most},
		least: map[string]float64{datadropout.StageRound1: 20, datadropout.StageInfluence: 5, datadropout.StageEvaluate: 1},
		most: map[string]float64{datadropout.StageRound1: 20, datadropout.StageInfluence: 5, datadropout.StageChoose: 30,
			datadropout.StageRound2: 20, datadropout.StageEvaluate: 1},
		memory: 250e6, disk: 12e6, budget: 10 * time.Minute,
		cuts: []cut{{Setting: "seeds", From: "5", To: "3", Means: "the interval of the effect is wider", Saves: 400}},
	}
}

// playRun lets a run of that plan pass by: one training was done before, the others take twice as long as estimated.
func playRun(c *clock, p printer) {
	train := func(stage string, part, parts int, what string) {
		e := datadropout.Event{Type: "start", Stage: stage, Kind: datadropout.KindTraining, Part: part, Parts: parts, What: what}
		p.event(e)
		for _, f := range []float64{0.25, 0.5, 0.75, 1} {
			c.pass(5)
			e.Type, e.Fraction, e.Loss, e.Rate = "progress", f, 2-f, 1234.5
			p.event(e)
		}
		e.Type, e.Seconds = "done", 20
		p.event(e)
	}
	p.event(datadropout.Event{Type: "done", Stage: datadropout.StageRound1, Kind: datadropout.KindTraining, Part: 1, Parts: 3, What: "all 4000 samples, seed 0",
		Fraction: 1, Seconds: 10, Resumed: true})
	train(datadropout.StageRound1, 2, 3, "all 4000 samples, seed 1")
	train(datadropout.StageRound1, 3, 3, "all 4000 samples, seed 2")
	scores := datadropout.Event{Type: "start", Stage: datadropout.StageInfluence, Kind: datadropout.KindScores, Part: 1, Parts: 1, What: "cg over 4000 training and 1000 score samples, seed 0"}
	p.event(scores)
	for range 2 {
		c.pass(4)
		scores.Type, scores.Fraction = "progress", scores.Fraction+0.2
		p.event(scores)
	}
	scores.Type, scores.Fraction, scores.Seconds, scores.Summary = "done", 1, 8, "989 of 4000 samples unfavorable"
	scores.Solver = &influence.Solver{Iterations: 15, Residual: 0.0083, Damping: 1.0005, Converged: true}
	p.event(scores)
	train(datadropout.StageChoose, 1, 2, "fraction:0.1: dropping 400 (10.0 %)")
	p.event(datadropout.Event{Type: "measured", Stage: datadropout.StageChoose, Kind: datadropout.KindTraining, Part: 1, Parts: 2, What: "fraction:0.1: dropping 400 (10.0 %)",
		Fraction: 1, Split: "tune", Loss: 0.4321, Metric: 0.861})
	train(datadropout.StageChoose, 2, 2, "fraction:0.2: dropping 800 (20.0 %)")
	last := datadropout.Event{Type: "start", Stage: datadropout.StageEvaluate, Kind: datadropout.KindEvaluation, Part: 1, Parts: 2, What: "full, seed 0"}
	p.event(last)
	c.pass(1)
	last.Type, last.Part, last.What = "start", 2, "dropped, seed 0"
	p.event(last)
	last.Type, last.What, last.Fraction, last.Seconds = "done", "all arms on all splits", 1, 2
	p.event(last)
}

// testPrinter is a printer to a made-up terminal, of the given number of columns; 0 for none.
func testPrinter(c *clock, columns int, color bool, v verbosity) (*textPrinter, *bytes.Buffer) {
	var out bytes.Buffer
	p := newTextPrinter(&bytes.Buffer{}, &out, v)
	p.progress.now = c.now
	p.screen.color = color
	if columns > 0 {
		p.screen.width = func() int { return columns }
	}
	return p, &out
}

// What is shown of a run: on a terminal with its escapes, one line to each drawing, and where there is none.
func TestProgressIsShown(t *testing.T) {
	for _, tt := range []struct {
		name    string
		columns int
		color   bool
		v       verbosity
	}{
		{"terminal", 140, true, verbosity{}},
		{"narrow-no-color", 60, false, verbosity{}},
		{"terminal-verbose", 140, false, verbosity{verbose: true}},
		{"plain", 0, false, verbosity{}},
		{"plain-verbose", 0, false, verbosity{verbose: true}},
		{"quiet", 140, true, verbosity{quiet: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &clock{time.Unix(1e9, 0)}
			p, out := testPrinter(c, tt.columns, tt.color, tt.v)
			p.plan(plannedRun(), datadropout.Config{})
			playRun(c, p)
			p.endProgress()
			p.finishStage()
			got := out.String()
			if tt.columns == 0 && strings.ContainsAny(got, "\x1b\r") {
				t.Error("escapes where there is no terminal")
			}
			if !tt.color && strings.Contains(got, "\x1b[32m") {
				t.Error("colors where there are none")
			}
			for _, line := range strings.Split(got, "\r") {
				drawn, ok := strings.CutPrefix(line, "\x1b[K")
				if ok && !strings.Contains(drawn, "\n") && len([]rune(plainText(drawn))) >= tt.columns {
					t.Errorf("a line of %d columns on a terminal of %d: %q", len([]rune(plainText(drawn))), tt.columns, drawn)
				}
			}
			golden(t, "progress-"+tt.name+".txt", strings.NewReplacer("\x1b", "<esc>", "\r", "<cr>").Replace(strings.ReplaceAll(got, "\r", "\n\r")))
		})
	}
}

// plainText takes the colors away.
func plainText(line string) string {
	for _, code := range []string{bold, dim, green, "0"} {
		line = strings.ReplaceAll(line, "\x1b["+code+"m", "")
	}
	return line
}

func TestNewScreen(t *testing.T) {
	if s := newScreen(&bytes.Buffer{}, func(string) string { return "" }); s.redraws() || s.color {
		t.Error("a buffer is taken for a terminal")
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if s := newScreen(null, func(string) string { return "" }); s.redraws() {
		t.Error("a file is taken for a terminal")
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[float64]string{0: "0 s", 0.04: "0 s", 0.4: "0.4 s", 9.96: "10 s", 59.4: "59 s", 59.6: "1m 00s", 200: "3m 20s", 3599.6: "1h 00m", 7500: "2h 05m", -3: "-3.0 s"} {
		if got := duration(seconds(s)); got != want {
			t.Errorf("%v seconds are written %q, want %q", s, got, want)
		}
	}
}

// The time left follows the pace of what is done: twice the estimate makes the rest twice as long.
func TestTimeLeft(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	p := progress{now: c.now, estimate: plannedRun(), metric: -1}
	e := datadropout.Event{Type: "start", Stage: datadropout.StageRound1, Kind: datadropout.KindTraining, Part: 1, Parts: 2}
	p.at(e)
	if stage, run := p.left(); stage != 20*time.Second || run != 76*time.Second {
		t.Errorf("at the start %v and %v are left, want the estimate", stage, run)
	}
	c.pass(20)
	e.Type, e.Fraction = "progress", 1
	p.at(e)
	if stage, run := p.left(); stage != 20*time.Second || run != (20+2*56)*time.Second {
		t.Errorf("half of the stage done in its whole time: %v and %v are left, want 20 s and 132 s", stage, run)
	}
}
