# shellcheck shell=bash disable=SC2154 # work and lost are the story's
# When what happened on the device after a loss: from the events of its daemon in
# $work/events, and from the log of the pings there. All times are those of the
# device's clock, in seconds since the epoch. Sourced by stories, which source lib.sh, too.

# since TIME passes the lines that begin with a later time.
since() { awk -v from="$1" '$1 + 0 > from + 0'; }

# told WORD... prints when the device's daemon told of the events since the loss
# that have all these words, one a line.
told() {
	local line word
	while read -r line; do
		for word in "$@"; do [[ $line == *"$word"* ]] || continue 2; done
		date -d "$(json_string time <<<"$line")" +%s.%N
	done <"$work/events" | since "$lost"
}

first() { told "$@" | sed -n 1p; }
last() { told "$@" | tail -n 1; }

# pings prints the log of the pings since the loss: the time, and "up" or "down".
pings() {
	on device cat /run/pings </dev/null |
		sed -nE 's/^\[([0-9.]+)\] .* bytes from .*/\1 up/p; s/^\[([0-9.]+)\] no answer yet .*/\1 down/p' | since "$lost"
}

network_is_down() { pings | grep down >/dev/null; }

# network_up prints when the network was back, once it is.
network_up() { pings | awk '$2 == "down" { down = 1 } $2 == "up" && down { print $1; exit }'; }
network_is_up() { [ -n "$(network_up)" ]; }

# all_verified tells whether the daemon verified what it restored, and is at rest.
all_verified() {
	[ -n "$(verified)" ] && on device scrctl --json status </dev/null | grep '"activity": *"idle"' >/dev/null
}
verified() { last '"event":"reprovision"' '"state":"verified"'; }

# out_of_range tells whether it has told that the reader is gone.
out_of_range() { [ -n "$(first '"event":"link"' '"in_range":false')" ]; }

# row WHAT TIME prints one line of the table.
row() {
	[ -n "$2" ] || die "nothing tells when: $1"
	awk -v what="$1" -v at="$2" -v from="$lost" 'BEGIN { printf "   | %-32s | %6.2f s |\n", what, at - from }'
}

# timeline prints what happened after the loss of the network, and when.
timeline() {
	local books=('"event":"reprovision"' '"class":"service-books"')
	printf '\n   | %-32s | %8s |\n   |%s|%s|\n' "after the loss" "" "$(printf '%034d' 0 | tr 0 -)" ---------:
	{
		row "detected" "$(first '"event":"verdict"')"
		row "first byte from the reader" "$(first '"event":"reprovision"' '"state":"receiving"')"
		row "service books restored" "$(first "${books[@]}" '"state":"restored"')"
		row "NetworkManager has reloaded" "$(first "${books[@]}" '"state":"taken up"')"
		row "network up" "$(network_up)"
		row "all verified" "$(verified)"
	} | sort -s -t '|' -k 3n
	printf '\n'
}
