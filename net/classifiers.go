package net

// softmax is softmax regression: one dense layer. Its loss is convex, so it may start at zero.
func softmax(b *builder) {
	b.flatten()
	b.dense("dense", b.outputs, AllZeros, true)
}

// mlp is the multilayer perceptron with 128 and 64 hidden units on which the dattri benchmark (Deng et al. 2024,
// arXiv:2410.04555) compares estimators of influence, without dropout: 109,386 parameters for 28x28x1 and 10 classes.
func mlp(b *builder) {
	b.flatten()
	b.dense("dense1", 128, HeNormal, true)
	b.activate()
	b.dense("dense2", 64, HeNormal, true)
	b.activate()
	b.dense("dense3", b.outputs, GlorotUniform, true)
}

// cnn is the network of PyTorch's MNIST example without dropout: 1,199,882 parameters for 28x28x1 and 10 classes.
func cnn(b *builder) {
	b.conv("conv1", window{size: 3, channels: 32, stride: 1, bias: true})
	b.activate()
	b.conv("conv2", window{size: 3, channels: 64, stride: 1, bias: true})
	b.activate()
	b.pool(2)
	b.flatten()
	b.dense("dense1", 128, HeNormal, true)
	b.activate()
	b.dense("dense2", b.outputs, GlorotUniform, true)
}

// lenet5 is LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling: 61,706 parameters for 28x28x1 and 10 classes.
func lenet5(b *builder) {
	b.conv("conv1", window{size: 5, channels: 6, stride: 1, padding: 2, bias: true})
	b.activate()
	b.pool(2)
	b.conv("conv2", window{size: 5, channels: 16, stride: 1, bias: true})
	b.activate()
	b.pool(2)
	b.flatten()
	b.dense("dense1", 120, HeNormal, true)
	b.activate()
	b.dense("dense2", 84, HeNormal, true)
	b.activate()
	b.dense("dense3", b.outputs, GlorotUniform, true)
}

// resnet9 is the residual network of 9 layers that training data attribution is often measured on (TRAK, Park et al. 2023,
// arXiv:2303.14186, their CIFAR-10 example): 2,274,880 parameters for 3 channels and 10 classes.
func resnet9(b *builder) {
	layer := func(name string, w window) {
		b.convNorm(name, w)
		b.activate()
	}
	layer("conv1", window{size: 3, channels: 64, stride: 1, padding: 1})
	layer("conv2", window{size: 5, channels: 128, stride: 2, padding: 2})
	b.residual(nil, func(b *builder) {
		layer("residual1/conv1", window{size: 3, channels: 128, stride: 1, padding: 1})
		layer("residual1/conv2", window{size: 3, channels: 128, stride: 1, padding: 1})
	})
	layer("conv3", window{size: 3, channels: 256, stride: 1, padding: 1})
	b.pool(2)
	b.residual(nil, func(b *builder) {
		layer("residual2/conv1", window{size: 3, channels: 256, stride: 1, padding: 1})
		layer("residual2/conv2", window{size: 3, channels: 256, stride: 1, padding: 1})
	})
	layer("conv4", window{size: 3, channels: 128, stride: 1})
	b.globalPool()
	b.dense("dense", b.outputs, GlorotUniform, false)
	b.scale(0.2)
}
