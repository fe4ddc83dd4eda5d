package fetch

import (
	"os"
	"path/filepath"
)

// File is one file to download.
type File struct {
	// Name is the file's name at every source, and in the folder, unless it is an archive.
	Name string
	// MD5 is the published checksum, in hex.
	MD5 string
	// Members lists the files that an archive (a zip file, or a tar file compressed by gzip) is unpacked to, by their base names. The archive
	// is not kept. Nil means that the file is none.
	Members []string
}

// yields returns the names of the files that are there once the file has been fetched.
func (f File) yields() []string {
	if f.Members != nil {
		return f.Members
	}
	return []string{f.Name}
}

// Set is a data set that can be downloaded.
type Set struct {
	// Name is what package dataset knows it by.
	Name string
	// About says in a few words what is in it, Terms under which it is published, and Home where.
	About, Terms, Home string
	// Megabytes is about what is downloaded, in 10^6 bytes.
	Megabytes int
	// Sources are the addresses of folders that hold the files, the first one to be tried first.
	Sources []string
	Files   []File
}

// idx are the four files of MNIST and its successors with their checksums: training images and labels, test images and labels.
func idx(md5s ...string) []File {
	var files []File
	for k, name := range []string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"} {
		files = append(files, File{Name: name, MD5: md5s[k]})
	}
	return files
}

// emnist are the files of all splits of EMNIST.
func emnist() []string {
	var names []string
	for _, split := range []string{"balanced", "byclass", "bymerge", "digits", "letters", "mnist"} {
		for _, part := range []string{"train", "test"} {
			stem := "emnist-" + split + "-" + part
			names = append(names, stem+"-images-idx3-ubyte.gz", stem+"-labels-idx1-ubyte.gz")
		}
	}
	return names
}

// Sets lists the data sets that can be downloaded.
func Sets() []Set {
	const kriz = "https://www.cs.toronto.edu/~kriz/"
	return []Set{
		{
			Name: "mnist", About: "handwritten digits, 28x28 gray, 60,000 + 10,000", Terms: "CC BY-SA 3.0",
			Home: "http://yann.lecun.com/exdb/mnist/", Megabytes: 12,
			Sources: []string{"https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"},
			Files: idx("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
				"9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"),
		},
		{
			Name: "fashion-mnist", About: "pictures of clothes, 28x28 gray, 60,000 + 10,000", Terms: "MIT",
			Home: "https://github.com/zalandoresearch/fashion-mnist", Megabytes: 31,
			Sources: []string{"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
			Files: idx("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
				"bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"),
		},
		{
			Name: "kmnist", About: "cursive Japanese characters, 28x28 gray, 60,000 + 10,000", Terms: "CC BY-SA 4.0",
			Home: "http://codh.rois.ac.jp/kmnist/", Megabytes: 21,
			Sources: []string{"http://codh.rois.ac.jp/kmnist/dataset/kmnist/"},
			Files: idx("bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
				"5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134"),
		},
		{
			// The checksum is that of torchvision; TensorFlow Datasets has another sum of a file of this size at this address.
			Name: "emnist", About: "handwritten letters and digits, 28x28 gray, 112,800 + 18,800", Terms: "not stated",
			Home: "https://www.nist.gov/itl/products-and-services/emnist-dataset", Megabytes: 562,
			Sources: []string{"https://biometrics.nist.gov/cs_links/EMNIST/", "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/"},
			Files:   []File{{Name: "gzip.zip", MD5: "58c8d27c78d21e728a6bc7b3cc06412e", Members: emnist()}},
		},
		{
			Name: "cifar10", About: "photographs of 10 classes, 32x32 color, 50,000 + 10,000", Terms: "not stated",
			Home: kriz + "cifar.html", Megabytes: 170, Sources: []string{kriz},
			Files: []File{{Name: "cifar-10-binary.tar.gz", MD5: "c32a1d4ab5d03f1284b67883e8d87530", Members: []string{
				"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}}},
		},
		{
			Name: "cifar100", About: "photographs of 100 classes, 32x32 color, 50,000 + 10,000", Terms: "not stated",
			Home: kriz + "cifar.html", Megabytes: 169, Sources: []string{kriz},
			Files: []File{{Name: "cifar-100-binary.tar.gz", MD5: "03b5dce01913d631647c71ecec9e9cb8", Members: []string{
				"train.bin", "test.bin"}}},
		},
		{
			Name: "svhn", About: "house numbers, 32x32 color, 73,257 + 26,032", Terms: "non-commercial use",
			Home: "http://ufldl.stanford.edu/housenumbers/", Megabytes: 246,
			Sources: []string{"http://ufldl.stanford.edu/housenumbers/"},
			Files: []File{
				{Name: "train_32x32.mat", MD5: "e26dedcc434d2e4c54c9b2d4a06d8373"},
				{Name: "test_32x32.mat", MD5: "eb5a983be6a315427106f1b164d9cef3"},
			},
		},
	}
}

// Find returns the data set with the name.
func Find(name string) (Set, bool) {
	for _, s := range Sets() {
		if s.Name == name {
			return s, true
		}
	}
	return Set{}, false
}

// Missing returns the names of the set's files that are not in the folder.
func (s Set) Missing(dir string) []string {
	var missing []string
	for _, f := range s.Files {
		for _, name := range f.yields() {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
				missing = append(missing, name)
			}
		}
	}
	return missing
}
