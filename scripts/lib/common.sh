# shellcheck shell=bash
# What all the scripts share. Sourced, never run.

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

repo_root() { CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P; }

# json_string KEY prints the first string of that name in the JSON on stdin. It
# serves for values without escapes, such as addresses and passcodes.
json_string() {
	tr -d '\n' | grep -oE "\"$1\" *: *\"[^\"\\\\]*\"" | head -n 1 | sed -E 's/^"[^"]*" *: *"(.*)"$/\1/'
}

# json_number KEY prints the first number of that name in the JSON on stdin.
json_number() {
	tr -d '\n' | grep -oE "\"$1\" *: *-?[0-9]+" | head -n 1 | grep -oE -- '-?[0-9]+$'
}

# vpcd_driver prints where the driver of the virtual reader lies.
vpcd_driver() {
	local so
	for so in /usr/lib/pcsc/drivers/serial/libifdvpcd.so* /usr/lib/*/pcsc/drivers/serial/libifdvpcd.so*; do
		[ -e "$so" ] && printf '%s\n' "$so" && return 0
	done
	return 1
}

# have_pcsc tells whether a private pcscd with a virtual reader can run here.
have_pcsc() { [ -n "$(pcscd_path)" ] && vpcd_driver >/dev/null; }

pcscd_path() { PATH="$PATH:/usr/sbin:/sbin" command -v pcscd || true; }

# can_build_pcsc tells whether what speaks PC/SC can be compiled.
can_build_pcsc() { have "${CC:-gcc}" && have pkg-config && pkg-config --exists libpcsclite; }

# wanted_go prints the least Go version that go.mod asks for, as "1.26".
wanted_go() { sed -nE 's/^go ([0-9]+\.[0-9]+).*/\1/p' "$(repo_root)/go.mod"; }

# new_enough GO tells whether that go command is the wanted version or newer.
new_enough() {
	local version
	version=$(cd / && "$1" env GOVERSION 2>/dev/null) || return 1
	version=$(sed -nE 's/^go([0-9]+\.[0-9]+).*/\1/p' <<<"$version")
	[ -n "$version" ] && [ "$(printf '%s\n' "$version" "$(wanted_go)" | sort -V | head -n 1)" = "$(wanted_go)" ]
}

# need_go puts a Go that is new enough on PATH, or ends the script.
need_go() {
	local candidate
	have go && new_enough go && return 0
	for candidate in /usr/local/go/bin /usr/lib/go-*/bin; do
		if [ -x "$candidate/go" ] && new_enough "$candidate/go"; then
			export PATH="$candidate:$PATH"
			return 0
		fi
	done
	die "cannot find Go $(wanted_go) or newer: install it and put it on PATH" \
		"(the package golang of Debian 12 and 13 is too old)"
}

# tools_dir prints where the pinned tools lie. The name changes with what is
# pinned, so that an old build is never mistaken for the wanted one.
tools_dir() {
	local root
	root=$(repo_root)
	printf '%s/.cache/tools/%s\n' "$root" \
		"$({ cat "$root"/scripts/tools/go.{mod,sum}; go version; } | cksum | tr ' ' '-')"
}

# need_tools builds the tools that scripts/tools/go.mod pins, once.
need_tools() {
	local dir
	dir=$(tools_dir)
	[ -e "$dir/.built" ] && return 0
	note "building the tools of scripts/tools/go.mod (once, a few minutes)"
	mkdir -p "$dir"
	CGO_ENABLED=0 go build -C "$(repo_root)/scripts/tools" -buildvcs=false -o "$dir/" tool ||
		die "cannot build the tools of scripts/tools/go.mod"
	: >"$dir/.built"
}
