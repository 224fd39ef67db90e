package reader

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/file"
	"github.com/reprovision/reprovision/pkg/config"
)

func TestCardReaderChoice(t *testing.T) {
	dir := t.TempDir()
	there, absent := filepath.Join(dir, "there"), filepath.Join(dir, "absent")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		kind, socket string
		file, none   bool
	}{
		{kind: "auto", socket: there},
		{kind: "auto", socket: absent, file: true},
		{kind: "file", socket: there, file: true},
		{kind: "pcsc", socket: absent},
		{kind: "none", socket: there, none: true},
	} {
		env := func(name string) string { return map[string]string{"PCSCLITE_CSOCK_NAME": tc.socket}[name] }
		r, err := newCardReader(config.Card{Kind: tc.kind}, env, func(card.Event) {}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, isFile := r.(*file.Reader); isFile != tc.file || (r == nil) != tc.none {
			t.Errorf("%s with %s: got %T", tc.kind, filepath.Base(tc.socket), r)
		}
	}
}

func TestManagementKey(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	for text, good := range map[string]bool{
		strings.Repeat("0a", 24) + "\n": true, strings.Repeat("0a", 32): true, strings.Repeat("0a", 20): false,
		"no digits": false, "": false, strings.Repeat("0a", 500): false,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := cardProfile(config.Card{Profile: "piv", ManagementKeyFile: name})
		if (err == nil) != good {
			t.Errorf("%d characters: %v", len(text), err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error holds the key: %v", err)
		}
	}
	if _, err := cardProfile(config.Card{ManagementKeyFile: name + ".none"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
