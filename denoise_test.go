package datadropout

import (
	"cmp"
	"encoding/json"
	"errors"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/influence"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/train"
)

// thin is a denoiser of 152 weights.
const thin = "thin-denoiser"

func init() {
	net.Register(thin, net.Architecture{Denoiser: true, Describe: func(b *net.Builder) {
		b.Restore(func(b *net.Builder) {
			b.Convolution("conv1", net.Window{Size: 3, Channels: 8, Padding: 1, Bias: true})
			b.Activate()
			b.Convolution("conv2", net.Window{Size: 3, Channels: b.Outputs(), Padding: 1})
		})
	}})
}

// thinRun is a run of a second: dead leaves in patches of 8x8.
func thinRun() Config {
	c := DenoisingConfig(DefaultConfig())
	c.Train, c.Score, c.Tune, c.Test = 10, 3, 3, 2
	c.Net, c.Seeds, c.Rule, c.Estimator = thin, 2, "count:12", "graddot"
	c.Recipe.Epochs, c.Recipe.BatchSize = 2, 16
	c.Denoise = DenoiseConfig{PatchSize: 8, Stride: 24, BadPairs: 0.3}
	return c
}

func runThin(t *testing.T, c Config, threads string, store Store) *Outcome {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New(threads)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	data, err := LoadData(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	o, err := Run(t.Context(), c, data, backend, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestDenoisingRun: the result is one of denoising, the same bits at another number of threads, and what is dropped are the lowest
// removal effects.
func TestDenoisingRun(t *testing.T) {
	o := runThin(t, thinRun(), "threads=2", NewMemoryStore())
	r := o.Result
	if r.Task != Denoising || r.Metric != "psnr" || r.Data.Classes != nil || r.Data.Train != 160 || r.Data.Planted != 48 || r.Drop.Count != 12 {
		t.Errorf("%+v", r)
	}
	d := r.Denoising
	if d == nil || len(d.Test) != 2 || d.TrainImages != 10 || d.Degradation != "gaussian:25" || math.Abs(float64(d.NoisyPSNR)-20.17) > 0.2 {
		t.Fatalf("%+v", d)
	}
	for _, arm := range Arms {
		a := r.Arms[arm]
		if len(a.TestMetric) != 2 || len(a.TestSSIM) != 2 || len(a.TrainLoss) != 2 {
			t.Fatalf("arm %s: %+v", arm, a)
		}
		mean := (float64(d.Test[0].PSNR[arm]) + float64(d.Test[1].PSNR[arm])) / 2
		if got := (a.TestMetric[0] + a.TestMetric[1]) / 2; math.Abs(got-mean) > 1e-9 || got < 19 {
			t.Errorf("arm %s: a PSNR of %v, and of the images %v", arm, got, mean)
		}
	}
	order := MostHarmful(o.Estimates.Delta)
	for k, i := range o.Dropped {
		if i != o.Data.Split.Train[order[k]] {
			t.Errorf("dropped %v", o.Dropped)
		}
	}
	again := runThin(t, thinRun(), "threads=1", NewMemoryStore())
	if !reflect.DeepEqual(again.Result.Arms, r.Arms) || !slices.Equal(again.Estimates.Delta, o.Estimates.Delta) {
		t.Error("another result with one thread")
	}
	raw, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(raw), `"denoising":{"degradation":"gaussian:25"`) {
		t.Errorf("%v", err)
	}
}

// TestTrainTestsImages: Train measures round 1 on the whole test images, as Run does.
func TestTrainTestsImages(t *testing.T) {
	c := thinRun()
	full := runThin(t, c, "threads=1", NewMemoryStore()).Result.Arms[Full]
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	data, backend := prepare(t, &c)
	rounds, err := Train(t.Context(), c, data, backend, NewMemoryStore(), true, nil)
	if err != nil || len(rounds) != 2 {
		t.Fatalf("%v, %v", rounds, err)
	}
	for k, r := range rounds {
		if *r.TestMetric != full.TestMetric[k] || *r.TestLoss != full.TestLoss[k] || r.TuneMetric != full.TuneMetric[k] {
			t.Errorf("seed %d: PSNR %v, loss %v; Run has %v, %v", k, *r.TestMetric, *r.TestLoss, full.TestMetric[k], full.TestLoss[k])
		}
	}
}

// TestDroppingImages: an image's removal effect is the sum of those of its patches, and so on every fold; the rule and both controls
// drop whole images, as many of them.
func TestDroppingImages(t *testing.T) {
	c := thinRun()
	c.Denoise.DropUnit, c.Rule = DropImages, "count:3"
	store := NewMemoryStore()
	o := runThin(t, c, "", store)
	d := o.Data
	sum := map[int]float64{}
	for k, i := range d.Split.Train {
		sum[d.Patches.Patch(i).Pair] += o.Estimates.Delta[k]
	}
	pairs := make([]int, 0, len(sum))
	for p := range sum {
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b int) int { return cmp.Compare(sum[a], sum[b]) })
	if len(o.Dropped) != 3*16 || o.Result.Denoising.ImagesDropped != 3 || o.Result.Drop.Count != 48 ||
		o.Result.Denoising.PatchesDropped != 48 || o.Result.Denoising.ImagesTouched != 3 || o.Result.Denoising.PlantedImages != 3 || 16*o.Result.Denoising.PlantedImagesTouched != o.Result.Drop.PlantedFound {
		t.Fatalf("%d patches of %d images dropped", len(o.Dropped), o.Result.Denoising.ImagesDropped)
	}
	for k, i := range o.Dropped {
		if got := d.Patches.Patch(i).Pair; got != pairs[k/16] {
			t.Errorf("dropped patch %d is of image %d, want %d", k, got, pairs[k/16])
		}
	}
	scores, _, _, err := store.Scores("scores/0")
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{config: c, data: d}
	r.scoreUnits([]*influence.Scores{scores})
	u := r.units
	for g, members := range u.members {
		if pair := d.Patches.Patch(d.Split.Train[members[0]]).Pair; math.Abs(u.estimates.Delta[g]-sum[pair]) > 1e-12 {
			t.Errorf("group %d: %v, want %v", g, u.estimates.Delta[g], sum[pair])
		}
	}
	if u.estimates.StandardError == nil {
		t.Error("no standard errors")
	}
	random, err := u.random(o.Dropped, 4)
	if err != nil {
		t.Fatal(err)
	}
	loss := make([]float32, len(d.Split.Train))
	for k, i := range d.Split.Train {
		loss[k] = float32(d.Patches.Patch(i).Pair % 7)
	}
	highest := u.highestLoss(o.Dropped, loss)
	for name, dropped := range map[string][]int{"random": random, "highest": highest} {
		of := map[int]int{}
		for _, i := range dropped {
			of[d.Patches.Patch(i).Pair]++
		}
		if len(dropped) != 48 || len(of) != 3 || name == "highest" && of[6] != 16 {
			t.Errorf("%s drops patches %v of images", name, of)
		}
	}
}

// TestGroupRemoval holds the sum of removal effects against the true change of the score loss when the samples of a group are
// down-weighted a little in training, where the metagradient is exact to first order.
func TestGroupRemoval(t *testing.T) {
	c := thinRun()
	c.Net, c.Estimator = thin+"+gelu", "metagradient"
	c.Influence.NoSmoothnessCheck = true
	c.Seeds, c.ScoreFolds = 1, 1
	o := runThin(t, c, "", NewMemoryStore())
	d := o.Data
	backend, err := cpu.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	r, err := newTrainer(computing(backend, d.Loss(), c.DeviceMemory), &c, d, c.Net, c.Recipe)
	if err != nil {
		t.Fatal(err)
	}
	defer r.engine.Close()
	weights := make([]float32, len(d.Split.Train))
	const step = 0.2
	predicted := 0.0
	change := func(sign float64) float64 {
		predicted = 0
		for k, i := range d.Split.Train {
			weights[k] = 1
			if d.Patches.Patch(i).Pair == d.Patches.Patch(d.Split.Train[0]).Pair {
				weights[k] = float32(1 - sign*step)
				predicted += o.Estimates.Delta[k]
			}
		}
		m, err := r.engine.(*train.Engine).TrainWeighted(t.Context(), d.Source(), d.Split.Train, weights, c.Recipe, c.Seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.engine.Evaluate(t.Context(), m, d.Source(), d.Split.Score)
		if err != nil {
			t.Fatal(err)
		}
		return e.Loss
	}
	truth := (change(1) - change(-1)) / (2 * step)
	t.Logf("predicted %.3g, true %.3g", predicted, truth)
	if math.Abs(predicted-truth) > 0.03*math.Abs(truth)+1e-6 {
		t.Errorf("the group's removal effect is %v, and by weights %v", predicted, truth)
	}
}

func TestDenoisingRefuses(t *testing.T) {
	change := func(f func(c *Config)) Config {
		c := thinRun()
		f(&c)
		return c
	}
	for want, c := range map[string]Config{
		"network softmax maps no images to images; denoisers are: dncnn-7":            change(func(c *Config) { c.Net = "softmax" }),
		"sigma must lie in 0..255 gray levels, its least value first, got 300":        change(func(c *Config) { c.Denoise.Degrade = dataset.Gaussian(300) }),
		`trained on dead-leaves or on a folder of images, not on "mnist"`:             change(func(c *Config) { c.Data = "mnist" }),
		`unknown drop unit "pixel"; known: patch, image`:                              change(func(c *Config) { c.Denoise.DropUnit = "pixel" }),
		"bad pairs must lie in [0, 1), got 1":                                         change(func(c *Config) { c.Denoise.BadPairs = 1 }),
		`unknown kind of bad pair "fog"; known: blur, noise, jpeg, shift`:             change(func(c *Config) { c.Denoise.BadKinds = []string{"fog"} }),
		"the estimator aum ranks samples by their classes":                            change(func(c *Config) { c.Estimator = "aum" }),
		"the augmentation flip is for classification":                                 change(func(c *Config) { c.Recipe.Augmentation.Flip = true }),
		"ffdnet is told the sigma of normal noise, and takes no other":                change(func(c *Config) { c.Net, c.Denoise.Degrade = "ffdnet", dataset.Degradation{JPEG: 10} }),
		"real pairs need noisy test images too":                                       change(func(c *Config) { c.Data, c.DataDir, c.Denoise.NoisyDir, c.Denoise.TestDir = "folder", "a", "b", "c" }),
		`unknown task "painting"; known: classification, denoising`:                   change(func(c *Config) { c.Task = "painting" }),
		"the scales of training images lie in (0, 1], got 2":                          change(func(c *Config) { c.Denoise.Scales = []float64{2} }),
		"the sigma of the test images must lie in 0..255":                             change(func(c *Config) { c.Denoise.TestSigma = -3 }),
		"label noise is for classification":                                           change(func(c *Config) { c.LabelNoise = 0.2 }),
		"say where the folder of images is":                                           change(func(c *Config) { c.Data = "folder" }),
		"dncnn-7 and ffdnet can't be trained on the same data":                        change(func(c *Config) { c.Net, c.InfluenceNet = "ffdnet", "dncnn-7" }),
		"noisy test images needs those of the training images and of the clean":       change(func(c *Config) { c.Data, c.DataDir, c.Denoise.NoisyTestDir = "folder", "a", "b" }),
		"real pairs and skipping what is unreadable are for folders of images, not f": change(func(c *Config) { c.SkipUnreadable = true }),
	} {
		if err := c.Validate(); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "ffdnet and dncnn-7", "dncnn-7 and ffdnet"), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestClassificationIsUntouched: nothing of denoising is in the settings that fingerprints and config files are made of.
func TestClassificationIsUntouched(t *testing.T) {
	raw, err := json.Marshal(DefaultConfig())
	if err != nil || strings.Contains(string(raw), "Denoise") {
		t.Errorf("%v: %s", err, raw)
	}
}

// TestLeakageIsTold: a test image that is trained on too is named.
func TestLeakageIsTold(t *testing.T) {
	dir, test := t.TempDir(), t.TempDir()
	for k, p := range dataset.DeadLeaves(t.Context(), 6, 24, 1, 5) {
		for _, at := range []string{filepath.Join(dir, p.ID[7:]+".png"), filepath.Join(test, "as-"+p.ID[7:]+".png")} {
			if k > 1 && filepath.Dir(at) == test {
				continue
			}
			f, err := os.Create(at)
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, p.Image()); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	c := thinRun()
	c.Data, c.DataDir, c.Denoise.TestDir = dataset.FolderName, dir, test
	c.Train, c.Score, c.Tune, c.Test, c.ScoreFolds = 0, 1, 1, 0, 1
	d, err := LoadData(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Train != 4 || c.Test != 2 || len(d.Notes()) != 1 || !strings.Contains(d.Notes()[0], "leakage: 2 of 2 test images are among the training, score and tune images too, such as as-00000.png") {
		t.Errorf("%d training and %d test images, notes %v", c.Train, c.Test, d.Notes())
	}
	c.Train = 40
	if _, err := LoadData(t.Context(), &c); err == nil || !strings.Contains(err.Error(), "asks for 42 samples, only 6 available") {
		t.Errorf("%v", err)
	}
}

// TestFoldsOfImages: of fewer score images than folds there are as many folds as images, each in one, and a note; a rule that is left
// without standard errors is refused.
func TestFoldsOfImages(t *testing.T) {
	for _, tt := range []struct {
		score, tune, folds, want int
		rule                     string
		notes                    []string
		err                      string
	}{
		{score: 3, tune: 2, folds: 3, want: 3, rule: "auto"},
		{score: 3, tune: 2, folds: 5, want: 3, rule: "shrunk", notes: []string{"score split: its images stay whole, and 3 can't be cut into 5 folds: there are 3"}},
		{score: 1, tune: 1, folds: 5, want: 1, rule: "auto", notes: []string{
			"score split: its images stay whole, and 1 can't be cut into 5 folds: there are none, and scores have no standard errors by folds",
			"tune split: one image can't tell a gain from chance, and the rule auto will drop nothing"}},
		{score: 1, tune: 2, folds: 5, rule: "shrunk", err: "the rule shrunk needs standard errors"},
	} {
		c := thinRun()
		c.Score, c.Tune, c.ScoreFolds, c.Rule = tt.score, tt.tune, tt.folds, tt.rule
		d, err := LoadData(t.Context(), &c)
		if tt.err != "" {
			var usage *UsageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%d score images: %v", tt.score, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.ScoreFolds != tt.want || !slices.Equal(d.Notes(), tt.notes) {
			t.Errorf("%d score images: %d folds, notes %q", tt.score, c.ScoreFolds, d.Notes())
		}
		p := influence.Problem{Source: d.Source(), Score: d.Split.Score, Folds: c.ScoreFolds}
		foldOf := map[int]int{}
		for k, part := range p.FoldPositions() {
			for _, i := range part {
				pair := d.Patches.Patch(i).Pair
				if before, ok := foldOf[pair]; ok && before != k {
					t.Fatalf("image %d is in the folds %d and %d", pair, before, k)
				}
				foldOf[pair] = k
			}
		}
	}
}

func TestDenoiseRecipe(t *testing.T) {
	for network, want := range map[string]string{"dncnn-7": "denoise", "ffdnet": "denoise", "cnn": "denoise", "dncnn-s": "dncnn", "dncnn-s-smooth": "dncnn", "dncnn-c": "denoise"} {
		if got := DenoiseRecipe(network); got != want || train.Recipes[got].Epochs == 0 {
			t.Errorf("the recipe for %s is %s, want %s", network, got, want)
		}
	}
}
