# shellcheck shell=bash disable=SC2154,SC2034 # dir, sockets and the like are the sandbox's
# The files of a sandbox: what it remembers of itself, the settings of what it
# runs, and where its sockets lie. Sourced by scripts/sandbox.

# remember and recall keep one value each in DIR/.sandbox/KEY.
remember() { printf '%s\n' "$2" >"$dir/.sandbox/$1"; }
recall() { [ ! -e "$dir/.sandbox/$1" ] || cat "$dir/.sandbox/$1"; }

# enter DIR makes DIR the sandbox that everything below is about.
enter() {
	dir=$(CDPATH='' cd -- "$1" 2>/dev/null && pwd -P) || die "cannot find the directory $1"
	[ -e "$dir/.sandbox/card" ] || die "$dir is no sandbox: scripts/sandbox up makes one"
	shape
}

# shape sets what follows from the directory and what it remembers.
shape() {
	card=$(recall card) via=$(recall via) reader=$(recall reader)
	link=$(recall link) link=${link:-local}
	sockets=$(recall sockets)
	bus=$sockets/bus
	own_bus=unix:path=$bus
	[ "$link" != rfcomm ] || own_bus=$system_bus
	reader_bus=$own_bus reader_socket=$sockets/reader.sock
	if [ -n "$reader" ]; then
		local theirs
		theirs=$(cat "$reader/.sandbox/sockets") || die "$reader is no sandbox"
		reader_bus=unix:path=$theirs/bus reader_socket=$theirs/reader.sock
	fi
	dialled=${via:-$sockets/link.sock}
}

# behind_pcsc tells whether the card is a virtual one in a private pcscd.
behind_pcsc() { [ "$card" = pcsc ] || [ "$card" = piv ]; }

# quoted VALUE prints it as a TOML string.
quoted() {
	local s=${1//\\/\\\\}
	printf '"%s"\n' "${s//\"/\\\"}"
}

# for_xml VALUE prints it as XML text.
for_xml() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g' <<<"$1"; }

write_bus() {
	cat >"$dir/bus.conf" <<-EOF
		<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
		 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig>
		  <listen>$(for_xml "$own_bus")</listen>
		  <auth>EXTERNAL</auth>
		  <!-- No user is named, so the bus admits only the user who runs it. -->
		  <policy context="default">
		    <allow send_destination="*" eavesdrop="false"/>
		    <allow receive_sender="*"/>
		    <allow own="*"/>
		  </policy>
		</busconfig>
	EOF
}

# link_settings ADAPTER PATH prints which link there is, and where.
link_settings() {
	if [ "$link" = rfcomm ]; then
		printf 'kind = "rfcomm"\nadapter = "%s"\n' "$1"
	else
		printf 'kind = "local"\npath = %s\n' "$(quoted "$2")"
	fi
}

write_device() {
	local class
	{
		cat <<-EOF
			# Short times, and restores without a question. scripts/sandbox wrote this
			# file once; change it and start reprovisiond again.
			name = $(quoted "phone $(basename -- "$dir" | tr -cd '[:alnum:]._-' | cut -c 1-40)")
			state_dir = $(quoted "$dir/device")
			log_level = "debug"

			[link]
			$(link_settings "$device_adapter" "$dialled")
			retry_min = "100ms"
			retry_max = "1s"

			[detect]
			settle = "300ms"
			scrub_every = "10m"

			[reprovision]
			service-books = "restore"
			keys = "restore"
			preferences = "restore"
			user-data = "restore"
			replacement = "restore"
		EOF
		for class in service-books keys preferences user-data; do
			printf '\n[[root]]\nclass = "%s"\npath = %s\n' "$class" "$(quoted "$dir/phone/$class")"
		done
	} >"$dir/reprovisiond.toml"
}

write_reader() {
	local kind=$card
	! behind_pcsc || kind=pcsc
	cat >"$dir/scrd.toml" <<-EOF
		# scripts/sandbox wrote this file once; change it and start scrd again.
		name = "sandbox reader"
		state_dir = $(quoted "$dir/reader")
		log_level = "debug"

		[link]
		$(link_settings "$reader_adapter" "$sockets/reader.sock")

		[pairing]
		window = "2m"

		[card]
		kind = "$kind"
		path = $(quoted "$dir/reader/card.img")

		[store]
		idle = "1s"
	EOF
}

write_env() {
	{
		echo "# Source this file, and scrctl speaks to the sandbox in $(printf %q "$dir")."
		# shellcheck disable=SC2016 # PATH is that of whoever sources the file
		printf 'export PATH=%q:"$PATH"\n' "$bin"
		printf 'export DBUS_SYSTEM_BUS_ADDRESS=%q\n' "$own_bus"
		if [ -n "$reader" ]; then
			printf 'export REPROVISION_READER_BUS_ADDRESS=%q\n' "$reader_bus"
		else
			echo 'unset REPROVISION_READER_BUS_ADDRESS'
		fi
		! behind_pcsc || printf 'export PCSCLITE_CSOCK_NAME=%q\n' "$sockets/card/pcscd.sock"
	} >"$dir/env"
}

# choose_sockets finds a path for the sockets. The path of a unix socket has
# 107 bytes at most, and the bus takes no path with signs that need an escape;
# where DIR does not fit, a short link to it does.
choose_sockets() {
	local short
	if [ "$(printf %s "$dir/card/pcscd.sock.0000" | wc -c)" -le 107 ] && [[ $dir =~ ^[A-Za-z0-9/._-]+$ ]]; then
		remember sockets "$dir"
		return
	fi
	short=$(mktemp -d /tmp/sandbox.XXXXXXXX)
	ln -s "$dir" "$short/s"
	remember sockets "$short/s"
}

# mend_sockets makes the short link anew when it is gone, as after a restart
# of the machine; nobody else may have made it meanwhile.
mend_sockets() {
	[ "$(readlink -f "$sockets")" != "$dir" ] || return 0
	if ! mkdir -m 700 "${sockets%/s}" || ! ln -s "$dir" "$sockets"; then
		die "cannot make the link $sockets to $dir"
	fi
}
