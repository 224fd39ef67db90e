package reader

import (
	"log/slog"
	"os"
	"path/filepath"
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
		r := newCardReader(config.Card{Kind: tc.kind}, env, func(card.Event) {}, slog.New(slog.DiscardHandler))
		if _, isFile := r.(*file.Reader); isFile != tc.file || (r == nil) != tc.none {
			t.Errorf("%s with %s: got %T", tc.kind, filepath.Base(tc.socket), r)
		}
	}
}
