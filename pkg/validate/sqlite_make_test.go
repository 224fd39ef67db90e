package validate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// makeDatabases writes databases with Python's sqlite3, one of each kind that the
// format knows, and prints the name of each and the first pages of its trees. Those with a log keep it: they are copied while
// a program has them open.
const makeDatabases = `
import sqlite3, random, shutil, os, sys
random.seed(7)
def fill(c, rows=130):
    c.execute("create table people(id integer primary key, name text, age int, note text, data blob)")
    c.execute("create index by_name on people(name)")
    c.execute("create index by_age on people(age desc, name)")
    c.execute("create unique index by_case on people(name collate nocase, id)")
    c.execute("create index some on people(age) where age > 50")
    c.execute("create index by_expression on people(lower(note))")
    c.execute("create table pairs(a text, b real, c, primary key(a, b)) without rowid")
    c.execute("create index pairs_c on pairs(c)")
    c.execute("create table u(x text unique, y)")
    c.execute("create view v as select * from people")
    c.execute("create trigger g after insert on u begin select 1; end")
    c.execute("create table a_table_with_a_very_long_name_" + "x"*200 + "(a text check(a <> '" + "y"*3000 + "'))")
    for i in range(rows):
        n = random.choice([3, 10, 40, 300, 5000]) if i % 10 == 0 else 12
        c.execute("insert into people values(?,?,?,?,?)", (random.getrandbits(40)-(1<<39), "Name %d" % random.randrange(10**6),
            random.choice([None, 5, 55, 1.5, -3, 2**40]), "n"*n, random.randbytes(n)))
        c.execute("insert or ignore into pairs values(?,?,?)", ("k%d" % (i // 3), i/7.0, random.choice([None, i, i/3.0, "t%d" % i, b"b%d" % i])))
        c.execute("insert into u values(?,?)", (None if i % 5 == 0 else "u%d" % i, i))
    c.execute("create table late(x)")
    c.commit()
def new(name, *pragmas, iso=None):
    c = sqlite3.connect(name); c.execute("pragma synchronous=off")
    for p in pragmas: c.execute("pragma " + p).fetchall()
    return c
def out(c, name): print(name, ",".join(str(r[0]) for r in c.execute("select rootpage from sqlite_master where rootpage > 0")))
def done(c, name): out(c, name); c.close()
def left(c, name):
    for end in ("", "-wal", "-shm"):
        shutil.copy("live.db" + end, name + end)
    out(c, name); c.close()
for size in (512, 1024, 4096, 8192, 65536):
    n = "p%d.db" % size; c = new(n, "page_size=%d" % size); fill(c); done(c, n)
for mode in ("full", "incremental"):
    for size in (512, 4096):
        n = "%s%d.db" % (mode, size); c = new(n, "page_size=%d" % size, "auto_vacuum=" + mode); fill(c)
        c.execute("delete from people where rowid % 3 = 0"); c.commit(); done(c, n)
n = "free.db"; c = new(n, "page_size=512"); fill(c, 400); c.execute("delete from people"); c.execute("drop table pairs"); c.commit(); done(c, n)
n = "holes.db"; c = new(n, "page_size=1024"); fill(c)
for i in range(5):
    c.execute("delete from people where abs(random()) % 3 = 0"); c.execute("update people set note = substr(note, 1, 5 + abs(random()) % 30)"); c.commit()
done(c, n)
n = "utf16.db"; c = new(n, "encoding='UTF-16le'"); fill(c, 50); done(c, n)
n = "empty.db"; c = new(n); c.execute("create table t(x)"); c.execute("drop table t"); c.commit(); done(c, n)
n = "vacuum.db"; c = new(n); fill(c); c.execute("vacuum"); done(c, n)
n = "column.db"; c = new(n); fill(c, 50); c.execute("alter table people add column more text default 'x'"); c.commit(); done(c, n)
n = "persist.db"; c = new(n, "journal_mode=persist"); fill(c, 50); done(c, n)
n = "walled.db"; c = new(n, "journal_mode=wal"); fill(c, 50); done(c, n)
try:
    n = "fts.db"; c = new(n); c.execute("create virtual table f using fts5(a)"); c.execute("create virtual table r using rtree(id,a,b)")
    for i in range(200): c.execute("insert into f values(?)", ("word%d some text" % i,)); c.execute("insert into r values(?,?,?)", (i, i, i+1))
    c.commit(); done(c, n)
except sqlite3.OperationalError: pass
def live(*pragmas):
    for end in ("", "-wal", "-shm"):
        if os.path.exists("live.db" + end): os.remove("live.db" + end)
    return new("live.db", *pragmas, "journal_mode=wal", "wal_autocheckpoint=0")
c = live("page_size=1024"); fill(c, 100); left(c, "wal-only.db")
c = live("page_size=4096", "auto_vacuum=full"); fill(c, 100); c.execute("pragma wal_checkpoint(passive)").fetchall()
c.execute("delete from people where rowid % 2 = 0"); c.commit(); left(c, "wal-both.db")
c = live(); fill(c, 100); c.execute("pragma wal_checkpoint(restart)").fetchall(); c.execute("insert into late values(1)"); c.commit(); left(c, "wal-stale.db")
c = live("cache_size=5"); fill(c, 100); c.execute("update people set note = note || 'z', data = randomblob(3000)"); left(c, "wal-open.db")
c = live(); fill(c, 100); c.execute("pragma wal_checkpoint(truncate)").fetchall(); left(c, "wal-none.db")
c = live("page_size=512"); fill(c, 200); c.execute("drop table people"); c.commit(); c.execute("vacuum"); left(c, "wal-shrunk.db")
`

// database is one of them: its files by name, and the first pages of its trees.
type database struct {
	name  string
	files map[string][]byte
	roots map[int]bool
}

func databases(t testing.TB) []database {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command(program(t, "python3"), "-c", makeDatabases)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		t.Fatalf("cannot make databases: %v", err)
	}
	var all []database
	for line := range strings.Lines(string(out)) {
		name, roots, _ := strings.Cut(strings.TrimSpace(line), " ")
		d := database{name, map[string][]byte{}, map[int]bool{1: true}}
		for _, end := range []string{"", "-wal", "-shm", "-journal"} {
			if b, err := os.ReadFile(filepath.Join(dir, name+end)); err == nil {
				d.files[name+end] = b
			}
		}
		for _, r := range strings.Split(roots, ",") {
			n, _ := strconv.Atoi(r) // an empty list has none
			d.roots[n] = true
		}
		all = append(all, d)
	}
	if len(all) < 20 {
		t.Fatalf("only %d databases were made", len(all))
	}
	return all
}

// alone is the database file itself.
func (d database) alone() []byte { return d.files[d.name] }

func (d database) file() File { return inDirectory(d.name, d.files) }

// with gives the database with one of its files replaced.
func (d database) with(end string, b []byte) database {
	files := map[string][]byte{}
	for n, old := range d.files {
		files[n] = old
	}
	files[d.name+end] = b
	return database{d.name, files, d.roots}
}

// without gives the database without one of its files.
func (d database) without(end string) database {
	d = d.with(end, nil)
	delete(d.files, d.name+end)
	return d
}
