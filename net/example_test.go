package net_test

import (
	"context"
	"fmt"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/cpu"
	"github.com/datadropout/datadropout/net"
)

func init() {
	net.Register("tiny-residual", net.Architecture{About: "one residual block", Describe: func(b *net.Builder) {
		b.Convolution("stem", net.Window{Size: 3, Channels: 4, Stride: 2, Padding: 1, Bias: true})
		b.Activate()
		b.Residual(nil, func(b *net.Builder) { b.Convolution("conv", net.Window{Size: 3, Channels: 4, Padding: 1}) })
		b.GlobalMean()
		b.Dense("dense", b.Outputs(), net.GlorotUniform)
	}})
}

// A network of one's own goes through two-round training by its name.
func ExampleRegister() {
	config := datadropout.DefaultConfig()
	config.Net, config.Recipe.Epochs, config.Seeds, config.Rule = "tiny-residual", 1, 2, "fraction:0.1"
	config.Train, config.Score, config.Tune, config.Test = 100, 50, 50, 50
	backend, err := cpu.New("")
	if err != nil {
		panic(err)
	}
	defer backend.Finalize()
	data, err := datadropout.LoadData(context.Background(), &config)
	if err != nil {
		panic(err)
	}
	outcome, err := datadropout.Run(context.Background(), config, data, backend, datadropout.NewMemoryStore(), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(outcome.Result.Net.Name, outcome.Result.Net.Parameters, "parameters;", len(outcome.Dropped), "samples dropped")
	// Output:
	// tiny-residual 224 parameters; 10 samples dropped
}
