# shellcheck shell=bash disable=SC2154 # place, box and the like are the demonstration's
# How the demonstration speaks, acts and compares. Sourced by scripts/demo.

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1;36m' dim=$'\e[2m' plain=$'\e[0m'
else
	bold='' dim='' plain=''
fi
steps=0 step_began=0

# step HEADING begins a part of the story.
step() {
	steps=$((steps + 1)) step_began=$(now)
	printf '\n%s%d. %s%s\n' "$bold" "$steps" "$*" "$plain"
}

# done_in ends it, with the seconds it took.
done_in() { printf '%s   (%s s)%s\n' "$dim" "$(elapsed "$step_began")" "$plain"; }

say() { printf '   %s\n' "$*"; }

# show COMMAND... prints a command as one would type it, and runs it.
show() {
	local line=$*
	printf '%s   $ %s%s\n' "$bold" "${line//"$box/"/}" "$plain"
	"$@" 2>&1 </dev/null | sed 's/^/     /'
}

# now prints the time in milliseconds; elapsed SINCE prints seconds.
now() { date +%s%3N; }
elapsed() {
	local ms=$(($(now) - $1))
	printf '%d.%d\n' $((ms / 1000)) $((ms % 1000 / 100))
}

# clean_up ends the sandbox; after a failure it shows the ends of the logs.
clean_up() {
	local status=$?
	trap - EXIT
	if [ "$status" != 0 ] && [ -d "$box/log" ]; then
		printf '\nThe demonstration failed. The logs end:\n' >&2
		tail -n 5 "$box"/log/{reprovisiond,scrd}.log >&2 || true
	fi
	if [ -n "$keep" ] && [ -e "$box/env" ]; then
		printf '\nThe sandbox still runs: . %s/env; end it with scripts/sandbox down %s\n' "$box" "$box"
		exit "$status"
	fi
	if [ -e "$box/env" ]; then scripts/sandbox down "$box" || true; fi
	rm -rf "$place"
	exit "$status"
}

# display KEY prints what the reader's display shows of that name.
display() { scrctl --json reader display | json_string "$1" || true; }

# await_display KEY waits until the display shows a value, and prints it.
await_display() {
	local value deadline=$((SECONDS + 20))
	while :; do
		value=$(display "$1")
		[ -z "$value" ] || break
		[ "$SECONDS" -lt "$deadline" ] || die "the display shows no $1"
		sleep 0.1
	done
	printf '%s\n' "$value"
}

# show_display prints the display as it is, in a frame.
show_display() {
	scrctl reader display | sed 's/^/     | /'
}

# pair_up does what the owner does: press, read, type (steps 410 to 422). The
# passcode is typed into the prompt of the waiting command.
pair_up() {
	local address passcode pairing
	show scrctl reader press
	address=$(await_display address)
	rm -f "$place/typed" && mkfifo -m 600 "$place/typed"
	printf '%s   $ scrctl pair %s%s\n' "$bold" "$address" "$plain"
	scrctl pair "$address" <"$place/typed" >"$place/paired" 2>&1 &
	pairing=$!
	exec 8>"$place/typed"
	passcode=$(await_display passcode) || { cat "$place/paired" && die "the pairing did not get to the passcode"; }
	show_display
	printf '%s\n' "$passcode" >&8
	exec 8>&-
	wait "$pairing" || { cat "$place/paired" && die "the pairing failed"; }
	sed 's/^/     /' "$place/paired"
	printf '\n'
}

# list_items DIR prints every item of a phone: kind, mode, owner, path, and for
# files and links size, time and target. Sizes and times of directories change
# with what is put into them.
list_items() {
	(cd -- "$1" && find . -mindepth 2 \( -type d -printf '%y %m %U:%G %P\n' -o \
		-printf '%y %m %U:%G %P %s %T@ %l\n' \) | LC_ALL=C sort)
}

# digests DIR prints the digest of every file.
digests() {
	(cd -- "$1" && find . -mindepth 2 -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum)
}

same_as_aside() {
	[ "$(list_items "$phone" 2>/dev/null)" = "$(list_items "$aside/phone")" ] &&
		[ "$(digests "$phone" 2>/dev/null)" = "$(digests "$aside/phone")" ]
}

# await_all_back SECONDS waits until the phone is as it was.
await_all_back() {
	local began
	began=$(now)
	until same_as_aside; do
		if [ $(($(now) - began)) -gt $(($1 * 1000)) ]; then
			differences
			die "not everything came back within $1 s"
		fi
		sleep 0.1
	done
	say "Everything is back after $(elapsed "$began") s."
}

differences() {
	diff <(list_items "$aside/phone") <(list_items "$phone") | sed 's/^/     /' >&2 || true
	diff <(digests "$aside/phone") <(digests "$phone") | sed 's/^/     /' >&2 || true
}

# verify compares every item with the copy, files byte by byte.
verify() {
	local file
	same_as_aside || { differences && die "the phone is not as it was"; }
	while IFS= read -r -d '' file; do
		cmp -- "$aside/phone/$file" "$phone/$file" || die "$file is not as it was"
	done < <(cd -- "$aside/phone" && find . -mindepth 2 -type f -print0)
}
