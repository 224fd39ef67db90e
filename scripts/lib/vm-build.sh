# shellcheck shell=bash disable=SC2154 # root, cache and the like are scripts/vm's
# What the guests are made of: a Debian root with its kernel, and an initramfs.
# All of it lies below $cache and is made anew when what it follows from has
# changed. Sourced by scripts/vm, after vm-guest.sh.

# stale THING FINGERPRINT tells whether $cache/THING is missing or was made with
# another fingerprint, which is what it follows from.
stale() { [ ! -e "$cache/$1" ] || [ "$(cat "$cache/$1.made" 2>/dev/null)" != "$2" ]; }

# rootfs_path prints where the root lies. Its name changes with what it is made of.
rootfs_path() {
	printf '%s/rootfs-%.12s\n' "$cache" \
		"$( (echo "$suite" && guest_packages && declare -f bootstrap) | sha256sum)"
}

stale_keys() { [ ! -e "$cache/keys/known_hosts" ]; }

initramfs_follows_from() {
	# shellcheck disable=SC2046 # names of functions have no spaces
	(kernel "$rootfs" && cat "$cache/keys/known_hosts" &&
		declare -f initramfs_modules first_modules $(compgen -A function guest_)) | sha256sum
}

stale_initramfs() { stale initrd "$(initramfs_follows_from)"; }

guest_packages() { "$root/scripts/install-deps" --list guest; }

# mirror prints where this machine gets Debian from.
mirror() {
	# shellcheck disable=SC2016 # apt fills these in
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }'
}

# make_rootfs builds $cache/rootfs where it is missing or its packages changed.
make_rootfs() {
	local packages from
	[ ! -e "$rootfs" ] || return 0
	packages=$(guest_packages | paste -sd,)
	from=$(mirror)
	[ -n "$from" ] || die "cannot find where this machine gets Debian from: apt-get update has to have run"
	say "building the guests' Debian ($suite), once: about a minute and a half"
	rm -rf "$cache/new"
	bootstrap "$cache/new" "$packages" "$from" >"$cache/rootfs.log" 2>&1 ||
		die "cannot build the guests' Debian; $cache/rootfs.log ends: $(tail -n 5 "$cache/rootfs.log")"
	mv "$cache/new" "$rootfs"
}

# drop_old_roots removes the roots that no run holds and that are not ours.
drop_old_roots() {
	local old
	for old in "$cache"/rootfs-*; do
		if [ -d "$old" ] && [ "$old" != "$rootfs" ]; then
			flock -n "$old.held" rm -rf "$old" || say "$old is in use and stays"
		fi
	done
}

# bootstrap DIR PACKAGES MIRROR. The kernel's own initramfs is not made: it
# would take half a minute and nobody boots it.
bootstrap() {
	INITRD=No timeout -k 10 900 mmdebstrap --mode=root --variant=minbase --include="$2" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" "$1" "$3"
}

# kernel ROOTFS prints the path of its kernel.
kernel() { printf '%s\n' "$1"/boot/vmlinuz-*; }

busybox() { "$rootfs/bin/busybox" "$@"; }

# key_pairs makes the keys with which this machine and the guests know each other.
key_pairs() {
	local name
	stale_keys || return 0
	rm -rf "$cache/keys" && mkdir -m 700 "$cache/keys"
	for name in host client; do
		ssh-keygen -q -t ed25519 -N '' -C "vm $name" -f "$cache/keys/$name"
	done
	printf 'vm %s\n' "$(cat "$cache/keys/host.pub")" >"$cache/keys/known_hosts"
}

# first_modules prints the modules that the way to the root needs, in the order
# in which they have to be loaded, as paths in the root.
first_modules() {
	local version
	version=$(kernel "$rootfs")
	chroot "$rootfs" modprobe -S "${version##*/vmlinuz-}" --show-depends -a \
		virtio_pci virtio_blk virtio_net virtio_rng 9pnet_virtio 9p overlay crc32c_generic ext4 |
		sed -nE 's/^insmod ([^ ]+).*/\1/p' | awk '!seen[$0]++'
}

# make_initramfs builds $cache/initrd where it is missing or stale.
make_initramfs() {
	local tree=$cache/initrd.tree
	stale_initramfs || return 0
	rm -rf "$tree" && mkdir -p "$tree"/{bin,modules,guest}
	cp "$rootfs/bin/busybox" "$tree/bin/"
	initramfs_modules "$tree/modules"
	guest_init >"$tree/init" && chmod 755 "$tree/init"
	guest_files "$tree/guest" "$cache/keys"
	(cd "$tree" && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) | gzip -1 >"$cache/initrd.new" ||
		die "cannot pack the initramfs"
	rm -rf "$tree"
	mv "$cache/initrd.new" "$cache/initrd"
	initramfs_follows_from >"$cache/initrd.made"
}

# initramfs_modules DIR puts the first modules there, uncompressed.
initramfs_modules() {
	local path name
	first_modules >"$1/paths"
	[ -s "$1/paths" ] || die "cannot find the modules of the guests' kernel"
	while read -r path; do
		name=$(basename "${path%.xz}")
		case $path in
		*.xz) busybox xzcat "$rootfs$path" >"$1/$name" ;;
		*) cp "$rootfs$path" "$1/$name" ;;
		esac
		echo "$name" >>"$1/order"
	done <"$1/paths"
}
