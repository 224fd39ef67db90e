package keyring

import (
	"errors"
	"fmt"

	"github.com/bytemare/ksf"
	"github.com/bytemare/opaque"
	"github.com/fxamacker/cbor/v2"
)

// Stretch is the key stretching of a reprovisioning passcode, on the device:
// Argon2id with 3 passes over 64 MiB and 4 lanes, ksf's own parameters.
const Stretch = ksf.Argon2id

// StretchOf is the stretching for what opens a kind of slot: none for a recovery
// code, which is random.
func StretchOf(kind string) ksf.Identifier {
	if kind == SlotRecovery {
		return NoStretch
	}
	return Stretch
}

const checkFormat = 1

// maxCheck bounds an encoded check, in bytes.
const maxCheck = 1 << 10

// ErrCheck is wrapped by the error about bytes that are no check.
var ErrCheck = errors.New("not what a passcode is checked by")

// check is all that the reader keeps of a passcode: its own keys for this one
// passcode, and the record that the device made. Who has it can guess the
// passcode, at the price of one Argon2id a guess; it gives nothing else.
type check struct {
	Format     uint8  `cbor:"1,keyasint"`
	Keys       []byte `cbor:"2,keyasint"` // opaque.ServerKeyMaterial
	Credential []byte `cbor:"3,keyasint"` // the record's name in the OPRF
	Record     []byte `cbor:"4,keyasint"` // opaque RegistrationRecord
}

// Registration is the reader's side of the setting of a passcode that it never
// learns: one Respond, then one Finish. It is not for concurrent use.
type Registration struct {
	server   *opaque.Server
	check    check
	answered bool
}

// NewRegistration draws the keys that the reader will check this one passcode by.
func NewRegistration() (*Registration, error) {
	conf := configuration(nil, NoStretch) // the reader does no stretching
	server, err := conf.Server()
	if err != nil {
		return nil, fmt.Errorf("cannot prepare a registration: %w", err)
	}
	private, public := conf.KeyGen()
	material := &opaque.ServerKeyMaterial{
		Identity: []byte(readerParty), PrivateKey: private, PublicKeyBytes: public.Encode(), OPRFGlobalSeed: conf.GenerateOPRFSeed(),
	}
	r := &Registration{server: server, check: check{
		Format: checkFormat, Keys: material.Encode(), Credential: opaque.RandomBytes(32),
	}}
	if err := server.SetKeyMaterial(material); err != nil {
		return nil, fmt.Errorf("cannot prepare a registration: %w", err)
	}
	return r, nil
}

// Respond answers the device's request.
func (r *Registration) Respond(request []byte) ([]byte, error) {
	message, err := r.server.Deserialize.RegistrationRequest(request)
	if err != nil {
		return nil, fmt.Errorf("cannot read a registration request: %w: %w", ErrBadMessage, err)
	}
	response, err := r.server.RegistrationResponse(message, r.check.Credential, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot answer a registration request: %w: %w", ErrBadMessage, err)
	}
	r.answered = true
	return response.Serialize(), nil
}

// Finish takes the device's record and returns the check to be stored.
func (r *Registration) Finish(record []byte) ([]byte, error) {
	if !r.answered {
		return nil, fmt.Errorf("cannot finish a registration: %w", ErrSpent)
	}
	if _, err := r.server.Deserialize.RegistrationRecord(record); err != nil {
		return nil, fmt.Errorf("cannot read a registration record: %w: %w", ErrBadMessage, err)
	}
	r.check.Record = record
	return cbor.Marshal(r.check)
}

// LoadVerifier makes the reader's side of one entry of a passcode, from a stored
// check. Errors about the check wrap ErrCheck.
func LoadVerifier(stored, binding []byte) (*Verifier, error) {
	conf := configuration(binding, NoStretch)
	server, err := conf.Server()
	if err != nil {
		return nil, fmt.Errorf("cannot load a passcode's check: %w", err)
	}
	var c check
	if err := decodeStrictly(stored, maxCheck, &c); err != nil || c.Format != checkFormat {
		return nil, fmt.Errorf("cannot load a passcode's check: %w", ErrCheck)
	}
	material, err := conf.DecodeServerKeyMaterial(c.Keys)
	if err == nil {
		err = server.SetKeyMaterial(material)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot load a passcode's check: %w: %w", ErrCheck, err)
	}
	record, err := server.Deserialize.RegistrationRecord(c.Record)
	if err != nil {
		return nil, fmt.Errorf("cannot load a passcode's check: %w: %w", ErrCheck, err)
	}
	return &Verifier{server: server, record: &opaque.ClientRecord{
		CredentialIdentifier: c.Credential, ClientIdentity: []byte(deviceParty), RegistrationRecord: record,
	}}, nil
}

// Enrolment is the device's side of the setting of a passcode. It is made for one
// Request and one Finish, and not for concurrent use.
type Enrolment struct {
	client  *opaque.Client
	request []byte
}

// NewEnrolment begins to register a secret: a passcode, with Stretch, or a
// recovery code, which needs NoStretch only.
func NewEnrolment(secret string, stretch ksf.Identifier) (*Enrolment, error) {
	client, err := configuration(nil, stretch).Client()
	if err != nil {
		return nil, fmt.Errorf("cannot prepare a passcode: %w", err)
	}
	request, err := client.RegistrationInit(spelled(secret))
	if err != nil {
		return nil, fmt.Errorf("cannot prepare a passcode: %w", err)
	}
	return &Enrolment{client: client, request: request.Serialize()}, nil
}

// Request is the first message, 32 bytes; it tells nothing of the secret.
func (e *Enrolment) Request() []byte { return e.request }

// Finish takes the reader's answer. The record goes to the reader; the export key
// (64 bytes) stays here and is what Prover.FinishWithKey will return.
func (e *Enrolment) Finish(response []byte) (record, exportKey []byte, err error) {
	client := e.client
	e.client = nil
	if client == nil {
		return nil, nil, fmt.Errorf("cannot finish a registration: %w", ErrSpent)
	}
	defer client.ClearState()
	message, err := client.Deserialize.RegistrationResponse(response)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read a registration response: %w: %w", ErrBadMessage, err)
	}
	made, exportKey, err := client.RegistrationFinalize(message, []byte(deviceParty), []byte(readerParty), &opaque.ClientOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot finish a registration: %w: %w", ErrBadMessage, err)
	}
	return made.Serialize(), exportKey, nil
}
