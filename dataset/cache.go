package dataset

import (
	"fmt"
	"os"
	"path/filepath"
)

// CacheVariable names the environment variable that holds the folder for data sets in place of the user's cache folder.
const CacheVariable = "DATADROPOUT_CACHE"

// CacheDir returns the folder that the named set is kept in where none is given: the set's name below the folder that the
// environment variable DATADROPOUT_CACHE names, or below datadropout in the user's cache folder.
func CacheDir(name string) (string, error) {
	if root := os.Getenv(CacheVariable); root != "" {
		return filepath.Join(root, name), nil
	}
	root, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the user's cache folder: %w; name a folder in %s", err, CacheVariable)
	}
	return filepath.Join(root, "datadropout", name), nil
}
