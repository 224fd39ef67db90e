package main

// slowActs are still going on when the daemon looks.
func slowActs() []act {
	return []act{
		{name: "a download grows and gets its name", program: "python3", classes: uncritical(), needs: []string{"dd"},
			do:   `for i in 1 2 3 4; do dd if=/dev/urandom bs=20000 count=1 status=none >>film.bin.part; sleep 1; done; mv film.bin.part film.bin`,
			goes: []string{"film.bin.part"}},
		{name: "a download that was paused goes on", program: "dd", classes: uncritical(),
			prepare: `dd if=/dev/urandom of=film.bin.part bs=20000 count=1 status=none`,
			do:      `for i in 1 2 3; do dd if=/dev/urandom bs=20000 count=1 status=none >>film.bin.part; sleep 1; done; mv film.bin.part film.bin`,
			goes:    []string{"film.bin.part"}},
		{name: "a download with its room reserved is filled", program: "dd", classes: []string{data}, needs: []string{"fallocate"},
			prepare: `fallocate -l 60000 film.bin`,
			do:      `for i in 0 1 2; do dd if=/dev/urandom of=film.bin bs=20000 count=1 seek=$i conv=notrunc status=none; sleep 1; done`},
		{name: "a file is written anew slowly", program: "python3", needs: []string{"dd"},
			do: `{ for i in 1 2 3 4 5 6; do echo "# line $i"; sleep 1; done; } >"$F"`},
		{name: "a file is written anew slowly, from the same bytes", program: "python3",
			do: `python3 -c '
import sys, time
text = open(sys.argv[1]).read()
with open(sys.argv[1], "w") as f:
    for i in range(0, len(text), len(text) // 4): f.write(text[i:i + len(text) // 4]); f.flush(); time.sleep(1)' "$F"`},
		{name: "a copy over it takes 4 s", program: "rsync", seed: []string{"random.bin"}, classes: []string{data, prefs},
			do: `head -c 60000 /dev/urandom >"$T/random.bin"; rsync --inplace --whole-file --bwlimit=15 "$T/random.bin" random.bin`},
		{name: "a file is saved twenty times in 4 s", program: "python3",
			do: `python3 -c '
import os, sys, time
text = open(sys.argv[1]).read()
for i in range(20):
    with open(sys.argv[1] + ".new", "w") as f: f.write(text + "# %d\n" % i)
    os.replace(sys.argv[1] + ".new", sys.argv[1]); time.sleep(0.2)' "$F"`},
		{name: "two programs take turns with it for 5 s", program: "bash",
			do: `cp "$F" "$T/a"; sed s/alpha/beta/ "$F" >"$T/b"
				for i in 1 2 3 4 5; do cat "$T/a" >"$F"; sleep 0.5; cat "$T/b" >"$F"; sleep 0.5; done`},
		{name: "a lock file is there for 4 s", program: "bash",
			prepare: `echo 4711 >"$F.lock"`, do: `rm "$F.lock"; sleep 4; echo 4712 >"$F.lock"; sleep 1; rm "$F.lock"`, goes: []string{"$F.lock"}},
	}
}

// desktopActs are done by what a desktop and its programs use.
func desktopActs() []act {
	const own = `export XDG_CONFIG_HOME=$PWD XDG_RUNTIME_DIR=$T XDG_DATA_HOME=$T; `
	crontab := func(command string) string {
		return `busybox crontab 2>&1 | grep -q -- -c || skip "no crontab in busybox"; ` + command
	}
	here := uncritical()
	return []act{
		{name: "dconf write", program: "dconf", classes: here, needs: []string{"dbus-run-session"},
			prepare: own + `dbus-run-session -- dconf write /org/catalogue/name '"alpha"' 2>/dev/null || skip "dconf does not run here"`,
			do:      own + `dbus-run-session -- sh -c 'dconf write /org/catalogue/name "\"beta\""; dconf reset /org/catalogue/other' 2>/dev/null`},
		{name: "dconf reset of everything", program: "dconf", classes: here, needs: []string{"dbus-run-session"},
			prepare: own + `dbus-run-session -- dconf write /org/catalogue/name '"alpha"' 2>/dev/null || skip "dconf does not run here"`,
			do:      own + `dbus-run-session -- dconf reset -f / 2>/dev/null`},
		{name: "gsettings, in a keyfile", program: "gsettings", classes: here,
			prepare: own + gsettings + `set org.gnome.desktop.interface clock-format 12h`,
			do:      own + gsettings + `set org.gnome.desktop.interface clock-format 24h`},
		{name: "crontab -e", program: "busybox", root: true,
			prepare: crontab(`mkdir cron; printf '0 1 * * * alpha %s\n' "$PWD" >cron/root; chmod 600 cron/root`),
			do: `printf '#!/bin/sh\nsed -i s/alpha/beta/ "$1"\n' >"$T/editor"; chmod 755 "$T/editor"
				EDITOR=$T/editor busybox crontab -c "$PWD/cron" -e; rm -f cron/cron.update; grep -q beta cron/root`},
		{name: "a browser's settings, by a temporary file and rename", program: "python3", classes: here,
			prepare: `printf 'user_pref("name", "alpha");\n' >prefs.js`,
			do: `python3 -c '
import os
with open("prefs-1.js", "w") as f: f.write("user_pref(\"name\", \"beta\");\n"); f.flush(); os.fsync(f.fileno())
os.rename("prefs-1.js", "prefs.js")'`},
		{name: "recent files, old state kept beside it", program: "python3", classes: here,
			prepare: `printf '{"open": ["alpha"]}' >session.json; printf '{"open": []}' >session.json.backup`,
			do: `python3 -c '
import os
os.replace("session.json", "session.json.backup"); open("session.json", "w").write("{\"open\": [\"beta\"]}")'`},
		{name: "history trimmed by its shell", program: "bash", classes: here,
			prepare: `for i in $(seq 200); do echo "command $i"; done >history`,
			do:      `HISTFILE=$PWD/history HISTSIZE=20 HISTFILESIZE=20 bash -c 'set -o history; history -r; history -s true; history -w'`},
		{name: "a menu entry is hidden", program: "sed", classes: here, seed: []string{"app.desktop"},
			do: `sed -i 's/^Name=.*/&\nNoDisplay=true/' app.desktop`},
		{name: "thumbnails are made and thrown away", program: "rm", classes: here,
			prepare: `mkdir thumbs; for i in 1 2 3 4; do head -c 900 /dev/urandom >thumbs/$i.png; done`, do: `rm -r thumbs`, goes: []string{"thumbs"}},
	}
}

const gsettings = `gsettings list-keys org.gnome.desktop.interface >/dev/null 2>&1 || skip "no settings to set"; GSETTINGS_BACKEND=keyfile gsettings `

// massActs touch a good part of a root at once. Each is done alone.
func massActs() []act {
	many := func(name string) []string { return []string{"many/" + name} }
	return []act{
		{name: "sed -i over all of many files", program: "sed", seed: many("text"), mass: true,
			do: `grep -rlZ alpha many | xargs -0 sed -i s/alpha/beta/`},
		{name: "a formatter over all JSON", program: "python3", classes: []string{books, prefs, data}, seed: many("data.json"), mass: true,
			do: `python3 -c '
import glob, json
for n in glob.glob("many/*.json"):
    d = json.load(open(n)); open(n, "w").write(json.dumps(d, indent=1))'`},
		{name: "photos are moved into a folder for each year", program: "mv", classes: []string{data, prefs}, seed: many("photo.jpg"), mass: true,
			do:   `for y in 2023 2024 2025; do mkdir $y; done; i=0; for f in many/*.jpg; do mv "$f" $((2023 + i % 3))/; i=$((i + 1)); done; rmdir many`,
			goes: []string{"many"}},
		{name: "all photos are encoded anew", program: "go image", classes: []string{data}, seed: many("photo.jpg"), mass: true,
			apply: turnAll},
		{name: "a quarter of the root is deleted", program: "rm", classes: uncritical(), seed: many("text"), mass: true, many: 150,
			do: `rm -r many`, goes: []string{"many"}},
		{name: "tar -c of many files, and rm -r of them", program: "tar", classes: uncritical(), seed: many("other"), mass: true,
			do: `tar -czf many.tar.gz many; rm -r many`, goes: []string{"many"}},
		{name: "chmod -R and chown -R", program: "chmod", seed: many("text"), root: true, mass: true,
			do: `chmod -R go-rwx many; chown -R 1000:1000 many`},
		{name: "touch of everything", program: "touch", seed: many("text"), mass: true, do: `find many -exec touch {} +`},
		{name: "a whole tree comes from another machine", program: "rsync", seed: many("text"), mass: true,
			prepare: `cp -a many "$T/in"; sed -i s/alpha/gamma/ "$T/in"/*`, do: `rsync -a --checksum "$T/in/" many/`},
		{name: "a directory of many files gets another name", program: "mv", seed: many("text"), mass: true,
			do: `mv many others`, goes: []string{"many"}},
		{name: "many files are compressed", program: "gzip", classes: uncritical(), seed: many("text"), mass: true,
			do: `gzip many/*`, comes: []string{"many"}},
	}
}
