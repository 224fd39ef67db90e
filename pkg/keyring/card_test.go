package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/keyring"
)

func TestPinnedCard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keyring")
	k, err := keyring.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Card(); !errors.Is(err, keyring.ErrNoCard) {
		t.Errorf("no card gives %v", err)
	}
	for _, c := range []keyring.Card{
		{Identity: "piv:00:01", Key: []byte("key"), Pinned: time.Unix(5, 0).UTC()},
		{Identity: "file:02", Pinned: time.Unix(6, 0).UTC()},
	} {
		if err := k.PinCard(c); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Card(); err != nil || cmp.Diff(c, got) != "" {
			t.Errorf("%v: %s", err, cmp.Diff(c, got))
		}
	}
	for _, bad := range []keyring.Card{{}, {Identity: strings.Repeat("i", 600)}, {Identity: "i", Key: make([]byte, 600)}} {
		if err := k.PinCard(bad); err == nil {
			t.Errorf("%+v was pinned", bad)
		}
	}
	if err := errors.Join(k.UnpinCard(), k.UnpinCard()); err != nil {
		t.Error(err)
	}
	if _, err := k.Card(); !errors.Is(err, keyring.ErrNoCard) {
		t.Errorf("a forgotten card gives %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "card.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Card(); !errors.Is(err, keyring.ErrCorrupt) {
		t.Errorf("an empty document gives %v", err)
	}
}
