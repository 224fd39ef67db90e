package keyring

import (
	"errors"
	"fmt"
)

const (
	vaultKeyFile    = "vault-key.json"
	vaultKeyVersion = 2
	vaultKeyLength  = 32 // bytes
)

// ErrNoVaultKey is returned by VaultKey when the device slot is empty: nothing
// was backed up yet, or this is a replacement device.
var ErrNoVaultKey = errors.New("no vault key on this device")

// VaultKey is the device slot: the one place where the vault's keys lie unwrapped.
type VaultKey struct {
	Vault [16]byte
	Bundle
	// Protected says that the owner has set a passcode: the reader gets no slot
	// that opens without one, whatever becomes of the vault.
	Protected bool
	// Next is a bundle that may be in force at the reader already, nil for none:
	// a rotation that was cut short. Its first key is the only one that is new.
	Next *Bundle
	// NextProtected is what Protected is to be with it.
	NextProtected bool
	// NextWraps says that with it the reader is to wrap what it holds with the first key.
	NextWraps bool
	// NextSince is when it was planned; seconds since 1970.
	NextSince int64
}

// vaultKeyDocument is how it is written. Version 1 had a single key and nothing else.
type vaultKeyDocument struct {
	Version    int               `json:"version"`
	Vault      []byte            `json:"vault"`          // 16 bytes, base64
	Key        []byte            `json:"key,omitempty"`  // 32 bytes, base64; version 1 only
	Keys       [][]byte          `json:"keys,omitempty"` // the newest first
	Recipients map[string][]byte `json:"recipients,omitempty"`
	Epoch      uint64            `json:"epoch,omitempty"`
	Protected  bool              `json:"protected,omitempty"`
	Next       []byte            `json:"next,omitempty"` // as Bundle.Encode writes it

	NextProtected bool  `json:"next_protected,omitempty"`
	NextWraps     bool  `json:"next_wraps,omitempty"`
	NextSince     int64 `json:"next_since,omitempty"`
}

// SetVaultKey fills the device slot, durably.
func (k *Keyring) SetVaultKey(v VaultKey) error {
	if err := v.check(); err != nil {
		return fmt.Errorf("cannot store vault key: %w", err)
	}
	doc := vaultKeyDocument{
		Version: vaultKeyVersion, Vault: v.Vault[:], Keys: v.Keys, Recipients: v.Recipients, Epoch: v.Epoch,
		Protected: v.Protected, NextProtected: v.NextProtected, NextWraps: v.NextWraps, NextSince: v.NextSince,
	}
	var err error
	if v.Next != nil {
		if doc.Next, err = v.Next.Encode(); err != nil {
			return fmt.Errorf("cannot store vault key: %w", err)
		}
	}
	data, err := encode(doc)
	if err == nil {
		err = k.locked(func() error { return k.write(vaultKeyFile, data) })
	}
	clear(data)
	clear(doc.Next)
	if err != nil {
		return fmt.Errorf("cannot store vault key: %w", err)
	}
	return nil
}

// VaultKey returns what SetVaultKey stored; ErrNoVaultKey, wrapped, if the slot
// is empty. The caller may clear the keys.
func (k *Keyring) VaultKey() (VaultKey, error) {
	data, err := k.read(vaultKeyFile)
	if missing(err) {
		return VaultKey{}, fmt.Errorf("cannot load vault key: %w", ErrNoVaultKey)
	}
	if err != nil {
		return VaultKey{}, fmt.Errorf("cannot load vault key: %w", err)
	}
	defer clear(data)
	v, err := parseVaultKey(data)
	if err != nil {
		return VaultKey{}, fmt.Errorf("cannot load vault key: %w", err)
	}
	return v, nil
}

func parseVaultKey(data []byte) (VaultKey, error) {
	var doc vaultKeyDocument
	if err := decode(vaultKeyFile, data, &doc); err != nil {
		return VaultKey{}, err
	}
	v := VaultKey{Bundle: Bundle{Keys: doc.Keys, Recipients: doc.Recipients, Epoch: doc.Epoch}, Protected: doc.Protected,
		NextProtected: doc.NextProtected, NextWraps: doc.NextWraps, NextSince: doc.NextSince}
	single := doc.Version == 1 && len(doc.Keys) == 0
	if single {
		v.Keys = [][]byte{doc.Key}
	}
	if !single && (doc.Version != vaultKeyVersion || doc.Key != nil) || len(doc.Vault) != len(v.Vault) || v.check() != nil {
		return VaultKey{}, fmt.Errorf("%w: %s has wrong lengths or version", ErrCorrupt, vaultKeyFile)
	}
	v.Vault = [16]byte(doc.Vault)
	if doc.Next != nil {
		next, err := DecodeBundle(doc.Next)
		if err != nil {
			return VaultKey{}, fmt.Errorf("%w: %s: its next bundle", ErrCorrupt, vaultKeyFile)
		}
		v.Next = &next
	}
	if v.Recipients == nil {
		v.Recipients = make(map[string][]byte)
	}
	return v, nil
}

// ClearVaultKey empties the device slot; an empty slot is no error.
func (k *Keyring) ClearVaultKey() error {
	if err := k.locked(func() error { return k.remove(vaultKeyFile) }); err != nil {
		return fmt.Errorf("cannot clear vault key: %w", err)
	}
	return nil
}
