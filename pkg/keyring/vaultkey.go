package keyring

import (
	"errors"
	"fmt"
)

const (
	vaultKeyFile    = "vault-key.json"
	vaultKeyVersion = 1
	vaultKeyLength  = 32 // bytes
)

// ErrNoVaultKey is returned by VaultKey when the device slot is empty: nothing
// was backed up yet, or this is a replacement device.
var ErrNoVaultKey = errors.New("no vault key on this device")

// vaultKeyDocument is the device slot: the one place where the vault key lies
// unwrapped.
type vaultKeyDocument struct {
	Version int    `json:"version"`
	Vault   []byte `json:"vault"` // 16 bytes, base64
	Key     []byte `json:"key"`   // 32 bytes, base64
}

// SetVaultKey fills the device slot with the key (32 bytes) of a vault, durably.
func (k *Keyring) SetVaultKey(vaultID [16]byte, key []byte) error {
	if len(key) != vaultKeyLength {
		return fmt.Errorf("cannot store vault key: it has %d bytes, want %d", len(key), vaultKeyLength)
	}
	data, err := encode(vaultKeyDocument{Version: vaultKeyVersion, Vault: vaultID[:], Key: key})
	if err == nil {
		err = k.locked(func() error { return k.write(vaultKeyFile, data) })
	}
	clear(data)
	if err != nil {
		return fmt.Errorf("cannot store vault key: %w", err)
	}
	return nil
}

// VaultKey returns what SetVaultKey stored; ErrNoVaultKey, wrapped, if the slot
// is empty. The caller may clear the key.
func (k *Keyring) VaultKey() (vaultID [16]byte, key []byte, err error) {
	data, err := k.read(vaultKeyFile)
	if missing(err) {
		return vaultID, nil, fmt.Errorf("cannot load vault key: %w", ErrNoVaultKey)
	}
	if err != nil {
		return vaultID, nil, fmt.Errorf("cannot load vault key: %w", err)
	}
	defer clear(data)
	if vaultID, key, err = parseVaultKey(data); err != nil {
		return vaultID, nil, fmt.Errorf("cannot load vault key: %w", err)
	}
	return vaultID, key, nil
}

func parseVaultKey(data []byte) (vaultID [16]byte, key []byte, err error) {
	var doc vaultKeyDocument
	if err := decode(vaultKeyFile, data, &doc); err != nil {
		return vaultID, nil, err
	}
	if doc.Version != vaultKeyVersion || len(doc.Vault) != len(vaultID) || len(doc.Key) != vaultKeyLength {
		return vaultID, nil, fmt.Errorf("%w: %s has wrong lengths or version", ErrCorrupt, vaultKeyFile)
	}
	return [16]byte(doc.Vault), doc.Key, nil
}

// ClearVaultKey empties the device slot; an empty slot is no error.
func (k *Keyring) ClearVaultKey() error {
	if err := k.locked(func() error { return k.remove(vaultKeyFile) }); err != nil {
		return fmt.Errorf("cannot clear vault key: %w", err)
	}
	return nil
}
