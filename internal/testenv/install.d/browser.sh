#!/bin/sh
# Installs Chromium and a font for it from the distribution where they are missing, and npm's axe-core as
# ../axe/package-lock.json pins it. browser.go uses them.
set -eu

font=/usr/share/fonts/truetype/roboto/unhinted # without any font, headless Chromium draws no text
if ! command -v chromium >/dev/null || [ ! -d "$font" ]; then
	"$(dirname "$0")/../debian.sh" chromium fonts-roboto-unhinted
fi

exec "$(dirname "$0")/../npm.sh" axe
