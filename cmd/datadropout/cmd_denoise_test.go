package main

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/export"
	"github.com/datadropout/datadropout/report"
)

// savePNG writes an image.
func savePNG(t *testing.T, path string, m image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
}

// leaves writes a folder of images.
func leaves(t *testing.T, n, side int, seed uint64) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range dataset.DeadLeaves(t.Context(), n, side, 1, seed) {
		savePNG(t, filepath.Join(dir, filepath.Base(p.ID)+".png"), p.Image())
	}
	return dir
}

// TestDenoise goes the whole way: a run on folders, and its networks applied to images of 8 and 16 bits.
func TestDenoise(t *testing.T) {
	data, test, out := leaves(t, 8, 24, 1), leaves(t, 2, 30, 2), filepath.Join(t.TempDir(), "run")
	args := []string{"run", "--data", data, "--test-data", test, "--net", "dncnn-7", "--sigma", "15", "--score", "2", "--tune", "1", "--patch-size", "8", "--stride", "8",
		"--bad-pairs", "0.4", "--bad-kinds", "blur,jpeg", "--epochs", "1", "--batch", "8", "--seeds", "1", "--rule", "count:9", "--drop-unit", "image", "--estimator", "graddot",
		"--rule", "count:1", "--out", out, "--scales", "1,0.7"}
	code, stdout, stderr := runCommand(t, args...)
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"test PSNR", " dB", "00001.png", "dropped - full:", "Verdict:", "datadropout denoise --run " + out, "the page to look at is " + filepath.Join(out, report.PageFile)} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	if want := "5 training, 2 score, 1 tune, 2 test samples (images); 65 training patches of 8x8, gaussian:15, 26 of them with a target spoiled on purpose"; !strings.Contains(stderr, want) {
		t.Errorf("stderr lacks %q:\n%s", want, stderr)
	}
	scores, images := readTable(t, filepath.Join(out, report.ScoresFile)), readTable(t, filepath.Join(out, report.ImagesFile))
	if len(scores) != 65 || len(images) != 5 {
		t.Errorf("%d patches and %d images", len(scores), len(images))
	}
	var r datadropout.Result
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(out, report.ResultFile))), &r); err != nil || r.Drop.Count != 13 || r.Denoising.ImagesDropped != 1 ||
		r.Denoising.PatchesDropped != 13 || r.Denoising.ImagesTouched != 1 || r.Denoising.PlantedImages != 2 {
		t.Errorf("%v, %+v", err, r.Drop)
	}

	photos := t.TempDir()
	deep := image.NewGray16(image.Rect(0, 0, 50, 41))
	for k := range 50 * 41 {
		deep.SetGray16(k%50, k/50, color.Gray16{Y: uint16(1200 * (k % 50))})
	}
	savePNG(t, filepath.Join(photos, "deep.png"), deep)
	savePNG(t, filepath.Join(photos, "flat.png"), image.NewGray(image.Rect(0, 0, 1, 7)))
	code, stdout, stderr = runCommand(t, "denoise", "--run", out, "--add-noise", "15", "--reference", photos, filepath.Join(photos, "deep.png"), filepath.Join(photos, "flat.png"), "--out", filepath.Join(photos, "out"))
	if code != exitDone || !strings.Contains(stdout, "41x50") || !strings.Contains(stdout, "7x1") || !strings.Contains(stdout, "24.") || !strings.Contains(stdout, "mean") {
		t.Errorf("exit code %d: %s\n%s", code, stdout, stderr)
	}
	for name, depth := range map[string]int{"deep": 16, "flat": 8} {
		p, err := dataset.OpenPicture(filepath.Join(photos, "out", name+".png"))
		if err != nil || p.Depth != depth || p.Channels != 1 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	one := filepath.Join(photos, "deep.png")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--run", out}, exitUsage, "say which images"},
		{[]string{one}, exitUsage, "say which run"},
		{[]string{"--run", photos, one}, exitInput, "is no run directory"},
		{[]string{"--run", out, filepath.Join(photos, "none.png")}, exitInput, "none.png: no such file or directory"},
		{[]string{"--run", out, "--out", filepath.Join(photos, "flat.png"), one}, exitUsage, "is there already: --force writes over it"},
		{[]string{"--run", out, "--arm", "reviewed", one}, exitUsage, "has no model of the arm reviewed"},
		{[]string{"--run", out, "--seed-number", "1", one}, exitUsage, "the run has 1 seed, numbered from 0"},
		{[]string{"--run", out, "--reference", filepath.Join(photos, "flat.png"), one}, exitInput, "the reference is of 7x1 pixels"},
		{[]string{"--run", out, "--add-noise", "256", one}, exitUsage, "--add-noise wants a sigma of 0..255"},
		{[]string{"--run", out, "--out", filepath.Join(photos, "x") + string(filepath.Separator), one, one}, exitUsage, "would both be written to"},
	} {
		code, _, stderr := runCommand(t, append([]string{"denoise"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit code %d: %s, want %d: %s", tt.args, code, stderr, tt.code, tt.want)
		}
	}
	commandsOnDenoising(t, out)
}

// TestDenoiseAfterTrain: the network of round 1 serves before the run is finished, and once it is there.
func TestDenoiseAfterTrain(t *testing.T) {
	data, out := leaves(t, 6, 16, 1), filepath.Join(t.TempDir(), "run")
	photo := filepath.Join(leaves(t, 1, 20, 2), "00000.png")
	if _, err := os.Stat(photo); err != nil {
		t.Fatal(err)
	}
	settings := []string{"--data", data, "--net", "dncnn-7", "--score", "1", "--tune", "1", "--test", "1", "--patch-size", "8", "--epochs", "1", "--batch", "8", "--seeds", "2", "--out", out}
	if code, _, stderr := runCommand(t, append([]string{"train"}, settings...)...); code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	denoise := func(args ...string) (int, string) {
		t.Helper()
		code, _, stderr := runCommand(t, append(append([]string{"denoise", "--run", out, "--force"}, args...), photo)...)
		return code, stderr
	}
	restored := filepath.Join(filepath.Dir(photo), "00000-denoised.png")
	written := map[string]bool{}
	for _, seed := range []string{"0", "1"} {
		if code, stderr := denoise("--seed-number", seed); code != exitDone {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		written[readFile(t, restored)] = true
	}
	if len(written) != 2 {
		t.Error("two seeds restore alike")
	}
	for _, args := range [][]string{{"--arm", datadropout.Dropped}, {"--seed-number", "2"}} {
		if code, stderr := denoise(args...); code != exitInput || !strings.Contains(stderr, "the run is not finished; it goes on with: datadropout run --resume") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	models, err := filepath.Glob(filepath.Join(out, "*", "full-0.model"))
	if err != nil || len(models) != 1 {
		t.Fatalf("%v, %v", models, err)
	}
	if err := os.Truncate(models[0], 100); err != nil {
		t.Fatal(err)
	}
	if code, stderr := denoise(); code != exitInput || !strings.Contains(stderr, "full-0.model") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if err := os.Remove(models[0]); err != nil {
		t.Fatal(err)
	}
	if code, stderr := denoise(); code != exitInput || !strings.Contains(stderr, "the run is not finished") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// commandsOnDenoising: the commands that read a run either work on one of denoising or say in one line what there is instead.
func commandsOnDenoising(t *testing.T, out string) {
	t.Helper()
	page := filepath.Join(out, report.PageFile)
	before := readFile(t, page)
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runCommand(t, "report", "--run", out)
	if code != exitDone || stdout != page+"\n" || readFile(t, page) != before {
		t.Errorf("report: exit code %d: %s%s", code, stdout, stderr)
	}
	dir := t.TempDir()
	again := " is a run of denoising, for which there is no "
	choose := ": look at " + page + ", choose again with datadropout select --run " + out + " --rule RULE, and train with datadropout run --resume --out " + out
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"retrain"}, again + "round 2 by the decisions of a review" + choose},
		{[]string{"review"}, again + "review" + choose},
		{[]string{"export", "--copy", filepath.Join(dir, "copy")}, again + "folder of kept images, since its samples are patches: " + filepath.Join(out, report.ImagesFile)},
		{[]string{"export", "--symlink", filepath.Join(dir, "link")}, again + "folder of kept images"},
		{[]string{"export", "--torch"}, again + "PyTorch Subset, since its samples are patches cut by this program: " + filepath.Join(out, report.ScoresFile)},
		{[]string{"export", "--weights", filepath.Join(dir, "w.safetensors"), "--arm", "reviewed"}, again + "arm reviewed"},
	} {
		code, stdout, stderr := runCommand(t, append(tt.args, "--run", out)...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, out+tt.want) {
			t.Errorf("%v: exit code %d: %s", tt.args, code, stderr)
		}
	}
	const unverified = "scores are verified on images of classes; there is nothing yet that verifies those of denoising"
	for _, args := range [][]string{{"--config", filepath.Join(out, report.ConfigFile)}, {"--net", "dncnn-7"}, {"--data", "dead-leaves"}} {
		study := filepath.Join(dir, "study")
		wrongUsage(t, append([]string{"verify", "--out", study}, args...), unverified)
		if exists(study) {
			t.Errorf("verify %v made %s", args, study)
		}
	}
	scores, weights, events := filepath.Join(dir, "s.parquet"), filepath.Join(dir, "w.safetensors"), filepath.Join(dir, "events")
	code, _, stderr = runCommand(t, "export", "--run", out, "--scores", scores, "--weights", weights, "--tensorboard", events)
	if code != exitDone || !strings.Contains(stderr, "65 scores") || !strings.Contains(stderr, "dncnn-7, arm dropped, seed 0") {
		t.Errorf("export: exit code %d: %s", code, stderr)
	}
	if raw := readFile(t, weights); !strings.Contains(raw, `"range":"[0,1]"`) || strings.Contains(raw, `"null"`) {
		t.Errorf("the metadata of the weights: %.400s", raw)
	}
	if raw := readFile(t, filepath.Join(events, "samples", export.EventFile)); !strings.Contains(raw, "harmful 01 ") || !strings.Contains(raw, ".png+") {
		t.Error("the events lack the patches")
	}
	html := filepath.Join(dir, "compare.html")
	code, stdout, stderr = runCommand(t, "compare", out, out+string(filepath.Separator)+".", "--html", html)
	if code != exitDone || !strings.Contains(stdout, "effect, dB") || !strings.Contains(stdout, "13 of 65 (20.0 %)") || !strings.Contains(readFile(t, html), "in common") {
		t.Errorf("compare: exit code %d: %s%s", code, stdout, stderr)
	}
}

// TestDenoisingFlags: what is wrong with the settings or the data of denoising shows at once, in one line.
func TestDenoisingFlags(t *testing.T) {
	data := leaves(t, 6, 24, 1)
	if err := os.WriteFile(filepath.Join(data, "broken.jpg"), []byte{0xff, 0xd8, 0xff}, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--net", "dncnn-7", "--sigma", "256"}, exitUsage, "sigma must lie in 0..255"},
		{[]string{"--net", "dncnn-7", "--sigma", "0"}, exitUsage, "want a sigma above 0"},
		{[]string{"--sigma", "25"}, exitUsage, "--sigma is for denoising: ask for it with --task denoise"},
		{[]string{"--task", "denoise", "--net", "softmax"}, exitUsage, "the network softmax maps no images to images"},
		{[]string{"--task", "classification", "--net", "dncnn-7"}, exitUsage, "is no classifier"},
		{[]string{"--task", "paint"}, exitUsage, "unknown task"},
		{[]string{"--net", "dncnn-7", "--data", "no-such-folder"}, exitUsage, "no-such-folder"},
		{[]string{"--net", "dncnn-7", "--data", data}, exitInput, "broken.jpg: is cut short"},
		{[]string{"--net", "dncnn-7", "--data", data, "--skip-unreadable"}, exitInput, "holds no image that can be read"}, // none is as large as a patch
		{[]string{"--net", "dncnn-7", "--data", data, "--degrade", "fog:3"}, exitUsage, "unknown term"},
		{[]string{"--net", "ffdnet", "--patch-size", "9", "--train", "2", "--score", "1", "--tune", "1", "--test", "1"}, exitUsage, "multiples of 2"},
	} {
		code, _, stderr := runCommand(t, append([]string{"run", "--out", filepath.Join(t.TempDir(), "x")}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit code %d: %s, want %d: %s", tt.args, code, stderr, tt.code, tt.want)
		}
	}
}
