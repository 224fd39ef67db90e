package keyring

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/reprovision/reprovision/pkg/userdata"
)

const (
	peersFile    = "peers.json"
	peersVersion = 1
	// MaxPeers is how many peers a host can be paired with.
	MaxPeers = 64
	// MaxPeerText bounds a peer's name and its address, in bytes.
	MaxPeerText = 64
)

// Errors about peers.
var (
	ErrNoPeer       = errors.New("no such peer")
	ErrTooManyPeers = errors.New("too many peers")
	ErrBadPeer      = errors.New("not a peer")
)

// Peer is a host that this one is paired with: the pin is its public key.
type Peer struct {
	ID        string            // PeerID(PublicKey)
	Name      string            // what it calls itself: for people, up to MaxPeerText bytes
	Address   string            // where it was reached; "" if this host does not dial it
	PublicKey ed25519.PublicKey // pinned at pairing
	Paired    time.Time         // when, by this host's clock; whole seconds, UTC
}

// NewPeer makes a peer of a key that was just verified. A name or address that
// is too long or not printable is cut and escaped: it came from the peer.
func NewPeer(pub ed25519.PublicKey, name, address string, paired time.Time) Peer {
	return Peer{
		ID:        PeerID(pub),
		Name:      cut(userdata.Printable(name)),
		Address:   cut(userdata.Printable(address)),
		PublicKey: slices.Clone(pub),
		Paired:    paired.UTC().Truncate(time.Second),
	}
}

// cut shortens a text to MaxPeerText bytes without splitting a character.
func cut(s string) string {
	for len(s) > MaxPeerText {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

func (p Peer) check() error {
	switch {
	case len(p.PublicKey) != ed25519.PublicKeySize:
		return fmt.Errorf("%w: public key of %d bytes", ErrBadPeer, len(p.PublicKey))
	case p.ID != PeerID(p.PublicKey):
		return fmt.Errorf("%w: id is not that of its key", ErrBadPeer)
	case len(p.Name) > MaxPeerText || len(p.Address) > MaxPeerText:
		return fmt.Errorf("%w: name or address longer than %d bytes", ErrBadPeer, MaxPeerText)
	case userdata.Printable(p.Name) != p.Name || userdata.Printable(p.Address) != p.Address:
		return fmt.Errorf("%w: name or address is not printable", ErrBadPeer)
	case p.Paired.UTC().Year() < 0 || p.Paired.UTC().Year() > 9999:
		return fmt.Errorf("%w: it was paired in the year %d", ErrBadPeer, p.Paired.UTC().Year())
	}
	return nil
}

// Peers returns all peers, those paired first first.
func (k *Keyring) Peers() ([]Peer, error) {
	data, err := k.read(peersFile)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot load peers: %w", err)
	}
	peers, err := parsePeers(data)
	if err != nil {
		return nil, fmt.Errorf("cannot load peers: %w", err)
	}
	return peers, nil
}

// Peer finds a peer by its ID; ErrNoPeer, wrapped, if there is none.
func (k *Keyring) Peer(id string) (Peer, error) {
	peers, err := k.Peers()
	if err != nil {
		return Peer{}, err
	}
	for _, p := range peers {
		if p.ID == id {
			return p, nil
		}
	}
	return Peer{}, fmt.Errorf("%w: %s", ErrNoPeer, userdata.Printable(id))
}

// PutPeer adds a peer, or replaces what is known of the same key. When it
// returns nil, the peer is stored durably.
func (k *Keyring) PutPeer(p Peer) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("cannot store peer: %w", err)
	}
	p.Paired = p.Paired.UTC().Truncate(time.Second)
	err := k.changePeers(func(peers []Peer) ([]Peer, error) {
		peers = without(peers, p.ID)
		if len(peers) >= MaxPeers {
			return nil, fmt.Errorf("%w: %d", ErrTooManyPeers, len(peers))
		}
		return append(peers, p), nil
	})
	if err != nil {
		return fmt.Errorf("cannot store peer: %w", err)
	}
	return nil
}

// RemovePeer forgets a peer; ErrNoPeer, wrapped, if there is none.
func (k *Keyring) RemovePeer(id string) error {
	err := k.changePeers(func(peers []Peer) ([]Peer, error) {
		rest := without(peers, id)
		if len(rest) == len(peers) {
			return nil, fmt.Errorf("%w: %s", ErrNoPeer, userdata.Printable(id))
		}
		return rest, nil
	})
	if err != nil {
		return fmt.Errorf("cannot remove peer: %w", err)
	}
	return nil
}

func without(peers []Peer, id string) []Peer {
	return slices.DeleteFunc(slices.Clone(peers), func(p Peer) bool { return p.ID == id })
}

func (k *Keyring) changePeers(change func([]Peer) ([]Peer, error)) error {
	return k.locked(func() error {
		peers, err := k.Peers()
		if err != nil {
			return err
		}
		if peers, err = change(peers); err != nil {
			return err
		}
		data, err := formatPeers(peers)
		if err != nil {
			return err
		}
		return k.write(peersFile, data)
	})
}

// The peers file.
type peersDocument struct {
	Version int          `json:"version"`
	Peers   []peerRecord `json:"peers"`
}

type peerRecord struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Address   string    `json:"address"`
	PublicKey []byte    `json:"public_key"` // 32 bytes, base64
	Paired    time.Time `json:"paired"`
}

func formatPeers(peers []Peer) ([]byte, error) {
	doc := peersDocument{Version: peersVersion, Peers: make([]peerRecord, 0, len(peers))}
	for _, p := range peers {
		doc.Peers = append(doc.Peers, p.record())
	}
	return encode(doc)
}

func (p Peer) record() peerRecord {
	return peerRecord{ID: p.ID, Name: p.Name, Address: p.Address, PublicKey: p.PublicKey, Paired: p.Paired}
}

func parsePeers(data []byte) ([]Peer, error) {
	var doc peersDocument
	if err := decode(peersFile, data, &doc); err != nil {
		return nil, err
	}
	if doc.Version != peersVersion || len(doc.Peers) > MaxPeers {
		return nil, fmt.Errorf("%w: %s has version %d and %d peers", ErrCorrupt, peersFile, doc.Version, len(doc.Peers))
	}
	peers := make([]Peer, 0, len(doc.Peers))
	seen := make(map[string]bool)
	for _, r := range doc.Peers {
		p := Peer{ID: r.ID, Name: r.Name, Address: r.Address, PublicKey: r.PublicKey, Paired: r.Paired.UTC()}
		if err := p.check(); err != nil || seen[p.ID] {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, peersFile, cmp.Or(err, errTwice))
		}
		seen[p.ID] = true
		peers = append(peers, p)
	}
	return peers, nil
}

var errTwice = errors.New("a peer stands twice")
