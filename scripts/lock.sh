#!/bin/sh
# Resolve the direct requirements for every supported Python and write constraints.txt.
# Needs uv, which is no part of the environment: pip install uv
set -eu
cd "$(dirname "$0")/../requirements"
rm -f constraints.txt
uv pip compile --quiet --universal --python-version 3.10 --no-annotate \
  --custom-compile-command scripts/lock.sh \
  --output-file constraints.part ros.txt runtime.txt dev.txt
grep -v "sys_platform == 'win32'" constraints.part > constraints.txt
rm constraints.part
