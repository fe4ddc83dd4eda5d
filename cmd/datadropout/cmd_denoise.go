package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"image/png"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/backend"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/durable"
	"github.com/datadropout/datadropout/internal/precision"
	"github.com/datadropout/datadropout/net"
	"github.com/datadropout/datadropout/report"
	"github.com/datadropout/datadropout/restore"
	"github.com/datadropout/datadropout/train"
)

// denoiseOptions are those of datadropout denoise.
type denoiseOptions struct {
	run, arm, out, reference string
	backend, precision       string

	seed        int
	sigma, add  float64
	memory      int64
	threads     int
	force, json bool
}

const denoiseExitCodes = `Exit codes:
  0    done
  1    failed
  2    wrong usage
  10   an input is missing or unreadable
  130  interrupted
`

func newDenoiseCommand() *cobra.Command {
	o := &denoiseOptions{memory: restore.DefaultTileMemory}
	cmd := &cobra.Command{
		Use:   "denoise --run DIR IMAGE...",
		Short: "Denoise images with the network of a run",
		Long: "denoise applies the network that a run of denoising trained in round 2, or in round 1, to images of any size, with 8 or\n" +
			"16 bits a value, and writes PNG files of as many. Images that need more memory than --tile-memory are restored tile by\n" +
			"tile; tiles overlap so far that there is no seam. The data of the run are not needed, nor need it be finished: after\n" +
			"datadropout train there is the network of round 1.\n\n" + denoiseExitCodes,
		Example: "  datadropout denoise --run runs/folder-dncnn-7-20260101-120000 photo.png\n" +
			"  datadropout denoise --run DIR --add-noise 25 --reference Set12 Set12/*.png",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDenoise(cmd.Context(), o, args, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	addRunFlag(cmd, &o.run)
	f.Lookup("run").Usage = "directory of the run"
	f.StringVar(&o.arm, "arm", "", "whose network: dropped (round 2) or full (round 1), random, highest_loss (default dropped, or full where nothing was dropped)")
	f.IntVar(&o.seed, "seed-number", 0, "which of the run's seeds, from 0")
	f.StringVar(&o.out, "out", "", "folder to write to, or the file for one image (default: NAME-denoised.png beside each image)")
	f.BoolVar(&o.force, "force", false, "write over files that are there")
	f.StringVar(&o.reference, "reference", "", "clean image, or folder of clean images of the same names: prints PSNR and SSIM")
	f.Float64Var(&o.sigma, "sigma", -1, "sigma of the noise in the images, in gray levels of 255, for a network that is told it (default: that of the run)")
	f.Float64Var(&o.add, "add-noise", 0, "first add normal noise of that sigma to the images, for trying out")
	f.Var(&mebibytes{&o.memory, 1}, "tile-memory", "MiB that a tile may take")
	f.StringVar(&o.backend, "backend", backend.Auto, backendUsage)
	f.StringVar(&o.precision, "precision", precision.Auto, precisionUsage)
	f.IntVar(&o.threads, "threads", 0, "processors to use; 0: all")
	f.BoolVar(&o.json, "json", false, "print a JSON line an image")
	return cmd
}

// denoiseLine is an image as --json prints it. Figures are there with a reference: those of the input and those of the output.
type denoiseLine struct {
	Type      string              `json:"type"`
	Image     string              `json:"image"`
	Out       string              `json:"out"`
	Height    int                 `json:"height"`
	Width     int                 `json:"width"`
	Seconds   float64             `json:"seconds"`
	InputPSNR *datadropout.Number `json:"input_psnr,omitempty"`
	InputSSIM *datadropout.Number `json:"input_ssim,omitempty"`
	PSNR      *datadropout.Number `json:"psnr,omitempty"`
	SSIM      *datadropout.Number `json:"ssim,omitempty"`
}

func runDenoise(ctx context.Context, o *denoiseOptions, images []string, stdout io.Writer) error {
	usage := func(format string, args ...any) error {
		return &datadropout.UsageError{Err: fmt.Errorf(format, args...)}
	}
	switch {
	case o.run == "":
		return usage("say which run: --run DIR")
	case len(images) == 0:
		return usage("say which images: datadropout denoise --run DIR IMAGE...")
	case !(o.add >= 0 && o.add <= dataset.MostSigma):
		return usage("--add-noise wants a sigma of 0..%d gray levels, got %v", dataset.MostSigma, o.add)
	case o.sigma != -1 && !(o.sigma >= 0 && o.sigma <= dataset.MostSigma):
		return usage("--sigma wants 0..%d gray levels, got %v", dataset.MostSigma, o.sigma)
	}
	c, err := denoisingRun(o.run)
	if err != nil {
		return err
	}
	outs, err := o.outputs(images)
	if err != nil {
		return err
	}
	// All images and references are read once before the first is restored: what is wrong shows at once.
	for _, path := range images {
		if _, _, err := o.open(path, c); err != nil {
			return err
		}
	}
	options := backend.Options{Threads: o.threads, Precision: o.precision}
	computes, err := openBackend(&o.backend, &options)
	if err != nil {
		return err
	}
	defer computes.Finalize()
	restorer, err := o.restorer(computes, options.Precision == precision.BFloat16, c)
	if err != nil {
		return err
	}
	defer restorer.Close()
	sigma := o.sigma
	if sigma < 0 {
		sigma = c.Denoise.Degrade.Sigma[1]
		if o.add > 0 {
			sigma = o.add
		} else if c.Denoise.TestSigma > 0 {
			sigma = c.Denoise.TestSigma
		}
	}
	p := newDenoisePrinter(stdout, o.json, o.reference != "")
	for k, path := range images {
		line, err := o.denoise(ctx, restorer, c, path, outs[k], float32(sigma/255))
		if err != nil {
			return err
		}
		p.add(line)
	}
	return p.end()
}

// denoisingRun reads the settings of a run of denoising.
func denoisingRun(dir string) (*datadropout.Config, error) {
	path := filepath.Join(dir, report.ConfigFile)
	s, err := report.ReadSettings(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &dataset.InputError{Path: dir, Err: errors.New("is no run directory: it holds no config.yaml")}
	}
	if err != nil {
		return nil, err
	}
	if s.Task != datadropout.Denoising {
		return nil, &datadropout.UsageError{Err: fmt.Errorf("%s is a run of %s: its network denoises nothing", dir, s.Task)}
	}
	return &s.Config, nil
}

// restorer makes the network of the run ready, in bfloat16 or not, whatever it was trained in.
func (o *denoiseOptions) restorer(computes compute.Backend, bfloat16 bool, c *datadropout.Config) (*restore.Restorer, error) {
	n, model, err := o.model(c)
	if err != nil {
		return nil, err
	}
	if bfloat16 {
		n = n.BFloat16()
	}
	return restore.NewRestorer(computes, n, model)
}

// model reads the network that was asked for: of a run that is not finished that of round 1, where it has got so far.
func (o *denoiseOptions) model(c *datadropout.Config) (*net.Network, *train.Model, error) {
	run, err := report.ReadResult(o.run)
	if err != nil {
		roundOne := (o.arm == "" || o.arm == datadropout.Full) && o.seed >= 0 && o.seed < c.Seeds
		if roundOne && !exists(filepath.Join(o.run, report.ResultFile)) {
			if n, model, missing := datadropout.RestorerModel(o.run, c, o.seed); !errors.Is(missing, fs.ErrNotExist) {
				return n, model, missing
			}
		}
		return nil, nil, err
	}
	arm := o.arm
	if arm == "" {
		arm = datadropout.Full
		if run.Drop.Count > 0 {
			arm = datadropout.Dropped
		}
	}
	a := run.Arms[arm]
	switch {
	case a == nil || len(a.TestMetric) == 0:
		return nil, nil, &datadropout.UsageError{Err: fmt.Errorf("the run in %s has no model of the arm %s", o.run, arm)}
	case o.seed < 0 || o.seed >= len(a.TestMetric):
		return nil, nil, &datadropout.UsageError{Err: fmt.Errorf("the run has %s, numbered from 0, and none of number %d", report.Counted(len(a.TestMetric), "seed"), o.seed)}
	}
	return datadropout.ArmModel(o.run, run, nil, arm, o.seed)
}

// outputs settles which file each image goes to, and refuses files that are there.
func (o *denoiseOptions) outputs(images []string) ([]string, error) {
	info, err := os.Stat(o.out)
	folder := o.out != "" && (len(images) > 1 || err == nil && info.IsDir() || strings.HasSuffix(o.out, string(filepath.Separator)))
	outs := make([]string, len(images))
	taken := map[string]string{}
	for k, path := range images {
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		switch {
		case folder:
			outs[k] = filepath.Join(o.out, name+".png")
		case o.out != "":
			outs[k] = o.out
		default:
			outs[k] = filepath.Join(filepath.Dir(path), name+"-denoised.png")
		}
		if twin, ok := taken[outs[k]]; ok {
			return nil, &datadropout.UsageError{Err: fmt.Errorf("%s and %s would both be written to %s", twin, path, outs[k])}
		}
		taken[outs[k]] = path
		if _, err := os.Stat(outs[k]); err == nil && !o.force {
			return nil, &datadropout.UsageError{Err: fmt.Errorf("%s is there already: --force writes over it, --out names another place", outs[k])}
		}
	}
	if folder {
		return outs, os.MkdirAll(o.out, 0o755)
	}
	return outs, nil
}

// open reads an image, in the channels of the run, and its reference, nil where there is none.
func (o *denoiseOptions) open(path string, c *datadropout.Config) (m, reference *dataset.Picture, err error) {
	channels := func(p *dataset.Picture) *dataset.Picture {
		if c.Denoise.Channels == 3 {
			return p.Color()
		}
		return p.Gray()
	}
	if m, err = dataset.OpenPicture(path); err != nil {
		return nil, nil, err
	}
	m = channels(m)
	if o.reference == "" {
		return m, nil, nil
	}
	at := o.reference
	if info, err := os.Stat(at); err == nil && info.IsDir() {
		if at, err = sameName(at, path); err != nil {
			return nil, nil, err
		}
	}
	if reference, err = dataset.OpenPicture(at); err != nil {
		return nil, nil, err
	}
	if reference = channels(reference); reference.Height != m.Height || reference.Width != m.Width {
		return nil, nil, &dataset.InputError{Path: at, Err: fmt.Errorf("the reference is of %dx%d pixels, and %s of %dx%d", reference.Height, reference.Width, path, m.Height, m.Width)}
	}
	return m, reference, nil
}

// sameName returns the file in a folder that has the name of a path, or its name with another extension.
func sameName(dir, path string) (string, error) {
	name := filepath.Base(path)
	if at := filepath.Join(dir, name); exists(at) {
		return at, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	for _, e := range entries {
		if strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())) == stem && !e.IsDir() {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", &dataset.InputError{Path: dir, Err: fmt.Errorf("holds no reference with the name of %s", path)}
}

// denoise restores one image and writes it.
func (o *denoiseOptions) denoise(ctx context.Context, r *restore.Restorer, c *datadropout.Config, path, out string, sigma float32) (*denoiseLine, error) {
	picture, reference, err := o.open(path, c)
	if err != nil {
		return nil, err
	}
	noisy := restore.FromPicture(picture)
	if o.add > 0 {
		name := fnv.New64a() // the same noise each time, and not the same for all images
		name.Write([]byte(filepath.Base(path)))
		rng := rand.New(rand.NewPCG(name.Sum64(), 0))
		for k := range noisy.Pix {
			noisy.Pix[k] += float32(o.add / 255 * rng.NormFloat64())
		}
	}
	began := time.Now()
	restored, err := r.Restore(ctx, noisy, sigma, o.memory)
	var memory *restore.MemoryError
	if errors.As(err, &memory) {
		return nil, &datadropout.UsageError{Err: fmt.Errorf("%w: raise --tile-memory", err)}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	line := &denoiseLine{Type: "image", Image: path, Out: out, Height: picture.Height, Width: picture.Width, Seconds: time.Since(began).Seconds()}
	if reference != nil {
		clean, shown := restore.FromPicture(reference), restored.Quantized(8)
		figure := func(v float64) *datadropout.Number { n := datadropout.Number(v); return &n }
		line.InputPSNR, line.InputSSIM = figure(restore.PSNR(noisy, clean)), figure(restore.SSIM(noisy, clean))
		line.PSNR, line.SSIM = figure(restore.PSNR(shown, clean)), figure(restore.SSIM(shown, clean))
	}
	var file strings.Builder
	if err := png.Encode(&file, restored.Picture(picture.Depth)); err != nil {
		return nil, fmt.Errorf("%s: %w", out, err)
	}
	_, err = durable.WriteFile(out, []byte(file.String()))
	return line, err
}

// denoisePrinter prints a row an image and, with references, the means.
type denoisePrinter struct {
	json      *jsonPrinter
	table     *tabwriter.Writer
	reference bool
	sums      [4]float64
	n         int
}

func newDenoisePrinter(w io.Writer, asJSON, reference bool) *denoisePrinter {
	if asJSON {
		return &denoisePrinter{json: newJSONPrinter(w)}
	}
	p := &denoisePrinter{table: tabwriter.NewWriter(w, 0, 4, 3, ' ', 0), reference: reference}
	fmt.Fprint(p.table, "image\tsize\tseconds")
	if reference {
		fmt.Fprint(p.table, "\tPSNR before\tafter\tSSIM before\tafter")
	}
	fmt.Fprintln(p.table, "\twritten to")
	return p
}

func (p *denoisePrinter) add(l *denoiseLine) {
	if p.json != nil {
		p.json.write(l)
		return
	}
	fmt.Fprintf(p.table, "%s\t%dx%d\t%.2f", filepath.Base(l.Image), l.Height, l.Width, l.Seconds)
	if p.reference {
		row := [4]float64{float64(*l.InputPSNR), float64(*l.PSNR), float64(*l.InputSSIM), float64(*l.SSIM)}
		p.figures(row)
		for k, v := range row {
			p.sums[k] += v
		}
		p.n++
	}
	fmt.Fprintf(p.table, "\t%s\n", l.Out)
}

func (p *denoisePrinter) figures(row [4]float64) {
	fmt.Fprintf(p.table, "\t%.2f dB\t%.2f dB", row[0], row[1])
	for _, v := range row[2:] {
		if math.IsNaN(v) { // smaller than a window of SSIM
			fmt.Fprint(p.table, "\t-")
		} else {
			fmt.Fprintf(p.table, "\t%.4f", v)
		}
	}
}

func (p *denoisePrinter) end() error {
	if p.json != nil {
		return nil
	}
	if p.n > 1 {
		fmt.Fprint(p.table, "mean\t\t")
		for k := range p.sums {
			p.sums[k] /= float64(p.n)
		}
		p.figures(p.sums)
		fmt.Fprintln(p.table, "\t")
	}
	return p.table.Flush()
}
