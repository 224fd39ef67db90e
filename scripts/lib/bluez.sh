# shellcheck shell=bash disable=SC2154,SC2034 # dir, patience and the like are the sandbox's
# The sandbox over Bluetooth: both daemons are on the system's bus, where BlueZ
# is, and each has an adapter of this machine. Sourced by scripts/sandbox.

system_bus=unix:path=/run/dbus/system_bus_socket
device_adapter=hci0
reader_adapter=hci1

on_bus() { DBUS_SYSTEM_BUS_ADDRESS=$system_bus timeout 20 busctl "$@"; }

# need_bluez tells why a sandbox cannot be had over Bluetooth here.
need_bluez() {
	local name
	[ "$(id -u)" = 0 ] || die "cannot use --link=rfcomm: only root owns the daemons' names on the system bus"
	if ! have busctl || [ ! -S "${system_bus#unix:path=}" ]; then
		die "cannot use --link=rfcomm: busctl or the system bus is missing"
	fi
	for name in org.reprovision.Device org.reprovision.Reader; do
		case $(on_bus call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s "$name") in
		'b false') ;;
		'b true') die "$name is on the system bus already: one pair of daemons has room there" ;;
		*) die "cannot use the system bus" ;;
		esac
	done
}

# powered ADAPTER VALUE tells whether that is how its power is.
powered() { [ "$(on_bus get-property org.bluez "/org/bluez/$1" org.bluez.Adapter1 Powered 2>/dev/null)" = "b $2" ]; }

# set_power ADAPTER VALUE switches it, as its owner would. BlueZ refuses while it
# is at another change.
set_power() {
	local deadline=$((SECONDS + patience))
	until on_bus set-property org.bluez "/org/bluez/$1" org.bluez.Adapter1 Powered b "$2" 2>/dev/null && powered "$1" "$2"; do
		[ "$SECONDS" -lt "$deadline" ] || die "cannot switch $1: BlueZ does not have Powered become $2"
		sleep 0.2
	done
}

adapter_cut() {
	remember cut yes
	set_power "$device_adapter" false
}

adapter_mend() {
	set_power "$device_adapter" true
	remember cut ''
}

# address_of ADAPTER prints its address.
address_of() {
	on_bus get-property org.bluez "/org/bluez/$1" org.bluez.Adapter1 Address 2>/dev/null | sed -n 's/^s "\(.*\)"$/\1/p'
}

# forget_bond ADAPTER OTHER has ADAPTER forget what it knows of OTHER. Bonds with
# anybody else stay.
forget_bond() {
	local peer
	peer=$(address_of "$2")
	[ -n "$peer" ] || return 0
	on_bus call org.bluez "/org/bluez/$1" org.bluez.Adapter1 RemoveDevice \
		o "/org/bluez/$1/dev_${peer//:/_}" >/dev/null 2>&1 || true # none there
}
