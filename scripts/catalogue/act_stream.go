package main

// streamActs are done by tools that read a file, change it and write it.
func streamActs() []act {
	return []act{
		{name: "sed -i", program: "sed", do: `sed -i s/alpha/beta/ "$F"`},
		{name: "sed -i keeps a backup", program: "sed", do: `sed -i.bak s/alpha/beta/ "$F"`, comes: []string{"$F.bak"}},
		{name: "sed -i drops the last line", program: "sed", do: `sed -i '$d' "$F"`},
		{name: "perl -i", program: "perl", do: `perl -i -pe 's/alpha/beta/' "$F"`},
		{name: "perl -i keeps a backup", program: "perl", do: `perl -i.orig -pe 's/alpha/beta/' "$F"`, comes: []string{"$F.orig"}},
		{name: "awk to a new file, then mv", program: "awk",
			do: `awk '{ gsub("alpha", "beta"); print }' "$F" >"$F.tmp" && mv "$F.tmp" "$F"`, goes: []string{"$F.tmp"}},
		{name: "awk to a new file, then cat over the old one", program: "awk",
			do: `awk '{ gsub("alpha", "beta"); print }' "$F" >"$T/new" && cat "$T/new" >"$F"`},
		{name: "tee", program: "tee", do: `sed s/alpha/beta/ "$F" >"$T/new"; tee "$F" <"$T/new" >/dev/null`},
		{name: "tee -a", program: "tee", do: `echo "# added" | tee -a "$F" >/dev/null`},
		{name: "shell >>", program: "bash", do: `for i in 1 2 3; do echo "# added $i" >>"$F"; sleep 0.3; done`},
		{name: "shell > with other text", program: "bash", do: `printf '# %s\n' all of it is new >"$F"`},
		{name: "dd conv=notrunc over some bytes", program: "dd",
			do: `at=$(grep -abo alpha "$F" | head -1 | cut -d: -f1); printf gamma |
				dd of="$F" bs=1 seek="$at" conv=notrunc status=none; grep -q gamma "$F"`},
		{name: "patch", program: "patch",
			do: `sed s/alpha/beta/ "$F" >"$T/new"; diff -u "$F" "$T/new" >"$T/diff" || true; patch -s "$F" "$T/diff"`},
		{name: "patch -b keeps the original", program: "patch",
			do:    `sed s/alpha/beta/ "$F" >"$T/new"; diff -u "$F" "$T/new" >"$T/diff" || true; patch -s -b "$F" "$T/diff"`,
			comes: []string{"$F.orig"}},
		{name: "patch -R to what it was a while ago", program: "patch",
			prepare: `cp "$F" "$T/old"; sed -i s/beta/gamma/ "$F"; sed 's/alpha/delta/' "$F" >"$T/new"
				diff -u "$T/new" "$F" >"$T/diff" || true`,
			do: `patch -s -R "$F" "$T/diff"`},
		{name: "truncate, then all of it written anew", program: "truncate",
			do: `sed s/alpha/beta/ "$F" >"$T/new"; truncate -s 0 "$F"; dd if="$T/new" of="$F" conv=notrunc status=none`},
		{name: "trimmed to its last lines, in place", program: "tail",
			do: `tail -n 3 "$F" >"$T/new"; cat "$T/new" >"$F"`},
		{name: "written through a memory map", program: "python3",
			do: `python3 -c '
import mmap, sys, time
with open(sys.argv[1], "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
    m[:7] = b"# by me"; time.sleep(3); m[2:7] = b"store"; m.flush()' "$F"`},
		{name: "written past the cache", program: "dd",
			seed: []string{"random.bin"}, classes: []string{data},
			do: `head -c 4096 /dev/urandom | dd of=random.bin bs=4096 seek=1 conv=notrunc oflag=direct iflag=fullblock status=none ||
				skip "no direct writes here"`},
	}
}
