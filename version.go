package datadropout

import "runtime/debug"

// Release is the version of the program; a release build sets it with -ldflags "-X github.com/datadropout/datadropout.Release=1.2.3".
var Release = "0.1.0-dev"

// Version returns the release and, where the build recorded it, the git revision.
func Version() string {
	if rev := Revision(); rev != "" {
		return Release + "+" + rev[:min(12, len(rev))]
	}
	return Release
}

// Revision returns the git revision that the program was built from, or "" when the build did not record it.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
