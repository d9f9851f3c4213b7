#!/bin/sh
# Make the virtual environment $1 with $PYTHON, unless it is there and works. On Debian the module that puts pip into
# it (ensurepip) is a package of its own, python3-venv: installed here when it is missing and we are root.
set -eu

venv=$1
if [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

if [ -z "${PYTHON:-}" ]; then
    echo "make install: no Python 3.11 or later found; install it (Debian: apt-get install python3) or set PYTHON=" >&2
    exit 1
fi

if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "make install: $PYTHON can't make virtual environments; as root: apt-get install python3-venv" >&2
        exit 1
    fi
    echo "make install: installing Debian's python3-venv" >&2
    apt-get --quiet --quiet update
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet -o Dpkg::Use-Pty=0 --yes --no-install-recommends install python3-venv >&2
fi

"$PYTHON" -m venv --clear "$venv"
