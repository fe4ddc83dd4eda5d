package dataset

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Recognize tells which named set's files the directory holds, such that [OpenDir] with that name reads them: the training and
// the test images of CIFAR-10 or CIFAR-100 in either layout, of SVHN or EMNIST, or the four IDX files of MNIST and its successors.
// It goes by the names of files, and reads one only to tell the successors of MNIST apart, which name their files alike: by the
// published checksum of the training labels, else by the name of the directory, else it is "mnist", whose classes are named by
// their numbers.
func Recognize(dir string) (name string, ok bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", false
	}
	present := make(map[string]bool, len(entries))
	for _, e := range entries {
		present[e.Name()] = !e.IsDir()
	}
	all := func(names ...string) bool {
		for _, n := range names {
			if !present[n] {
				return false
			}
		}
		return true
	}
	idx := func(prefix, test string) bool {
		for _, part := range []string{"train", test} {
			if !anyOf(present, spellings(prefix+part+"-images", 3)) || !anyOf(present, spellings(prefix+part+"-labels", 1)) {
				return false
			}
		}
		return true
	}
	for _, suffix := range []string{".bin", ""} {
		for _, stem := range cifar10Stems() {
			if all(stem+suffix, "test_batch"+suffix) {
				return "cifar10", true
			}
		}
	}
	switch {
	case all("train.bin", "test.bin"), all("train", "test", "meta"): // names that others may use too
		return "cifar100", true
	case all("train_32x32.mat", "test_32x32.mat"):
		return "svhn", true
	case idx("", "t10k"):
		return idxSetIn(dir, present), true
	}
	for _, split := range emnistSplits() {
		if idx("emnist-"+split+"-", "test") {
			return "emnist", true
		}
	}
	return "", false
}

func anyOf(present map[string]bool, names []string) bool {
	for _, n := range names {
		if present[n] {
			return true
		}
	}
	return false
}

// idxLabelSums are the published MD5 sums of the training labels, compressed.
var idxLabelSums = map[string]string{
	"d53e105ee54ea40749a09fcbcd1e9432": "mnist",
	"25c81989df183df01b3e8a0aad5dffbe": "fashion-mnist",
	"e144d726b3acfaa3e44228e80efcd344": "kmnist",
}

// idxSetIn tells MNIST and its successors apart.
func idxSetIn(dir string, present map[string]bool) string {
	for _, file := range spellings("train-labels", 1) {
		if present[file] && strings.HasSuffix(file, ".gz") {
			if name := idxLabelSums[labelSum(filepath.Join(dir, file))]; name != "" {
				return name
			}
		}
	}
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	for d := dir; filepath.Dir(d) != d; d = filepath.Dir(d) { // FashionMNIST/raw is a usual place
		switch base := strings.ToLower(filepath.Base(d)); {
		case strings.Contains(base, "fashion"):
			return "fashion-mnist"
		case strings.Contains(base, "kmnist"):
			return "kmnist"
		case base != "raw":
			return "mnist"
		}
	}
	return "mnist"
}

// labelSum returns the MD5 sum of the first 64 kB of a file, in hex, which is all of a compressed file of labels; or nothing.
func labelSum(path string) string {
	f, _, err := openRegular(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	digest := md5.New()
	if _, err := io.Copy(digest, io.LimitReader(f, 1<<16)); err != nil {
		return ""
	}
	return hex.EncodeToString(digest.Sum(nil))
}
