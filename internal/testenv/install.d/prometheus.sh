#!/bin/sh
# Installs Prometheus and promtool from the distribution when they are missing.
set -eu

command -v prometheus >/dev/null && command -v promtool >/dev/null || "$(dirname "$0")/../debian.sh" prometheus
