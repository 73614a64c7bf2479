#!/bin/sh
# Installs an emulator from the distribution where it is missing, so that the image for the other architecture can be
# started: the static one, which works in a root file system that has nothing.
set -eu

command -v qemu-aarch64-static >/dev/null && command -v qemu-x86_64-static >/dev/null ||
	"$(dirname "$0")/../debian.sh" qemu-user-static
