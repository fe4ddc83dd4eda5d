package datadropout_test

import (
	"context"
	"fmt"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/cpu"
)

// Two-round training on the built-in set, kept in memory: what was dropped, and who trained on how much.
func ExampleRun() {
	config := datadropout.DefaultConfig()
	config.Train, config.Score, config.Tune, config.Test = 200, 100, 100, 100
	config.Net, config.Recipe.Epochs, config.Seeds = "softmax", 3, 2
	config.Rule = "fraction:0.1"

	backend, err := cpu.New("")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Finalize()
	data, err := datadropout.LoadData(context.Background(), &config)
	if err != nil {
		fmt.Println(err)
		return
	}
	outcome, err := datadropout.Run(context.Background(), config, data, backend, datadropout.NewMemoryStore(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("planted:", outcome.Result.Data.Planted)
	fmt.Println("dropped:", len(outcome.Dropped), "kept:", len(outcome.Kept))
	for _, arm := range datadropout.Arms {
		fmt.Println(arm, len(outcome.Result.Arms[arm].TestMetric), "seeds")
	}
	// Output:
	// planted: 40
	// dropped: 20 kept: 180
	// full 2 seeds
	// dropped 2 seeds
	// random 2 seeds
	// highest_loss 2 seeds
}
