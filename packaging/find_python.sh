#!/bin/sh
# Prints the first Python (of the arguments, else of the usual names) that really runs and is 3.10 to 3.12.
# A name on the PATH proves nothing: the shim of a version manager may stand there without a Python behind it.
[ $# -gt 0 ] || set -- python3.11 python3.12 python3.10 python3
found=""
for candidate in "$@"; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case "$version" in
    3.10 | 3.11 | 3.12)
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
        ;;
    esac
    found="$found, $candidate is $version"
done
echo "error: no Python of 3.10 to 3.12 among $*${found:-, none of them runs}:" \
    "sudo apt install python3 python3-venv python3-dev, or make setup PYTHON=/path/to/python" >&2
exit 1
