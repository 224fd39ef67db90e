package device

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
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

func noiseOf(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
