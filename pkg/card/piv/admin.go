package piv

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// keyManagement is the number of the card management key.
const keyManagement = 0x9B

// Algorithms of the management key (SP 800-78-4, table 6-2).
const (
	algorithmTDES   = 0x03
	algorithmAES128 = 0x08
	algorithmAES192 = 0x0A
	algorithmAES256 = 0x0C
)

// Tags of GENERAL AUTHENTICATE (SP 800-73-4 part 2, table 7).
const (
	tagTemplate  = 0x7C
	tagWitness   = 0x80
	tagChallenge = 0x81
	tagResponse  = 0x82
)

// defaultKey is what cards come with, in Triple DES or AES-192.
func defaultKey() []byte {
	return slices.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 3)
}

// authorize shows the management key to the card, once in a transaction.
func (m *Medium) authorize(ctx context.Context) error {
	if m.admin {
		return nil
	}
	key := m.config.ManagementKey
	if key == nil && m.config.DefaultKey {
		key = defaultKey()
	}
	if key == nil {
		return fmt.Errorf("%w: %w", card.ErrReadOnly, card.ErrAdminKeyNeeded)
	}
	err := m.authorizeWith(ctx, key)
	m.admin = err == nil
	return err
}

func (m *Medium) authorizeWith(ctx context.Context, key []byte) error {
	algorithms, err := m.algorithms(ctx, len(key))
	if err != nil {
		return err
	}
	for _, algorithm := range algorithms {
		block, err := newBlock(algorithm, key)
		if err != nil {
			return fmt.Errorf("%w: %w", card.ErrAdminKey, err)
		}
		for _, way := range []func(context.Context, byte, cipher.Block) (bool, error){m.mutual, m.external} {
			if known, err := way(ctx, algorithm, block); err != nil || known {
				return err
			}
		}
	}
	return fmt.Errorf("%w: the card takes none of %d bytes", card.ErrAdminKey, len(key))
}

// algorithms lists what a key of n bytes may be for. Where there is a choice the
// card is asked, if it is one that can tell.
func (m *Medium) algorithms(ctx context.Context, n int) ([]byte, error) {
	switch n {
	case 16:
		return []byte{algorithmAES128}, nil
	case 32:
		return []byte{algorithmAES256}, nil
	case 24:
	default:
		return nil, fmt.Errorf("%w: %d bytes", card.ErrAdminKey, n)
	}
	list := []byte{algorithmTDES, algorithmAES192}
	told, err := m.metadata(ctx, keyManagement)
	if err != nil {
		return nil, err
	}
	if algorithm, ok := findTLV(told, metadataAlgorithm); ok && len(algorithm) == 1 && slices.Contains(list, algorithm[0]) {
		return algorithm, nil
	}
	return list, nil
}

func newBlock(algorithm byte, key []byte) (cipher.Block, error) {
	if algorithm == algorithmTDES {
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
}

// mutual has both sides prove that they know the key (SP 800-73-4 part 2, A.1).
// It tells whether the card knows that way and that algorithm.
func (m *Medium) mutual(ctx context.Context, algorithm byte, block cipher.Block) (known bool, err error) {
	answer, err := m.authenticate(ctx, algorithm, keyManagement, appendTLV(nil, tagWitness, nil))
	if err != nil {
		return false, unlessRefused(err)
	}
	witness, ok := findTLV(answer, tagWitness)
	if !ok || len(witness) != block.BlockSize() {
		return false, nil
	}
	plain, challenge, want := make([]byte, len(witness)), make([]byte, len(witness)), make([]byte, len(witness))
	if _, err := rand.Read(challenge); err != nil {
		return true, err
	}
	block.Decrypt(plain, witness)
	block.Encrypt(want, challenge)
	answer, err = m.authenticate(ctx, algorithm, keyManagement,
		appendTLV(appendTLV(nil, tagWitness, plain), tagChallenge, challenge))
	if err != nil {
		return true, wrongKey(err)
	}
	if response, ok := findTLV(answer, tagResponse); !ok || subtle.ConstantTimeCompare(response, want) != 1 {
		return true, fmt.Errorf("%w: the card did not prove to know it", card.ErrAdminKey)
	}
	return true, nil
}

// external proves to the card that we know the key, which is all that some cards
// have.
func (m *Medium) external(ctx context.Context, algorithm byte, block cipher.Block) (known bool, err error) {
	answer, err := m.authenticate(ctx, algorithm, keyManagement, appendTLV(nil, tagChallenge, nil))
	if err != nil {
		return false, unlessRefused(err)
	}
	challenge, ok := findTLV(answer, tagChallenge)
	if !ok || len(challenge) != block.BlockSize() {
		return false, nil
	}
	response := make([]byte, len(challenge))
	block.Encrypt(response, challenge)
	_, err = m.authenticate(ctx, algorithm, keyManagement, appendTLV(nil, tagResponse, response))
	return true, wrongKey(err)
}

func unlessRefused(err error) error {
	if refused(err) {
		return nil
	}
	return err
}

func wrongKey(err error) error {
	if refused(err) {
		return fmt.Errorf("%w: %w", card.ErrAdminKey, err)
	}
	return err
}

// Tags of GET METADATA.
const (
	metadataAlgorithm = 0x01
	metadataPublicKey = 0x04
)

// metadata is what newer YubiKeys tell of a key; nil from other cards.
func (m *Medium) metadata(ctx context.Context, key byte) ([]byte, error) {
	r, err := m.link.Exchange(ctx, iso7816.Command{INS: insMetadata, P2: key, Ne: iso7816.MaxShortResponse})
	if err != nil {
		return nil, unlessRefused(err)
	}
	return r.Data, nil
}
