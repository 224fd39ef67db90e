package bolt

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

const killEnv = "VAULT_BOLT_KILL_PATH"

// TestMain turns the test binary into the process to be killed when asked.
func TestMain(m *testing.M) {
	if path := os.Getenv(killEnv); path != "" {
		if err := writeForEver(path); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// contentsOf makes the contents of the blob of one generation, so that a
// reader can tell a torn one.
func contentsOf(seq uint64, n int) vault.StoredBlob {
	b := vault.StoredBlob{ID: vault.BlobID{byte(seq), byte(seq >> 8), byte(n), 1}}
	b.Sealed = bytes.Repeat([]byte{byte(seq), byte(n), 7}, 3000+int(seq%500)*10)
	return b
}

// writeForEver puts and commits and prints each generation that is said to be
// safe, until it is killed.
func writeForEver(path string) error {
	s, err := Open(path, Options{})
	if err != nil {
		return err
	}
	s.compactFree = 0
	id := vaulttest.Record(1).ID
	snapshots, err := s.Snapshots(id)
	if err != nil {
		return err
	}
	head := vault.SnapshotRecord{}
	if len(snapshots) > 0 {
		head = snapshots[0]
	}
	for {
		next, err := oneGeneration(s, id, head)
		if err != nil {
			return err
		}
		head = next
		fmt.Println("done", head.Seq)
		if err := collect(s, id, head.Seq); err != nil {
			return err
		}
	}
}

// collect removes old snapshots and what only they name, now and then, as the reader does,
// and gives the space back.
func collect(s *Store, id vault.VaultID, seq uint64) error {
	if seq%5 != 0 {
		return nil
	}
	var old []uint64
	for n := uint64(1); n+3 < seq; n++ {
		old = append(old, n)
	}
	if err := s.Remove(id, old); err != nil {
		return err
	}
	m, err := s.Mark(id)
	if err != nil {
		return err
	}
	if len(m.Lost) > 0 {
		return fmt.Errorf("%d blobs are lost", len(m.Lost))
	}
	for n := 0; n < len(m.Garbage); n += 2 {
		if err := s.Sweep(m.Part(n, 2)); err != nil {
			return err
		}
	}
	_, err = s.Compact(context.Background())
	return err
}

func oneGeneration(s *Store, id vault.VaultID, head vault.SnapshotRecord) (vault.SnapshotRecord, error) {
	seq := head.Seq + 1
	var add []vault.BlobID
	for n := range 3 {
		b := contentsOf(seq, n)
		if err := s.Put(id, []vault.StoredBlob{b}); err != nil {
			return head, err
		}
		add = append(add, b.ID)
	}
	drop := head.Blobs[:min(1, len(head.Blobs))]
	if len(head.Blobs) > 30 {
		drop = head.Blobs[:20]
	}
	c := vaulttest.Commit(id, head.Snapshot, seq, add, drop)
	c.Snapshot = vault.SnapshotID{byte(seq), byte(seq >> 8), 3}
	if err := s.Commit(id, c, time.Unix(int64(seq), 0)); err != nil {
		return head, err
	}
	return c.Follow(following(head))
}

func following(head vault.SnapshotRecord) *vault.SnapshotRecord {
	if head.Seq == 0 {
		return nil
	}
	return &head
}

// TestKill kills a process that writes and collects, again and again (8 times, or
// REPROVISION_KILLS times). Whatever it had reported
// as committed must be there and whole, and the store must go on working.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vaults.db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(vaulttest.Record(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rounds := 8
	if more, err := strconv.Atoi(os.Getenv("REPROVISION_KILLS")); err == nil {
		rounds = more
	}
	for round := range rounds {
		promised := killWriter(t, path, time.Duration(1+rand.IntN(120))*time.Millisecond)
		if got := checkStore(t, path); got < promised {
			t.Fatalf("round %d: generation %d was committed, the head is %d", round, promised, got)
		}
	}
	if got := checkStore(t, path); got == 0 {
		t.Fatal("nothing was ever committed: the test tests nothing")
	}
}

// killWriter lets a process write, kills it after a while and returns the last
// generation that it had reported.
func killWriter(t *testing.T, path string, after time.Duration) (promised uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), killEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		if n, err := fmt.Sscanf(lines.Text(), "done %d", &promised); n != 1 {
			t.Fatalf("the writer says %q (%v)", lines.Text(), err)
		}
		if timer == nil { // it writes: from now on any moment is good
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || timer == nil {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return promised
}

// checkStore opens the store and reads every blob of every snapshot. It
// returns the head's generation.
func checkStore(t *testing.T, path string) uint64 {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := vaulttest.Record(1).ID
	snapshots, err := s.Snapshots(id)
	if err != nil {
		t.Fatal(err)
	}
	for i, snap := range snapshots {
		if want := snapshots[0].Seq - uint64(i); snap.Seq != want {
			t.Fatalf("generation %d where %d is due", snap.Seq, want)
		}
		for _, b := range snap.Blobs {
			got, err := s.Get(id, b)
			if err != nil {
				t.Fatal(err)
			}
			if want := contentsOf(uint64(b[0])|uint64(b[1])<<8, int(b[2])); !bytes.Equal(got, want.Sealed) {
				t.Fatalf("blob %s is torn", b)
			}
		}
	}
	if err := s.Unstage(id); err != nil {
		t.Fatal(err)
	}
	if len(snapshots) == 0 {
		return 0
	}
	return snapshots[0].Seq
}
