# shellcheck shell=bash disable=SC2154 # root, seat, rootfs, cache and the like are scripts/vm's
# The guests of one run: their processes, their consoles, how commands get into
# them. All of it is below $run, and ends with the run. Sourced by scripts/vm.

# launch NAME COMMAND... starts a process of this run and remembers it. It
# returns when the process can be told from others, or is gone already.
launch() {
	local name=$1
	shift
	VM_RUN=$run setsid "$@" </dev/null >>"$run/$name.log" 2>&1 &
	echo $! >"$run/pid/$name"
	disown
	until alive "$name" || ! kill -0 $! 2>/dev/null; do sleep 0.02; done
}

# alive NAME tells whether that process of this run lives. A process that only
# got the number of ours has not its environment. One that is being replaced by
# its program has none for a moment, as a dead one that nobody has waited for.
alive() {
	local pid environment
	pid=$(cat "$run/pid/$1" 2>/dev/null) || return 1
	for _ in {1..50}; do
		environment=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ") || return 1
		[ -z "$environment" ] || break
		! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null || return 1
		sleep 0.02
	done
	grep -qxF "VM_RUN=$run" <<<"$environment"
}

# finish NAME ends that process at once, as a power cut would.
finish() {
	local tries
	for tries in {1..100}; do
		alive "$1" || break
		kill -KILL "$(cat "$run/pid/$1")" 2>/dev/null || true
		sleep 0.05
	done
	[ "$tries" -lt 100 ] || say "cannot end $1 (process $(cat "$run/pid/$1"))"
	rm -f "$run/pid/$1"
}

# bury ends all that this run has started and removes what it has written.
bury() {
	local pid
	for pid in "$run"/pid/*; do
		[ ! -e "$pid" ] || finish "${pid##*/}"
	done
	rm -rf "$run"
}

# set_qemu ROOTFS INITRD ACCEL sets qemu to the start of every guest's command.
set_qemu() {
	local cpu=max
	[ "$3" != kvm ] || cpu=host
	qemu=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
		-machine pc -accel "$3" -cpu "$cpu" -kernel "$(kernel "$1")" -initrd "$2")
}

# boot ROLE starts a guest. A disk that is there already is used again.
boot() {
	local role=$1 port cpus=1 memory=768 extra=() rootfs
	rootfs=$(readlink -f "$run/rootfs")
	if [ "$role" = one ]; then
		cpus=2 memory=1024
	else
		extra=(-chardev "socket,id=radio,path=$run/$role.radio" -serial chardev:radio)
	fi
	[ -e "$run/$role.disk" ] || make_disk "$run/$role.disk"
	port=$(free_port) || die "cannot find a free port"
	write_ssh_config "$role" "$port"
	: >"$run/$role.console"
	set_qemu "$run/rootfs" "$run/initrd" "$(cat "$run/accel")"
	launch "$role" "${qemu[@]}" -name "vm-$role" -smp "$cpus" -m "$memory" \
		-serial "file:$run/$role.console" "${extra[@]}" \
		-drive "file=$run/$role.disk,format=raw,if=virtio,cache=unsafe" \
		-virtfs "local,path=$rootfs,mount_tag=root,security_model=none,readonly=on,multidevs=remap" \
		-virtfs "local,path=$root,mount_tag=checkout,security_model=none,readonly=on,multidevs=remap" \
		-netdev "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:$port-:22" \
		-device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
		-append "console=ttyS0 quiet panic=-1 audit=0 mitigations=off no5lvl cryptomgr.notests net.ifnames=0 $(switches "$role")"
}

# switches ROLE prints what the kernel of that guest is told beside.
switches() {
	local unit
	printf 'vm.role=%s vm.checkout=%s systemd.unit=multi-user.target systemd.show_status=0' "$1" "$seat"
	printf ' modprobe.blacklist=kvm,kvm_amd,kvm_intel,ccp,floppy,psmouse,pcspkr,i2c_piix4,ata_piix,ata_generic,serio_raw'
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
		modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service \
		dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
		sys-fs-fuse-connections.mount sys-kernel-config.mount kmod-static-nodes.service \
		systemd-udev-load-credentials.service systemd-pcrlock.target ldconfig.service \
		ssh.service ssh.socket sshd-vsock.socket systemd-timesyncd.service; do
		printf ' systemd.mask=%s' "$unit"
	done
	[ "$1" != reader ] || printf ' systemd.mask=NetworkManager.service systemd.mask=wpa_supplicant.service'
}

make_disk() {
	truncate -s 4G "$1"
	PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 "$1" ||
		die "cannot make a disk"
}

# free_port prints a port of this machine on which nobody listens.
free_port() {
	local port tries
	for tries in {1..50}; do
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 40000))
		(: </dev/tcp/127.0.0.1/"$port") 2>/dev/null || { echo "$port" && return 0; }
	done
	return 1
}

write_ssh_config() {
	cat >"$run/$1.ssh" <<-EOF
		Host $1
			HostName 127.0.0.1
			Port $2
			User root
			HostKeyAlias vm
			IdentityFile $cache/keys/client
			IdentitiesOnly yes
			IdentityAgent none
			UserKnownHostsFile $cache/keys/known_hosts
			GlobalKnownHostsFile /dev/null
			StrictHostKeyChecking yes
			BatchMode yes
			LogLevel ERROR
			ConnectTimeout 20
			ServerAliveInterval 15
			ServerAliveCountMax 4
			ControlPath $run/$1.shell
	EOF
}

# await_boot ROLE waits for the guest and opens the way for its commands. All of
# them share one connection, so that each costs no handshake.
await_boot() {
	local role=$1
	until grep -q '^vm: ready' "$run/$role.console"; do
		alive "$role" || boot_failed "$role" "ended while it booted"
		[ "$SECONDS" -lt "$deadline" ] || boot_failed "$role" "is not up in time" 124
		sleep 0.2
	done
	finish "$role.shell"
	rm -f "$run/$role.shell"
	launch "$role.shell" ssh -F "$run/$role.ssh" -M -N "$role"
	until [ -S "$run/$role.shell" ]; do
		alive "$role.shell" || boot_failed "$role" "refuses its shell: $(tail -n 1 "$run/$role.shell.log")"
		[ "$SECONDS" -lt "$deadline" ] || boot_failed "$role" "does not open its shell in time" 124
		sleep 0.1
	done
	say "the guest \"$role\" is up"
}

# boot_failed ROLE WHY [STATUS] shows what the guest said last, and ends the script.
boot_failed() {
	{
		cat "$run/$1.log"
		tail -n 25 "$run/$1.console"
	} | tr -d '\r' | sed "s/^/  $1| /" >&2
	(die "the guest \"$1\" $2") || exit "${3:-125}"
}

# inside ROLE COMMAND... replaces this shell by the command in the guest, in the
# checkout's folder, with this shell's input and output.
inside() {
	local role=$1 tty=-T
	shift
	[ ! -t 0 ] || [ ! -t 1 ] || tty=-t
	[ -e "$run/$role.ssh" ] || die "there is no guest \"$role\""
	exec ssh -F "$run/$role.ssh" "$tty" "$role" "cd ${seat@Q} && exec -- ${*@Q}"
}

# start_radio starts what the controllers of two hosts speak through: BlueZ's
# emulator, out of the guests' Debian and with a /tmp of its own, and the relay
# that has one port for each guest.
start_radio() {
	mkdir "$run/air"
	cp "$root/bin/btvirt-pairing.so" "$run/air/pairing.so"
	# shellcheck disable=SC2016 # the inner shell fills them in
	launch radio unshare -m bash -c 'mount --bind "$1" "$2/tmp" &&
		exec chroot "$2" env LD_PRELOAD=/tmp/pairing.so btvirt -s' - \
		"$run/air" "$rootfs"
	await_part radio test -S "$run/air/bt-server-bredr"
	launch relay "$root/bin/h4relay" -radio "$run/air/bt-server-bredr" \
		"device=$run/device.radio" "reader=$run/reader.radio"
	await_part relay grep -qx ready "$run/relay.log"
}

# await_part NAME TEST... waits until the test holds, as long as the process lives.
await_part() {
	local name=$1 until=$((SECONDS + 20))
	shift
	until "$@" 2>/dev/null; do
		if ! alive "$name" || [ "$SECONDS" -ge "$until" ]; then
			die "the $name has not started: $(tail -n 3 "$run/$name.log")"
		fi
		sleep 0.05
	done
}

# write_tools puts `on` and `power` where the command on this machine finds them.
write_tools() {
	local name
	mkdir "$run/bin"
	for name in on power; do
		printf '#!/bin/sh\nexec %q %s "$@"\n' "$root/scripts/vm" "$name" >"$run/bin/$name"
		chmod 755 "$run/bin/$name"
	done
}

# power ROLE cut|on: cut ends the guest as if its battery were taken out; what
# it had not written to its disk is gone. on boots it from that disk.
power() {
	local role=$1
	[ -e "$run/$role.disk" ] || die "there is no guest \"$role\""
	case $2 in
	cut)
		finish "$role"
		finish "$role.shell"
		;;
	on)
		if alive "$role"; then die "the guest \"$role\" is on"; fi
		deadline=$((SECONDS + 300))
		boot "$role"
		await_boot "$role"
		;;
	*) usage ;;
	esac
}
