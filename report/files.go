package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/datadropout/datadropout"
	"github.com/datadropout/datadropout/durable"
)

// writeFiles makes or replaces files of a directory, in this order, and then their checksums.
func writeFiles(dir string, files ...durable.File) error {
	sums, err := durable.OpenSums(dir)
	if err != nil {
		return err
	}
	return sums.Write(files...)
}

// readFile reads a file of a directory and compares it with its checksum; one without is one that an older version wrote.
func readFile(dir, name string) ([]byte, error) {
	sums, err := durable.OpenSums(dir)
	if err != nil {
		return nil, err
	}
	return sums.Read(name, remedy(dir, name))
}

// remedy says what to do about a damaged or missing file of a run directory.
func remedy(dir, name string) string {
	word := durable.ShellWord(dir)
	switch name {
	case PageFile:
		return "delete it: datadropout report --run " + word + " makes it again"
	case RetrainFile:
		return "delete it: datadropout retrain --run " + word + " makes it again"
	case VerifyFile, VerifyTableFile, VerifyPageFile:
		return "delete it: the command that made it makes it again, without training again"
	}
	return "delete it: datadropout run --resume --out " + word + " makes it again, without training again"
}

// results are the files that hold what came out of a run, or of a stage of it.
var results = []string{ScoresFile, DropFile, ImagesFile, KeepFile, CurvesFile, ContentFile, PageFile, ResultFile, RetrainFile}

// RemoveResults deletes the files of a run directory that hold what came out, because other settings are about to be used, and config.yaml
// with them: until it is written by these, [RestoreSettings] writes it by the state of the directory, old or new. So it agrees with the
// state at every moment.
func RemoveResults(dir string) error {
	sums, err := durable.OpenSums(dir)
	if err != nil {
		return err
	}
	return sums.Remove(append([]string{ConfigFile}, results...)...)
}

// edited are files of a run directory that a person changes, and that say themselves what is wrong in them.
var edited = []string{ReviewFile}

// Checked is a file of a run directory that was compared with its checksum. Err is nil if it is as it was written.
type Checked struct {
	// Name is its path from the directory.
	Name string
	Err  error
}

// makesAgain says which command writes a file of a run that is gone.
func makesAgain(dir, name string) string {
	switch name {
	case VerifyFile, VerifyTableFile, VerifyPageFile:
		return "; the command that made the study makes it again"
	case RetrainFile:
		return "; datadropout retrain --run " + durable.ShellWord(dir) + " makes it again"
	}
	return "; datadropout run --resume --out " + durable.ShellWord(dir) + " makes it again"
}

// Check compares every file of a run directory, or of a study's, with its checksum. Unknown are the names of those that have
// none: what people put there, and what an older version wrote.
func Check(dir string) (files []Checked, unknown []string, err error) {
	known := map[string]bool{}
	tell := func(name string, err error) {
		known[name] = true
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: gone%s", filepath.Join(dir, name), makesAgain(dir, name))
		}
		files = append(files, Checked{name, err})
	}
	err = datadropout.CheckStore(dir, tell)
	var damaged *durable.DamagedError
	if errors.As(err, &damaged) {
		name, relErr := filepath.Rel(dir, damaged.Path)
		if relErr != nil {
			return nil, nil, relErr
		}
		tell(name, err)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	sums, err := durable.OpenSums(dir)
	if errors.As(err, &damaged) {
		tell(durable.SumsFile, err)
		sums = nil
	} else if err != nil {
		return nil, nil, err
	}
	if sums != nil {
		for _, name := range sums.Names() {
			err := sums.Verify(name, remedy(dir, name))
			tell(name, err)
		}
		if len(sums.Names()) > 0 {
			tell(durable.SumsFile, nil)
		}
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		name = filepath.FromSlash(name)
		switch {
		case err != nil:
			return err
		case e.IsDir() && e.Name() == CacheDir: // of a study: a damaged file there counts as none
			return fs.SkipDir
		case !e.IsDir() && !known[name] && name != durable.LockFile && name != ReviewLock && !slices.Contains(edited, name):
			unknown = append(unknown, name)
		}
		return nil
	})
	return files, unknown, err
}
