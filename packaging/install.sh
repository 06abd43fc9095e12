#!/bin/sh
# Installs Goodgate for this machine: one static binary, which is checked against SHA256SUMS before
# it is unpacked.
#
#   sh install.sh --base-url https://downloads.example.com/goodgate
#
# Everything happens in functions, and only the last line calls one: of a script that was cut short
# on its way, nothing runs.
set -eu

# Where releases lie: the folder with SHA256SUMS and what it lists. Whoever publishes Goodgate writes
# their address here; while it is empty, --base-url or GOODGATE_BASE_URL must say it.
RELEASES=""

# The most that is downloaded, in bytes: a server that never ends does not fill the disk.
LIMIT=268435456

usage() {
    cat <<'END'
usage: install.sh [--base-url URL] [--version VERSION] [--to DIR] [--dry-run]

  --base-url URL      the folder with SHA256SUMS and the archives (or GOODGATE_BASE_URL); https, or
                      http from this machine itself
  --version VERSION   insist on this version
  --to DIR            where to install [default: /usr/local/bin as root, else ~/.local/bin]
  --dry-run           download and check, but install nothing
END
}

main() {
    base=${GOODGATE_BASE_URL:-$RELEASES}
    version='' to='' dry=no
    while [ $# -gt 0 ]; do
        case $1 in
            --base-url) base=$(value "$@"); shift 2 ;;
            --version) version=$(value "$@"); shift 2 ;;
            --to) to=$(value "$@"); shift 2 ;;
            --dry-run) dry=yes; shift ;;
            -h | --help) usage; return 0 ;;
            *) usage >&2; fail "\`$1\` is no option" ;;
        esac
    done
    [ -n "$base" ] || fail 'say where the releases are: --base-url URL, or GOODGATE_BASE_URL'
    base=${base%/}
    check_url "$base"
    choose_downloader
    sum_of=$(checksum_program)
    machine=$(machine)

    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    download "$base/SHA256SUMS" "$folder/SHA256SUMS"
    archive=$(archive_for "$folder/SHA256SUMS")
    download "$base/$archive" "$folder/$archive"
    check_sum "$archive"
    say "$archive is what SHA256SUMS says"

    name=${archive%.tar.gz}
    tar -xzf "$folder/$archive" -C "$folder" "$name/goodgate" || fail "cannot unpack $archive"
    chmod 0755 "$folder/$name/goodgate"
    found=$("$folder/$name/goodgate" --version) || fail 'the program does not run on this machine'

    if [ -z "$to" ]; then
        to=$(usual_place)
    fi
    if [ "$dry" = yes ]; then
        say "would install $found as $to/goodgate"
        return 0
    fi
    put "$folder/$name/goodgate" "$to"
    say "installed $found as $to/goodgate; to remove it: rm $to/goodgate"
    case ":$PATH:" in
        *":$to:"*) ;;
        *) say "$to is not in your PATH" ;;
    esac
}

say() {
    printf '%s\n' "goodgate: $1"
}

fail() {
    printf '%s\n' "goodgate: $1; nothing was installed" >&2
    exit 1
}

# The word after an option.
value() {
    [ $# -ge 2 ] || fail "\`$1\` lacks its value"
    printf '%s' "$2"
}

# Only https says that the server is who it should be; this machine itself is trusted without.
check_url() {
    case $1 in
        https://?*) scheme='=https' redirections=5 ;;
        http://127.0.0.1 | http://127.0.0.1[:/]* | http://localhost | http://localhost[:/]* | \
            'http://[::1]' | 'http://[::1]'[:/]*) scheme='=http' redirections=0 ;;
        *) fail "\`$1\` is not https" ;;
    esac
    # `http://127.0.0.1:80@elsewhere/` is elsewhere.
    case $1 in
        *@* | *[[:space:]]*) fail "\`$1\` is no plain URL" ;;
    esac
}

choose_downloader() {
    if command -v curl >/dev/null 2>&1; then
        downloader=curl
    elif command -v wget >/dev/null 2>&1 && wget --version 2>/dev/null | grep -q 'GNU Wget'; then
        downloader=wget
    else
        fail 'neither curl nor GNU wget is here'
    fi
}

# Runs a command that can write no file larger than the limit (POSIX: in blocks of 512 bytes).
bounded() {
    (
        ulimit -f $((LIMIT / 512))
        exec "$@"
    )
}

# $1: the URL, $2: the file.
download() {
    case $downloader in
        curl)
            bounded curl --disable --fail --silent --show-error --proto "$scheme" --proto-redir "$scheme" \
                --location --max-redirs "$redirections" --connect-timeout 20 --max-time 900 \
                --max-filesize "$LIMIT" --output "$2" -- "$1" ||
                fail "cannot download $1"
            ;;
        wget)
            # It cannot be told to follow to https only, so it follows nowhere.
            bounded wget --quiet --no-config --max-redirect=0 --tries=1 --timeout=20 \
                --output-document="$2" -- "$1" ||
                fail "cannot download $1 (wget follows no redirection here; curl does)"
            ;;
    esac
    [ -s "$2" ] || fail "$1 is empty"
    [ "$(wc -c <"$2")" -le "$LIMIT" ] || fail "$1 is larger than any release"
}

checksum_program() {
    if command -v sha256sum >/dev/null 2>&1; then
        printf 'sha256sum'
    elif command -v shasum >/dev/null 2>&1; then
        printf 'shasum -a 256'
    else
        fail 'neither sha256sum nor shasum is here, so nothing can be checked'
    fi
}

machine() {
    [ "$(uname -s)" = Linux ] || fail "there is no release for $(uname -s)"
    case $(uname -m) in
        x86_64 | amd64) printf 'x86_64' ;;
        aarch64 | arm64) printf 'aarch64' ;;
        *) fail "there is no release for $(uname -m)" ;;
    esac
}

# The one archive for this machine that is listed.
archive_for() {
    listed=$(awk -v end="-$machine-linux.tar.gz" -v version="$version" '
        $2 !~ /^[*]?goodgate-[0-9][0-9A-Za-z._+-]*-linux[.]tar[.]gz$/ { next }
        { name = $2; sub(/^[*]/, "", name) }
        substr(name, length(name) - length(end) + 1) != end { next }
        version != "" && name != "goodgate-" version end { next }
        { print name }' "$1")
    case $listed in
        '') fail "SHA256SUMS lists no archive${version:+ of version $version} for $machine" ;;
        *[[:space:]]*) fail 'SHA256SUMS lists several versions: choose one with --version' ;;
    esac
    printf '%s' "$listed"
}

# $1: the archive, which lies beside SHA256SUMS.
check_sum() {
    wanted=$(awk -v name="$1" '$2 == name || $2 == "*" name { print $1 }' "$folder/SHA256SUMS")
    case $wanted in
        *[!0-9a-f]* | '') fail "SHA256SUMS has no plain checksum of $1" ;;
    esac
    # shellcheck disable=SC2086 # the program and its option are two words
    found=$($sum_of <"$folder/$1") || fail "cannot compute the checksum of $1"
    found=${found%% *}
    [ "$found" = "$wanted" ] || fail "$1 is not what SHA256SUMS says (it is $found, not $wanted)"
}

usual_place() {
    if [ "$(id -u)" -eq 0 ]; then
        printf '/usr/local/bin'
    else
        printf '%s/.local/bin' "${HOME:?is not set: say --to DIR}"
    fi
}

# Copies beside the place, then renames: whoever starts the program meets the old one or the new one.
# $1: the program, $2: the folder.
put() {
    mkdir -p "$2" || fail "cannot make the folder $2"
    beside=$(mktemp "$2/.goodgate.XXXXXX") || fail "cannot write to $2"
    trap 'rm -rf "$folder" "$beside"' EXIT
    cp "$1" "$beside" || fail "cannot write to $2"
    chmod 0755 "$beside"
    mv -f "$beside" "$2/goodgate" || fail "cannot put the program in its place in $2"
}

# The braces: half of this line is no command.
{ main "$@"; }
