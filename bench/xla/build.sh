#!/usr/bin/env bash
# build.sh DIR: builds the bridge from go-xla to jaxlib in DIR, which must lie outside this repository or be ignored by it.
# Needs Go, a C compiler, and Python 3.11 or later with its shared library, its headers and pip. PYTHON names another python3.
set -euo pipefail
[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
# The shared library of a wrapper script is not found beside it: ask for the program itself.
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')

# jaxlib's StableHLO must be no older than go-xla's, and its functions beneath jax, which bridge.py calls, change with versions.
"$python" -m pip install --quiet --disable-pip-version-check --upgrade --target "$out/packages" \
    jaxlib==0.10.2 numpy==2.4.6 ml_dtypes==0.6.0 scipy==1.17.1

read -r include lib soname < <("$python" - <<'PY'
import sysconfig
get = sysconfig.get_config_var
print(sysconfig.get_paths()["include"], get("LIBDIR"), "python" + get("LDVERSION"))
PY
)
header=$(cd "$here" && go list -m -f '{{.Dir}}' github.com/gomlx/go-xla)/pjrt
${CC:-cc} -O2 -Wall -Wextra -Wno-cast-function-type -std=c11 -shared -fPIC -fvisibility=hidden -DBRIDGE_PYTHON="\"$python\"" \
    -I"$include" -I"$header" -o "$out/pjrt_c_api_jaxlib_plugin.so" "$here/bridge.c" -L"$lib" -Wl,-rpath,"$lib" -l"$soname" -ldl -lpthread
cp "$here/bridge.py" "$out/"
echo "$out/pjrt_c_api_jaxlib_plugin.so"
