package authorization

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/keyring"
)

// VoucherSize is the length of a voucher, in bytes: a device's signature over what a
// reader may take from a card without having had it from the device itself.
const VoucherSize = ed25519.SignatureSize

// The texts that precede what is signed, so that a signature is of use nowhere else.
const (
	headContext  = "reprovision head 1\x00"
	slotsContext = "reprovision slots 1\x00"
)

// Head is what a device vouches for of a snapshot: its place in the vault's history
// and the blobs of the critical part. What is in them, the seals vouch for.
type Head struct {
	Vault, Snapshot, Parent [16]byte
	Seq                     uint64
	Critical                [][16]byte
}

// Vouch is the device's voucher for a head.
func (h Head) Vouch(device keyring.Identity) ([]byte, error) { return vouch(device, h.message()) }

// VouchedBy tells whether the device with that key made the voucher for the head.
func (h Head) VouchedBy(device ed25519.PublicKey, voucher []byte) bool {
	return vouched(device, h.message(), voucher)
}

func (h Head) message() []byte {
	digest := sha256.New()
	for _, id := range h.Critical {
		digest.Write(id[:])
	}
	b := append([]byte(headContext), h.Vault[:]...)
	b = append(append(b, h.Snapshot[:]...), h.Parent[:]...)
	return digest.Sum(binary.BigEndian.AppendUint64(b, h.Seq))
}

// Slot is one key slot, as a device made it.
type Slot struct {
	Kind string
	Data []byte
}

// Slots is what a device vouches for of its vault's key slots. Epoch rises with each
// change, so that the older ones never come back.
type Slots struct {
	Vault [16]byte
	Epoch uint64
	Slots []Slot // in any order, without what is the reader's own
}

// Vouch is the device's voucher for the slots.
func (s Slots) Vouch(device keyring.Identity) ([]byte, error) { return vouch(device, s.message()) }

// VouchedBy tells whether the device with that key made the voucher for the slots.
func (s Slots) VouchedBy(device ed25519.PublicKey, voucher []byte) bool {
	return vouched(device, s.message(), voucher)
}

func (s Slots) message() []byte {
	b := append([]byte(slotsContext), s.Vault[:]...)
	b = binary.BigEndian.AppendUint64(b, s.Epoch)
	var digests [][sha256.Size]byte
	for _, slot := range s.Slots {
		m := binary.BigEndian.AppendUint32(nil, uint32(len(slot.Kind)))
		digests = append(digests, sha256.Sum256(append(append(m, slot.Kind...), slot.Data...)))
	}
	slices.SortFunc(digests, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range digests {
		b = append(b, d[:]...)
	}
	return b
}

func vouch(device keyring.Identity, message []byte) ([]byte, error) {
	signature, err := device.Signer().Sign(rand.Reader, message, &ed25519.Options{})
	if err != nil {
		return nil, fmt.Errorf("cannot vouch for what goes on a card: %w", err)
	}
	return signature, nil
}

func vouched(device ed25519.PublicKey, message, voucher []byte) bool {
	return len(device) == ed25519.PublicKeySize && ed25519.Verify(device, message, voucher)
}
