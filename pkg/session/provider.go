package session

import (
	"context"
	"crypto/ed25519"
	"iter"

	"github.com/reprovision/reprovision/pkg/link"
)

// Peers tells a Server whom it is paired with.
type Peers interface {
	// Paired finds a device by its public key. It is asked once for each
	// session, during the handshake.
	Paired(key ed25519.PublicKey) (id string, ok bool)
}

// Provider is what a reader does for its paired devices. All methods may be
// called concurrently; each call's context ends with the session. An error that
// wraps one of this package's sentinels travels to the device with its text;
// any other is logged here, and the device learns only that the reader failed.
type Provider interface {
	// Connected is called when a session begins, before any call of it, and
	// Disconnected when it has ended. A device has one session at a time: the
	// old one's Disconnected returns before the new one's Connected is called.
	Connected(p Peer)
	Disconnected(p Peer, reason error)

	Hello(ctx context.Context, p Peer, theirs Hello) (Hello, error)
	// Events sends what there is to tell until the context ends.
	Events(ctx context.Context, p Peer, send func(Event) error) error
	Vaults(ctx context.Context, p Peer) ([]Vault, error)
	CreateVault(ctx context.Context, p Peer, v NewVault) error
	// Register answers the registration of what will open a slot of the caller's vault.
	Register(ctx context.Context, p Peer, e Entry, request []byte) (response []byte, err error)
	ChangeSlots(ctx context.Context, p Peer, c SlotChange) (CardState, error)
	// Unlock returns only once the attempt is counted durably.
	Unlock(ctx context.Context, p Peer, e Entry, ke1 []byte) (ke2 []byte, err error)
	// Prove returns nil only where ke3 is right. It is empty when the device knows
	// that the entry was wrong.
	Prove(ctx context.Context, p Peer, e Entry, ke3 []byte) error
	// VerifyPIN has the card of the vault verify its PIN: *WrongPasscode, ErrLockedOut.
	VerifyPIN(ctx context.Context, p Peer, vault ID, pin []byte) (secret []byte, err error)
	ClaimVault(ctx context.Context, p Peer, vault ID) ([]Slot, error)
	// Snapshots returns the newest first, those with Seq up to q.From.
	Snapshots(ctx context.Context, p Peer, q SnapshotQuery) ([]Snapshot, error)
	Missing(ctx context.Context, p Peer, vault ID, ids []ID) ([]ID, error)
	// Put stores what the iterator yields; each blob's data is the
	// provider's to keep. An error that the iterator yields ends it.
	Put(ctx context.Context, p Peer, vault ID, blobs iter.Seq2[Blob, error]) (stored int, err error)
	Commit(ctx context.Context, p Peer, c Commit) (CardState, error)
	// Get sends the blobs in the order asked for.
	Get(ctx context.Context, p Peer, q BlobQuery, send func(Blob) error) error
	// Attest has the card of the vault answer a challenge; ErrCard without it.
	Attest(ctx context.Context, p Peer, vault ID, challenge []byte) (Attestation, error)
	// Authorize keeps the vault's authorization record, here and on its card.
	Authorize(ctx context.Context, p Peer, vault ID, record []byte) (CardState, error)
	// Unpair forgets the device. Once it has returned nil, the server takes
	// no further call in this session.
	Unpair(ctx context.Context, p Peer) error
}

// PairingPeer is a device in a pairing session: nobody yet. Its key is the one
// it holds in this very TLS session.
type PairingPeer struct {
	Key      ed25519.PublicKey
	Exporter []byte // the session's channel binding (RFC 9266), 32 bytes
	Address  link.Address
	Session  uint64 // tells the sessions of one server apart, from 1
}

// PairingProvider is the reader's side of FIG. 4. Its methods may be called
// concurrently.
type PairingProvider interface {
	// Open tells whether the pairing window is open. It is asked during every
	// handshake for pairing.
	Open() bool
	// Start displays a passcode (step 418) and returns the reader's name.
	Start(ctx context.Context, p PairingPeer, deviceName string) (readerName string, err error)
	Exchange(ctx context.Context, p PairingPeer, ke1 []byte) (ke2 []byte, err error)
	// Finish returns nil only once the passcode is verified and the device's
	// key stored durably (step 422).
	Finish(ctx context.Context, p PairingPeer, ke3 []byte) error
	// Gone is called when the session has ended.
	Gone(p PairingPeer)
}
