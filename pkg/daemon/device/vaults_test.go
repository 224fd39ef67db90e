package device

import (
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/vault"
)

// TestTakeUpAtTheLimit takes up a vault that has had as many keys as it may, and one that
// may have one more: both open, and only the second is to be rotated.
func TestTakeUpAtTheLimit(t *testing.T) {
	for keys, rotates := range map[int]bool{keyring.MaxKeys - 1: true, keyring.MaxKeys: false} {
		r := newRig(t)
		held := keyring.VaultKey{Vault: vault.NewVaultID()}
		for range keys {
			key, err := vault.NewKey()
			r.must(err)
			held.Keys = append(held.Keys, key.Bytes())
		}
		v, err := r.d.takeUp(held)
		if err != nil || v.id != vault.VaultID(held.Vault) {
			t.Errorf("%d keys: %v", keys, err)
			continue
		}
		now, err := r.d.keys.VaultKey()
		r.must(err)
		if len(now.Keys) != keys || (now.Next != nil) != rotates || (now.NextSince != 0) != rotates {
			t.Errorf("%d keys: the device holds %d, a rotation planned: %v", keys, len(now.Keys), now.Next != nil)
		}
		if _, err := rotated(now.Bundle); errors.Is(err, errNoRotation) == rotates {
			t.Errorf("%d keys: %v", keys, err)
		}
	}
}
