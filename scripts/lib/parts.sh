# shellcheck shell=bash disable=SC2154 # dir, sockets and the like are the sandbox's
# The parts of a sandbox, how each is started and how one knows that it answers.
# Sourced by scripts/sandbox, after process.sh.

scrctl() {
	DBUS_SYSTEM_BUS_ADDRESS=$own_bus REPROVISION_READER_BUS_ADDRESS=$reader_bus \
		timeout 10 "$bin/scrctl" --no-input --json "$@" </dev/null 2>/dev/null
}

bus_answers() { [ -S "$bus" ]; }
gate_answers() { "$bin/linkgate" say "$sockets/gate.sock" status >/dev/null 2>&1; }
card_is_ready() { tail -c "+$((card_log + 1))" "$dir/log/virtualcard.log" | grep -x ready >/dev/null; }
card_state() { scrctl card status | sed -n 's/.*"state": *"\([a-z-]*\)".*/\1/p'; }
card_is_pull() { [ "$(card_state)" = none ]; }
card_is_insert() { [ "$(card_state)" != none ]; }
scrd_answers() { scrctl reader status >/dev/null; }
# The answer of the reader alone has no word on what the device does.
reprovisiond_answers() { scrctl status | grep '"activity"' >/dev/null; }

start_dbus() {
	rm -f "$bus"
	spawn dbus dbus-daemon --config-file="$dir/bus.conf" --nofork --nopidfile
	await dbus bus_answers
}

start_virtualcard() {
	mkdir -p "$dir/card"
	card_log=$(stat -c %s "$dir/log/virtualcard.log" 2>/dev/null || echo 0)
	local made=(-profile iso7816 -capacity 262144)
	[ "$card" != piv ] || made=(-profile piv) # with a YubiKey's sizes
	spawn virtualcard "$bin/virtualcard" -socket "$sockets/card/pcscd.sock" -dir "$sockets/card" \
		-image "$dir/card/card.img" "${made[@]}"
	await virtualcard card_is_ready
}

start_linkgate() {
	spawn linkgate "$bin/linkgate" run -listen "$sockets/link.sock" -dial "$reader_socket" -control "$sockets/gate.sock"
	await linkgate gate_answers
}

start_daemon() {
	spawn "$1" "$bin/$1" --config "$dir/$1.toml"
	await "$1" "$1_answers"
}

# parts prints what this sandbox runs, in the order in which it is started.
parts() {
	[ "$link" = rfcomm ] || echo dbus
	if [ -z "$reader" ]; then
		! behind_pcsc || echo virtualcard
		echo scrd
	fi
	[ -n "$via" ] || [ "$link" = rfcomm ] || echo linkgate
	echo reprovisiond
}

# start_part starts one part that does not run.
start_part() {
	if running "$1" >/dev/null; then return 0; fi
	case $1 in
	scrd | reprovisiond) start_daemon "$1" ;;
	*) "start_$1" ;;
	esac
}

# init_card makes a card that has never been used ready for use.
init_card() {
	[ -z "$(recall card_made)" ] || return 0
	local said
	said=$(DBUS_SYSTEM_BUS_ADDRESS=$own_bus timeout 60 "$bin/scrctl" --no-input card init --yes </dev/null 2>&1) ||
		die "cannot initialise the card: $said"
	remember card_made yes
}
