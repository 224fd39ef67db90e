package device

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// TestDamagedStateIsSetAside opens databases that are damaged in all their pages,
// or one by one: none keeps the daemon from starting, and none panics.
func TestDamagedStateIsSetAside(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	st, err := openState(dir, time.Now(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := st.put(map[string][]byte{string(rune('a' + i)): bytes.Repeat([]byte{byte(i)}, 2000+300*i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	damaged := [][]byte{noiseOf(len(good)), good[:100], good[:len(good)/2]}
	for at := 0; at+page <= len(good); at += page {
		b := bytes.Clone(good)
		copy(b[at:], noiseOf(page))
		damaged = append(damaged, b)
	}
	for i, b := range damaged {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "state.db"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		st, err := openState(dir, time.Now(), quiet)
		if err != nil {
			t.Errorf("damage %d: %v", i, err)
			continue
		}
		if err := st.store(keyScrubbed, 1); err != nil {
			t.Errorf("damage %d: %v", i, err)
		}
		if err := st.close(); err != nil {
			t.Errorf("damage %d: %v", i, err)
		}
	}
}

// TestSmallChangesCostLittle: with a large reference to hold, what is small is stored
// without writing that anew.
func TestSmallChangesCostLittle(t *testing.T) {
	st, err := openState(t.TempDir(), time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.close() }()
	for _, key := range []string{keyReference, keySeen, keyPrepared} {
		if err := st.put(map[string][]byte{key: noiseOf(8 << 20)}); err != nil {
			t.Fatal(err)
		}
	}
	stats := st.db.Stats()
	before := stats.TxStats.GetPageAlloc()
	if err := st.store(keyScrubAt, "user-data/f"); err != nil {
		t.Fatal(err)
	}
	stats = st.db.Stats()
	if n := stats.TxStats.GetPageAlloc() - before; n > 256<<10 {
		t.Errorf("%d bytes were written for a name", n)
	}
}

// TestStateOfAnEarlierVersion, which had all in one bucket.
func TestStateOfAnEarlierVersion(t *testing.T) {
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	st, err := openState(dir, time.Now(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	err = st.db.Update(func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket(bucketOf(keySeen)), tx.Bucket(stateBucket()).Put([]byte(keySeen), []byte("old")))
	})
	if err = errors.Join(err, st.store(keyScrubbed, 7), st.close()); err != nil {
		t.Fatal(err)
	}
	if st, err = openState(dir, time.Now(), quiet); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.close() }()
	if got, err := st.get(keySeen); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	var scrubbed int64
	if known, err := st.load(keyScrubbed, &scrubbed); !known || err != nil || scrubbed != 7 {
		t.Errorf("%d, %v", scrubbed, err)
	}
}

func noiseOf(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
