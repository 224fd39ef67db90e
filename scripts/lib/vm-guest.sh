# shellcheck shell=bash
# The files that a guest gets over those of its Debian: how its radio, its
# network to this machine and its shell come up. Sourced by scripts/vm, whose
# $root is the checkout.
# shellcheck disable=SC2154

# guest_file ROOT PATH [MODE] writes standard input to that file of the guest.
guest_file() {
	mkdir -p "$1/$(dirname "$2")"
	cat >"$1/$2"
	chmod "${3:-644}" "$1/$2"
}

# guest_files ROOT KEYS fills ROOT; KEYS holds the keys that key_pairs made.
guest_files() {
	guest_radio "$1"
	guest_network "$1"
	guest_shell "$1" "$2"
}

# guest_radio gives the guest its controllers. One host alone has three that hear
# each other, made inside it; of two hosts each has one, at its second serial
# port, and the radio between them is outside.
guest_radio() {
	guest_file "$1" usr/local/sbin/vm-radio 755 <<-'EOF'
		#!/bin/sh
		# vm-radio start|wait: the controllers of this guest.
		role=$(sed -nE 's/.*\bvm\.role=([a-z]+).*/\1/p' /proc/cmdline)
		checkout=$(sed -nE 's/.*\bvm\.checkout=([^ ]+).*/\1/p' /proc/cmdline)
		[ "$role" = one ] && count=3 || count=1

		# usable SECONDS waits until all controllers have an address: the kernel has
		# spoken to them.
		usable() {
			until=$(($(date +%s) + $1))
			until [ "$(hciconfig | grep -c 'Address: [^ ]*[1-9A-F]')" = "$count" ]; do
				[ "$(date +%s)" -lt "$until" ] || return 1
				sleep 0.2
			done
		}

		case $1.$role in
		start.one)
			modprobe -a bluetooth rfcomm hci_vhci algif_skcipher algif_hash cmac ecb || exit 1
			# On a busy machine the kernel can lose its patience with one of them.
			while LD_PRELOAD=$checkout/bin/btvirt-pairing.so btvirt -l3 & ! usable 10; do
				kill $!; wait
			done
			wait
			;;
		start.*)
			modprobe -a bluetooth rfcomm hci_uart || exit 1
			stty -F /dev/ttyS1 raw -echo || exit 1
			exec btattach -B /dev/ttyS1 -P h4 -N -S 3000000
			;;
		wait.*)
			usable 150 && exit 0
			echo "vm-radio: the controllers have not come up within 150 s" >&2
			exit 1
			;;
		esac
	EOF
	guest_file "$1" etc/systemd/system/vm-radio.service <<-'EOF'
		[Unit]
		Description=Virtual Bluetooth controllers
		Before=bluetooth.service

		[Service]
		ExecStart=/usr/local/sbin/vm-radio start
		ExecStartPost=/usr/local/sbin/vm-radio wait
		TimeoutStartSec=180

		[Install]
		WantedBy=multi-user.target
	EOF
	guest_file "$1" etc/systemd/system/bluetooth.service.d/vm.conf <<-'EOF'
		[Unit]
		After=vm-radio.service
		Wants=vm-radio.service
		# Tests restart it as often as they like.
		StartLimitIntervalSec=0
	EOF
	guest_file "$1" etc/systemd/system/bluetooth.service.d/reprovision.conf <"$root/systemd/bluetooth-watchdog.conf"
	guest_wants "$1" vm-radio.service /etc/systemd/system
	guest_wants "$1" bluetooth.service /usr/lib/systemd/system
}

# guest_network leads to this machine and nowhere else: there is no route.
# NetworkManager leaves it alone, so that for the guest's software it is offline.
guest_network() {
	guest_file "$1" etc/systemd/system/vm-network.service <<-'EOF'
		[Unit]
		Description=The way to the machine below
		DefaultDependencies=no
		Before=NetworkManager.service multi-user.target

		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=ip address replace 10.0.2.15/24 dev eth0
		ExecStart=ip link set eth0 up

		[Install]
		WantedBy=multi-user.target
	EOF
	guest_wants "$1" vm-network.service /etc/systemd/system
	guest_file "$1" etc/NetworkManager/conf.d/vm.conf <<-'EOF'
		[keyfile]
		unmanaged-devices=interface-name:eth0

		[connectivity]
		enabled=false
	EOF
}

# guest_shell lets this machine in, by key only.
guest_shell() {
	guest_file "$1" etc/systemd/system/vm-shell.service <<-'EOF'
		[Unit]
		Description=The shell for the machine below
		After=vm-network.service vm-radio.service bluetooth.service dbus.service polkit.service
		After=pcscd.socket NetworkManager.service

		[Service]
		Type=notify
		RuntimeDirectory=sshd
		ExecStart=/usr/sbin/sshd -D -e -f /etc/vm/sshd_config
		ExecStartPost=/bin/sh -c 'echo "vm: ready" >/dev/ttyS0'
		OOMScoreAdjust=-1000
		KillMode=process

		[Install]
		WantedBy=multi-user.target
	EOF
	guest_wants "$1" vm-shell.service /etc/systemd/system
	guest_file "$1" etc/vm/sshd_config <<-'EOF'
		HostKey /etc/vm/host_key
		AuthorizedKeysFile /etc/vm/authorized_keys
		AuthenticationMethods publickey
		PermitRootLogin prohibit-password
		UsePAM no
		UseDNS no
		MaxSessions 200
		MaxStartups 50
		AcceptEnv TERM LANG LC_*
		SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
		Subsystem sftp internal-sftp
		PrintMotd no
		PrintLastLog no
	EOF
	guest_file "$1" etc/vm/host_key 600 <"$2/host"
	guest_file "$1" etc/vm/authorized_keys 600 <"$2/client.pub"
}

# guest_wants ROOT UNIT FOLDER has UNIT, which lies in FOLDER of the guest, start at boot.
guest_wants() {
	mkdir -p "$1/etc/systemd/system/multi-user.target.wants"
	ln -sf "$3/$2" "$1/etc/systemd/system/multi-user.target.wants/$2"
}

# guest_init prints the program that the guest's kernel starts first: it puts a
# disk of the guest's own over the root that all guests share, and goes there.
guest_init() {
	cat <<-'EOF'
		#!/bin/busybox sh
		export PATH=/bin
		/bin/busybox --install -s /bin
		mkdir -p /proc /sys /dev /lower /disk /new
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev

		cannot() {
			echo "vm: cannot $*" >/dev/console
			poweroff -f
			sleep 60
		}
		value() { sed -nE "s/.*\\b$1=([^ ]+).*/\\1/p" /proc/cmdline; }
		share() { mount -t 9p -o "trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose" "$1" "$2"; }

		while read -r module; do
			insmod "/modules/$module" || cannot load "$module"
		done </modules/order
		[ -z "$(value vm.probe)" ] || { echo "vm: probed" >/dev/console; poweroff -f; }

		share root /lower || cannot mount the root
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			[ -b /dev/vda ] && break
			sleep 0.5
		done
		mount -t ext4 /dev/vda /disk || cannot mount the disk
		mkdir -p /disk/upper /disk/work
		mount -t overlay -o lowerdir=/lower,upperdir=/disk/upper,workdir=/disk/work overlay /new ||
			cannot overlay the root

		role=$(value vm.role)
		if [ ! -e /disk/made ]; then
			cp -a /guest/. /new/ || cannot write to the disk
			echo "$role" >/new/etc/hostname
			printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$role" >/new/etc/hosts
			tr -d - </proc/sys/kernel/random/uuid >/new/etc/machine-id
			# What systemd would bring up to date is up to date.
			touch /new/etc/.updated /new/var/.updated
			: >/disk/made
		fi
		checkout=$(value vm.checkout)
		mkdir -p "/new$checkout"
		share checkout "/new$checkout" || cannot mount the checkout

		for dir in proc sys dev; do mount -o move "/$dir" "/new/$dir"; done
		exec switch_root /new /sbin/init
	EOF
}
