package main

// An act is something that people and the programs they use do to their own
// files. None may be taken for damage, let alone be undone. Every act has a
// directory of its own in every class it is done in, so that many can be done
// between two backups.
type act struct {
	name      string                 // as the table has it
	program   string                 // whose version the table shows
	needs     []string               // other programs, without which the act is left out
	root      bool                   // only root can do it
	classes   []string               // nil: all four
	seed      []string               // the files that are there at the backup, besides the usual ones; see seed
	prepare   string                 // a script that runs before the backup
	do        string                 // the script that is the act
	apply     func(dir string) error // or the act itself, where it is Go's libraries that do it
	goes      []string               // what must be gone in the end; words that the shell expands
	comes     []string               // what must be there in the end
	traceless bool                   // leaves everything as it was
	mass      bool                   // touches a good part of a root: done alone, in a space of its own
	doubted   bool                   // looks like harm: may be asked about, and not undone; done alone, too
	many      int                    // how many files "many/" has
	fat       bool                   // done on a FAT file system, with others of that kind
}

// The scripts run in bash with -eu, in the act's directory, with
//
//	$F      a text file: a service book, known hosts, settings, notes
//	$B      another file: a second service book, a private key, pictures
//	$T      an empty directory outside the space, for this act alone
//	$X      a directory in another class, which the act may make
//	$CLASS  the class
//
// and with the functions of actPrelude. A text file has a line with the word
// "alpha" in it. A script that ends with the status actSkip cannot do its act on
// this machine, and says why on the last line of standard error.
const actSkip = 77

// actPrelude goes before every script.
const actPrelude = `
umask 022
unset GNUPGHOME
skip() { printf '%s\n' "$*" >&2; exit 77; }
# isolated SCRIPT runs a script in a network and below a /run of its own, so that a
# network service can be had without its meeting the machine's.
isolated() {
	unshare -n -m true 2>/dev/null || skip "no new network namespace"
	T=$T F=$F B=$B unshare -n -m bash -eu -c 'mount -t tmpfs tmpfs /run; ip link set lo up; '"$1"
}
# await COMMAND... until it succeeds.
await() { local i; for ((i = 0; i < 600; i++)); do ! "$@" >/dev/null 2>&1 || return 0; sleep 0.1; done; return 1; }
`

// The classes, as directories of the sandbox are named.
const (
	books = "service-books"
	keys  = "keys"
	prefs = "preferences"
	data  = "user-data"
)

func allClasses() []string { return []string{books, keys, prefs, data} }

// uncritical classes are those in which a deletion is the owner's own affair.
func uncritical() []string { return []string{prefs, data} }

// textOf and otherOf name the usual files $F and $B of a class.
func textOf(class string) string {
	switch class {
	case books:
		return "home.nmconnection"
	case keys:
		return "known_hosts"
	case prefs:
		return "settings.conf"
	}
	return "notes.txt"
}

func otherOf(class string) string {
	switch class {
	case books:
		return "office.nmconnection"
	case keys:
		return "id_ed25519"
	case prefs:
		return "theme.png"
	}
	return "photo.jpg"
}

// legitimateActs is the whole catalogue.
func legitimateActs() []act {
	var all []act
	for _, some := range [][]act{
		vimActs(), editorActs(), streamActs(), copyActs(), renameActs(), metadataActs(), deletionActs(), archiveActs(), syncActs(),
		logActs(), packageActs(), gitActs(), networkActs(), sshActs(), certificateActs(), gpgActs(), databaseActs(),
		formatActs(), mediaActs(), slowActs(), desktopActs(), massActs(), doubtedActs(), fatActs(),
	} {
		all = append(all, some...)
	}
	return all
}
