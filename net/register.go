package net

import (
	"fmt"
	"regexp"
)

// Architecture is a network of one's own, for [Register].
type Architecture struct {
	// Describe adds the layers, from the images b.Input() to outputs of one value a class, [b.Outputs()], or to restored images
	// [height, width, b.Outputs()] where Denoiser is set; see [Builder.Restore]. It is called for every input size and variant that is asked for, and must be
	// safe for concurrent use.
	Describe func(b *Builder)
	// Denoiser says that the network maps images to images; the others are classifiers.
	Denoiser bool
	// About says in a few words what it is and where it is from.
	About string
	// Input is the height, width and channels, and Outputs the number of outputs, that it is usually measured with. Zeros mean
	// 32x32x3 and 10, or 40x40x1 and 1 for a denoiser.
	Input   [3]int
	Outputs int
}

// names are those that a command line and a file can hold as they are.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Register adds a network to those that [New] knows, variants included: everything that takes the name of a network takes
// its name. It is meant for the start of a program, like the registration of image formats or database drivers, and panics if there is no
// Describe, if the name is taken, ends with -smooth, or has other characters than letters, digits, dots, dashes and underscores.
// What it describes is checked when a network is made, and wrong is an error of New.
func Register(name string, a Architecture) {
	if a.Describe == nil {
		panic(fmt.Errorf("net: the network %q is registered without a description", name))
	}
	if !names.MatchString(name) || len(name) > len(smoothSuffix) && name[len(name)-len(smoothSuffix):] == smoothSuffix {
		panic(fmt.Errorf("net: a network cannot be called %q: letters, digits, dots, dashes and underscores, and no %s at the end", name, smoothSuffix))
	}
	entry := architecture{describe: func(b *builder) {
		a.Describe(&Builder{b})
		b.checkNames()
	}, usual: cifar, about: a.About}
	if a.Denoiser {
		entry.usual = grayPatches
	}
	if a.Input != [3]int{} {
		entry.usual.input = a.Input
	}
	if a.Outputs != 0 {
		entry.usual.outputs = a.Outputs
	}
	zooLock.Lock()
	defer zooLock.Unlock()
	if _, taken := zoo[name]; taken {
		panic(fmt.Errorf("net: there is a network %q already", name))
	}
	zoo[name] = entry
}

// checkNames sets err where two parameters have one name.
func (b *builder) checkNames() {
	taken := map[string]bool{}
	for _, p := range b.params {
		if taken[p.Name] && b.err == nil {
			b.err = fmt.Errorf("two parameters are called %s", p.Name)
		}
		taken[p.Name] = true
	}
}
