// Package cmd_test drives the three programs as their users do: real processes
// on a private bus, through the sandbox. The stories are in testdata/script.
package cmd_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/enforce/enforcetest"
)

// repo is the top of the checkout, as seen from this package.
const repo = ".."

// buildTime bounds the building of the programs with the race detector.
const buildTime = 10 * time.Minute

// stories are the stories of one run, and what they find instead of the hardware.
type stories struct {
	dir  string        // below the repository
	only []string      // the names of those that are told; nil for all
	card string        // "file", "pcsc" or "piv"
	link string        // "local" or "rfcomm"
	slow time.Duration // as many times as long as elsewhere a story waits for anything
	vars map[string]string
}

// sizes are what stories use, unless the link is a slow one: the bytes of a large
// file and of one that takes a while to send, and how many files are many.
func sizes() map[string]string {
	return map[string]string{"BIG": "6000000", "HUGE": "90000000", "MANY": "300"}
}

const storyDir = "testdata/script"

func TestStoriesWithTheFileCard(t *testing.T) {
	stories{dir: storyDir, card: "file", link: "local", slow: 2, vars: sizes()}.tell(t)
}

// TestStoriesWithPCSC tells those in which a card is more than a place for bytes.
func TestStoriesWithPCSC(t *testing.T) {
	needPCSC(t)
	only := []string{"badinput", "card", "cardbytes", "cardproof", "elsewhere", "kill", "pairing", "policy", "replacement", "restore", "resume", "revisit"}
	if os.Getenv("REPROVISION_ALL_STORIES") != "" {
		only = nil
	}
	stories{dir: storyDir, only: only, card: "pcsc", link: "local", slow: 2, vars: sizes()}.tell(t)
}

// TestStoriesWithAPIVCard tells those in which the kind of card may matter.
func TestStoriesWithAPIVCard(t *testing.T) {
	needPCSC(t)
	only := []string{"authorization", "card", "cardbytes", "cardlock", "cardpin", "cardproof", "pairing", "replacement", "restore"}
	stories{dir: storyDir, only: only, card: "piv", link: "local", slow: 2, vars: sizes()}.tell(t)
}

func needPCSC(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/pcscd"); err != nil && os.Getenv("REPROVISION_REQUIRE_PCSC") == "" {
		t.Skip("pcscd is not installed")
	}
}

// files are the stories that are told.
func (s stories) files(t *testing.T) []string {
	t.Helper()
	dir := filepath.Join(repo, filepath.FromSlash(s.dir))
	if s.only == nil {
		all, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
		if err != nil || len(all) == 0 {
			t.Fatalf("no stories in %s: %v", dir, err)
		}
		return all
	}
	var files []string
	for _, name := range s.only {
		files = append(files, filepath.Join(dir, name+".txtar"))
	}
	return files
}

// tell runs the stories.
func (s stories) tell(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	bin := programs(t)
	top, err := filepath.Abs(repo)
	if err != nil {
		t.Fatal(err)
	}
	params := testscript.Params{
		Files: s.files(t),
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPROVISION_BIN", bin)
			env.Setenv("PATH", bin+":"+filepath.Join(top, "testdata", "bin")+":"+os.Getenv("PATH"))
			env.Setenv("SANDBOX", filepath.Join(top, "scripts", "sandbox"))
			env.Setenv("DOCS", filepath.Join(top, "docs"))
			env.Setenv("CARD", s.card)
			env.Setenv("LINK", s.link)
			env.Setenv("S", filepath.Join(env.WorkDir, "s"))
			env.Setenv("PHONE", filepath.Join(env.WorkDir, "s", "phone"))
			env.Setenv("KILLS", cmp.Or(os.Getenv("REPROVISION_KILLS"), "14"))
			env.Setenv("GORACE", "halt_on_error=1 atexit_sleep_ms=0") // else each command takes a second to end
			for name, value := range s.vars {
				env.Setenv(name, value)
			}
			env.Defer(func() { down(t, env.Getenv("SANDBOX"), env.WorkDir) })
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "file", "pcsc", "piv":
				return cond == s.card, nil
			case "rfcomm":
				return cond == s.link, nil
			case "python": // with what docs/examples/client.py needs
				return exec.Command("/usr/bin/python3", "-c", "import dbus.mainloop.glib, gi").Run() == nil, nil
			case "go":
				_, err := exec.LookPath("go")
				return err == nil, nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"up": up, "field": field, "eventually": s.eventually, "picture": picture, "fill": fill, "code": code, "tamper": tamper, "managers": managers, "gobuild": gobuild,
		},
	}
	if s.link == "rfcomm" {
		params.Deadline, _ = t.Deadline()
		testscript.RunT(inTurn{t}, params)
	} else {
		testscript.Run(t, params)
	}
}

// programs returns where the programs are that the stories run: those that the
// environment names, or new ones, built once for all stories.
func programs(t *testing.T) string {
	t.Helper()
	if built := os.Getenv("REPROVISION_BIN"); built != "" {
		return built
	}
	bin := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	for _, args := range [][]string{
		{"build", "-race", "-o", bin, "./cmd/reprovisiond", "./cmd/scrd", "./cmd/scrctl"},
		{"build", "-o", bin, "./scripts/linkgate", "./scripts/virtualcard"},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cannot build the programs: %v\n%s", err, out)
		}
	}
	return bin
}

// down stops every sandbox below a story's directory, and shows the logs of a
// daemon in which the race detector found something.
func down(t *testing.T, sandbox, work string) {
	dirs, _ := filepath.Glob(filepath.Join(work, "*", ".sandbox"))
	for _, d := range dirs {
		dir := filepath.Dir(d)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if out, err := exec.CommandContext(ctx, sandbox, "down", dir).CombinedOutput(); err != nil {
			t.Errorf("cannot stop the sandbox: %v\n%s", err, out)
		}
		cancel()
		for _, at := range []string{"phone/preferences", "phone/user-data", "reader"} { // what a story that failed left mounted
			_ = exec.Command("umount", "-l", filepath.Join(dir, at)).Run()
		}
		logs, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
		for _, l := range logs {
			raw, err := os.ReadFile(l)
			if err == nil && (strings.Contains(string(raw), "DATA RACE") || strings.Contains(string(raw), "panic:")) {
				t.Errorf("%s:\n%s", l, raw)
			}
		}
	}
}

// up [DIR] [OPTION...] starts a sandbox and makes plain scrctl speak to it.
func up(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.Getenv("S")
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		dir, args = ts.MkAbs(args[0]), args[1:]
	}
	if !strings.Contains(strings.Join(args, " "), "--reader") {
		args = append(args, "--card="+ts.Getenv("CARD"), "--link="+ts.Getenv("LINK"))
	}
	ts.Check(ts.Exec(ts.Getenv("SANDBOX"), append([]string{"up", dir}, args...)...))
	raw, err := os.ReadFile(filepath.Join(dir, "env"))
	ts.Check(err)
	for line := range strings.Lines(string(raw)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && name != "PATH" && !strings.HasPrefix(name, "#") {
			ts.Setenv(name, strings.Trim(value, `'"`))
		}
	}
}

// field VAR NAME[.NAME...] sets VAR to a field of the JSON document that the
// last command printed.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: field VAR NAME")
	}
	var doc any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &doc))
	for _, name := range strings.Split(args[1], ".") {
		switch d := doc.(type) {
		case map[string]any:
			doc = d[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(d) {
				ts.Fatalf("no element %s of %d", name, len(d))
			}
			doc = d[i]
		default:
			doc = nil
		}
	}
	if doc == nil {
		ts.Fatalf("no field %s in %s", args[1], ts.ReadFile("stdout"))
	}
	text := fmt.Sprint(doc)
	if f, ok := doc.(float64); ok {
		text = fmt.Sprintf("%.0f", f)
	}
	ts.Setenv(args[0], text)
}

// eventually DURATION SCRIPT runs a shell script until it succeeds.
func (s stories) eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: eventually DURATION SCRIPT")
	}
	patience, err := time.ParseDuration(args[0])
	ts.Check(err)
	patience *= s.slow
	for deadline := time.Now().Add(patience); ts.Exec("sh", "-c", "{ "+args[1]+"\n} >/dev/null 2>&1") != nil; {
		if time.Now().After(deadline) {
			err := ts.Exec("sh", "-c", args[1])
			_ = ts.Exec("sh", "-c", `tail -n 25 "$S"/log/*.log`) // only to be read
			ts.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// picture DIR FILE writes down everything below DIR: type, mode, owner, mtime,
// extended attributes, link targets, contents.
func picture(ts *testscript.TestScript, neg bool, args []string) {
	script := `cd "$1" && find . -mindepth 1 -printf '%p %y %m %U:%G %T@ %l\n' | sort &&
		find . -type f -exec sha256sum {} + | sort -k2 &&
		{ getfattr -R -d -m '^user\.' . 2>/dev/null | sort || true; }`
	out, err := exec.Command("sh", "-c", script, "sh", ts.MkAbs(args[0])).Output()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), out, 0o600))
}

// fill DIR N makes N files of all kinds below DIR/phone, in all four classes.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	phone := filepath.Join(ts.MkAbs(args[0]), "phone")
	var n int
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		ts.Fatalf("not a number: %s", args[1])
	}
	classes := []string{"service-books", "keys", "preferences", "user-data"}
	for i := range n {
		dir := filepath.Join(phone, classes[i%4], fmt.Sprintf("d%d", i%7))
		ts.Check(os.MkdirAll(dir, 0o750))
		name := filepath.Join(dir, fmt.Sprintf("file %03d", i))
		body := fmt.Sprintf("[item]\nnumber=%d\n%s", i, strings.Repeat(fmt.Sprintf("line of %d\n", i*i), i%50))
		ts.Check(os.WriteFile(name, []byte(body), os.FileMode(0o600+i%2*0o40)))
		when := time.Unix(1_600_000_000+int64(i)*1000, int64(i)*1001)
		ts.Check(os.Chtimes(name, when, when))
	}
	for _, c := range classes {
		ts.Check(os.MkdirAll(filepath.Join(phone, c, "empty"), 0o711))
		ts.Check(os.Symlink("d0", filepath.Join(phone, c, "link")))
	}
}

// code N COMMAND... runs a command and wants this exit code and, unless it is 0,
// no more than one line and a hint on standard error.
func code(ts *testscript.TestScript, neg bool, args []string) {
	var want, got int
	if _, err := fmt.Sscan(args[0], &want); err != nil {
		ts.Fatalf("not an exit code: %s", args[0])
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		got = -1
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d: %v", got, want, err)
	}
}

// managers FILE plays systemd and logind on the bus of the last sandbox, and writes down
// what they are asked to do, until the story ends.
func managers(ts *testscript.TestScript, neg bool, args []string) {
	conn, err := dbus.Connect(ts.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
	ts.Check(err)
	system, err := enforcetest.New(conn)
	ts.Check(err)
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) // a story may empty it
	ts.Check(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for conn.Context().Err() == nil {
			for _, call := range system.Take() {
				fmt.Fprintln(file, call)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	ts.Defer(func() { conn.Close(); <-ended; file.Close() })
}

// gobuild PROGRAM PACKAGE builds a program of this module.
func gobuild(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command("go", "build", "-o", ts.MkAbs(args[0]), args[1])
	cmd.Dir = repo
	out, err := cmd.CombinedOutput()
	if err != nil {
		ts.Fatalf("%v: %s", err, out)
	}
}

// tamper [-one] FILE flips a bit in the middle of every large value of a bbolt file, or of one,
// as a failing medium or a hostile reader would. The one is so large that it is a pack of
// contents: an index cannot be made again just as it was.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	most, least := math.MaxInt, 600
	if args[0] == "-one" {
		most, least, args = 1, 100_000, args[1:]
	}
	db, err := bbolt.Open(ts.MkAbs(args[0]), 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	ts.Check(err)
	touched := 0
	ts.Check(db.Update(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return flip(b, &touched, most, least) })
	}))
	ts.Check(db.Close())
	if touched == 0 {
		ts.Fatalf("no large value in %s", args[0])
	}
}

func flip(b *bbolt.Bucket, touched *int, most, least int) error {
	large := make(map[string][]byte)
	err := b.ForEach(func(k, v []byte) error {
		switch {
		case v == nil:
			return flip(b.Bucket(k), touched, most, least)
		case len(v) > least:
			large[string(k)] = bytes.Clone(v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for k, v := range large {
		if *touched == most {
			return nil
		}
		v[len(v)/2] ^= 1
		*touched++
		if err := b.Put([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}
