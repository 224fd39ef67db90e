package vaulttest

import (
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/vault"
)

func TestMemory(t *testing.T) {
	Run(t, Subject{
		Open: func(_ *testing.T, l vault.Limits) vault.Store { return NewMemory(l) },
		Damage: func(t *testing.T, s vault.Store, id vault.VaultID, blob vault.BlobID) {
			if err := s.(*Memory).Damage(id, blob); err != nil {
				t.Fatal(err)
			}
		},
		DamageHead: func(t *testing.T, s vault.Store, id vault.VaultID) {
			if err := s.(*Memory).DamageHead(id); err != nil {
				t.Fatal(err)
			}
		},
	})
}

// TestFaultyWithoutFaults shows that the wrapper by itself changes nothing.
func TestFaultyWithoutFaults(t *testing.T) {
	Run(t, Subject{
		Open: func(_ *testing.T, l vault.Limits) vault.Store { return NewFaulty(NewMemory(l)) },
		Damage: func(t *testing.T, s vault.Store, id vault.VaultID, blob vault.BlobID) {
			if err := s.(*Faulty).Store.(*Memory).Damage(id, blob); err != nil {
				t.Fatal(err)
			}
		},
		DamageHead: func(t *testing.T, s vault.Store, id vault.VaultID) {
			if err := s.(*Faulty).Store.(*Memory).DamageHead(id); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestFaulty(t *testing.T) {
	f := NewFaulty(NewMemory(vault.Limits{}), Fault{Op: "Create", Call: 1}, Fault{Op: "Put", Call: 2, After: true})
	if err := f.Create(Record(1)); !errors.Is(err, ErrInjected) {
		t.Fatalf("got %v", err)
	}
	if err := f.Create(Record(1)); err != nil {
		t.Fatalf("the first one took effect: %v", err)
	}
	if err := f.Put(Record(1).ID, []vault.StoredBlob{Blob(1)}); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(Record(1).ID, []vault.StoredBlob{Blob(2)}); !errors.Is(err, ErrInjected) {
		t.Fatalf("got %v", err)
	}
	if _, err := f.Get(Record(1).ID, Blob(2).ID); err != nil {
		t.Fatalf("the second one did not take effect: %v", err)
	}
	f.Inject(Fault{Op: "Get", Err: vault.ErrDamaged})
	for range 2 {
		if _, err := f.Get(Record(1).ID, Blob(1).ID); !errors.Is(err, vault.ErrDamaged) {
			t.Fatalf("got %v", err)
		}
	}
	f.Clear()
	if _, err := f.Get(Record(1).ID, Blob(1).ID); err != nil {
		t.Fatal(err)
	}
}
