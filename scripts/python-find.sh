#!/usr/bin/env bash
# Finds Pythons that can run the package (3.9 and newer), with venv and pip.
#
#   scripts/python-find.sh 3.9         the path of one of that version, or nothing and exit code 1
#   scripts/python-find.sh --all       the paths of all, one of each version, oldest first
#   scripts/python-find.sh             the default one: python3, else the newest
set -euo pipefail

# "VERSION PATH" of each, by version; of one version the first that is found.
list() {
    local python
    for python in $(compgen -c python3 | grep -Ex 'python3(\.[0-9]+)?' | sort -u) \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 /opt/python/*/bin/python3; do
        "$python" -c '
import sys, sysconfig
if sys.version_info >= (3, 9) and not sys.prefix != sys.base_prefix and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    import ensurepip, venv
    print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null || true
    done | sort -t. -k1,1n -k2,2n -s | awk '!seen[$1]++'
}

case ${1:-} in
    --all) list | cut -d' ' -f2 ;;
    "")
        if python=$(command -v python3) && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
            "$python" -c 'import sys; print(sys.executable)'
        else
            list | cut -d' ' -f2 | tail -n 1 | grep .
        fi
        ;;
    *) list | awk -v version="$1" '$1 == version { print $2; found = 1 } END { exit !found }' ;;
esac
