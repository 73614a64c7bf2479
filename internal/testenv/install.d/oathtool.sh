#!/bin/sh
# Installs oathtool from the distribution when it is missing: the authenticator app of docs/second-factors.md.
set -eu

command -v oathtool >/dev/null && exit 0
exec "$(dirname "$0")/../debian.sh" oathtool
