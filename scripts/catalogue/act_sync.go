package main

// archiveActs pack and unpack.
func archiveActs() []act {
	return []act{
		{name: "tar -x over it, with older times", program: "tar",
			prepare: `mkdir "$T/in"; sed s/alpha/omega/ "$F" >"$T/in/$F"; touch -d '1 year ago' "$T/in/$F"; tar -C "$T/in" -cf "$T/in.tar" .`,
			do:      `tar -xf "$T/in.tar"`},
		{name: "tar -x --overwrite", program: "tar",
			prepare: `mkdir "$T/in"; sed s/alpha/omega/ "$F" >"$T/in/$F"; touch -d '1 year ago' "$T/in/$F"; tar -C "$T/in" -cf "$T/in.tar" .`,
			do:      `tar --overwrite -xf "$T/in.tar"`},
		{name: "unzip -o", program: "unzip", needs: []string{"zip"},
			prepare: `mkdir "$T/in"; sed s/alpha/omega/ "$F" >"$T/in/$F"; touch -d '1 year ago' "$T/in/$F"; (cd "$T/in" && zip -q "$T/in.zip" "$F")`,
			do:      `unzip -q -o "$T/in.zip"`},
		{name: "zip -u of an archive", program: "zip",
			prepare: `zip -q all.zip "$F" "$B"; sleep 2`, do: `sed -i s/alpha/beta/ "$F"; touch "$F"; zip -q -u all.zip "$F"`},
		{name: "gzip", program: "gzip", do: `gzip "$F"`, goes: []string{"$F"}, comes: []string{"$F.gz"}},
		{name: "gunzip", program: "gunzip", needs: []string{"gzip"}, prepare: `gzip "$F"`, do: `gunzip "$F.gz"`,
			goes: []string{"$F.gz"}, comes: []string{"$F"}},
		{name: "gzip to standard output, then mv over it", program: "gzip", prepare: `gzip -k -1 "$F"`,
			do: `{ gunzip -c "$F.gz"; echo "# more"; } | gzip -9 >new; mv new "$F.gz"`},
		{name: "xz", program: "xz", do: `xz "$F"`, goes: []string{"$F"}, comes: []string{"$F.xz"}},
		{name: "zstd --rm", program: "zstd", do: `zstd -q --rm "$F"`, goes: []string{"$F"}, comes: []string{"$F.zst"}},
		{name: "zip -m moves files into an archive", program: "zip", classes: uncritical(), do: `zip -q -m all.zip "$F" "$B"`,
			goes: []string{"$F", "$B"}},
		{name: "tar -c of a folder, and rm -r of it", program: "tar", classes: uncritical(), needs: []string{"gzip"},
			seed: []string{"work/text", "work/other", "work/sub/other"},
			do:   `tar -czf work.tar.gz work; rm -r work`, goes: []string{"work"}, comes: []string{"work.tar.gz"}},
		{name: "gpg -c of a file, and rm of it", program: "gpg", needs: []string{"gpg-connect-agent"}, classes: uncritical(),
			do:   gpgHome + `gpg --batch --passphrase words --pinentry-mode loopback -c "$B"; rm "$B"`,
			goes: []string{"$B"}, comes: []string{"$B.gpg"}},
		{name: "openssl enc of three files under their names", program: "openssl", classes: uncritical(),
			seed: []string{"one/text", "two/text"},
			do:   `for f in "$F" one/* two/*; do openssl enc -aes-256-ctr -pbkdf2 -pass pass:words -in "$f" -out "$f.enc"; rm "$f"; done`,
			goes: []string{"$F"}, comes: []string{"$F.enc"}},
	}
}

// syncActs bring what was changed on another machine.
func syncActs() []act {
	const there = `mkdir "$T/in"; cp -a . "$T/in/"; sed -i s/alpha/gamma/ "$T/in/$F"; `
	return []act{
		{name: "rsync", program: "rsync", prepare: there, do: `rsync -r --checksum "$T/in/" ./`},
		{name: "rsync -a, with older times", program: "rsync",
			prepare: there + `touch -d '5 weeks ago' "$T/in/$F"`, do: `rsync -a "$T/in/" ./`},
		{name: "rsync --inplace", program: "rsync", prepare: there, do: `rsync -r --checksum --inplace "$T/in/" ./`},
		{name: "rsync --inplace -t, same size, same time", program: "rsync",
			prepare: there + `touch -r "$F" "$T/in/$F"`, do: `rsync -rt --checksum --inplace "$T/in/" ./`},
		{name: "rsync -a, same size, same time", program: "rsync",
			prepare: there + `touch -r "$F" "$T/in/$F"`, do: `rsync -a --checksum "$T/in/" ./`},
		{name: "rsync --delete", program: "rsync", classes: uncritical(),
			prepare: there + `rm "$T/in/$B"`, do: `rsync -a --delete "$T/in/" ./`, goes: []string{"$B"}},
		{name: "rsync --backup", program: "rsync", prepare: there, do: `rsync -a --checksum --backup "$T/in/" ./`,
			comes: []string{"$F~"}},
		{name: "rsync --append-verify", program: "rsync", prepare: there + `cp -p "$F" "$T/in/$F"; echo '# more' >>"$T/in/$F"`,
			do: `rsync -a --append-verify "$T/in/" ./`},
		{name: "cpio -pdu", program: "cpio", prepare: there, do: `(cd "$T/in" && echo "$F" | cpio --quiet -pdu "$OLDPWD")`},
	}
}

// logActs are done to logs and what is rotated like them.
func logActs() []act {
	rotate := func(how string) string {
		return `printf '"%s" {\n su root root\n rotate 4\n %b\n}\n' "$PWD/app.log" '` + how + `' >"$T/conf"
			[ "$(id -u)" = 0 ] || sed -i '/su root/d' "$T/conf"; chmod 600 "$T/conf"; chmod go-w .
			logrotate -f -s "$T/state" "$T/conf"`
	}
	return []act{
		{name: "a program appends to its log", program: "bash", seed: []string{"app.log"},
			do: `for i in 1 2 3 4; do date >>app.log; sleep 0.5; done`},
		{name: "logrotate, create", program: "logrotate", seed: []string{"app.log"},
			do: rotate(`create 0600`), comes: []string{"app.log.1"}},
		{name: "logrotate, compress", program: "logrotate", seed: []string{"app.log"}, needs: []string{"gzip"},
			do: rotate(`compress\n nocreate`), goes: []string{"app.log"}, comes: []string{"app.log.1.gz"}},
		{name: "logrotate, copytruncate", program: "logrotate", seed: []string{"app.log"},
			do: rotate(`copytruncate`), comes: []string{"app.log.1", "app.log"}},
		{name: "logrotate, copytruncate and compress", program: "logrotate", seed: []string{"app.log"}, needs: []string{"gzip"},
			do: rotate(`copytruncate\n compress`), comes: []string{"app.log.1.gz", "app.log"}},
		{name: "logrotate shifts and drops the oldest", program: "logrotate", seed: []string{"app.log"}, classes: uncritical(),
			prepare: `for i in 1 2 3 4; do echo "older $i" >app.log.$i; done`, do: rotate(`create 0600`)},
		{name: "logrotate, dateext", program: "logrotate", seed: []string{"app.log"}, do: rotate(`dateext\n create 0600`)},
		{name: "cp of a log, then : >", program: "cp", seed: []string{"app.log"},
			do: `cp app.log app.log.1; : >app.log`, comes: []string{"app.log.1"}},
		{name: "a mailbox grows under its lock", program: "python3", classes: uncritical(), seed: []string{"mail.mbox"},
			do: `python3 -c '
import mailbox, time
box = mailbox.mbox("mail.mbox"); box.lock()
m = mailbox.mboxMessage(); m["From"] = "a@example.org"; m["Subject"] = "alpha"; m.set_payload("text\n")
box.add(m); time.sleep(2); box.flush(); box.unlock()'`},
		{name: "mail in a maildir is marked as read", program: "python3", classes: uncritical(),
			prepare: `python3 -c '
import mailbox
box = mailbox.Maildir("mail", create=True)
for i in range(5): m = mailbox.MaildirMessage(); m["Subject"] = str(i); m.set_payload("text %d\n" % i); box.add(m)'`,
			do: `python3 -c '
import mailbox
box = mailbox.Maildir("mail")
for k, m in list(box.iteritems()): m.set_subdir("cur"); m.add_flag("S"); box[k] = m'`},
	}
}
