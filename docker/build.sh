#!/usr/bin/env bash
# Builds Maillage into a directory of its own: the image's build stage, and a plain installation without containers.
#   docker/build.sh TARGET [PYTHON]
# TARGET becomes a virtual environment with the pinned requirements and the hub; nothing else is touched.
set -euo pipefail

target=${1:?usage: docker/build.sh TARGET [PYTHON]}
python=${2:-python3}
source_dir=$(cd "$(dirname "$0")/.." && pwd)

"$python" -m venv "$target"
"$target/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r "$source_dir/requirements/run.txt"
"$target/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r "$source_dir/requirements/package.txt"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$source_dir"/{pyproject.toml,README.md,hub,profiles,connectors} "$work/"
"$target/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation "$work"
"$target/bin/python" -m compileall -q "$target/lib" >/dev/null
"$target/bin/maillage" --help >/dev/null
echo "Maillage is installed in $target"
