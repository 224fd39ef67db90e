package main

// fatActs are done on a FAT file system, as that of a memory card: with times of two
// seconds, neither modes nor links, and names that differ in case only being the
// same; Linux changes the case of one in two steps only. A class of each sort will
// do. An edit that keeps both the size and the time is not among them: on FAT nobody
// can tell it from damage, and docs/detection.md says what becomes of it.
func fatActs() []act {
	all := []act{
		{name: "touch", program: "touch", do: `touch "$F" "$B"`},
		{name: "touch -d, in the past", program: "touch", do: `touch -d '1999-12-31 23:59' "$F" "$B"`},
		{name: "an append", program: "bash", do: `echo '# more' >>"$F"`},
		{name: "sed -i", program: "sed", do: `sed -i s/alpha/gamma/ "$F"`},
		{name: "perl -i", program: "perl", do: `perl -pi -e s/alpha/delta/ "$F"`},
		{name: "dd over a part of it", program: "dd", do: `printf omega | dd of="$F" bs=1 seek=10 conv=notrunc status=none`},
		{name: "cp over it", program: "cp", do: `sed s/alpha/beta/ "$F" >"$T/new"; cp "$T/new" "$F"`},
		{name: "cp -p over it, the copy being older", program: "cp",
			do: `sed s/alpha/beta-beta/ "$F" >"$T/new"; touch -d '2020-02-02' "$T/new"; cp -p --no-preserve=ownership "$T/new" "$F"`},
		{name: "a new file is renamed over it", program: "mv", do: `sed s/alpha/beta/ "$F" >"$F.new"; mv "$F.new" "$F"`},
		{name: "an edit that keeps the time", program: "touch",
			do: `touch -r "$F" "$T/time"; sed s/alpha/epsilon/ "$F" >"$T/new"; cat "$T/new" >"$F"; touch -r "$T/time" "$F"`},
		{name: "mv to a new name", program: "mv", do: `mv "$B" "new-$B"`, goes: []string{"$B"}, comes: []string{"new-$B"}},
		{name: "mv to a short name", program: "mv", do: `mv "$B" ABCDEFGH.XYZ`, goes: []string{"$B"}, comes: []string{"ABCDEFGH.XYZ"}},
		{name: "a file's name gets another case", program: "mv",
			do: `mv "$B" "$B.x"; mv "$B.x" "${B^^}"; ls | grep -qx "${B^^}"`, comes: []string{"${B^^}"}},
		{name: "a file's name gets another case, and an edit", program: "mv",
			do: `mv "$F" "$F.x"; mv "$F.x" "${F^^}"; echo '# more' >>"${F^^}"`, comes: []string{"${F^^}"}},
		{name: "a directory's name gets another case", program: "mv", seed: []string{"work/other", "work/text"},
			do: `mv work x; mv x Work; ls | grep -qx Work`, comes: []string{"Work"}},
		{name: "mv to another directory", program: "mv", do: `mkdir sub; mv "$B" sub/`, goes: []string{"$B"}, comes: []string{"sub/$B"}},
		{name: "mv to another class", program: "mv", do: `mkdir "$X"; mv "$B" "$X/"`, goes: []string{"$B"}, comes: []string{"$X/$B"}},
		{name: "mv of a whole directory", program: "mv", seed: []string{"work/other", "work/text"},
			do: `mv work done`, goes: []string{"work"}, comes: []string{"done"}},
		{name: "tar -x over it", program: "tar", do: `mkdir "$T/t"; sed s/alpha/beta/ "$F" >"$T/t/$F"; tar -C "$T/t" -cf "$T/t.tar" "$F"
			tar --no-same-owner --no-same-permissions -xf "$T/t.tar"`},
		{name: "chmod a-w", program: "chmod", do: `chmod a-w "$B"`},
		{name: "rm", program: "rm", classes: uncritical(), do: `rm "$F" "$B"`, goes: []string{"$F", "$B"}},
		{name: "rm -r of a directory", program: "rm", classes: uncritical(), seed: []string{"work/text", "work/sub/other"},
			do: `rm -r work`, goes: []string{"work"}},
		{name: "scrctl forget, then rm", program: "scrctl", do: `scrctl --quiet forget "$PWD/$B"; rm "$B"`, goes: []string{"$B"}},
	}
	for i := range all {
		all[i].name, all[i].fat, all[i].root = "FAT: "+all[i].name, true, true
		if all[i].classes == nil {
			all[i].classes = []string{books, data}
		} else {
			all[i].classes = []string{data}
		}
	}
	return all
}
