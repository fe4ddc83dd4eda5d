package dataset_test

import (
	"fmt"
	"log"

	"github.com/datadropout/datadropout/dataset"
)

// A data set made ready for an experiment: drawn, split, a fifth of the training labels replaced by wrong ones, and
// normalized by the training images.
func Example() {
	images := dataset.Shapes(1200, 1)
	all := make([]int, images.Len())
	for i := range all {
		all[i] = i
	}
	split, err := dataset.NewSplit(images.Labels, all, nil, dataset.Sizes{Train: 800, Test: 200}, 1)
	if err != nil {
		log.Fatal(err)
	}
	noisy, err := images.WithLabelNoise(0.2, split.Train, 1)
	if err != nil {
		log.Fatal(err)
	}
	noisy.Mean, noisy.Std = noisy.ChannelStats(split.Train)

	planted := 0
	for i := range noisy.Len() {
		if noisy.Planted(i) {
			planted++
		}
	}
	fmt.Println("classes:", noisy.Classes)
	fmt.Println("train, score, tune, test:", len(split.Train), len(split.Score), len(split.Tune), len(split.Test))
	fmt.Println("planted:", planted)
	// Output:
	// classes: [disc ring square triangle cross star bar crescent]
	// train, score, tune, test: 800 100 100 200
	// planted: 160
}

// Drop at random as many images of every class as another arm dropped.
func ExampleStratifiedSample() {
	labels := []int{0, 0, 0, 0, 1, 1, 1, 1, 2, 2}
	train := []int{0, 1, 2, 4, 5, 6, 8, 9}
	drawn, err := dataset.StratifiedSample(labels, train, []int{2, 0, 1}, 7)
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range drawn {
		fmt.Print(labels[i], " ")
	}
	// Output:
	// 0 0 2
}
