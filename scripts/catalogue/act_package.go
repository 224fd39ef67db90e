package main

// packageScript makes the packages $T/VERSION.deb, for the versions 1 and 2, with
// a conffile conf/app.conf and another file, and a database for dpkg of their own.
const packageScript = `
export PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$T/db/updates" "$T/db/info"; : >"$T/db/status"; : >"$T/db/available"
for v in 1 2; do
	mkdir -p "$T/$v/DEBIAN" "$T/$v/conf" "$T/$v/share"
	printf '[app]\nversion = %s\nunique = %s\n' "$v" "$PWD" >"$T/$v/conf/app.conf"
	printf 'data of version %s for %s\n' "$v" "$PWD" >"$T/$v/share/app.data"
	printf '/conf/app.conf\n' >"$T/$v/DEBIAN/conffiles"
	printf 'Package: catalogue-app\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n' \
		"$v" >"$T/$v/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$T/$v" "$T/$v.deb" >/dev/null
done
`

// dpkgHere runs dpkg with the act's directory as the root of the file system.
const dpkgHere = `dpkg --force-not-root --force-bad-path --log=/dev/null --admindir="$T/db" --instdir="$PWD" `

// packageActs are upgrades by the package manager.
func packageActs() []act {
	needs := []string{"dpkg-deb"}
	prepare := packageScript + dpkgHere + `-i "$T/1.deb" >/dev/null`
	const path = `export PATH=$PATH:/usr/sbin:/sbin; `
	return []act{
		{name: "dpkg -i upgrades a conffile", program: "dpkg", root: true, needs: needs, prepare: prepare,
			do: path + dpkgHere + `-i "$T/2.deb" >/dev/null; grep -q 'version = 2' conf/app.conf`, goes: []string{"conf/app.conf.dpkg-new"}},
		{name: "dpkg -i keeps an edited conffile", program: "dpkg", root: true, needs: needs,
			prepare: prepare + `; echo 'mine = yes' >>conf/app.conf`,
			do:      path + dpkgHere + `--force-confold -i "$T/2.deb" >/dev/null; grep -q mine conf/app.conf`, comes: []string{"conf/app.conf.dpkg-dist"}},
		{name: "dpkg -i replaces an edited conffile", program: "dpkg", root: true, needs: needs,
			prepare: prepare + `; echo 'mine = yes' >>conf/app.conf`,
			do:      path + dpkgHere + `--force-confnew -i "$T/2.deb" >/dev/null; ! grep -q mine conf/app.conf`, comes: []string{"conf/app.conf.dpkg-old"}},
		{name: "dpkg -r leaves the conffile", program: "dpkg", root: true, needs: needs, classes: uncritical(), prepare: prepare,
			do: path + dpkgHere + `-r catalogue-app >/dev/null; [ -e conf/app.conf ]`, goes: []string{"share/app.data"}},
	}
}

// gitActs are done in a repository within the space, as etckeeper, pass and those
// who keep their settings under version control have it.
func gitActs() []act {
	const as = `export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
		export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org GIT_TERMINAL_PROMPT=0; `
	const repo = as + `git -c init.defaultBranch=main init -q; git add .; git commit -q -m one
		git checkout -q -b other; sed -i s/alpha/other/ "$F"; git commit -q -a -m two; git checkout -q main; `
	return []act{
		{name: "git commit", program: "git", prepare: repo, do: as + `sed -i s/alpha/beta/ "$F"; git commit -q -a -m three`},
		{name: "git checkout of another branch", program: "git", prepare: repo, do: as + `git checkout -q other; grep -q other "$F"`},
		{name: "git checkout of a branch without some files", program: "git", classes: uncritical(),
			prepare: repo + `git checkout -q other; git rm -q "$B"; git commit -q -m three; git checkout -q main`,
			do:      as + `git checkout -q other`, goes: []string{"$B"}},
		{name: "git checkout of the last version", program: "git", prepare: repo + `sed -i s/alpha/typo/ "$F"`, do: as + `git checkout -q -- "$F"`},
		{name: "git stash", program: "git", prepare: repo + `sed -i s/alpha/later/ "$F"`, do: as + `git stash -q`},
		{name: "git stash pop", program: "git", prepare: repo + `sed -i s/alpha/later/ "$F"; git stash -q`, do: as + `git stash pop -q`},
		{name: "git gc", program: "git", prepare: repo, do: as + `git gc -q --prune=now`},
		{name: "git merge, and the branch is deleted", program: "git", prepare: repo, do: as + `git merge -q other; git branch -q -d other`},
		{name: "git rebase", program: "git", prepare: repo + `echo '# main' >more; git add more; git commit -q -m more; git checkout -q other`,
			do: as + `git rebase -q main`},
		{name: "git clone", program: "git", prepare: repo + `git clone -q . "$T/origin"`, do: as + `git clone -q "$T/origin" clone`},
		{name: "git pull", program: "git", prepare: repo + `git clone -q . "$T/origin"
				(cd "$T/origin"; sed -i s/alpha/pulled/ "$F"; git commit -q -a -m pulled)`,
			do: as + `git pull -q --ff-only "$T/origin" main; grep -q pulled "$F"`},
		{name: "git mv", program: "git", prepare: repo, do: as + `git mv "$B" "new-$B"; git commit -q -m moved`, goes: []string{"$B"}},
		{name: "git config writes a file of settings", program: "git", classes: []string{prefs, data},
			do: as + `git config -f app.conf user.name alpha; git config -f app.conf user.name beta; ` +
				`printf '[app]\n\tname = beta\n' >>app.conf`},
	}
}
