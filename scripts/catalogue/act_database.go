package main

// databaseActs are done by programs that keep their data in SQLite. python3 runs
// the same library as everybody, and can leave without closing the database, as
// a program does that is killed.
func databaseActs() []act {
	py := func(body string) string {
		return `python3 - <<'EOF'
import os, sqlite3, time
db = sqlite3.connect("app.db", isolation_level=None)
` + body + `
EOF
`
	}
	rows := func(mode string) string {
		return `db.execute("pragma journal_mode=` + mode + `")
db.execute("create table t(k integer primary key, v text)")
db.execute("begin")
db.executemany("insert into t(v) values(?)", [("alpha %s %d" % (os.getcwd(), i),) for i in range(500)])
db.execute("commit")
`
	}
	const edit = `db.execute("update t set v = 'beta ' || k where k % 50 = 0")
`
	const again = `db.execute("update t set v = 'gamma ' || k where k % 50 = 0")`
	const killed = `os._exit(0)`
	sql := func(name, prepare, do string) act {
		return act{name: name, program: "python3", prepare: py(prepare), do: py(do)}
	}
	last := func(a act, goes ...string) act { a.goes = goes; return a }
	return []act{
		sql("SQLite, rollback journal: a transaction", rows("delete"), edit),
		sql("SQLite, rollback journal: a transaction of 4 s", rows("delete"),
			`db.execute("pragma cache_size=1")`+"\n"+`db.execute("begin immediate")`+"\n"+edit+`time.sleep(4)`+"\n"+`db.execute("commit")`),
		sql("SQLite, rollback journal: small transactions for 3 s", rows("delete"), `end = time.monotonic() + 3
while time.monotonic() < end: db.execute("insert into t(v) values('beta')"); db.execute("delete from t where k = (select min(k) from t)")`),
		sql("SQLite, WAL: small transactions for 3 s", rows("wal"), `end = time.monotonic() + 3
while time.monotonic() < end: db.execute("insert into t(v) values('beta')"); time.sleep(0.001)`),
		last(sql("SQLite, rollback journal: a hot journal is rolled back", rows("delete")+
			`db.execute("pragma cache_size=1")`+"\n"+`db.execute("begin immediate")`+"\n"+edit+killed, `db.execute("select count(*) from t").fetchall()`),
			"app.db-journal"),
		sql("SQLite, persistent journal: a transaction", rows("persist")+edit, `db.execute("pragma journal_mode=persist")`+"\n"+again),
		sql("SQLite, truncated journal: a transaction", rows("persist")+edit, `db.execute("pragma journal_mode=truncate")`+"\n"+again),
		last(sql("SQLite, WAL: opened, written, closed", rows("wal"), edit+`db.close()`), "app.db-wal", "app.db-shm"),
		last(sql("SQLite, WAL: -wal and -shm go at the close", rows("wal")+edit+killed, edit+`db.close()`), "app.db-wal", "app.db-shm"),
		sql("SQLite, WAL: written, and not closed", rows("wal")+edit+killed, edit+killed),
		sql("SQLite, WAL: checkpoint TRUNCATE, and not closed", rows("wal")+edit+killed,
			edit+`db.execute("pragma wal_checkpoint(truncate)")`+"\n"+killed),
		sql("SQLite, WAL: checkpoint RESTART under a writer", rows("wal")+edit+killed,
			`db.execute("pragma wal_checkpoint(restart)")`+"\n"+edit+killed),
		last(sql("SQLite: from WAL to a rollback journal", rows("wal")+edit+killed, `db.execute("pragma journal_mode=delete")`),
			"app.db-wal", "app.db-shm"),
		sql("SQLite: VACUUM", rows("delete")+`db.execute("delete from t where k > 100")`, `db.execute("vacuum")`),
		sql("SQLite: VACUUM INTO, then mv over it", rows("delete"),
			`db.execute("vacuum into 'new.db'")`+"\n"+`db.close(); os.rename("new.db", "app.db")`),
		sql("SQLite: all rows deleted", rows("delete"), `db.execute("delete from t")`),
		sql("SQLite: deleted and made anew", rows("delete"), `db.close(); os.unlink("app.db")
db = sqlite3.connect("app.db", isolation_level=None)
`+rows("delete")+again),
		{name: "sqlite3 .dump, and restored from it", program: "sqlite3", needs: []string{"python3"}, prepare: py(rows("delete")),
			do: `sqlite3 app.db .dump | sed s/alpha/gamma/ >"$T/dump"; rm app.db; sqlite3 app.db <"$T/dump"`},
		{name: "sqlite3 .backup over it", program: "sqlite3", needs: []string{"python3"}, prepare: py(rows("delete")),
			do: `cp app.db "$T/other.db"; sqlite3 "$T/other.db" "update t set v = 'gamma'"; sqlite3 "$T/other.db" ".backup app.db"`},
	}
}
