package main

// doubtedActs leave what harm leaves, too: nobody can tell the one from the other, so the owner
// is asked, and nothing is undone or saved before they have said that they mean it.
func doubtedActs() []act {
	ledgers := `mkdir books; for i in $(seq 15); do for j in $(seq 80); do printf '\1\0%s %04d\0\2' "$PWD" $((i * j)); done >books/$i.ledger; done`
	all := []act{
		{name: "a text is emptied, by : >", program: "bash", seed: []string{"words.txt"}, do: `: >words.txt`},
		{name: "a text is emptied, by truncate", program: "truncate", seed: []string{"words.txt"}, do: `truncate -s 0 words.txt`},
		{name: "settings are emptied, by cp /dev/null", program: "cp", classes: uncritical(), seed: []string{"data.json"}, do: `cp /dev/null data.json`},
		{name: "known hosts are emptied", program: "bash", classes: []string{keys}, do: `: >"$F"`},
		{name: "a control character is typed into a text, by vim", program: "vim", seed: []string{"words.txt"},
			do: `vim -Nu NONE -i NONE -n -es -c 'exe "normal Go\<C-v>\<C-a>\<Esc>"' -c wq words.txt </dev/null; grep -q "$(printf '\1')" words.txt`},
		{name: "a list gets NULs for line ends, by tr", program: "tr", seed: []string{"words.txt"},
			do: `tr '\n' '\0' <words.txt >new; cat new >words.txt; rm new`},
		{name: "notes become an archive of Python's", program: "python3", seed: []string{"words.txt"},
			do: `python3 -c '
import pickle
t = open("words.txt").read()
pickle.dump({"text": t, "numbers": list(range(50))}, open("words.txt", "wb"))'`},
		{name: "notes are encrypted in place, without a header", program: "openssl", seed: []string{"words.txt"},
			do: `openssl enc -aes-256-ctr -K 00 -iv 00 -in words.txt -out new 2>/dev/null; mv new words.txt`},
		{name: "many files are encrypted in place", program: "openssl", prepare: ledgers,
			do: `for f in books/*; do openssl enc -aes-256-cbc -pbkdf2 -iter 10 -k words -in $f -out new; cat new >$f; rm new; done`},
		{name: "gpg -c of many files, and rm of them", program: "gpg", needs: []string{"gpg-connect-agent"}, prepare: ledgers,
			do:    gpgHome + `for f in books/*; do gpg --batch --passphrase words --pinentry-mode loopback --s2k-count 1024 -o $f.gpg -c $f; rm $f; done`,
			comes: []string{"books/1.ledger.gpg"}, goes: []string{"books/1.ledger"}},
	}
	for i := range all {
		all[i].doubted = true
	}
	return append(all, act{
		name: "gpg -c of many files, beside them", program: "gpg", needs: []string{"gpg-connect-agent"}, prepare: ledgers, mass: true,
		do:    gpgHome + `for f in books/*; do gpg --batch --passphrase words --pinentry-mode loopback --s2k-count 1024 -o $f.gpg -c $f; done`,
		comes: []string{"books/1.ledger.gpg", "books/1.ledger"},
	}, act{
		name: "many files are packed in place, by 7z's header", program: "python3", prepare: ledgers, mass: true,
		do: `python3 -c '
import glob, os
for n in glob.glob("books/*"): open(n, "wb").write(bytes.fromhex("377abcaf271c0004") + os.urandom(3000))'`,
	}, act{
		name: "a script becomes a program", program: "cp", prepare: `printf '#!/bin/sh\nexec true # %s\n' "$PWD" >tool`, do: `cp "$(type -P true)" tool`,
	}, act{
		name: "notes are encrypted in place, by openssl", program: "openssl", seed: []string{"words.txt"},
		do: `openssl enc -aes-256-cbc -pbkdf2 -k words -in words.txt -out new; mv new words.txt`,
	})
}
