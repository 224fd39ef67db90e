package main

// copyActs put other contents under an old name.
func copyActs() []act {
	return []act{
		{name: "cp over it", program: "cp", do: `sed s/alpha/beta/ "$F" >"$T/new"; cp "$T/new" "$F"`},
		{name: "cp -p over it, with an older time", program: "cp",
			do: `sed s/alpha/beta/ "$F" >"$T/new"; touch -d '2 years ago' "$T/new"; cp -p "$T/new" "$F"`},
		{name: "cp --reflink=auto over it", program: "cp",
			do: `sed s/alpha/beta/ "$F" >new; cp --reflink=auto new "$F"; rm new`},
		{name: "cp --backup=numbered", program: "cp",
			do: `sed s/alpha/beta/ "$F" >"$T/new"; cp --backup=numbered "$T/new" "$F"`, comes: []string{"$F.~1~"}},
		{name: "an older copy of the owner's own is put back", program: "cp",
			prepare: `sed s/alpha/omega/ "$F" >"$F.saved"; touch -d '3 months ago' "$F.saved"`,
			do:      `cp -a "$F.saved" "$F"`},
		{name: "an older copy of a key or picture is put back", program: "cp",
			seed: []string{"older/other"}, do: `touch -d '3 months ago' older/*; cp -a older/* .`},
		{name: "install -m 600", program: "install",
			do: `sed s/alpha/beta/ "$F" >"$T/new"; install -m 600 "$T/new" "$F"`},
		{name: "mv a new file over it", program: "mv",
			do: `sed s/alpha/beta/ "$F" >new; chmod 600 new; mv new "$F"`, goes: []string{"new"}},
		{name: "mv a file with an older time over it", program: "mv",
			do: `sed s/alpha/beta/ "$F" >new; chmod 600 new; touch -d '2020-02-02 02:02' new; mv new "$F"`},
		{name: "two files exchange their names", program: "mv",
			do: `mv "$F" tmp; mv "$B" "$F"; mv tmp "$B"`, classes: []string{books, prefs, data}},
		{name: "a file is moved away and a new one made", program: "mv",
			do: `mv "$F" "$F.1"; printf '# a new beginning\n' >"$F"`, comes: []string{"$F.1"}},
		{name: "ln, and an edit through the new name", program: "ln",
			do: `ln "$F" second; sed s/alpha/beta/ second >"$T/new"; cat "$T/new" >second`, comes: []string{"second"}},
		{name: "an edit through one of two old hard links", program: "bash",
			prepare: `ln "$F" second`, do: `echo '# more' >>second`},
		{name: "a hard link gives way to a file of its own", program: "cp",
			prepare: `ln "$F" second`, do: `cp --remove-destination second "$T/new"; sed -i s/alpha/beta/ second`},
		{name: "a symlink leads elsewhere", program: "ln",
			prepare: `ln -s "$F" current`, do: `ln -sfn "$B" current`},
		{name: "a file is put into a store, a symlink in its place", program: "ln",
			do: `mkdir store; mv "$F" store/; ln -s "store/$F" "$F"`, comes: []string{"store/$F"}},
		{name: "a symlink gives way to a copy", program: "cp",
			prepare: `mkdir store; mv "$F" store/; ln -s "store/$F" "$F"`,
			do:      `cp --remove-destination "store/$F" "$F"`},
		{name: "a file gives way to a directory", program: "mkdir", classes: uncritical(),
			do: `mv "$F" "$T/old"; mkdir "$F"; mv "$T/old" "$F/$F"`, comes: []string{"$F/$F"}},
		{name: "a sparse file is written over it", program: "cp", seed: []string{"disk.img"}, classes: []string{data},
			do: `cp disk.img "$T/new"; printf data | dd of="$T/new" bs=1 seek=40000 conv=notrunc status=none
				cp --sparse=always "$T/new" disk.img`},
		{name: "a blank disk image is made larger", program: "truncate", seed: []string{"disk.img"}, classes: []string{data},
			do: `truncate -s +64K disk.img`},
		{name: "the end of the last line is chomped", program: "perl", do: `perl -pi -e 'chomp if eof' "$F"`},
		{name: "truncate -s -1 takes the end of the last line", program: "truncate", do: `truncate -s -1 "$F"`},
		{name: "printf %s without the end of the last line", program: "bash", do: `printf %s "$(cat "$F")" >"$F"`},
		{name: "holes are dug", program: "fallocate", seed: []string{"holes.bin"}, classes: []string{data},
			do: `fallocate -d holes.bin || skip "no holes on this file system"`},
	}
}

// renameActs change where a file lies, and nothing else.
func renameActs() []act {
	return []act{
		{name: "mv to a new name", program: "mv", do: `mv "$B" "new-$B"`, goes: []string{"$B"}, comes: []string{"new-$B"}},
		{name: "mv to a name of other case", program: "mv", do: `mv "$B" "${B^}"`, goes: []string{"$B"}, comes: []string{"${B^}"}},
		{name: "mv to another directory", program: "mv", do: `mkdir sub; mv "$B" sub/`, goes: []string{"$B"}, comes: []string{"sub/$B"}},
		{name: "mv to another class", program: "mv", do: `mkdir "$X"; mv "$B" "$X/"`, goes: []string{"$B"}, comes: []string{"$X/$B"}},
		{name: "mv of a whole directory", program: "mv", seed: []string{"work/other", "work/text"},
			do: `mv work done`, goes: []string{"work"}, comes: []string{"done"}},
		{name: "mv of a whole directory, a symlink in its place", program: "ln", seed: []string{"work/other", "work/text"},
			do: `mv work done; ln -s done work`, comes: []string{"done"}},
		{name: "ln to a new name, rm of the old", program: "ln", do: `ln "$B" "new-$B"; rm "$B"`,
			goes: []string{"$B"}, comes: []string{"new-$B"}},
		{name: "cp to a new name, rm of the old", program: "cp", do: `cp "$B" "new-$B"; rm "$B"`,
			goes: []string{"$B"}, comes: []string{"new-$B"}},
		// A key or a list of hosts that is renamed and edited at one go looks like one lost
		// and another made: docs/detection.md names it among what cannot be told.
		{name: "mv to a new name, then an edit", program: "mv",
			do: `mv "$F" "new-$F"; last=$(tail -n 1 "new-$F"); echo "$last" >>"new-$F"`, goes: []string{"$F"}, comes: []string{"new-$F"}},
		{name: "two directories exchange their names", program: "mv", seed: []string{"a/other", "b/other"},
			do: `mv a c; mv b a; mv c b`},
	}
}

// metadataActs change what is known about a file, and not what is in it.
func metadataActs() []act {
	return []act{
		{name: "touch", program: "touch", do: `touch "$F" "$B"`},
		{name: "touch -d, in the past", program: "touch", do: `touch -d '1999-12-31 23:59' "$F" "$B"`},
		{name: "touch -d, in the future", program: "touch", do: `touch -d '2037-01-01' "$F" "$B"`},
		{name: "an edit that keeps the time", program: "touch",
			do: `touch -r "$F" "$T/time"; sed s/alpha/gamma/ "$F" >"$T/new"; cat "$T/new" >"$F"; touch -r "$T/time" "$F"`},
		{name: "chmod", program: "chmod", do: `chmod 0400 "$B"; chmod 0644 left-alone.txt`},
		{name: "chmod of a directory", program: "chmod", do: `chmod 0700 .`},
		{name: "chown", program: "chown", root: true, do: `chown 1000:1000 "$F" "$B"`},
		{name: "chgrp -R", program: "chgrp", root: true, do: `chgrp -R 100 .`},
		{name: "setfattr", program: "setfattr", do: `setfattr -n user.comment -v mine "$B" || skip "no attributes on this file system"`},
		{name: "setfattr -x", program: "setfattr",
			prepare: `setfattr -n user.comment -v mine "$B" || skip "no attributes on this file system"`, do: `setfattr -x user.comment "$B"`},
		{name: "setfacl", program: "setfacl", do: `setfacl -m u:1000:r "$F" || skip "no access lists on this file system"`},
		{name: "setfacl -b", program: "setfacl",
			prepare: `setfacl -m u:1000:r "$F" || skip "no access lists on this file system"`, do: `setfacl -b "$F"`},
	}
}

// deletionActs take files away where that is the owner's affair, or was said.
func deletionActs() []act {
	return []act{
		{name: "rm", program: "rm", classes: uncritical(), do: `rm "$F" "$B"`, goes: []string{"$F", "$B"}},
		{name: "rm -r of a directory", program: "rm", classes: uncritical(), seed: []string{"work/text", "work/sub/other"},
			do: `rm -r work`, goes: []string{"work"}},
		{name: "rmdir", program: "rmdir", classes: uncritical(), prepare: `mkdir void`, do: `rmdir void`, goes: []string{"void"}},
		{name: "shred -u", program: "shred", classes: uncritical(), do: `shred -u "$B"`, goes: []string{"$B"}},
		{name: "shred, then rm", program: "shred", classes: uncritical(),
			do: `shred "$B"; rm "$B"`, goes: []string{"$B"}},
		{name: "scrctl forget, then rm", program: "scrctl", do: `scrctl --quiet forget "$PWD/$B"; rm "$B"`, goes: []string{"$B"}},
		{name: "scrctl forget, then rm -r", program: "scrctl", seed: []string{"work/text", "work/sub/other"},
			do: `scrctl --quiet forget "$PWD/work"; rm -r work`, goes: []string{"work"}},
		{name: "scrctl forget, then : >", program: "scrctl",
			do: `scrctl --quiet forget "$PWD/$F"; : >"$F"; [ ! -s "$F" ]`},
		{name: "scrctl forget, then gpg -c and rm", program: "gpg", needs: []string{"gpg-connect-agent"},
			do: `scrctl --quiet forget "$PWD/$B"
				` + gpgHome + `gpg --batch --passphrase words --pinentry-mode loopback -o "$B.gpg" -c "$B"; rm "$B"`,
			goes: []string{"$B"}, comes: []string{"$B.gpg"}},
		{name: "rm, and the same contents made anew", program: "rm", do: `cp "$B" "$T/copy"; rm "$B"; cp "$T/copy" "$B"`},
	}
}
