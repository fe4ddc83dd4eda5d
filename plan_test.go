package datadropout

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/influence"
)

// A plan counts the trainings that a run carries out, stage by stage, and no others: exactly where nothing depends on what the run
// finds, and at most otherwise.
func TestPlanCountsTheTrainingsOfARun(t *testing.T) {
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	tests := []struct {
		name  string
		set   func(c *Config)
		exact bool
		want  map[string]int
	}{
		{"a fixed amount", func(c *Config) { c.Rule = "count:30" }, true, map[string]int{StageRound1: 2, StageRound2: 6}},
		{"auto", func(c *Config) { c.Rule, c.Seeds = "auto", 3 }, false, map[string]int{StageRound1: 3, StageChoose: 7 + 2*2, StageRound2: 6}},
		{"auto with one seed", func(c *Config) { c.Rule, c.Seeds = "auto", 1 }, false, map[string]int{StageRound1: 1, StageChoose: 7, StageRound2: 2}},
		{"auto without standard errors", func(c *Config) { c.Rule, c.Estimator = "auto", "loss" }, false, map[string]int{StageRound1: 2, StageChoose: 5 + 2, StageRound2: 4}},
		{"dose controls", func(c *Config) { c.Rule, c.DoseControls, c.Seeds = "auto", true, 1 }, false, map[string]int{StageRound1: 1, StageChoose: 7 + 14, StageRound2: 2}},
		{"more influence seeds than seeds", func(c *Config) { c.InfluenceSeeds, c.Estimator = 4, "aum" }, true, map[string]int{StageRound1: 4, StageRound2: 6}},
		{"an influence network", func(c *Config) { c.InfluenceNet, c.InfluenceSeeds, c.Estimator = "mlp", 2, "graddot" }, true,
			map[string]int{StageRound1: 2, StageInfluence: 2, StageRound2: 6}},
		{"the smoothness check", func(c *Config) { c.Estimator, c.Seeds = "metagradient", 1 }, true, map[string]int{StageRound1: 1, StageInfluence: 3, StageRound2: 3}},
		{"no smoothness check", func(c *Config) { c.Estimator, c.Seeds, c.Influence.NoSmoothnessCheck = "metagradient", 1, true }, true,
			map[string]int{StageRound1: 1, StageRound2: 3}},
		{"denoising", func(c *Config) { c.Rule = "count:4" }, true, map[string]int{StageRound1: 2, StageRound2: 6}},
		{"denoising by auto", func(c *Config) { c.Rule, c.Seeds = "auto:0.1,0.3", 1 }, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := DefaultConfig()
			c.Train, c.Score, c.Tune, c.Test = 200, 100, 100, 50
			c.Net, c.Recipe.Epochs = "softmax", 2
			if strings.HasPrefix(tt.name, "denoising") {
				c = thinRun()
			}
			c.Seeds, c.Rule = 2, "count:30"
			tt.set(&c)
			data, err := LoadData(t.Context(), &c)
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewPlan(c, data)
			if err != nil {
				t.Fatal(err)
			}
			planned := byStage(p.Most)
			if tt.want != nil && !maps.Equal(planned, tt.want) {
				t.Errorf("the plan has the trainings %v, want %v", planned, tt.want)
			}
			done := map[string]int{}
			store := NewMemoryStore()
			o, err := Run(t.Context(), c, data, backend, store, func(e Event) {
				if e.Type == "done" && e.Kind == KindTraining {
					done[e.Stage]++
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(o.Solver.Smoothness); n > 0 {
				done[StageInfluence] += n
			}
			for _, stage := range Stages {
				if n := done[stage]; n > planned[stage] || tt.exact && n != planned[stage] {
					t.Errorf("%s: %d trainings, planned %d", stage, n, planned[stage])
				}
			}
			if n := byStage(p.Least)[StageRound2]; !tt.exact && n != 0 {
				t.Errorf("where nothing qualifies round 2 has %d trainings", n)
			}
			if left := p.Left(store.Of); tt.exact && Trainings(left.Most, "") > 0 {
				t.Errorf("after the run %v trainings are left to do", byStage(left.Most))
			}
			if left := p.Left(store.Of); done[StageRound2] > 0 && byStage(left.Most)[StageChoose] > 0 {
				t.Errorf("the choice is made, and %v trainings are left to do", byStage(left.Most))
			}
			for _, w := range p.Most {
				if w.Kind == KindTraining && w.Key == "" {
					t.Errorf("the training %q has no key", w.What)
				}
			}
		})
	}
}

func byStage(work []Work) map[string]int {
	n := map[string]int{}
	for _, w := range work {
		if w.Trainings > 0 {
			n[w.Stage] += w.Trainings
		}
	}
	return n
}

// The rehearsal's removal effects make every rule propose something, and auto all that it may.
func TestMadeUpScoresProposeAllThatARuleMay(t *testing.T) {
	for _, n := range []int{60, 200, 4000} {
		e := Combine([]*influence.Scores{madeUpScores(n, 5)})
		for _, rule := range []Rule{Unfavorable{}, Significant(autoDiscovery), Shrunk{}, Auto{}} {
			proposals, err := rule.Propose(e)
			if err != nil {
				t.Fatal(err)
			}
			want := 1
			if rule.Adaptive() {
				want = len(AutoFractions) + 2
			}
			if len(proposals) != want || slices.ContainsFunc(proposals, func(p Proposal) bool { return len(p.Drop) == 0 }) {
				t.Errorf("%d samples, %s: %d proposals, want %d: %v", n, rule, len(proposals), want, sizes(proposals))
			}
		}
	}
}

func sizes(proposals []Proposal) []int {
	var n []int
	for _, p := range proposals {
		n = append(n, len(p.Drop))
	}
	return n
}
