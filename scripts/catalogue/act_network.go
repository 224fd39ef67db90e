package main

// networkManager runs NetworkManager with the act's directory as its directory of
// connections, and then the commands given. It sees no device and no other bus.
func networkManager(commands string) string {
	return `isolated '
		cat >"$T/bus.conf" <<-EOF
			<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
			 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
			<busconfig><listen>unix:path=/run/bus</listen><auth>EXTERNAL</auth><policy context="default">
			<allow send_destination="*" eavesdrop="false"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
		EOF
		printf "[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\nrc-manager=unmanaged\nsystemd-resolved=false
			\nhostname-mode=none\nno-auto-default=*\n[keyfile]\npath=%s\n" "$PWD" >"$T/nm.conf"
		mount -t tmpfs tmpfs /var/lib/NetworkManager
		export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/bus
		await() { local i; for ((i = 0; i < 300; i++)); do ! "$@" >/dev/null 2>&1 || return 0; sleep 0.1; done; return 1; }
		dbus-daemon --config-file="$T/bus.conf" --nofork 2>/dev/null & bus=$!
		trap "kill $bus \$manager 2>/dev/null; wait" EXIT
		manager=
		await test -S /run/bus
		mkdir -p /run/NetworkManager
		NetworkManager --no-daemon --config="$T/nm.conf" --config-dir=/run/none --system-config-dir=/run/none \
			--intern-config=/run/nm-intern.conf --state-file=/run/nm.state --pid-file=/run/nm.pid >"$T/log" 2>&1 & manager=$!
		await nmcli general status || { echo "NetworkManager does not run here" >&2; exit 77; }
		` + commands + `'`
}

// networkActs are done to service books by what uses them.
func networkActs() []act {
	only := []string{books}
	nm := []string{"NetworkManager", "dbus-daemon", "unshare"}
	const uuid = `$(sed -n s/^uuid=//p "$F")`
	return []act{
		{name: "nmcli connection modify", program: "nmcli", root: true, classes: only, needs: nm,
			do: networkManager(`nmcli connection modify home wifi-sec.psk another-secret; grep -q another-secret "$F"`)},
		{name: "nmcli connection modify, the name", program: "nmcli", root: true, classes: only, needs: nm,
			do: networkManager(`nmcli connection modify home connection.id away`)},
		{name: "nmcli connection clone", program: "nmcli", root: true, classes: only, needs: nm,
			do:    networkManager(`nmcli connection clone home second >/dev/null`),
			comes: []string{"second.nmconnection"}},
		{name: "nmcli: deleted, and added under a new name with its UUID", program: "nmcli", root: true, classes: only, needs: nm,
			do: networkManager(`id=` + uuid + `; nmcli connection delete home >/dev/null
				nmcli connection add type wifi ifname "*" con-name elsewhere ssid home connection.uuid "$id" >/dev/null`),
			goes: []string{"$F"}, comes: []string{"elsewhere.nmconnection"}},
		{name: "scrctl forget, then nmcli connection delete", program: "nmcli", root: true, classes: only, needs: nm,
			do: `scrctl --quiet forget "$PWD/$F"; ` + networkManager(`nmcli connection delete home >/dev/null`), goes: []string{"$F"}},
		{name: "wg-quick save", program: "wg-quick", root: true, classes: only, needs: []string{"wg", "unshare", "ip"},
			seed: []string{"wgact.conf"},
			do: `isolated '
				mkdir -p /run/wireguard
				if ! ip link add wgact type wireguard 2>/dev/null; then
					command -v wireguard-go >/dev/null && [ -c /dev/net/tun ] || { echo "no WireGuard here" >&2; exit 77; }
					wireguard-go -f wgact >/dev/null 2>&1 & trap "kill $! 2>/dev/null; wait" EXIT
				fi
				for ((i = 0; i < 100; i++)); do ! wg show wgact >/dev/null 2>&1 || break; sleep 0.1; done
				wg setconf wgact <(wg-quick strip "$PWD/wgact.conf")
				ip address add 10.9.0.2/24 dev wgact
				wg set wgact peer "$(wg genkey | wg pubkey)" allowed-ips 10.9.1.0/24
				wg-quick save "$PWD/wgact.conf" 2>/dev/null'; grep -q 10.9.1.0 wgact.conf`},
		{name: "wpa_cli save_config", program: "wpa_cli", root: true, classes: only, needs: []string{"wpa_supplicant", "unshare"},
			seed: []string{"wpa.conf"},
			do: `isolated '
				wpa_supplicant -D none -i lo -c "$PWD/wpa.conf" >/dev/null 2>&1 & trap "kill $! 2>/dev/null; wait" EXIT
				for ((i = 0; i < 100; i++)); do ! wpa_cli -p /run/wpa -i lo ping >/dev/null 2>&1 || break; sleep 0.1; done
				wpa_cli -p /run/wpa -i lo set_network 0 priority 5 >/dev/null
				wpa_cli -p /run/wpa -i lo save_config >/dev/null'; grep -q priority wpa.conf`},
	}
}
