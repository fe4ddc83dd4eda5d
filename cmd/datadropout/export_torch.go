package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/dataset"
	"github.com/datadropout/datadropout/report"
)

// torchSets are the classes of torchvision whose order of samples is that of the indices.
var torchSets = map[string]string{
	"mnist": "MNIST(root, train=True)", "fashion-mnist": "FashionMNIST(root, train=True)", "kmnist": "KMNIST(root, train=True)",
	"emnist": "EMNIST(root, split, train=True)", "cifar10": "CIFAR10(root, train=True)", "cifar100": "CIFAR100(root, train=True)",
	"svhn": `SVHN(root, split="train")`,
}

// printTorch prints the lines of Python that make a Subset of a PyTorch data set, which the user has as dataset, of the samples kept.
func printTorch(w io.Writer, dir string, c *datadropout.Config) error {
	quoted := func(path string) (string, error) {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		raw, err := json.Marshal(filepath.ToSlash(absolute)) // a JSON string is one of Python
		return string(raw), err
	}
	keep, err := quoted(filepath.Join(dir, report.KeepFile))
	if err != nil {
		return err
	}
	if c.Data != dataset.FolderName {
		about := "# dataset: torchvision.datasets." + torchSets[c.Data] + ", or any other one in the order of the training files."
		if torchSets[c.Data] == "" {
			about = "# dataset: one whose sample i is the one of index i in scores.csv."
		}
		_, err = fmt.Fprintf(w, "%s\n"+
			"import torch\n"+
			"keep = [int(line) for line in open(%s)]\n"+
			"train_set = torch.utils.data.Subset(dataset, keep)\n", about, keep)
		return err
	}
	scores, err := quoted(filepath.Join(dir, report.ScoresFile))
	if err != nil {
		return err
	}
	if info, err := os.Stat(c.DataDir); err != nil || !info.IsDir() {
		return &dataset.InputError{Path: c.DataDir, Err: errors.New("the folder of the run's images is not there: say where it is, --data-dir DIR")}
	}
	folder, err := quoted(c.DataDir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "# dataset: torchvision.datasets.ImageFolder of the folder, or of train in it; its order differs, so samples are found by path.\n"+
		"import csv, os, torch\n"+
		"kept = set(open(%s).read().split()); ids = {r[\"id\"] for r in csv.DictReader(open(%s, newline=\"\", encoding=\"utf-8\")) if r[\"index\"] in kept}\n"+
		"train_set = torch.utils.data.Subset(dataset, [i for i, (p, _) in enumerate(dataset.samples) if os.path.relpath(p, %s).replace(os.sep, \"/\") in ids])\n"+
		"assert len(train_set) == len(kept), \"the images of dataset are not those below \" + %[3]s\n",
		keep, scores, folder)
	return err
}
