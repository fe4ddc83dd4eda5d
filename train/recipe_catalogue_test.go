package train

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/net"
)

// TestOldRecipes: what "default" and "smooth" mean. Figures in docs/evidence.md depend on it.
func TestOldRecipes(t *testing.T) {
	for name, want := range map[string]Recipe{
		"default": {Epochs: 10, BatchSize: 64, LearningRate: 0.02, Momentum: 0.9, WeightDecay: 5e-4, Schedule: Cosine, WarmupFraction: 0.1},
		"smooth":  {Epochs: 10, BatchSize: 250, LearningRate: 0.0025, Momentum: 0.9, WeightDecay: 5e-4, Schedule: Cosine, WarmupFraction: 0.1},
	} {
		if got := Recipes[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
}

// TestRecipesOfPapers compares with the steps and rates that the papers give, at their number of images.
func TestRecipesOfPapers(t *testing.T) {
	for _, test := range []struct {
		name   string
		n      int
		steps  int // within an epoch of what the paper says
		rates  map[int]float64
		crop   dataset.Augmentation
		decay  float64
		source string
	}{
		{"cifar-resnet", 50000, 64000, map[int]float64{1000: 0.1, 31000: 0.1, 33000: 0.01, 47000: 0.01, 49000: 0.001, 63999: 0.001},
			dataset.Augmentation{Crop: 4, Flip: true}, 1e-4, "He et al. 2016: 64k steps, divided by 10 at 32k and 48k"},
		{"wrn", 50000, 200 * 391, map[int]float64{0: 0.1, 59 * 391: 0.1, 61 * 391: 0.02, 121 * 391: 0.004, 161 * 391: 0.0008},
			dataset.Augmentation{Crop: 4, Reflect: true, Flip: true}, 5e-4, "Zagoruyko and Komodakis 2016: times 0.2 after 60, 120 and 160 epochs"},
		{"resnet-sd", 45000, 500 * 352, map[int]float64{0: 0.1, 249 * 351: 0.1, 251 * 352: 0.01, 376 * 352: 0.001},
			dataset.Augmentation{Crop: 4, Flip: true}, 1e-4, "Huang et al. 2016: 500 epochs, divided by 10 after 250 and 375"},
		{"densenet", 50000, 300 * 782, map[int]float64{0: 0.1, 149 * 781: 0.1, 151 * 782: 0.01, 226 * 782: 0.001},
			dataset.Augmentation{Crop: 4, Flip: true}, 1e-4, "Huang et al. 2017: 300 epochs of batches of 64, divided by 10 at 50 % and 75 %"},
		{"paper-svhn", 598388, 50 * 4675, map[int]float64{0: 0.1, 29 * 4675: 0.1, 31 * 4675: 0.01, 36 * 4675: 0.001},
			dataset.Augmentation{}, 1e-4, "Huang et al. 2016: 50 epochs, divided by 10 after 30 and 35"},
	} {
		r := Recipes[test.name]
		steps := r.Steps(test.n)
		if d := steps - test.steps; max(d, -d) > test.n/r.BatchSize+r.Epochs {
			t.Errorf("%s: %d steps, want about %d (%s)", test.name, steps, test.steps, test.source)
		}
		for step, want := range test.rates {
			if got := r.Rate(min(step, steps-1), steps); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: rate %v at step %d, want %v (%s)", test.name, got, step, want, test.source)
			}
		}
		if r.Augmentation != test.crop || r.WeightDecay != test.decay || r.Momentum != 0.9 {
			t.Errorf("%s: %+v", test.name, r)
		}
	}
}

func TestCatalogue(t *testing.T) {
	if names := RecipeNames(); !slices.IsSorted(names) || len(names) != len(Recipes) {
		t.Errorf("names %v", names)
	}
	paper, err := FindRecipe("paper-cifar10")
	if err != nil || paper.TwoRound != (TwoRound{Rule: "count:1200", Estimator: "cg"}) || !strings.Contains(paper.YAML, "two_round:") {
		t.Errorf("%+v, %v", paper, err)
	}
	if _, err := FindRecipe("quick"); err == nil || !strings.Contains(err.Error(), "fast") {
		t.Errorf("error %v, want one that lists the known recipes", err)
	}
}

func TestParseRecipeErrors(t *testing.T) {
	good := Catalogue[0].YAML
	for says, raw := range map[string]string{
		"learning":    strings.Replace(good, "learning_rate", "learning", 1),
		"networks":    strings.Replace(good, "\nnetworks:", "\n#", 1),
		"epochs":      strings.Replace(good, "epochs: ", "epochs: -", 1),
		"unknown":     strings.Replace(good, "crop:4", "rotate:4", 1),
		"a number":    strings.Replace(good, "momentum: ", "momentum: x", 1),
		"milestones ": strings.Replace(good, "[0.5, 0.75]", "[0.5, 0.25]", 1),
	} {
		if _, err := parseRecipe([]byte(raw)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one about %q", err, says)
		}
	}
}

// TestRecipesNameNetworks: a recipe is for networks that there are.
func TestRecipesNameNetworks(t *testing.T) {
	for _, r := range Catalogue {
		for _, name := range r.Networks {
			if err := net.Check(name, false); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
	}
}
