package keyring

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bytemare/ksf"
	"github.com/bytemare/opaque"
	"golang.org/x/text/unicode/norm"
)

// Errors of the passcode ceremony.
var (
	// ErrWrongPasscode means that the two sides do not hold the same passcode
	// or binding: a slip of the owner's, or somebody in the middle.
	ErrWrongPasscode = errors.New("wrong passcode")
	// ErrSpent means that the Verifier or Prover has done its one run.
	ErrSpent = errors.New("passcode was used already")
	// ErrBadMessage means bytes that are no OPAQUE message.
	ErrBadMessage = errors.New("not a message of the passcode ceremony")
)

// NoStretch is the key stretching of a passcode that is random and serves once:
// none. A passcode that a person chose takes ksf.Argon2id.
const NoStretch = ksf.Identifier(0)

// The parties' names in the OPAQUE envelope; their keys are in the binding.
const (
	deviceParty = "device"
	readerParty = "reader"
)

const (
	bindingLabel   = "reprovision/1 pairing"
	unlockLabel    = "reprovision/1 unlock"
	exporterLength = 32
)

// Binding ties a passcode ceremony to one TLS session and the two identities in
// it: it is the context of the OPAQUE configuration. exporter is the session's
// EXPORTER-Channel-Binding (RFC 9266), 32 bytes. Each part is preceded by its
// length in two bytes, big-endian.
func Binding(exporter []byte, device, reader ed25519.PublicKey) ([]byte, error) {
	return bind(bindingLabel, exporter, device, reader)
}

// UnlockBinding does the same for the ceremony that opens a key slot of a vault
// (step 620): vault and kind say which.
func UnlockBinding(exporter []byte, device, reader ed25519.PublicKey, vault [16]byte, kind string) ([]byte, error) {
	return bind(unlockLabel, exporter, device, reader, vault[:], []byte(kind))
}

func bind(label string, exporter []byte, device, reader ed25519.PublicKey, more ...[]byte) ([]byte, error) {
	if len(exporter) != exporterLength || len(device) != ed25519.PublicKeySize || len(reader) != ed25519.PublicKeySize {
		return nil, errors.New("cannot bind a passcode: exporter or key has a wrong length")
	}
	var b []byte
	for _, part := range append([][]byte{[]byte(label), exporter, SPKI(device), SPKI(reader)}, more...) {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		b = append(b, part...)
	}
	return b, nil
}

// configuration is OPAQUE-3DH with ristretto255, SHA-512, HKDF and HMAC.
func configuration(binding []byte, stretch ksf.Identifier) *opaque.Configuration {
	return &opaque.Configuration{
		OPRF:    opaque.RistrettoSha512,
		AKE:     opaque.RistrettoSha512,
		KSF:     stretch,
		KDF:     crypto.SHA512,
		MAC:     crypto.SHA512,
		Hash:    crypto.SHA512,
		Context: binding,
	}
}

// Verifier is the reader's side of one passcode (steps 418 and 422). It is made
// for one Respond and one Finish, and not for concurrent use.
type Verifier struct {
	server *opaque.Server
	record *opaque.ClientRecord
	mac    []byte // expected in KE3
}

// NewVerifier registers the displayed passcode, playing both roles of OPAQUE's
// registration. The passcode is not kept.
func NewVerifier(passcode string, binding []byte, stretch ksf.Identifier) (*Verifier, error) {
	v, err := newVerifier(passcode, configuration(binding, stretch))
	if err != nil {
		return nil, fmt.Errorf("cannot register passcode: %w", err)
	}
	return v, nil
}

func newVerifier(passcode string, conf *opaque.Configuration) (*Verifier, error) {
	server, err := conf.Server()
	if err != nil {
		return nil, err
	}
	private, public := conf.KeyGen()
	err = server.SetKeyMaterial(&opaque.ServerKeyMaterial{
		Identity:       []byte(readerParty),
		PrivateKey:     private,
		PublicKeyBytes: public.Encode(),
		OPRFGlobalSeed: conf.GenerateOPRFSeed(),
	})
	if err != nil {
		return nil, err
	}
	record, err := register(passcode, conf, server)
	if err != nil {
		return nil, err
	}
	return &Verifier{server: server, record: record}, nil
}

func register(passcode string, conf *opaque.Configuration, server *opaque.Server) (*opaque.ClientRecord, error) {
	client, err := conf.Client()
	if err != nil {
		return nil, err
	}
	defer client.ClearState()
	request, err := client.RegistrationInit([]byte(passcode))
	if err != nil {
		return nil, err
	}
	credential := opaque.RandomBytes(32)
	response, err := server.RegistrationResponse(request, credential, nil)
	if err != nil {
		return nil, err
	}
	// The options select the stretching function's own parameters.
	record, _, err := client.RegistrationFinalize(response, []byte(deviceParty), []byte(readerParty), &opaque.ClientOptions{})
	if err != nil {
		return nil, err
	}
	return &opaque.ClientRecord{
		CredentialIdentifier: credential,
		ClientIdentity:       []byte(deviceParty),
		RegistrationRecord:   record,
	}, nil
}

// Respond answers KE1 with KE2. It works exactly once, for the answer allows
// one guess: a second call returns ErrSpent, even if the first was given
// garbage (ErrBadMessage).
func (v *Verifier) Respond(ke1 []byte) ([]byte, error) {
	record := v.record
	v.record = nil
	if record == nil {
		return nil, fmt.Errorf("cannot answer: %w", ErrSpent)
	}
	message, err := v.server.Deserialize.KE1(ke1)
	if err != nil {
		return nil, fmt.Errorf("cannot read KE1: %w: %w", ErrBadMessage, err)
	}
	ke2, output, err := v.server.GenerateKE2(message, record)
	if err != nil {
		return nil, fmt.Errorf("cannot answer: %w: %w", ErrBadMessage, err)
	}
	v.mac = output.ClientMAC
	return ke2.Serialize(), nil
}

// Finish verifies KE3 (step 422): nil means that the device knew the passcode.
// It works once, after Respond.
func (v *Verifier) Finish(ke3 []byte) error {
	mac := v.mac
	v.mac = nil
	if mac == nil {
		return fmt.Errorf("cannot verify: %w", ErrSpent)
	}
	message, err := v.server.Deserialize.KE3(ke3)
	if err != nil {
		return fmt.Errorf("cannot read KE3: %w: %w", ErrBadMessage, err)
	}
	if err := v.server.LoginFinish(message, mac); err != nil {
		return ErrWrongPasscode
	}
	return nil
}

// Prover is the device's side of one passcode (step 420). It is made for one
// KE1 and one Finish, and not for concurrent use.
type Prover struct {
	client *opaque.Client
	ke1    []byte
}

// spelled is a secret in normal form C: keyboards spell the same letter in different ways.
func spelled(secret string) []byte { return norm.NFC.Bytes([]byte(secret)) }

// NewProver prepares the proof that the owner entered the passcode, in any spelling of
// Unicode's that is canonically the same.
func NewProver(passcode string, binding []byte, stretch ksf.Identifier) (*Prover, error) {
	client, err := configuration(binding, stretch).Client()
	if err != nil {
		return nil, fmt.Errorf("cannot prepare passcode: %w", err)
	}
	ke1, err := client.GenerateKE1(spelled(passcode))
	if err != nil {
		return nil, fmt.Errorf("cannot prepare passcode: %w", err)
	}
	return &Prover{client: client, ke1: ke1.Serialize()}, nil
}

// KE1 is the first message, 96 bytes; it tells nothing of the passcode.
func (p *Prover) KE1() []byte { return p.ke1 }

// Finish verifies KE2, that is, that the reader holds the passcode, and returns
// KE3, 64 bytes. ErrWrongPasscode means that it does not, and that KE3 must not
// and cannot be sent.
func (p *Prover) Finish(ke2 []byte) ([]byte, error) {
	ke3, _, err := p.FinishWithKey(ke2)
	return ke3, err
}

// FinishWithKey is Finish that also returns the export key of OPAQUE, 64 bytes:
// the same for each run with one registration and its passcode, and known to
// nobody else.
func (p *Prover) FinishWithKey(ke2 []byte) (ke3, exportKey []byte, err error) {
	client := p.client
	p.client = nil
	if client == nil {
		return nil, nil, fmt.Errorf("cannot finish: %w", ErrSpent)
	}
	defer client.ClearState()
	message, err := client.Deserialize.KE2(ke2)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read KE2: %w: %w", ErrBadMessage, err)
	}
	last, session, exportKey, err := client.GenerateKE3(message, []byte(deviceParty), []byte(readerParty), &opaque.ClientOptions{})
	clear(session)
	if errors.Is(err, opaque.ErrAuthentication) {
		return nil, nil, ErrWrongPasscode
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot finish: %w: %w", ErrBadMessage, err)
	}
	return last.Serialize(), exportKey, nil
}
