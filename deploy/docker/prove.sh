#!/bin/bash
# The install steps of a Dockerfile, in a clean folder without Docker: its files, its RUN lines, its user's view.
# Prints the megabytes of the environment; fails where a step does, where the worker does not load, or where torch came along (or, in
# the trainer's, did not). deploy/docker/root.sh goes further, and needs root.
#     deploy/docker/prove.sh                       # PYTHON=python3.12 for another; EXTRAS='[feedback]' for the image of the loop
#     deploy/docker/prove.sh trainer.Dockerfile
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
file=$root/deploy/docker/${1:-Dockerfile}
mkdir "$work/src" "$work/bin"
ln -s "$(command -v "${PYTHON:-python3.11}")" "$work/bin/python"
export PATH=$work/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 EXTRAS=${EXTRAS:-}
unset PYTHONPATH
cd "$work/src"
for name in $(sed -nE 's/^COPY ([^-].*) [^ ]+$/\1/p' "$file"); do
    git -C "$root" ls-files -z -- "$name" | (cd "$root" && xargs -0 cp --parents -t "$work/src")
done
steps=$(sed -nE 's/^RUN //p' "$file")
while read -r step; do
    echo "RUN $step" >&2
    bash -euc "${step//\/opt\/mailweir/$work/venv}" >&2
done <<<"$steps"
cd /
"$work/venv/bin/mailweir" --version
"$work/venv/bin/mailweir" worker --help >/dev/null
"$work/venv/bin/python" - <<'PYTHON'
import sys
from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.services.classify.agent import register
from mailweir.services.ingest.agent import register as register_ingest
Bundle.load(shipped_bundle())
heavy = {"torch", "transformers", "sklearn"} & sys.modules.keys()
sys.exit(f"a worker loads {heavy}" if heavy else 0)
PYTHON
if [ "${1:-Dockerfile}" = Dockerfile ]; then
    for package in torch transformers sklearn; do
        [ ! -e "$(echo "$work"/venv/lib/python*/site-packages)/$package" ] || { echo "$package came along" >&2; exit 1; }
    done
else
    "$work/venv/bin/python" -c "import torch, mailweir.services.trainer.job"
fi
echo "installed $(du -sm "$work/venv" | cut -f1) MB"
