package train

import (
	"math"
	"strings"
	"testing"
)

func TestRate(t *testing.T) {
	for _, test := range []struct {
		name    string
		recipe  Recipe
		t, T    int
		want    float64
		comment string
	}{
		{"constant", Recipe{LearningRate: 0.3, Schedule: Constant}, 7, 10, 0.3, ""},
		{"cosine starts at the top", Recipe{LearningRate: 0.3, Schedule: Cosine}, 0, 10, 0.3, ""},
		{"cosine is half way at the middle", Recipe{LearningRate: 0.3, Schedule: Cosine}, 5, 10, 0.15, ""},
		{"cosine at a third", Recipe{LearningRate: 0.4, Schedule: Cosine}, 4, 12, 0.3, "(1 + cos 60 degrees)/2 = 3/4"},
		{"no schedule means cosine", Recipe{LearningRate: 0.3}, 5, 10, 0.15, ""},
		{"warmup", Recipe{LearningRate: 0.3, Schedule: Cosine, WarmupFraction: 0.2}, 0, 10, 0.1, "W = 2, so a third"},
		{"warmup ends", Recipe{LearningRate: 0.3, Schedule: Cosine, WarmupFraction: 0.2}, 2, 10, 0.3, ""},
		{"cosine after warmup", Recipe{LearningRate: 0.3, Schedule: Cosine, WarmupFraction: 0.2}, 6, 10, 0.15, "half of the 8 steps left"},
		{"step before", Recipe{LearningRate: 0.3, Schedule: Step, Epochs: 6, StepEvery: 2, StepFactor: 0.5}, 19, 60, 0.3, ""},
		{"step once", Recipe{LearningRate: 0.3, Schedule: Step, Epochs: 6, StepEvery: 2, StepFactor: 0.5}, 20, 60, 0.15, ""},
		{"step twice", Recipe{LearningRate: 0.3, Schedule: Step, Epochs: 6, StepEvery: 2, StepFactor: 0.5}, 59, 60, 0.075, ""},
		{"step defaults", Recipe{LearningRate: 0.3, Schedule: Step, Epochs: 9}, 30, 90, 0.03, "a third of the epochs, a tenth"},
		{"linear starts at the top", Recipe{LearningRate: 0.3, Schedule: Linear}, 0, 10, 0.3, ""},
		{"linear ends a step above 0", Recipe{LearningRate: 0.3, Schedule: Linear}, 9, 10, 0.03, ""},
		{"linear after warmup", Recipe{LearningRate: 0.3, Schedule: Linear, WarmupFraction: 0.2}, 6, 10, 0.15, "half of the 8 steps left"},
		{"before a milestone", Recipe{LearningRate: 0.3, Schedule: Milestones, Epochs: 6, Milestones: []float64{0.5, 0.75}}, 29, 60, 0.3, ""},
		{"at a milestone", Recipe{LearningRate: 0.3, Schedule: Milestones, Epochs: 6, Milestones: []float64{0.5, 0.75}}, 30, 60, 0.03, "a tenth by default"},
		{"two milestones", Recipe{LearningRate: 0.3, Schedule: Milestones, Epochs: 6, Milestones: []float64{0.5, 0.75}, StepFactor: 0.5}, 45, 60, 0.075, ""},
		{"before a milestone in epochs", Recipe{LearningRate: 0.3, Schedule: Milestones, Epochs: 200, Milestones: []float64{60, 120}, StepFactor: 0.2}, 599, 2000, 0.3, ""},
		{"at a milestone in epochs", Recipe{LearningRate: 0.3, Schedule: Milestones, Epochs: 200, Milestones: []float64{60, 120}, StepFactor: 0.2}, 600, 2000, 0.06, ""},
		{"no milestone within warmup", Recipe{LearningRate: 0.3, Schedule: Milestones, Epochs: 6, Milestones: []float64{0.05}, WarmupFraction: 0.2}, 5, 60, 0.3 * 6 / 13, "W = 12"},
		{"the first milestone of one epoch", Recipe{LearningRate: 0.3, Schedule: Milestones, Epochs: 3, Milestones: []float64{1}}, 33, 100, 0.3, "a third of 100 is not reached"},
	} {
		if got := test.recipe.Rate(test.t, test.T); math.Abs(got-test.want) > 1e-15 {
			t.Errorf("%s: %v, want %v %s", test.name, got, test.want, test.comment)
		}
	}
}

// The step schedule drops twice unless it is told how often, after each third of the steps, however few the epochs: never from the
// start and never twice at once.
func TestStepScheduleByDefault(t *testing.T) {
	for _, tt := range []struct{ epochs, steps, first, second int }{
		{1, 30, 10, 20}, {1, 100, 34, 67}, {2, 20, 7, 14}, {3, 30, 10, 20}, {4, 40, 14, 27}, {5, 50, 17, 34}, {6, 60, 20, 40},
		{7, 70, 24, 47}, {8, 80, 27, 54}, {9, 90, 30, 60}, {10, 100, 34, 67}, {1, 3, 1, 2}, {1, 2, 1, 2}, {1, 1, 1, 1},
	} {
		r := Recipe{LearningRate: 1, Schedule: Step, Epochs: tt.epochs}
		for step := range tt.steps {
			want := 1.0
			if step >= tt.first {
				want = 0.1
			}
			if step >= tt.second {
				want = 0.01
			}
			if got := r.Rate(step, tt.steps); math.Abs(got-want) > 1e-12 {
				t.Errorf("%d epochs, step %d of %d: rate %v, want %v", tt.epochs, step, tt.steps, got, want)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	for _, test := range []struct{ epochs, batch, n, want int }{
		{3, 10, 100, 30}, {3, 32, 100, 9}, {1, 64, 100, 1}, {2, 200, 100, 2}, {5, 1, 1, 5},
	} {
		if got := (Recipe{Epochs: test.epochs, BatchSize: test.batch}).Steps(test.n); got != test.want {
			t.Errorf("%d epochs of %d samples in batches of %d: %d steps, want %d", test.epochs, test.n, test.batch, got, test.want)
		}
	}
}

func TestRecipeValidate(t *testing.T) {
	good := Recipe{Epochs: 1, BatchSize: 1, LearningRate: 0.1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		says   string
		change func(*Recipe)
	}{
		{"epochs", func(r *Recipe) { r.Epochs = 0 }},
		{"batch size", func(r *Recipe) { r.BatchSize = 0 }},
		{"learning rate", func(r *Recipe) { r.LearningRate = 0 }},
		{"learning rate", func(r *Recipe) { r.LearningRate = math.NaN() }},
		{"learning rate", func(r *Recipe) { r.LearningRate = math.Inf(1) }},
		{"momentum", func(r *Recipe) { r.Momentum = 1 }},
		{"weight decay", func(r *Recipe) { r.WeightDecay = -1 }},
		{"warmup", func(r *Recipe) { r.WarmupFraction = 1 }},
		{"schedule", func(r *Recipe) { r.StepEvery = -1 }},
		{"step factor", func(r *Recipe) { r.StepFactor = 2 }},
		{"Nesterov", func(r *Recipe) { r.Nesterov = true }},
		{"needs milestones", func(r *Recipe) { r.Schedule = Milestones }},
		{"milestone", func(r *Recipe) { r.Schedule, r.Milestones = Milestones, []float64{0} }},
		{"milestone", func(r *Recipe) { r.Schedule, r.Milestones = Milestones, []float64{math.NaN()} }},
		{"within the training", func(r *Recipe) { r.Schedule, r.Milestones = Milestones, []float64{2}; r.Epochs = 2 }},
		{"ascend", func(r *Recipe) { r.Schedule, r.Milestones = Milestones, []float64{2, 0.1}; r.Epochs = 10 }},
		{"crop", func(r *Recipe) { r.Augmentation.Crop = -1 }},
		{"known: cosine, linear, step, milestones, constant", func(r *Recipe) { r.Schedule = "exponential" }},
	} {
		r := good
		test.change(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: error %v, want one about %q", r, err, test.says)
		}
	}
}
