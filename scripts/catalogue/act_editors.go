package main

// vimActs are done by vim, with the settings that people have.
func vimActs() []act {
	const vim = `vim -Nu NONE -i NONE -es `
	return []act{
		{name: "vim renames a new file into place", program: "vim",
			do: vim + `-n -c 'set writebackup backupcopy=no' -c '%s/alpha/beta/' -c wq "$F" </dev/null`},
		{name: "vim writes in place", program: "vim",
			do: vim + `-n -c 'set writebackup backupcopy=yes' -c '%s/alpha/beta/' -c wq "$F" </dev/null`},
		{name: "vim keeps a backup and an undo file", program: "vim",
			do:    vim + `-n -c 'set backup backupdir=. backupskip= undofile undodir=.' -c '%s/alpha/beta/' -c wq "$F" </dev/null`,
			comes: []string{"$F~"}},
		{name: "vim's swap file comes and goes", program: "vim",
			do: `{ echo '%s/alpha/beta/'; sleep 3; [ -e ".$F.swp" ] || echo "no swap file" >&2; echo wq; } |
				` + vim + `-c 'set swapfile updatecount=1' "$F"`,
			goes: []string{".$F.swp"}},
		{name: "vim recovers after a crash, the swap file goes", program: "vim",
			prepare: `mkfifo "$T/in"
				` + vim + `-c 'set swapfile updatecount=1' "$F" <"$T/in" & exec 3>"$T/in"
				printf '%%s/alpha/beta/\npreserve\n' >&3; await test -s ".$F.swp"; sleep 0.3
				kill -9 $!; wait 2>/dev/null || true`,
			do: vim + `-c 'recover' -c 'wq!' "$F" </dev/null || true
				grep -q beta "$F"; rm ".$F.swp"`,
			goes: []string{".$F.swp"}},
	}
}

// editorActs are done by other editors, driven as a person would drive them, and
// by what stands for those that have habits of their own.
func editorActs() []act {
	const emacs = `emacs -Q --batch "$F" --eval `
	return []act{
		{name: "nano, on a terminal", program: "nano", needs: []string{"script"},
			do: `{ sleep 1; printf 'beta \017'; sleep 0.5; printf '\r'; sleep 0.5; printf '\030'; sleep 0.3; } |
				TERM=xterm script -qec 'nano --ignorercfiles "$F"' /dev/null >/dev/null; grep -q beta "$F"`},
		{name: "nano -B keeps a backup", program: "nano", needs: []string{"script"},
			do: `{ sleep 1; printf 'beta \017'; sleep 0.5; printf '\r'; sleep 0.5; printf '\030'; sleep 0.3; } |
				TERM=xterm script -qec 'nano -B --ignorercfiles "$F"' /dev/null >/dev/null`,
			comes: []string{"$F~"}},
		{name: "emacs renames the old file to a backup", program: "emacs",
			do: emacs + `'(progn (setq backup-inhibited nil backup-enable-predicate (lambda (name) t))
				(while (search-forward "alpha" nil t) (replace-match "beta")) (save-buffer))' 2>/dev/null`,
			comes: []string{"$F~"}},
		{name: "emacs copies the old file to a backup", program: "emacs",
			do: emacs + `'(progn (setq backup-by-copying t backup-inhibited nil backup-enable-predicate (lambda (name) t))
				(while (search-forward "alpha" nil t) (replace-match "beta"))
				(save-buffer))' 2>/dev/null`,
			comes: []string{"$F~"}},
		{name: "emacs' lock and auto-save file come and go", program: "emacs",
			do: emacs + `'(progn (auto-save-mode 1) (while (search-forward "alpha" nil t) (replace-match "beta"))
				(lock-buffer) (do-auto-save t) (sleep-for 3) (save-buffer))' 2>/dev/null`,
			goes: []string{"#$F#"}},
		{name: "ed", program: "ed", do: `printf ',s/alpha/beta/\nw\nq\n' | ed -s "$F"`},
		{name: "ed drops the last line", program: "ed", do: `printf '$d\nw\nq\n' | ed -s "$F"`},
		{name: "busybox vi", program: "busybox", needs: []string{"script"},
			do: `busybox vi -h 2>&1 | grep -q . || skip "no vi in it"
				{ sleep 1; printf ':%%s/alpha/beta/\r'; sleep 0.3; printf ':wq\r'; sleep 0.5; } |
				TERM=xterm script -qec 'busybox vi "$F"' /dev/null >/dev/null; grep -q beta "$F"`},
		{name: "an editor that deletes the file and writes it anew", program: "python3",
			do: `python3 -c '
import os, sys
text = open(sys.argv[1]).read().replace("alpha", "beta")
os.unlink(sys.argv[1])
with open(sys.argv[1], "w") as f: f.write(text)' "$F"`},
		{name: "an editor that saves in pieces, 2 s apart", program: "python3",
			do: `python3 -c '
import os, sys, time
text = open(sys.argv[1]).read().replace("alpha", "beta")
third = len(text) // 3
with open(sys.argv[1], "w") as f:
    for piece in text[:third], text[third:2 * third], text[2 * third:]:
        f.write(piece); f.flush(); time.sleep(2)' "$F"`},
		{name: "an editor that cuts the file, and writes it 2 s later", program: "python3",
			do: `python3 -c '
import sys, time
text = open(sys.argv[1]).read().replace("alpha", "beta")
with open(sys.argv[1], "w") as f:
    time.sleep(2); f.write(text)' "$F"; grep -q beta "$F"`},
		{name: "an editor that moves the file away, and saves 2 s later", program: "python3",
			do: `python3 -c '
import os, sys, time
text = open(sys.argv[1]).read().replace("alpha", "beta")
os.rename(sys.argv[1], sys.argv[1] + ".bak")
time.sleep(2)
with open(sys.argv[1], "w") as f: f.write(text)' "$F"`},
		{name: "backups, swap and auto-save files are swept up", program: "rm",
			prepare: `cp "$F" "$F~"; cp "$F" "#$F#"; cp "$F" "$F.bak"; printf 'b0VIM 9.0' >".$F.swp"; ln -s me@host.4711 ".#$F"`,
			do:      `rm "$F~" "#$F#" "$F.bak" ".$F.swp" ".#$F"`,
			goes:    []string{"$F~", "#$F#", ".$F.swp", ".#$F"}},
	}
}
