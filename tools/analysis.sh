#!/bin/sh
# The analysers' own environment, .venv-analysis, from requirements-analysis.lock: Slither and halmos want other versions
# of web3 and eth-abi than ape. Made anew when the lock changes; a second run has nothing to do.
set -eu
cd "$(dirname "$0")/.."
lock=requirements-analysis.lock
environment=.venv-analysis
stamp=$environment/.lock
if [ -x $environment/bin/python ] && cmp -s $lock $stamp; then exit 0; fi
uv=.venv/bin/uv
if [ ! -x $uv ]; then
  echo "analysis: $uv is missing: run make setup first" >&2
  exit 1
fi
echo "analysis: installing the locked analysers into $environment"
rm -rf $environment
$uv venv -q --python .venv/bin/python $environment
if ! $uv pip install -q --python $environment/bin/python --require-hashes -r $lock; then
  echo "analysis: the installation failed. If the package index cannot be reached, check the network and any proxy," >&2
  echo "and run the same command again." >&2
  exit 1
fi
cp $lock $stamp
