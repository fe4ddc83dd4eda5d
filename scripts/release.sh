#!/usr/bin/env bash
# Builds the program for every system that a release has, without cgo, and writes SHA256SUMS beside the files.
#
#   scripts/release.sh [--version 1.2.3] [--out DIR] [--vet] [OS/ARCH...]
#
# Without a platform it builds all of them. --vet runs go vet for each as well. Without --version the version is that of version.go, with the
# revision that the build records. The same revision, Go version and flags give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

version='' out=dist vet='' platforms=()
while [ $# -gt 0 ]; do
  case $1 in
    --version) version=${2:?--version needs a version}; shift 2 ;;
    --out) out=${2:?--out needs a folder}; shift 2 ;;
    --vet) vet=1; shift ;;
    -*) echo "unknown flag $1" >&2; exit 2 ;;
    */*) platforms+=("$1"); shift ;;
    *) echo "$1 is no OS/ARCH" >&2; exit 2 ;;
  esac
done
if [ ${#platforms[@]} -eq 0 ]; then
  platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64)
fi
stamp='-s -w'
[ -z "$version" ] || stamp+=" -X github.com/datadropout/datadropout.Release=$version"

mkdir -p "$out"
files=()
for platform in "${platforms[@]}"; do
  export GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0
  file=datadropout-$GOOS-$GOARCH
  [ "$GOOS" != windows ] || file+=.exe
  began=$SECONDS
  [ -z "$vet" ] || go vet ./...
  go build -trimpath -ldflags "$stamp" -o "$out/$file" ./cmd/datadropout
  files+=("$file")
  echo "$out/$file: $(wc -c <"$out/$file") bytes, $((SECONDS - began)) s"
done
cd "$out"
if command -v sha256sum >/dev/null; then sum=(sha256sum); else sum=(shasum -a 256); fi
"${sum[@]}" "${files[@]}" >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
