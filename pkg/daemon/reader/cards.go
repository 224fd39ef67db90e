package reader

import (
	"log/slog"
	"os"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/file"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/config"
)

// pcscSocket is where pcscd listens; systemd makes the socket before pcscd runs.
const pcscSocket = "/run/pcscd/pcscd.comm"

// newCardReader makes the card reader that the settings name; nil for none.
// Where it is left open, PC/SC is used if the machine has it, else the file card.
func newCardReader(cfg config.Card, env func(string) string, notify func(card.Event), log *slog.Logger) card.Reader {
	kind := cfg.Kind
	if kind == "auto" {
		kind = "file"
		if hasPCSC(env) {
			kind = "pcsc"
		}
		log.Info("card reader chosen", "kind", kind)
	}
	switch kind {
	case "pcsc":
		return pcsc.New(pcsc.Config{Match: cfg.Reader, Profiles: []card.Profile{iso7816.Open}, Notify: notify, Log: log})
	case "file":
		return file.New(file.Config{Path: cfg.Path, Capacity: int(cfg.Size), Notify: notify})
	}
	return nil
}

func hasPCSC(env func(string) string) bool {
	path := env("PCSCLITE_CSOCK_NAME") // what libpcsclite itself goes by
	if path == "" {
		path = pcscSocket
	}
	_, err := os.Stat(path)
	return err == nil
}
