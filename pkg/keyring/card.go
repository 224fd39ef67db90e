package keyring

import (
	"errors"
	"fmt"
	"time"
)

const (
	cardFile    = "card.json"
	cardVersion = 1
	// maxCardText bounds a card's identity and its key, in bytes.
	maxCardText = 512
)

// ErrNoCard is returned by Card when no card is pinned: none was in the reader
// since the pairing.
var ErrNoCard = errors.New("no card is known on this device")

// Card is the smart card that this device knows as its owner's.
type Card struct {
	Identity string    // as the reader told it, up to 512 bytes
	Key      []byte    // SubjectPublicKeyInfo of the key that it signs with; nil for a card without
	Pinned   time.Time // when, by this host's clock; whole seconds, UTC
}

type cardDocument struct {
	Version  int       `json:"version"`
	Identity string    `json:"identity"`
	Key      []byte    `json:"key,omitempty"` // base64
	Pinned   time.Time `json:"pinned"`
}

// PinCard makes a card the one of this device, durably.
func (k *Keyring) PinCard(c Card) error {
	if c.Identity == "" || len(c.Identity) > maxCardText || len(c.Key) > maxCardText {
		return fmt.Errorf("cannot pin card: identity of %d bytes, key of %d", len(c.Identity), len(c.Key))
	}
	data, err := encode(cardDocument{
		Version: cardVersion, Identity: c.Identity, Key: c.Key, Pinned: c.Pinned.UTC().Truncate(time.Second),
	})
	if err == nil {
		err = k.locked(func() error { return k.write(cardFile, data) })
	}
	if err != nil {
		return fmt.Errorf("cannot pin card: %w", err)
	}
	return nil
}

// Card returns the pinned card; ErrNoCard, wrapped, if there is none.
func (k *Keyring) Card() (Card, error) {
	data, err := k.read(cardFile)
	if missing(err) {
		err = ErrNoCard
	}
	if err != nil {
		return Card{}, fmt.Errorf("cannot load the pinned card: %w", err)
	}
	c, err := parseCard(data)
	if err != nil {
		return Card{}, fmt.Errorf("cannot load the pinned card: %w", err)
	}
	return c, nil
}

func parseCard(data []byte) (Card, error) {
	var doc cardDocument
	if err := decode(cardFile, data, &doc); err != nil {
		return Card{}, err
	}
	if doc.Version != cardVersion || doc.Identity == "" || len(doc.Identity) > maxCardText || len(doc.Key) > maxCardText {
		return Card{}, fmt.Errorf("%w: %s has wrong lengths or version", ErrCorrupt, cardFile)
	}
	return Card{Identity: doc.Identity, Key: doc.Key, Pinned: doc.Pinned.UTC()}, nil
}

// UnpinCard forgets the card; that there is none is no error.
func (k *Keyring) UnpinCard() error {
	if err := k.locked(func() error { return k.remove(cardFile) }); err != nil {
		return fmt.Errorf("cannot forget the pinned card: %w", err)
	}
	return nil
}
