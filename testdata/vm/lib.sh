# shellcheck shell=bash
# What the stories on two hosts share. A story runs on this machine; `on` and
# `power`, which scripts/vm puts on PATH, reach the guests. Sourced, never run.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"

root=$(repo_root)
cd "$root"
guest=testdata/vm/guest # programs that run in a guest; the checkout is at the same path there
work=$(mktemp -d "${TMPDIR:-/tmp}/vm-story.XXXXXX")
trap 'clean_up' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ -d "${VM_RUN-}" ] || die "runs only under: scripts/vm two -- ${BASH_SOURCE[-1]}"

# die ends the story. What it says is said again after all else.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" | tee -a "$work/died" >&2
	exit 1
}

# clean_up tells after a failure what the guests' services said last, and why it failed.
clean_up() {
	local status=$? host
	trap - EXIT
	if [ "$status" != 0 ]; then
		for host in device reader; do
			on "$host" "$guest/journal" </dev/null 2>&1 | sed "s/^/  $host| /" >&2 || true
		done
		on device journalctl -q -b -u reprovisiond --no-hostname -o short-monotonic </dev/null 2>/dev/null |
			tail -n 25 | cut -c 1-300 | sed 's/^/   > /' || true
		[ ! -s "$work/died" ] || sed 's/^/FAIL  /' "$work/died"
	fi
	# shellcheck disable=SC2046 # one word for each
	kill $(jobs -p) 2>/dev/null || true
	rm -rf "$work"
	exit "$status"
}

# step HEADING begins a part of a story; say tells something in it.
step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
say() { printf '   %s\n' "$*"; }

# on HOST COMMAND... is that of scripts/vm, within $limit seconds.
on() { timeout -k 5 "${limit:-180}" on "$@"; }

# must COMMAND... ends the story if it fails.
must() {
	local status=0
	"$@" </dev/null || status=$?
	[ "$status" = 0 ] || die "ended with $status (124: not done in time): $*"
}

# exits STATUS COMMAND... holds the command to that exit status, and tells what it said.
exits() {
	local want=$1 status=0
	shift
	"$@" </dev/null >"$work/said" 2>&1 || status=$?
	[ "$status" = "$want" ] || { cat "$work/said" >&2 && die "ended with $status, not with $want: $*"; }
	say "$* ($status): $(head -n 1 "$work/said")"
}

# until_true SECONDS COMMAND... tries until the command succeeds.
until_true() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" </dev/null >"$work/tried" 2>&1; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			cat "$work/tried" >&2
			die "not so in time: $*"
		fi
		sleep 0.2
	done
}

# display prints what the reader's display shows under a name, such as passcode.
display() { on reader scrctl --json reader display </dev/null | json_string "$1"; }

# await_display NAME prints it as soon as there is any.
await_display() {
	local value deadline=$((SECONDS + 180))
	until value=$(display "$1") && [ -n "$value" ]; do
		[ "$SECONDS" -lt "$deadline" ] || die "the display shows no $1"
		sleep 0.1
	done
	printf '%s\n' "$value"
}

# pair_up does what the owner does: press, read, type (steps 410 to 422).
pair_up() {
	local address
	must on reader scrctl reader press | sed 's/^/   | /'
	address=$(await_display address)
	await_display passcode | limit=300 on device scrctl pair "$address" 2>&1 | sed 's/^/   /'
}

# picture prints all that the phone's user has, see testdata/vm/guest/picture.
picture() { must on device "$guest/picture"; }

# is_back tells whether all that the user has is as in the file.
is_back() { on device "$guest/picture" </dev/null | cmp -s - "$1"; }

# received prints how many bytes have come in over the device's radio since it
# is up, as its controller counts them.
received() { on device hciconfig hci0 </dev/null | sed -nE 's/.*RX bytes:([0-9]+).*/\1/p'; }
