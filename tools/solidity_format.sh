#!/bin/sh
# `forge fmt` over our own Solidity; where forge has no build for the platform, say so and go on.
set -eu
cd "$(dirname "$0")/.."
forge=.venv/bin/forge
if [ ! -x "$forge" ]; then
  echo "forge is not available here: Solidity format not checked" >&2
  exit 0
fi
set -- "$@" contracts interfaces
folders=
for argument; do
  case $argument in
    -*) folders="$folders $argument" ;;
    *) if [ -d "$argument" ]; then folders="$folders $argument"; fi ;;
  esac
done
# shellcheck disable=SC2086 # the folders are fixed names without spaces
exec "$forge" fmt $folders
