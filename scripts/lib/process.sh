# shellcheck shell=bash disable=SC2154 # dir, sockets and patience are the sandbox's
# The processes of a sandbox: DIR/pid/NAME and DIR/log/NAME.log. Sourced by
# scripts/sandbox.

# mark NAME prints the argument that only our process of that name has.
mark() {
	case $1 in
	dbus) printf '%s\n' "--config-file=$dir/bus.conf" ;;
	virtualcard) printf '%s\n' "$sockets/card" ;;
	linkgate) printf '%s\n' "$sockets/gate.sock" ;;
	*) printf '%s\n' "$dir/$1.toml" ;;
	esac
}

# running NAME prints the pid of our process of that name, if it lives. A pid
# that now belongs to something else does not count.
running() {
	local pid
	pid=$(cat "$dir/pid/$1" 2>/dev/null) && [ -n "$pid" ] &&
		tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -Fx -e "$(mark "$1")" >/dev/null &&
		printf '%s\n' "$pid"
}

# spawn NAME COMMAND... starts a process that outlives this script.
spawn() {
	local name=$1
	shift
	env -u NOTIFY_SOCKET -u LISTEN_PID -u LISTEN_FDS -u REPROVISION_READER_BUS_ADDRESS \
		DBUS_SYSTEM_BUS_ADDRESS="$own_bus" PCSCLITE_CSOCK_NAME="$sockets/card/pcscd.sock" \
		setsid nohup "$@" </dev/null >>"$dir/log/$name.log" 2>&1 &
	printf '%s\n' "$!" >"$dir/pid/$name"
	disown
}

# stop NAME ends our process: politely, then not. One that is gone is fine.
stop() {
	local pid signal deadline
	for signal in TERM KILL; do
		pid=$(running "$1") || break
		kill "-$signal" "$pid" 2>/dev/null || true
		deadline=$((SECONDS + 10))
		while running "$1" >/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
	done
	if running "$1" >/dev/null; then die "cannot stop $1 (process $(cat "$dir/pid/$1"))"; fi
	rm -f "$dir/pid/$1"
}

# await NAME TEST... waits until the test holds, as long as the process lives.
await() {
	local name=$1 deadline=$((SECONDS + patience))
	shift
	while kill -0 "$(cat "$dir/pid/$name")" 2>/dev/null; do
		if "$@"; then return 0; fi
		[ "$SECONDS" -lt "$deadline" ] || gave_up "$name" "does not answer after $patience s"
		sleep 0.05
	done
	gave_up "$name" "ended"
}

gave_up() {
	die "$1 $2; its log ends: $(tail -n 1 "$dir/log/$1.log" 2>/dev/null || true)"
}
