#!/bin/sh
# Installs a C compiler from the distribution when it is missing: the race detector wants cgo.
set -eu

compiler=$(go env CC)
command -v "${compiler%% *}" >/dev/null && exit 0
exec "$(dirname "$0")/../debian.sh" gcc libc6-dev
