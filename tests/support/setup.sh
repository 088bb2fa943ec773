# shellcheck shell=bash disable=SC2034 # the lists of needs are for those who source this
# setup.sh - what run.sh and test.sh share: find out what this machine lacks, install it, build.
#
# Sourced from the root of the checkout, never run. Everything it does is noted in build/setup.log;
# a step that fails shows the end of that log. Nothing is written outside the checkout but by apt.

setup_log=build/setup.log

# One need per line: what proves that it is here, then the Debian package that brings it.
# gcc comes without the C library's headers when recommended packages are left out.
setup_needs_build='command gcc gcc
header stdio.h libc6-dev
command cmake cmake
command ninja ninja-build
command pkg-config pkg-config
library libsodium libsodium-dev
library gsl libgsl-dev
library sqlite3 libsqlite3-dev
library libcjson libcjson-dev
library libuv libuv1-dev
library libmicrohttpd libmicrohttpd-dev
library libedit libedit-dev'

setup_needs_test='library criterion libcriterion-dev
header http_parser.h libhttp-parser-dev
command git git
command nm binutils
command clang clang
command sqlite3 sqlite3
command shellcheck shellcheck
command jq jq
command curl curl
command promtool prometheus'

# Without these some tests are skipped, with the reason shown; so a distribution that does not have
# one of them can still run the rest. clang-format is wanted in one version only, because each
# version formats differently.
setup_needs_optional='command clang-format-14 clang-format-14
command clang-tidy clang-tidy
fuzzer clang libclang-rt-dev
command groff groff-base
command dpkg-shlibdeps dpkg-dev
command file file
command node nodejs
command npm npm
command ip iproute2
command nft nftables
command conntrack conntrack
command turnserver coturn
command miniupnpd miniupnpd-nftables'

# Of what only the nights have time for, and many packages.
setup_needs_nightly='library nice libnice-dev
module aioice python3-aioice'

setup_needs_coverage='command gcovr gcovr'

setup_empty_fuzzer='int LLVMFuzzerTestOneInput(void) { return 0; }'

setup_say()
{
    printf '%s\n' "$*" >&2
}

setup_stop()
{
    setup_say "$*"
    exit 1
}

# setup_logged WHAT COMMAND... runs quietly; on failure shows the end of the log and stops.
setup_logged()
{
    local what=$1
    shift
    printf '\n== %s: %s\n' "$what" "$*" >>"$setup_log"
    if ! "$@" >>"$setup_log" 2>&1; then
        setup_say "$what failed: $*"
        setup_say "the last lines of $setup_log:"
        tail -n 20 "$setup_log" >&2
        exit 1
    fi
}

setup_has()
{
    case $1 in
    command) PATH=$PATH:/usr/sbin:/sbin command -v "$2" >/dev/null ;;
    header) echo "#include <$2>" | gcc -E -x c - >/dev/null 2>&1 ;;
    library) pkg-config --exists "$2" 2>/dev/null ;;
    module) /usr/bin/python3 -c "import $2" 2>/dev/null ;;
    fuzzer) echo "$setup_empty_fuzzer" | "$2" -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null ;;
    esac
}

# Prints the packages of those needs (lines on stdin) that this machine does not meet.
setup_missing()
{
    local kind name package
    while read -r kind name package; do
        if ! setup_has "$kind" "$name"; then
            echo "$package"
        fi
    done
}

setup_apt()
{
    $setup_sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=120 "$@"
}

# Sets setup_sudo to what makes apt-get work: nothing, or "sudo -n". Fails when neither does.
setup_find_root()
{
    setup_sudo=
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        setup_sudo='sudo -n'
    fi
}

# The packages of $@ that this distribution has; clang's run-time library carries its version.
setup_known()
{
    local package version
    for package in "$@"; do
        if [ "$package" = libclang-rt-dev ]; then
            version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
            package=libclang-rt-$version-dev
        fi
        if apt-cache show "$package" >/dev/null 2>&1; then
            echo "$package"
        fi
    done
}

# setup_install NEEDS OPTIONAL: installs what is missing of both lists; stops when a need cannot
# be met, and only says so when an optional one cannot.
setup_install()
{
    local needed optional
    : >"$setup_log"
    mapfile -t needed < <(setup_missing <<<"$1")
    mapfile -t optional < <(if [ -n "$2" ]; then setup_missing <<<"$2"; fi)
    if [ $((${#needed[@]} + ${#optional[@]})) -eq 0 ]; then
        return
    fi
    if [ "${MESHTWIN_NO_INSTALL:-0}" = 1 ] || ! command -v apt-get >/dev/null ||
        ! setup_find_root; then
        setup_cannot_install "${needed[@]}"
        return
    fi

    setup_say "installing: ${needed[*]} ${optional[*]}"
    printf '\n== apt-get update\n' >>"$setup_log"
    if ! setup_apt update >>"$setup_log" 2>&1; then
        sleep 5
        setup_logged 'apt-get update' setup_apt update
    fi
    if [ ${#needed[@]} -gt 0 ]; then
        setup_logged 'apt-get install' setup_apt install --no-install-recommends "${needed[@]}"
    fi
    mapfile -t optional < <(setup_known "${optional[@]}")
    if [ ${#optional[@]} -gt 0 ]; then
        setup_apt install --no-install-recommends "${optional[@]}" >>"$setup_log" 2>&1 ||
            setup_say "not installed, so some tests will be skipped: ${optional[*]}"
    fi
}

# Nothing may or can be installed: harmless when only optional packages ($@ is empty) are missing.
setup_cannot_install()
{
    if [ $# -eq 0 ]; then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        setup_say 'This is not Debian or Ubuntu. Install these yourself, then start again:'
        setup_say '  a C11 compiler, cmake >= 3.22, ninja, pkg-config, and the development files of'
        setup_say '  libsodium, GSL, SQLite 3, cJSON, libuv, libmicrohttpd and libedit; for tests'
        setup_say '  also Criterion, clang, git, binutils, sqlite3, shellcheck, jq, curl, promtool'
        setup_stop "missing here (Debian's names): $*"
    fi
    setup_say 'Packages are missing and this user may not install them. Run this, then start again:'
    setup_stop "  sudo apt-get install --no-install-recommends $*"
}

# setup_build PRESET [cmake options]: configures and builds. `-B folder` among the options builds
# in another folder than the preset's.
setup_build()
{
    local preset=$1 folder=build/$1 i
    shift
    for ((i = 1; i < $#; i++)); do
        if [ "${!i}" = -B ]; then
            local after=$((i + 1))
            folder=${!after}
        fi
    done
    if [ ! -e "$folder/build.ninja" ]; then
        setup_logged "configuring $folder" cmake --preset "$preset" "$@"
    fi
    setup_logged "building $folder" ninja -C "$folder"
}

mkdir -p build
