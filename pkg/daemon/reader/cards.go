package reader

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/file"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/profile"
	"github.com/reprovision/reprovision/pkg/config"
)

// pcscSocket is where pcscd listens; systemd makes the socket before pcscd runs.
const pcscSocket = "/run/pcscd/pcscd.comm"

// newCardReader makes the card reader that the settings name; nil for none.
// Where it is left open, PC/SC is used if the machine has it, else the file card.
func newCardReader(cfg config.Card, env func(string) string, notify func(card.Event), log *slog.Logger) (card.Reader, error) {
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
		open, err := cardProfile(cfg)
		return pcsc.New(pcsc.Config{Match: cfg.Reader, Profiles: []card.Profile{open}, Notify: notify, Log: log}), err
	case "file":
		return file.New(file.Config{Path: cfg.Path, UUID: cfg.UUID, Capacity: int(cfg.Size), Notify: notify}), nil
	}
	return nil, nil
}

// cardProfile is how a card behind PC/SC is spoken to.
func cardProfile(cfg config.Card) (card.Profile, error) {
	tokens := piv.Config{ShortOnly: cfg.ShortAPDUs, DefaultKey: cfg.ManagementKeyFile == ""}
	if cfg.ManagementKeyFile != "" {
		key, err := managementKey(cfg.ManagementKeyFile)
		if err != nil {
			return nil, err
		}
		tokens.ManagementKey = key
	}
	return profile.New(profile.Config{Kind: cfg.Profile, PIV: tokens, ISO: iso7816.Config{NoQuery: cfg.NoPINQuery}})
}

// maxKeyFile is more than the digits of the longest management key, AES-256.
const maxKeyFile = 256

func managementKey(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the card's management key: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the card's management key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 16 && len(key) != 24 && len(key) != 32 {
		return nil, fmt.Errorf("cannot use the card's management key in %s: want 32, 48 or 64 hexadecimal digits", name)
	}
	return key, nil
}

func hasPCSC(env func(string) string) bool {
	path := env("PCSCLITE_CSOCK_NAME") // what libpcsclite itself goes by
	if path == "" {
		path = pcscSocket
	}
	_, err := os.Stat(path)
	return err == nil
}
