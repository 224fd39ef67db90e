package busapi

import (
	"context"
	"fmt"
	"strings"
)

// passcodeDetails is the argument of Agent1.RequestPairingPasscode.
type passcodeDetails struct {
	Reader string `json:"reader"`
	Retry  bool   `json:"retry"`
}

// PairingPasscode implements Prompter (step 420).
func (p *prompter) PairingPasscode(ctx context.Context, reader string, retry bool) (string, error) {
	var code string
	details := serverCodec().encode(passcodeDetails{Reader: reader, Retry: retry})
	if err := p.ask(ctx, QuestionPairingPasscode, "RequestPairingPasscode", details, &code); err != nil {
		return "", fmt.Errorf("cannot get the pairing passcode: %w", err)
	}
	if len(code) > maxPasscode {
		return "", fmt.Errorf("%w: the agent's passcode is longer than %d bytes", ErrInvalidArguments, maxPasscode)
	}
	return strings.Join(strings.Fields(code), ""), nil // the display shows it in groups
}

// pinDetails is the argument of Agent1.RequestCardPin.
type pinDetails struct {
	Reader string `json:"reader"`
	Left   int64  `json:"left"`
	Retry  bool   `json:"retry"`
}

// CardPIN implements Prompter (step 618).
func (p *prompter) CardPIN(ctx context.Context, reader string, left int64, retry bool) (string, error) {
	var pin string
	details := serverCodec().encode(pinDetails{Reader: reader, Left: left, Retry: retry})
	if err := p.ask(ctx, QuestionCardPIN, "RequestCardPin", details, &pin); err != nil {
		return "", fmt.Errorf("cannot get the card's PIN: %w", err)
	}
	if len(pin) > maxPasscode {
		return "", fmt.Errorf("%w: the agent's PIN is longer than %d bytes", ErrInvalidArguments, maxPasscode)
	}
	return pin, nil
}

// newPasscodeDetails is the argument of Agent1.RequestNewPasscode.
type newPasscodeDetails struct {
	Change bool `json:"change"`
}

// NewPasscode implements Prompter.
func (p *prompter) NewPasscode(ctx context.Context, change bool) (string, error) {
	return p.secret(ctx, QuestionNewPasscode, "RequestNewPasscode", serverCodec().encode(newPasscodeDetails{Change: change}))
}

// ownerDetails is the argument of Agent1.RequestPasscode.
type ownerDetails struct {
	Device string `json:"device"`
	Left   int64  `json:"left"`
	Retry  bool   `json:"retry"`
}

// Passcode implements Prompter (step 618).
func (p *prompter) Passcode(ctx context.Context, device string, left int64, retry bool) (string, error) {
	details := serverCodec().encode(ownerDetails{Device: device, Left: left, Retry: retry})
	return p.secret(ctx, QuestionPasscode, "RequestPasscode", details)
}

// secret asks for something that the owner knows, to the byte.
func (p *prompter) secret(ctx context.Context, kind, method string, details Dict) (string, error) {
	var code string
	if err := p.ask(ctx, kind, method, details, &code); err != nil {
		return "", fmt.Errorf("cannot get the passcode: %w", err)
	}
	if code = fromBus(code); len(code) > maxSecret {
		return "", fmt.Errorf("%w: the agent's passcode is longer than %d bytes", ErrInvalidArguments, maxSecret)
	}
	return code, nil
}

// ConfirmReprovision implements Prompter (step 622).
func (p *prompter) ConfirmReprovision(ctx context.Context, summary ReprovisionResult) (bool, error) {
	var yes bool
	dict := serverCodec().encode(summary.bounded(maxPrompt))
	if err := p.ask(ctx, QuestionReprovision, "ConfirmReprovision", dict, &yes); err != nil {
		return false, fmt.Errorf("cannot get the owner's word: %w", err)
	}
	return yes, nil
}

// AutoBackup implements Prompter (step 514).
func (p *prompter) AutoBackup(ctx context.Context, q AutoBackupQuestion) (AutoBackupSettings, error) {
	var answer Dict
	var s AutoBackupSettings
	if err := p.ask(ctx, QuestionAutoBackup, "RequestAutoBackup", serverCodec().encode(q), &answer); err != nil {
		return s, fmt.Errorf("cannot ask when to back up: %w", err)
	}
	if err := serverCodec().decode(answer, &s); err != nil {
		return s, fmt.Errorf("cannot read the agent's answer: %w", err)
	}
	return s.normal()
}

// Pairing implements Prompter (steps 522 and 414).
func (p *prompter) Pairing(ctx context.Context, q PairingQuestion) (string, error) {
	var address string
	if err := p.ask(ctx, QuestionPairing, "RequestPairing", serverCodec().encode(q), &address); err != nil {
		return "", fmt.Errorf("cannot ask for a pairing: %w", err)
	}
	return ParseAddress(strings.TrimSpace(address))
}
