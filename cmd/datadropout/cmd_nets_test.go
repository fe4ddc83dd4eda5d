package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/datadropout/datadropout/net"
)

// Every network has a row, with the counts that the papers publish, on a page of 100 columns.
func TestNets(t *testing.T) {
	code, stdout, stderr := runCommand(t, "nets")
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(stdout) {
		if len(line) > 101 || strings.HasSuffix(line, " \n") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
		if f := strings.Fields(line); len(f) > 0 {
			rows[f[0]] = f
		}
	}
	for _, name := range net.Names() {
		if rows[name] == nil {
			t.Errorf("no row for %s", name)
		}
	}
	for _, want := range []string{
		"resnet20 270 k 40.6 M 20 ", "resnet110 1.73 M 253 M 110 ", "wrn-28-10 36.5 M 5.24 G 26 ", "resnet18 11.7 M 1.81 G 18 ", "resnet50 25.6 M 4.09 G 50 ",
	} {
		name, _, _ := strings.Cut(want, " ")
		if got := strings.Join(rows[name], " "); !strings.HasPrefix(got, want) {
			t.Errorf("row %q, want %q", got, want)
		}
	}
	if a, b := strings.Index(stdout, "resnet20 "), strings.Index(stdout, "resnet110 "); a > b {
		t.Error("resnet110 stands before resnet20")
	}
	if !strings.Contains(stdout, "Classifiers, counted on images of 224x224x3 and 1000 classes:\n") || !strings.Contains(stdout, "\nDenoisers, counted on images of 40x40x1:\n") {
		t.Errorf("headings are missing:\n%s", stdout)
	}

	code, stdout, _ = runCommand(t, "nets", "vgg16-bn", "cnn-smooth", "--input", "28x28x1", "--classes", "4")
	if want := "Classifiers, counted on images of 28x28x1 and 4 classes:\n" +
		"  name        parameters  mult-adds  depth\n" +
		"  cnn-smooth      1.20 M     12.0 M      4  network of PyTorch's MNIST example\n" +
		"  vgg16-bn             -          -      -  needs larger images\n"; code != exitDone || stdout != want {
		t.Errorf("exit code %d, got\n%swant\n%s", code, stdout, want)
	}
}

func TestNetsLayers(t *testing.T) {
	code, stdout, stderr := runCommand(t, "nets", "lenet5")
	want := `lenet5: LeNet-5 with ReLU (LeCun et al. 1998)
images of 28x28x1 to 10 classes: 61706 parameters, 417 k multiply-adds, depth 5

name    layer                      output    parameters  mult-adds
conv1   convolution 5x5            28x28x6          156      118 k
        max-pooling 2x2, stride 2  14x14x6
conv2   convolution 5x5            10x10x16        2416      240 k
        max-pooling 2x2, stride 2  5x5x16
dense1  dense                      120            48120     48.0 k
dense2  dense                      84             10164     10.1 k
dense3  dense                      10               850        840
`
	if code != exitDone || stdout != want || stderr != "" {
		t.Errorf("exit code %d, %s, got\n%swant\n%s", code, stderr, stdout, want)
	}
}

func TestNetsJSON(t *testing.T) {
	code, stdout, _ := runCommand(t, "nets", "--json", "--input", "16x16x3")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitDone || len(lines) != len(net.Names()) {
		t.Fatalf("exit code %d, %d lines for %d networks", code, len(lines), len(net.Names()))
	}
	small := 0
	for _, line := range lines {
		var l netLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Type != "net" || l.About == "" || l.Input != [3]int{16, 16, 3} || (l.Error == "") != (l.Parameters > 0) || l.Layers != nil || l.Denoiser && l.Outputs != 3 {
			t.Errorf("%+v", l)
		}
		if strings.Contains(l.Error, "16x16x3 is too small") {
			small++
		}
	}
	if small != 4 { // the five poolings of the VGGs
		t.Errorf("%d networks need larger images", small)
	}
	_, stdout, _ = runCommand(t, "nets", "--json", "resnet20")
	var l netLine
	if err := json.Unmarshal([]byte(stdout), &l); err != nil || l.Parameters != 269722 || l.Layers[0].Name != "stem" || l.Layers[0].MultiplyAdds != 1024*27*16 {
		t.Errorf("%v, %+v", err, l)
	}
}

func TestNetsRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"resnet21"}, "did you mean resnet20?"},
		{[]string{"--input", "32x32"}, `"32x32"`},
		{[]string{"--input", "32x32x3x1"}, `"32x32x3x1"`},
		{[]string{"--input", "32x-2x3"}, `"32x-2x3"`},
		{[]string{"--input", "9999999x1x1"}, "65536"},
		{[]string{"--classes", "-1"}, "--classes"},
		{[]string{"vgg16-bn", "--input", "8x8x1"}, "8x8x1 is too small"},
	} {
		code, stdout, stderr := runCommand(t, append([]string{"nets"}, tt.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit code %d, %q, %q", tt.args, code, stdout, stderr)
		}
	}
}

func TestShortCounts(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1.00 k", 9994: "9.99 k", 9996: "10.0 k", 99960: "100 k", 999499: "999 k", 999500: "1.00 M", 25557032: "25.6 M", 5243328768: "5.24 G"} {
		if got := short3(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
