#!/bin/sh
# Makes .venv-peers: torch first and by itself, then steadytrain, then every peer that installs.
# A peer that does not is left out with a message; the benchmark lists it with its reason.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-peers
stamp=$venv/.peers
if [ -f "$stamp" ] && [ "$stamp" -nt benchmarks/peers.txt ] && [ "$stamp" -nt constraints.txt ]; then
	exit 0
fi
"${PYTHON:-python3}" -m venv "$venv"
pins=$venv/pins.txt
grep -E '^(torch|numpy)==' constraints.txt >"$pins"
pip() { "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet "$@"; }
pip "$(grep '^torch==' constraints.txt)"
pip -c constraints.txt -e .
grep -v '^#' benchmarks/peers.txt | while read -r peer; do
	# The pin lets no peer replace torch: it is left out instead.
	pip -c "$pins" "$peer" || echo "peers.sh: $peer does not install here" >&2
done
touch "$stamp"
