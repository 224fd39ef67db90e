package cmd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How often the reader is killed where REPROVISION_KILLS does not say, and after how many
// kills everything is looked at.
const (
	fewKills   = 8
	killsALook = 10
	killFiles  = 12
)

// TestKilledReader kills the reader's daemon (kill -9) at random moments of backups and of the
// collections that follow them. Whatever it has committed restores whole: every file of
// one and the same round.
func TestKilledReader(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	kills := fewKills
	if n, err := strconv.Atoi(os.Getenv("REPROVISION_KILLS")); err == nil {
		kills = n
	}
	dir := filepath.Join(t.TempDir(), "s")
	k := &killing{newPair(t, dir, filepath.Join(dir, "reader.sock"))}
	k.collectSoon()
	k.run("pair")
	var span time.Duration // that a backup takes, and what follows it
	for round := range 2 {
		k.save(round)
		began := time.Now()
		k.run("scrctl", "backup")
		span = 3*time.Since(began)/2 + 300*time.Millisecond
	}
	seen, during := 0, 0
	for n := 1; n <= kills; n++ {
		k.save(1 + n)
		if k.killWithin(span) {
			during++
		}
		if n%killsALook == 0 || n == kills {
			seen += k.look()
		}
	}
	t.Logf("%d kills within %v of a backup's begin, %d during it; %d snapshots restored", kills, span, during, seen)
	if seen < 2 {
		t.Errorf("only %d snapshots were ever there", seen)
	}
}

// killing is a pair whose reader is killed.
type killing struct{ *pair }

// collectSoon has the reader keep few snapshots, and collect at once.
func (k *killing) collectSoon() {
	k.Helper()
	path := filepath.Join(k.dir, "scrd.toml")
	raw, err := os.ReadFile(path)
	if err != nil {
		k.Fatal(err)
	}
	soon := strings.Replace(string(raw), `idle = "1s"`, `idle = "20ms"`, 1)
	if soon == string(raw) {
		k.Fatal("the sandbox sets no idle time")
	}
	soon += "\n[retention]\nkeep_last = 3\nkeep_daily = 0\nkeep_weekly = 0\nkeep_monthly = 0\n"
	if err := os.WriteFile(path, []byte(soon), 0o600); err != nil {
		k.Fatal(err)
	}
	k.kill()
}

// kill kills the daemon and starts it again on the same state.
func (k *killing) kill() {
	k.Helper()
	raw, err := os.ReadFile(filepath.Join(k.dir, "pid", "scrd"))
	if err != nil {
		k.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		k.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		k.Fatalf("cannot kill the reader: %v", err)
	}
	for syscall.Kill(pid, 0) == nil && alive(pid) {
		time.Sleep(10 * time.Millisecond)
	}
	k.run(k.sandbox, "start", k.dir, "scrd")
}

// alive tells a process from what its parent has not yet asked for.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(raw, []byte(") Z "))
}

// save puts the contents of a round into the user data.
func (k *killing) save(round int) {
	k.Helper()
	for i := range killFiles {
		if err := os.WriteFile(k.file(i), contentsOf(round, i), 0o600); err != nil {
			k.Fatal(err)
		}
	}
}

func (k *killing) file(i int) string {
	class := []string{"preferences", "user-data"}[i%2]
	return filepath.Join(k.dir, "phone", class, fmt.Sprintf("file%02d", i))
}

// contentsOf makes what a file holds in a round: every file some kB or some hundred of text,
// which begins with the round; a third of them change with each round only there.
func contentsOf(round, i int) []byte {
	seed := [32]byte{byte(i)}
	if i%3 > 0 {
		seed[1], seed[2] = byte(round), byte(round>>8)
	}
	noise := make([]byte, 2000+i*i*700)
	rand.NewChaCha8(seed).Read(noise)
	return fmt.Appendf(nil, "round %d\n%x\n", round, noise)
}

// killWithin begins a backup, and kills the reader at a random moment of the time that it and what
// follows it takes. It tells whether the backup was not through by then.
func (k *killing) killWithin(span time.Duration) bool {
	k.Helper()
	cmd := exec.Command("sh", "-c", `set -a; . "$0/env"; exec scrctl backup`, k.dir)
	cmd.Env = k.env
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	time.Sleep(rand.N(span))
	k.kill()
	return cmd.Wait() != nil // out of range
}

// look restores every snapshot that there is and wants each to be of one round. It returns how
// many there are.
func (k *killing) look() int {
	k.Helper()
	list := filepath.Join(k.dir, "snapshots")
	k.run("sh", "-c", `for _ in $(seq 300); do scrctl --json snapshots >"$0" && exit; sleep 0.1; done; exit 1`, list)
	raw, err := os.ReadFile(list)
	if err != nil {
		k.Fatal(err)
	}
	ids := regexp.MustCompile(`"id": "([0-9a-f]{32})"`).FindAllSubmatch(raw, -1)
	for _, id := range ids {
		k.run("scrctl", "reprovision", "--yes", "--snapshot", string(id[1]))
		k.compare(string(id[1]))
	}
	k.run("scrctl", "verify", "--bytes", "1000000000")
	return len(ids)
}

// compare wants all files to be those of the round that the first is of.
func (k *killing) compare(snapshot string) {
	k.Helper()
	round := -1
	for i := range killFiles {
		got, err := os.ReadFile(k.file(i))
		if err != nil {
			k.Fatal(err)
		}
		if i == 0 {
			if _, err := fmt.Sscanf(string(got), "round %d\n", &round); err != nil {
				k.Fatalf("snapshot %s: %v", snapshot, err)
			}
		}
		if !bytes.Equal(got, contentsOf(round, i)) {
			k.Errorf("snapshot %s: %s is not that of round %d", snapshot, filepath.Base(k.file(i)), round)
		}
	}
}
