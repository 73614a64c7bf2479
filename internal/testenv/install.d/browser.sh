#!/bin/sh
# Installs Chromium and a font for it from the distribution where they are missing, and npm's axe-core as
# ../axe/package-lock.json pins it. browser.go uses them.
set -eu

font=/usr/share/fonts/truetype/roboto/unhinted # without any font, headless Chromium draws no text
if ! command -v chromium >/dev/null || [ ! -d "$font" ]; then
	as_root() {
		if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
	}
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-roboto-unhinted
fi

exec "$(dirname "$0")/../npm.sh" axe
