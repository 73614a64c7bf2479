#!/bin/sh
# Installs what the tests need beside Go: one script of install.d for each thing. It can be repeated, and takes no time
# when everything is there. `make test` runs it.
set -eu

for script in "$(dirname "$0")"/install.d/*.sh; do
	"$script" || {
		echo "install.sh: $(basename "$script") failed" >&2
		exit 1
	}
done
