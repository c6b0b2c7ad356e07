#!/bin/sh
# Find a Python that can build the environment and hand over to setup.py, which explains what is missing.
# PYTHON=/path/to/python overrides the search.
set -eu
here=$(dirname "$0")
venv=$here/../.venv

able() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1
}

if [ -z "${PYTHON:-}" ]; then
  # the usual case: everything is there, and setup.py only has to confirm it
  if [ -f "$venv/.backstop.json" ] && "$venv/bin/python" -c '' >/dev/null 2>&1; then
    exec "$venv/bin/python" "$here/setup.py" "$@"
  fi
  for candidate in python3 python3.12 python3.11 python; do
    if able "$candidate"; then
      PYTHON=$candidate
      break
    fi
  done
fi

if ! command -v "${PYTHON:-python3}" >/dev/null 2>&1; then
  echo "setup: no Python found. Install Python 3.11 or 3.12, or name one: make setup PYTHON=/path/to/python" >&2
  exit 1
fi
exec "${PYTHON:-python3}" "$here/setup.py" "$@"
